"""An API in dicts, and what is put there."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec

from aliquot.clock import VirtualClock, rfc3339
from aliquot.gpu.driver import Gpu
from aliquot.kube import errors
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, AssignedDevice, Assignment, encode
from aliquot.kube.api.core import (
    ConfigMap,
    Container,
    Node,
    NodeInfo,
    NodeStatus,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    ResourceRequirements,
)
from aliquot.kube.api.gpunode import GPUNode, GPUNodeSpec, WantedGPU, WantedInstance
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.api.resource_slice import ResourceSlice
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import EVENTS, GPUNODES, NODES, Resource, key
from aliquot.node.feed import (
    Feed,
    config_maps_by_name,
    gpu_nodes_by_name,
    nodes_by_name,
    pods_by_node,
    resource_slices_by_node,
)
from aliquot.node.mig.config_label import FIELD_MANAGER as LABEL_MANAGER
from tests.node.machines import NODE

T = TypeVar("T")


class Objects:
    """Stands where a cache would: what is put is seen at once."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}
        self._synced = asyncio.Event()
        self._synced.set()
        self._handlers: list[Callable[[Any, Any], None]] = []

    @property
    def is_synced(self) -> bool:
        return self._synced.is_set()

    @is_synced.setter
    def is_synced(self, so: bool) -> None:
        if so:
            self._synced.set()
        else:
            self._synced.clear()

    async def synced(self) -> None:
        await self._synced.wait()

    def subscribe(self, handler: Callable[[Any, Any], None]) -> Callable[[], None]:
        self._handlers.append(handler)
        for obj in self.held.values():
            handler(None, obj)
        return lambda: self._handlers.remove(handler)

    def put(self, obj: Any) -> None:
        old = self.held.get(key(obj))
        self.held[key(obj)] = obj
        for handler in tuple(self._handlers):
            handler(old, obj)

    def remove(self, name: str) -> None:
        old = self.held.pop(name, None)
        if old is not None:
            for handler in tuple(self._handlers):
                handler(old, None)


class Api:
    """Pods, GPUNodes, the Node and ConfigMaps in dicts, with the verbs that the agent uses."""

    def __init__(self) -> None:
        self.pods = Objects()
        self.node_objects = Objects()
        self.gpu_nodes = Objects()
        self.nodes: dict[str, Any] = {NODE: {"metadata": {"name": NODE, "uid": "node-uid"}}}
        self.config_maps = Objects()
        self.slices = Objects()
        self.written: list[tuple[str, dict[str, Any]]] = []
        """("apply", object) and ("status", status) in order."""
        self.evictions: list[str] = []
        """Asked for, in order."""
        self.refused_evictions: dict[str, str] = {}
        self.evicted: Callable[[str], None] = lambda _pod: None
        self.down = False
        self.clock = VirtualClock()
        self.rng = random.Random(0)
        self.events: dict[str, dict[str, Any]] = {}
        """By name, in order of their creation."""
        self.labelled: list[dict[str, str]] = []
        """What was applied to the Node, in order."""
        self._labels_of: dict[str, set[str]] = {}
        """Field manager -> the labels that it applied last."""
        self._uids = 0

    @property
    def client(self) -> Client:
        return cast(Client, self)

    def pod_feed(self) -> Feed[Pod]:
        return pods_by_node(cast("Cache[Pod]", self.pods))

    def node_feed(self) -> Feed[Node]:
        return nodes_by_name(cast("Cache[Node]", self.node_objects))

    def config_map_feed(self) -> Feed[ConfigMap]:
        return config_maps_by_name(cast("Cache[ConfigMap]", self.config_maps))

    def slice_feed(self) -> Feed[ResourceSlice]:
        return resource_slices_by_node(cast("Cache[ResourceSlice]", self.slices))

    def put_config_map(self, name: str, data: dict[str, str]) -> None:
        self.config_maps.put(ConfigMap(metadata=ObjectMeta(name=name), data=data))

    def gpu_node_feed(self) -> Feed[GPUNode]:
        return gpu_nodes_by_name(cast("Cache[GPUNode]", self.gpu_nodes))

    async def get(self, resource: Resource, name: str, namespace: str | None = None, *, into: type[T]) -> T:
        self._reach()
        if resource is GPUNODES:
            return cast(T, self.gpu_nodes.held[name])
        if name not in self.nodes:
            raise errors.NotFound(f'nodes "{name}" not found', code=404)
        return msgspec.convert(self.nodes[name], into)

    async def apply(
        self, resource: Resource, obj: dict[str, Any], *, field_manager: str, force: bool, into: type[Any]
    ) -> Any:
        self._reach()
        body = cast(dict[str, Any], msgspec.to_builtins(obj))
        if resource is NODES:
            return self._apply_to_node(body["metadata"], field_manager)
        self.written.append(("apply", body))
        metadata = body["metadata"]
        if metadata["name"] not in self.gpu_nodes.held:
            self._uids += 1
            metadata |= {"generation": 1, "uid": f"uid-{self._uids}"}
        if field_manager == LABEL_MANAGER:
            # What it applied before and does not now is gone.
            body.setdefault("spec", {})
            old: GPUNode = self.gpu_nodes.held[metadata["name"]]
            if msgspec.convert(body["spec"], GPUNodeSpec) != old.spec:
                metadata["generation"] = old.metadata.generation + 1
        return self._merge(metadata["name"], body)

    async def create(self, resource: Resource, obj: dict[str, Any], namespace: str = "") -> Any:
        self._reach()
        assert resource is EVENTS
        self.events[obj["metadata"]["name"]] = obj

    async def evict(self, namespace: str, pod: str) -> None:
        self._reach()
        name = f"{namespace}/{pod}"
        self.evictions.append(name)
        if name in self.refused_evictions:
            raise errors.TooManyRequests(self.refused_evictions[name], code=429)
        self.evicted(name)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: dict[str, Any],
        namespace: str = "",
        *,
        subresource: str = "",
    ) -> Any:
        self._reach()
        if resource is EVENTS:
            self.events[name] |= patch
            return None
        if resource is NODES:
            self.label(**patch["metadata"]["labels"])
            return None
        assert subresource == "status"
        old: GPUNode | None = self.gpu_nodes.held.get(name)
        if old is None:
            raise errors.NotFound("not found", code=404)
        if patch["metadata"]["uid"] != old.metadata.uid:
            raise errors.Conflict("another object", code=409)
        version = patch["metadata"].get("resourceVersion", old.metadata.resource_version)
        if version != old.metadata.resource_version:
            raise errors.Conflict("the object has been modified", code=409)
        kept = {"conditions": msgspec.to_builtins(old.status.conditions)} | patch["status"]
        status = {field: value for field, value in kept.items() if value is not None}
        self.written.append(("status", status))
        return self._merge(name, {"status": status})

    def _apply_to_node(self, metadata: dict[str, Any], field_manager: str) -> Node:
        """Labels that the manager leaves out now go, and nobody else's do."""
        node: Node | None = self.node_objects.held.get(metadata["name"])
        if node is None or node.metadata.uid != metadata["uid"]:
            raise errors.Conflict("uid mismatch", code=409)
        labels = metadata["labels"]
        gone = self._labels_of.get(field_manager, set()) - labels.keys()
        self._labels_of[field_manager] = set(labels)
        self.labelled.append(labels)
        self.label(**dict.fromkeys(gone), **labels)
        return cast(Node, self.node_objects.held[metadata["name"]])

    def _merge(self, name: str, body: dict[str, Any]) -> GPUNode:
        old = self.gpu_nodes.held.get(name)
        kept = cast(dict[str, Any], msgspec.to_builtins(old)) if old is not None else {"metadata": {}}
        metadata = kept["metadata"] | body.get("metadata", {})
        new = msgspec.convert(kept | body | {"metadata": metadata}, GPUNode)
        self.gpu_nodes.put(new)
        return new

    def label(self, **labels: str | None) -> None:
        """Of the Node; None takes one away."""
        before = self.node_objects.held.get(NODE)
        merged = {**((before.metadata.labels or {}) if before is not None else {}), **labels}
        kept = {key: value for key, value in merged.items() if value is not None}
        annotations = before.metadata.annotations if before is not None else None
        uid = before.metadata.uid if before is not None else "node-uid"
        metadata = ObjectMeta(name=NODE, uid=uid, labels=kept, annotations=annotations)
        status = before.status if before is not None else NodeStatus()
        self.node_objects.put(Node(metadata=metadata, status=status))

    def annotate(self, **annotations: str) -> None:
        """The Node, which has labels by then."""
        node = self.node_objects.held[NODE]
        metadata = msgspec.structs.replace(node.metadata, annotations=annotations)
        self.node_objects.put(Node(metadata=metadata))

    def node_label(self, name: str) -> str | None:
        node = self.node_objects.held.get(NODE)
        return (node.metadata.labels or {}).get(name) if node is not None else None

    def want(self, *gpus: WantedGPU) -> None:
        """Write GPUNode.spec."""
        old: GPUNode | None = self.gpu_nodes.held.get(NODE)
        if old is None:
            self._uids += 1
            old = GPUNode(metadata=ObjectMeta(name=NODE, uid=f"uid-{self._uids}"))
        metadata = msgspec.structs.replace(old.metadata, generation=old.metadata.generation + 1)
        spec = GPUNodeSpec(gpus=list(gpus))
        self.gpu_nodes.put(msgspec.structs.replace(old, metadata=metadata, spec=spec))

    @property
    def gpu_node(self) -> GPUNode:
        return cast(GPUNode, self.gpu_nodes.held[NODE])

    def told(self) -> list[tuple[str, str, int]]:
        """Reason, message and count of the Events on the Node."""
        about = {(e["involvedObject"]["kind"], e["involvedObject"]["name"]) for e in self.events.values()}
        assert about <= {("Node", NODE)}
        return [(e["reason"], e["message"], e["count"]) for e in self.events.values()]

    def boot(self, boot_id: str) -> None:
        """The machine's Node tells of this boot."""
        before = self.node_objects.held.get(NODE)
        metadata = before.metadata if before is not None else ObjectMeta(name=NODE, uid="node-uid")
        status = NodeStatus(node_info=NodeInfo(boot_id=boot_id))
        self.node_objects.put(Node(metadata=metadata, status=status))

    def condition(self, kind: str) -> tuple[str, str, str]:
        found = next(c for c in self.gpu_node.status.conditions if c.type == kind)
        return found.status, found.reason, found.message

    def _reach(self) -> None:
        if self.down:
            raise errors.Unavailable("no answer", code=0)


def wanted(gpu: Gpu, *slices: tuple[str, int], mig: bool | None = None) -> WantedGPU:
    instances = [WantedInstance(profile=profile, start=start) for profile, start in slices]
    return WantedGPU(uuid=gpu.uuid, mig=mig, instances=instances)


def pod(
    name: str,
    resource: str = "nvidia.com/gpu",
    count: int = 1,
    *,
    assigned: Sequence[AssignedDevice] = (),
    bound_at: float = 1_767_225_600.0,
    phase: str = "Pending",
    container: str = "main",
    node: str = NODE,
) -> Pod:
    annotations = (
        {ASSIGNMENT_ANNOTATION: encode(Assignment(devices=tuple(assigned), pod_uid=f"uid-{name}"))}
        if assigned
        else None
    )
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default", uid=f"uid-{name}", annotations=annotations),
        spec=PodSpec(
            node_name=node,
            containers=(
                Container(name=container, resources=ResourceRequirements(limits={resource: str(count)})),
            ),
        ),
        status=PodStatus(
            phase=phase,
            conditions=(
                PodCondition(type="PodScheduled", status="True", last_transition_time=rfc3339(bound_at)),
            ),
        ),
    )
