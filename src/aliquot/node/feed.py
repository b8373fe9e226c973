"""A cache's objects and changes, told apart by the node that they concern, or by their name.

In a process with many agents they share one cache; were each to subscribe to it, every change would be looked at by
all of them.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from aliquot.kube.api.core import ConfigMap, Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.resource_slice import ResourceSlice
from aliquot.kube.cache import Cache
from aliquot.kube.resources import key

T = TypeVar("T")


class Feed(Generic[T]):
    """`node_of` names the node of an object; empty: of none."""

    def __init__(self, cache: Cache[T], node_of: Callable[[T], str]) -> None:
        self._cache = cache
        self._node_of = node_of
        self._objects: dict[str, dict[str, T]] = {}
        self._listed: dict[str, tuple[T, ...]] = {}
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        cache.subscribe(self._take)

    @property
    def is_synced(self) -> bool:
        return self._cache.is_synced

    async def synced(self) -> None:
        await self._cache.synced()

    def of(self, node: str) -> tuple[T, ...]:
        """The same tuple until something changes on the node."""
        if node not in self._listed:
            self._listed[node] = tuple(self._objects.get(node, {}).values())
        return self._listed[node]

    def listen(self, node: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Calls `changed` after each change on the node. Returns the function that ends it."""
        listeners = self._listeners.setdefault(node, [])
        listeners.append(changed)
        return lambda: listeners.remove(changed)

    def _take(self, old: T | None, new: T | None) -> None:
        touched: dict[str, None] = {}
        if old is not None:
            node = self._node_of(old)
            self._objects.get(node, {}).pop(key(old), None)
            touched[node] = None
        if new is not None:
            node = self._node_of(new)
            self._objects.setdefault(node, {})[key(new)] = new
            touched[node] = None
        for node in touched:
            self._listed.pop(node, None)
            for changed in tuple(self._listeners.get(node, ())):
                changed()


def pods_by_node(cache: Cache[Pod]) -> Feed[Pod]:
    return Feed(cache, lambda pod: pod.spec.node_name)


def nodes_by_name(cache: Cache[Node]) -> Feed[Node]:
    return Feed(cache, lambda node: node.metadata.name)


def gpu_nodes_by_name(cache: Cache[GPUNode]) -> Feed[GPUNode]:
    return Feed(cache, lambda node: node.metadata.name)


def config_maps_by_name(cache: Cache[ConfigMap]) -> Feed[ConfigMap]:
    return Feed(cache, lambda config_map: config_map.metadata.name)


def resource_slices_by_node(cache: Cache[ResourceSlice]) -> Feed[ResourceSlice]:
    return Feed(cache, lambda resource_slice: resource_slice.spec.node_name)
