"""A node without hardware or cluster: the simulated driver, a kubelet that follows a script, an API in a dict."""
# ruff: noqa: N802 - servicer methods carry the protocol's names

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc.aio
import msgspec
import pytest

from aliquot.clock import VirtualClock, VirtualTimeLoop, rfc3339
from aliquot.gpu.driver import Driver, Gpu, GpuInstance, InstanceProfile
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.layout import Slice
from aliquot.gpu.simulated import SimulatedDriver
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
from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    AllocateRequest,
    ContainerAllocateRequest,
    ContainerAllocateResponse,
    ContainerPreferredAllocationRequest,
    Empty,
    ListAndWatchResponse,
    PreferredAllocationRequest,
    RegisterRequest,
)
from aliquot.kube.kubeletapi.deviceplugin_pb2_grpc import (
    DevicePluginStub,
    RegistrationServicer,
    add_RegistrationServicer_to_server,
)
from aliquot.kube.kubeletapi.podresources_pb2 import (
    AllocatableResourcesRequest,
    AllocatableResourcesResponse,
    ClaimResource,
    ContainerDevices,
    ContainerResources,
    DynamicResource,
    ListPodResourcesRequest,
    ListPodResourcesResponse,
    PodResources,
)
from aliquot.kube.kubeletapi.podresources_pb2_grpc import (
    PodResourcesListerServicer,
    add_PodResourcesListerServicer_to_server,
)
from aliquot.kube.kubeletapi.rpc import Context
from aliquot.kube.kubeletapi.sockets import Connection, Listener, MemorySockets, Service, Sockets
from aliquot.kube.resources import EVENTS, NODES, PODS, Resource, key
from aliquot.node.agent import Agent
from aliquot.node.configuration import Configuration
from aliquot.node.feed import (
    Feed,
    config_maps_by_name,
    gpu_nodes_by_name,
    nodes_by_name,
    pods_by_node,
    resource_slices_by_node,
)
from aliquot.node.health.policy import HealthPolicy
from aliquot.node.host import Host
from aliquot.node.mig.config_label import FIELD_MANAGER as LABEL_MANAGER
from aliquot.node.mps.control import Control
from aliquot.node.plugin_config.settings import Settings
from aliquot.node.watched import Watched

T = TypeVar("T")

NODE = "gpu-0"


def virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


async def directly(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


# --- machines ---


def machine(text: str) -> SimulatedDriver:
    """`h100-80gb:2,a100-40gb:1:mig`"""
    return SimulatedDriver(parse_gpus(text), node=NODE)


def cut(driver: Driver, gpu: Gpu, *slices: tuple[str, int]) -> list[GpuInstance]:
    """Make filled instances by profile name and start."""
    profiles = {profile.name: profile for profile in driver.instance_profiles(gpu.uuid)}
    for name, start in slices:
        made = driver.create_gpu_instance(gpu.uuid, profiles[name].profile_id, start)
        driver.create_compute_instance(gpu.uuid, made.gi_id, full(profiles[name]))
    return list(driver.instances(gpu.uuid))


def full(profile: InstanceProfile) -> int:
    return next(c.profile_id for c in profile.compute_profiles if c.compute_slices == profile.compute_slices)


def placed(driver: Driver, gpu: Gpu) -> set[tuple[str, int]]:
    """(profile name, start) of every instance of a GPU."""
    names = {profile.profile_id: profile.name for profile in driver.instance_profiles(gpu.uuid)}
    return {(names[i.profile_id], i.placement.start) for i in driver.instances(gpu.uuid)}


def slices_of(driver: Driver, gpu: Gpu) -> list[Slice]:
    return [Slice(i.profile_id, i.placement.start) for i in driver.instances(gpu.uuid)]


# --- the API ---


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

    async def create(
        self,
        resource: Resource,
        obj: dict[str, Any],
        namespace: str = "",
        *,
        subresource: str = "",
        name: str = "",
    ) -> Any:
        self._reach()
        if resource is EVENTS:
            self.events[obj["metadata"]["name"]] = obj
            return None
        assert (resource, subresource, obj["kind"]) == (PODS, "eviction", "Eviction")
        pod = f"{namespace}/{name}"
        self.evictions.append(pod)
        if pod in self.refused_evictions:
            raise errors.TooManyRequests(self.refused_evictions[pod], code=429)
        self.evicted(pod)

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
        status = {field: value for field, value in patch["status"].items() if value is not None}
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
    annotations = {ASSIGNMENT_ANNOTATION: encode(Assignment(devices=tuple(assigned)))} if assigned else None
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


# --- kubelet ---


def claiming(device: str, *, driver: str = "gpu.nvidia.com", claim: str = "gpus") -> ContainerResources:
    """A container that has a device by a claim."""
    resource = ClaimResource(driver_name=driver, pool_name=NODE, device_name=device)
    dynamic = DynamicResource(claim_name=claim, claim_namespace="default", claim_resources=[resource])
    return ContainerResources(name="main", dynamic_resources=[dynamic])


class Refused(Exception):
    """The pod fails admission."""


class Kubelet(RegistrationServicer, PodResourcesListerServicer):
    """The real one's behaviour as far as a plugin sees it: it forgets plugins at a restart and removes their sockets,
    allocates before it tells anybody, and lists devices only by what it has read from ListAndWatch.
    """

    def __init__(self, sockets: Sockets, pod_resources: Sockets) -> None:
        self.sockets = sockets
        self.pod_resources = pod_resources
        self.offered: dict[str, dict[str, bool]] = {}
        """Resource -> device id -> healthy, as last read."""
        self.updates: dict[str, list[dict[str, bool]]] = {}
        self.registrations: list[str] = []
        self.held: dict[tuple[str, str, str], tuple[str, ...]] = {}
        """(pod, container, resource) -> device ids"""
        self.claimed: dict[str, str] = {}
        """Pod -> the device of DRA driver gpu.nvidia.com that its claim got."""
        self.listed_after_s = 0.0
        """Until then List says nothing of what was allocated."""
        self._held_since: dict[tuple[str, str, str], float] = {}
        self.refusal = ""
        """Of registrations."""
        self.deaf = asyncio.Event()
        """Set: updates are read. Cleared: they wait, as with a slow kubelet."""
        self.deaf.set()
        self._listeners: list[Listener] = []
        self._watches: dict[str, tuple[Connection, asyncio.Task[None]]] = {}

    async def start(self) -> None:
        self._listeners = [
            await self.sockets.serve("kubelet.sock", Service(self, add_RegistrationServicer_to_server)),
            await self.pod_resources.serve(
                "kubelet.sock", Service(self, add_PodResourcesListerServicer_to_server)
            ),
        ]

    async def stop(self) -> None:
        for listener in self._listeners:
            await listener.close()
        for resource in sorted(self._watches):
            await self._unwatch(resource)
        self.offered = {resource: {} for resource in self.offered}

    async def restart(self) -> None:
        await self.stop()
        if isinstance(self.sockets, MemorySockets):
            for resource in self.registrations:
                self.sockets.drop(f"aliquot-{resource.rpartition('/')[2]}.sock")
        await self.start()

    async def Register(self, request: RegisterRequest, context: Context) -> Empty:
        if self.refusal:
            await context.abort(grpc.StatusCode.UNKNOWN, self.refusal)
        await self._unwatch(request.resource_name)
        connection = self.sockets.connect(request.endpoint)
        watch = asyncio.get_running_loop().create_task(self._watch(request.resource_name, connection))
        self._watches[request.resource_name] = (connection, watch)
        self.registrations.append(request.resource_name)
        return Empty()

    async def _watch(self, resource: str, connection: Connection) -> None:
        self.offered.setdefault(resource, {})
        try:
            async for message in connection.device_plugin.ListAndWatch(Empty()):
                await self.deaf.wait()
                self._take(resource, message)
        except grpc.aio.AioRpcError:
            pass
        # As the real one: devices of a lost plugin count no longer.
        self.offered[resource] = dict.fromkeys(self.offered[resource], False)

    def _take(self, resource: str, message: ListAndWatchResponse) -> None:
        ids = [device.ID for device in message.devices]
        assert len(ids) == len(set(ids)), f"{resource} advertises a device twice: {ids}"
        now = {device.ID: device.health == "Healthy" for device in message.devices}
        others = {i for name, devices in self.offered.items() if name != resource for i in devices}
        assert not others & set(ids), "a device under two names"
        self.offered[resource] = now
        self.updates.setdefault(resource, []).append(now)

    async def forget(self, resource: str) -> None:
        """Drop the plugin's stream for no reason that the plugin could know."""
        await self._unwatch(resource)

    async def _unwatch(self, resource: str) -> None:
        if resource in self._watches:
            connection, task = self._watches.pop(resource)
            task.cancel()
            await asyncio.wait((task,))
            await connection.close()

    async def GetAllocatableResources(
        self, request: AllocatableResourcesRequest, context: Context
    ) -> AllocatableResourcesResponse:
        return AllocatableResourcesResponse(
            devices=[
                ContainerDevices(
                    resource_name=resource, device_ids=[i for i, healthy in d.items() if healthy]
                )
                for resource, d in sorted(self.offered.items())
            ]
        )

    async def List(self, request: ListPodResourcesRequest, context: Context) -> ListPodResourcesResponse:
        shown_from = asyncio.get_running_loop().time() - self.listed_after_s
        return ListPodResourcesResponse(
            pod_resources=[
                PodResources(
                    namespace=name.partition("/")[0],
                    name=name.partition("/")[2],
                    containers=[
                        ContainerResources(
                            name=container,
                            devices=[ContainerDevices(resource_name=resource, device_ids=[i]) for i in ids],
                        )
                    ],
                )
                for (name, container, resource), ids in sorted(self.held.items())
                if self._held_since[name, container, resource] <= shown_from
            ]
            + [
                PodResources(namespace="default", name=name, containers=[claiming(device)])
                for name, device in self.claimed.items()
            ]
        )

    def allocatable(self, resource: str) -> set[str]:
        return {i for i, healthy in self.offered.get(resource, {}).items() if healthy}

    def free(self, resource: str) -> list[str]:
        taken = {i for ids in self.held.values() for i in ids}
        return sorted(self.allocatable(resource) - taken)

    async def admit(
        self, name: str, resource: str, count: int = 1, container: str = "main"
    ) -> tuple[str, ...]:
        """The device ids that the pod gets. Raises Refused."""
        free = self.free(resource)
        if len(free) < count:
            raise Refused(f"requested {count} of {resource}, available {len(free)}")
        ids = await self.preferred(resource, free, count)
        assert len(ids) == count and set(ids) <= set(free), f"no valid preference: {ids} of {free}"
        await self.allocate(resource, ids)
        self.hold(name, resource, ids, container)
        return ids

    def hold(self, name: str, resource: str, ids: tuple[str, ...], container: str = "main") -> None:
        self.held[f"default/{name}", container, resource] = ids
        self._held_since[f"default/{name}", container, resource] = asyncio.get_running_loop().time()

    async def preferred(
        self, resource: str, free: Sequence[str], count: int, must: Sequence[str] = ()
    ) -> tuple[str, ...]:
        asked = ContainerPreferredAllocationRequest(
            available_deviceIDs=free, must_include_deviceIDs=must, allocation_size=count
        )
        answer = await self._stub(resource).GetPreferredAllocation(
            PreferredAllocationRequest(container_requests=[asked]), timeout=5
        )
        return tuple(answer.container_responses[0].deviceIDs)

    async def allocate(self, resource: str, ids: Sequence[str]) -> ContainerAllocateResponse:
        try:
            answer = await self._stub(resource).Allocate(
                AllocateRequest(container_requests=[ContainerAllocateRequest(devices_ids=ids)]), timeout=5
            )
        except grpc.aio.AioRpcError as error:
            raise Refused(f"{error.code().name}: {error.details()}") from error
        return answer.container_responses[0]

    def _stub(self, resource: str) -> DevicePluginStub:
        return self._watches[resource][0].device_plugin

    def release(self, name: str) -> None:
        self.held = {holder: ids for holder, ids in self.held.items() if holder[0] != f"default/{name}"}


class Site:
    """One node with its kubelet, API and agent, on virtual time."""

    def __init__(self, gpus: str, settings: Settings | None = None, seed: int = 0) -> None:
        self.driver = machine(gpus)
        self.gpus = self.driver.gpus()
        self.clock = VirtualClock()
        self.api = Api()
        self.plugin_sockets = MemorySockets()
        self.pod_resources_sockets = MemorySockets()
        self.kubelet = Kubelet(self.plugin_sockets, self.pod_resources_sockets)
        self.settings = settings or Settings()
        self.config_map = ""
        """Whose configurations the agent follows, from its next start on."""
        self.health_policy = HealthPolicy()
        self.rng = random.Random(seed)
        self.host: Host | None = None
        self.mps_control: Control | None = None
        self.mig_directory: Path | None = None
        """Where the agent meets `aliquot mig`; taken at its next start."""
        self.agent_task: asyncio.Task[None] | None = None

    async def start(self) -> "Site":
        await self.kubelet.start()
        await self.start_agent()
        return self

    async def start_agent(self) -> None:
        agent = Agent(
            NODE,
            client=self.api.client,
            driver=self.driver,
            plugin_sockets=self.plugin_sockets,
            pod_resources_sockets=self.pod_resources_sockets,
            clock=self.clock,
            rng=self.rng,
            run_blocking=directly,
            configuration=Configuration(
                settings=None if self.config_map else self.settings, config_map=self.config_map
            ),
            health_policy=self.health_policy,
            watched=Watched(
                pods=self.api.pod_feed(),
                nodes=self.api.node_feed(),
                gpu_nodes=self.api.gpu_node_feed(),
                mig_configs=self.api.config_map_feed(),
                slices=self.api.slice_feed(),
                plugin_configs=self.api.config_map_feed() if self.config_map else None,
            ),
            host=self.host,
            mps_control=self.mps_control,
            mig_directory=self.mig_directory,
        )
        self.metrics = agent.metrics
        self.agent_task = asyncio.get_running_loop().create_task(agent.run())
        await asyncio.sleep(3)

    async def stop_agent(self) -> None:
        assert self.agent_task is not None
        self.agent_task.cancel()
        await asyncio.wait((self.agent_task,))
        assert self.agent_task.cancelled(), self.agent_task.exception()

    async def stop(self) -> None:
        await self.stop_agent()
        await self.kubelet.stop()

    def gpu_status(self, index: int) -> Any:
        return self.api.gpu_node.status.gpus[index]

    def slice_ids(self, index: int) -> Mapping[tuple[str, int], str]:
        return {(i.profile, i.start): i.uuid for i in self.gpu_status(index).instances}

    def offered(self) -> Mapping[str, int]:
        """Resource -> number of devices that kubelet would allocate, where there are any."""
        counts = {resource: len(self.kubelet.allocatable(resource)) for resource in self.kubelet.offered}
        return {resource: count for resource, count in counts.items() if count}


def run_site(
    gpus: str, scenario: Callable[[Site], Coroutine[Any, Any, T]], settings: Settings | None = None
) -> T:
    """Start a site, play the scenario, stop it cleanly."""

    async def main() -> T:
        site = await Site(gpus, settings).start()
        try:
            return await scenario(site)
        finally:
            await site.stop()

    return virtual(main())


@pytest.fixture
def h100() -> SimulatedDriver:
    return machine("h100-80gb:1:mig")
