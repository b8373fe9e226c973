"""Nodes of the API, with the devices that their agents list, as the core knows them."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from aliquot.kube import quantity
from aliquot.kube.api.core import Node
from aliquot.kube.api.gpunode import GPUInstance, GPUNode, GPUStatus, Health, WantedGPU
from aliquot.kube.quantity import QuantityError
from aliquot.scheduler.core.matching import Taint, TaintEffect
from aliquot.scheduler.core.node import DeviceId, Devices, DeviceState, NodeFacts, Withheld

_log = structlog.get_logger()

_NOT_READY = Taint("node.kubernetes.io/not-ready", TaintEffect.NO_SCHEDULE)
_UNREACHABLE = Taint("node.kubernetes.io/unreachable", TaintEffect.NO_SCHEDULE)
_WHOLE_GPU_SLOTS = 8

LINK_SCORES: Mapping[str, int] = {
    "NVLink": 100,
    "SameBoard": 60,
    "SingleSwitch": 50,
    "MultiSwitch": 40,
    "HostBridge": 30,
    "SameCPU": 20,
    "CrossCPU": 10,
}
"""As NVIDIA's go-gpuallocator scores them; NVLink counts once for each lane."""


def facts(node: Node, gpu_node: GPUNode | None) -> NodeFacts:
    """A node with its devices, where its agent lists them."""
    gpus = gpu_node.status.gpus if gpu_node is not None else []
    wanted = {gpu.uuid: gpu for gpu in gpu_node.spec.gpus} if gpu_node is not None else {}
    allocatable: dict[str, int] = {}
    listed = {gpu.resource for gpu in gpus} | {one.resource for gpu in gpus for one in gpu.instances}
    for resource, text in (node.status.allocatable or {}).items():
        if gpus and (resource in listed or _is_of_agent(resource)):
            continue
        try:
            amount = quantity.milli(text) if resource == "cpu" else quantity.whole(text)
        except QuantityError as error:
            _log.warning(
                "allocatable not readable", node=node.metadata.name, resource=resource, error=str(error)
            )
            continue
        if amount:
            allocatable[resource] = amount
    return NodeFacts(
        name=node.metadata.name,
        labels=node.metadata.labels or {},
        taints=_taints(node),
        unschedulable=node.spec.unschedulable,
        allocatable=allocatable,
        devices=_devices(gpus, wanted),
    )


def _is_of_agent(resource: str) -> bool:
    """Counted from GPUNode alone, also when nothing of it is there just now: node.status trails it by up to ten seconds,
    and forgets nothing it once knew."""
    return resource.startswith(("nvidia.com/gpu", "nvidia.com/mig-"))


def _taints(node: Node) -> tuple[Taint, ...]:
    """The node's taints, and the one that a node lifecycle controller will add for a node that is not Ready."""
    taints: dict[Taint, None] = {}
    effects = {effect.value for effect in TaintEffect}
    for taint in node.spec.taints or ():
        if taint.effect in effects:
            taints[Taint(taint.key, TaintEffect(taint.effect), taint.value)] = None
    for condition in node.status.conditions or ():
        if condition.type == "Ready" and condition.status != "True":
            taints[_UNREACHABLE if condition.status == "Unknown" else _NOT_READY] = None
    return tuple(taints)


def _devices(gpus: Sequence[GPUStatus], wanted: Mapping[str, WantedGPU]) -> Devices:
    """`wanted`, by UUID, is GPUNode.spec: what is to be cut away is given to nobody, though it still is there."""
    devices: dict[DeviceId, DeviceState] = {}
    links: dict[tuple[str, str], int] = {}
    for gpu in sorted(gpus, key=lambda g: g.index):
        stays = _stays(wanted.get(gpu.uuid))
        for device in (*_whole(gpu, stays), *_slices(gpu, stays)):
            # Two compute instances at one start slot cannot be told apart by an assignment: the first counts.
            devices.setdefault(device.id, device)
        for link in gpu.links:
            score = LINK_SCORES.get(link.kind, 0) * (max(1, link.lanes) if link.kind == "NVLink" else 1)
            links[gpu.uuid, link.peer] = score
            links.setdefault((link.peer, gpu.uuid), score)
    return Devices(devices.values(), links)


def _stays(wanted: WantedGPU | None) -> Callable[[GPUInstance | None], bool]:
    """Whether a slice, or the whole GPU (None), is to stay as it is."""
    if wanted is None:
        return lambda _: True
    slices = None if wanted.instances is None else {(i.profile, i.start) for i in wanted.instances}

    def stays(instance: GPUInstance | None) -> bool:
        if instance is None:
            return wanted.mig is not True
        return wanted.mig is not False and (slices is None or (instance.profile, instance.start) in slices)

    return stays


def _whole(gpu: GPUStatus, stays: Callable[[GPUInstance | None], bool]) -> Iterator[DeviceState]:
    if gpu.resource:
        yield DeviceState(
            resource=gpu.resource,
            gpu=gpu.uuid,
            size=_WHOLE_GPU_SLOTS,
            withheld=_withheld(gpu, gpu.ready, stays(None)),
            holders=_holders(gpu),
            shares=gpu.shares.replicas if gpu.shares is not None else 0,
        )


def _slices(gpu: GPUStatus, stays: Callable[[GPUInstance | None], bool]) -> Iterator[DeviceState]:
    for instance in sorted(gpu.instances, key=lambda i: i.start):
        if instance.resource:
            yield DeviceState(
                resource=instance.resource,
                gpu=gpu.uuid,
                profile=instance.profile,
                start=instance.start,
                size=instance.size,
                withheld=_withheld(gpu, instance.ready, stays(instance)),
                holders=_holders(instance),
                shares=instance.shares.replicas if instance.shares is not None else 0,
            )


def _holders(device: GPUStatus | GPUInstance) -> tuple[str, ...]:
    if device.shares is None:
        return tuple(sorted(device.pods))
    return tuple(sorted(held.pod for held in device.shares.held for _ in range(held.shares)))


def _withheld(gpu: GPUStatus, ready: bool, stays: bool) -> Withheld | None:
    """The cause that will last: an ailing device or one on its way out is not advertised either."""
    if gpu.health is not Health.HEALTHY:
        return Withheld.UNHEALTHY
    if not stays:
        return Withheld.TO_BE_CUT
    return None if ready else Withheld.NOT_ADVERTISED
