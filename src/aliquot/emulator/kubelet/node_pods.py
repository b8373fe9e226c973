"""The pods of each node, out of one cache of all pods: one subscription, however many nodes there are."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache

BY_NODE = "node"
"""Name of the index that the cache must have."""

PodHandler: TypeAlias = Callable[[Pod | None, Pod | None], None]


def by_node(pod: Pod) -> Iterable[str]:
    """The index function: pods that are bound, by the node's name."""
    return (pod.spec.node_name,) if pod.spec.node_name else ()


class NodePods:
    """`cache` is indexed under BY_NODE with `by_node`, and run by its owner."""

    def __init__(self, cache: Cache[Pod]) -> None:
        self._cache = cache
        self._handlers: dict[str, PodHandler] = {}
        self._unsubscribe: Callable[[], None] | None = None

    async def synced(self) -> None:
        await self._cache.synced()

    def of(self, node: str) -> Sequence[Pod]:
        return self._cache.indexed(BY_NODE, node)

    def get(self, namespace: str, name: str) -> Pod | None:
        return self._cache.get(f"{namespace}/{name}")

    def follow(self, node: str, handler: PodHandler) -> Callable[[], None]:
        """Call `handler(old, new)` for what is bound to `node` now, as (None, pod), and for each change of it.

        One handler for each node. Returns the function that ends it.
        """
        if node in self._handlers:
            raise ValueError(f"the pods of node {node} are followed already: two kubelets of one name?")
        if self._unsubscribe is None:
            self._unsubscribe = self._cache.subscribe(self._changed)
        for pod in self.of(node):
            handler(None, pod)
        self._handlers[node] = handler

        def unfollow() -> None:
            self._handlers.pop(node, None)
            if not self._handlers and self._unsubscribe is not None:
                self._unsubscribe()
                self._unsubscribe = None

        return unfollow

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        before = old.spec.node_name if old is not None else ""
        after = new.spec.node_name if new is not None else ""
        if before == after:
            if before in self._handlers:
                self._handlers[before](old, new)
            return
        if before in self._handlers:
            self._handlers[before](old, None)
        if after in self._handlers:
            self._handlers[after](None, new)
