"""Nodes of the API, with the devices that their agents list, as the core knows them."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

import structlog

from aliquot.gpu.profiles import of_gpu_instance
from aliquot.kube import quantity
from aliquot.kube.api.core import Node
from aliquot.kube.api.gpuclass import CLASS_PREFIX, resource_of
from aliquot.kube.api.gpunode import (
    AllocationPolicy,
    GPUInstance,
    GPUNode,
    GPUStatus,
    Health,
    Sharing,
    WantedGPU,
    WantedSharing,
)
from aliquot.kube.quantity import QuantityError
from aliquot.partition.demand import Classes
from aliquot.partition.gpus import gpus_of
from aliquot.partition.outdated import outdated
from aliquot.scheduler.core.facts import DeviceId, Devices, DeviceState, NodeFacts, Withheld
from aliquot.scheduler.core.matching import Taint, TaintEffect
from aliquot.scheduler.core.reservations import WHOLE_GPU_SLOTS
from aliquot.scheduler.core.topology import GpuLevel

_log = structlog.get_logger()

_NOT_READY = Taint("node.kubernetes.io/not-ready", TaintEffect.NO_SCHEDULE)
_UNREACHABLE = Taint("node.kubernetes.io/unreachable", TaintEffect.NO_SCHEDULE)

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


def facts(node: Node, gpu_node: GPUNode | None, classes: Classes | None = None) -> NodeFacts:
    """A node with its devices, where its agent lists them. `classes`: the GPUClasses that there are."""
    gpus = gpu_node.status.gpus if gpu_node is not None else []
    wanted = {gpu.uuid: gpu for gpu in gpu_node.spec.gpus} if gpu_node is not None else {}
    policy = gpu_node.status.allocation_policy if gpu_node is not None else None
    allocatable: dict[str, int] = {}
    listed = {gpu.resource for gpu in gpus} | {one.resource for gpu in gpus for one in gpu.instances}
    for resource, text in (node.status.allocatable or {}).items():
        if resource.startswith(CLASS_PREFIX) or (gpus and (resource in listed or _is_of_agent(resource))):
            continue
        try:
            # Of what a node has, a part of a unit is none: what pods ask for is rounded up.
            amount = math.floor(quantity.parse(text) * (1000 if resource == "cpu" else 1))
        except QuantityError as error:
            _log.warning(
                "allocatable not readable", node=node.metadata.name, resource=resource, error=str(error)
            )
            continue
        if amount > 0:
            allocatable[resource] = amount
    labels = node.metadata.labels or {}
    of_gpus = gpus_of(gpu_node, labels) if gpu_node is not None else ()
    classes = classes or {}
    statuses = {gpu.uuid: gpu for gpu in gpus}
    unfit = {one.uuid: outdated(statuses[one.uuid], one, classes) for one in of_gpus}
    return NodeFacts(
        name=node.metadata.name,
        labels=labels,
        taints=_taints(node),
        unschedulable=node.spec.unschedulable,
        allocatable=allocatable,
        devices=_devices(gpus, wanted, unfit),
        gpus=of_gpus,
        classes=classes,
        packs_shares=policy is AllocationPolicy.PACKED,
        packs_slices=policy is not AllocationPolicy.DISTRIBUTED,
    )


def _is_of_agent(resource: str) -> bool:
    """Counted from GPUNode alone, also when nothing of it is there just now: node.status trails it by up to ten seconds,
    and forgets nothing it once knew. GPUClasses in any case: our agent alone offers them. The other names may be those of
    another device plugin, where there is no GPUNode."""
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


def _devices(
    gpus: Sequence[GPUStatus],
    wanted: Mapping[str, WantedGPU],
    unfit: Mapping[str, Collection[int | None]],
) -> Devices:
    """`wanted`, by UUID, is GPUNode.spec: what is to be cut away is given to nobody, though it still is there. `unfit`, by
    UUID: starts of what is not what its class asks for."""
    devices: dict[DeviceId, DeviceState] = {}
    links: dict[tuple[str, str], int] = {}
    for gpu in sorted(gpus, key=lambda g: g.index):
        stays = _stays(wanted.get(gpu.uuid))
        unfit_here = unfit.get(gpu.uuid, ())
        for device in (*_whole(gpu, stays, unfit_here), *_slices(gpu, stays, unfit_here)):
            # Two compute instances at one start slot cannot be told apart by an assignment: the first counts.
            devices.setdefault(device.id, device)
        for link in gpu.links:
            score = LINK_SCORES.get(link.kind, 0) * (max(1, link.lanes) if link.kind == "NVLink" else 1)
            links[gpu.uuid, link.peer] = score
            links.setdefault((link.peer, gpu.uuid), score)
    return Devices(devices.values(), links, _domains(gpus))


def _domains(gpus: Sequence[GPUStatus]) -> Mapping[GpuLevel, Sequence[frozenset[str]]]:
    """Which GPUs are together, as their agent says it: those of one NUMA node, those that NVLinks join."""
    by_node: dict[int, set[str]] = {}
    joined: dict[str, set[str]] = {gpu.uuid: {gpu.uuid} for gpu in gpus}
    for gpu in gpus:
        if gpu.numa_node is not None:
            by_node.setdefault(gpu.numa_node, set()).add(gpu.uuid)
        for link in gpu.links:
            if link.kind == "NVLink" and link.peer in joined and link.peer not in joined[gpu.uuid]:
                both = joined[gpu.uuid] | joined[link.peer]
                for uuid in both:
                    joined[uuid] = both
    return {
        GpuLevel.NUMA: [frozenset(by_node[number]) for number in sorted(by_node)],
        GpuLevel.NVLINK: list(dict.fromkeys(frozenset(joined[gpu.uuid]) for gpu in gpus)),
    }


_Stays: TypeAlias = Callable[[GPUStatus | GPUInstance], bool]


def _stays(wanted: WantedGPU | None) -> _Stays:
    """Whether a slice, or the GPU as a whole, is to stay as it is, and under the name it has."""
    if wanted is None:
        wanted = WantedGPU(uuid="")
    slices = None if wanted.instances is None else {(i.profile, i.start) for i in wanted.instances}
    classes = {one.start: one.class_name for one in wanted.slice_classes}

    def stays(device: GPUStatus | GPUInstance) -> bool:
        if isinstance(device, GPUStatus):
            kept, class_name = wanted.mig is not True, wanted.class_name
        else:
            profile = of_gpu_instance(device.profile)
            kept = wanted.mig is not False and (slices is None or (profile, device.start) in slices)
            class_name = classes.get(device.start, "")
        return kept and _named_so(device, class_name) and _shared_so(device, wanted.sharing)

    return stays


def _named_so(device: GPUStatus | GPUInstance, class_name: str) -> bool:
    if class_name:
        return device.resource == resource_of(class_name)
    return not device.resource.startswith(CLASS_PREFIX)


def _shared_so(device: GPUStatus | GPUInstance, wanted: WantedSharing | None) -> bool:
    """What the configuration says of sharing is not known here."""
    if wanted is None:
        return True
    if device.shares is None:
        return wanted.strategy is Sharing.NONE
    return (device.shares.strategy, device.shares.replicas) == (wanted.strategy, wanted.replicas)


def _whole(gpu: GPUStatus, stays: _Stays, unfit: Collection[int | None]) -> Iterator[DeviceState]:
    if gpu.resource:
        yield DeviceState(
            resource=gpu.resource,
            gpu=gpu.uuid,
            size=WHOLE_GPU_SLOTS,
            withheld=_withheld(gpu, gpu.ready, stays(gpu), None in unfit),
            holders=_holders(gpu),
            shares=gpu.shares.replicas if gpu.shares is not None else 0,
            sharing=gpu.shares.strategy if gpu.shares is not None else Sharing.NONE,
            one_per_container=gpu.shares is not None and gpu.shares.one_per_container,
        )


def _slices(gpu: GPUStatus, stays: _Stays, unfit: Collection[int | None]) -> Iterator[DeviceState]:
    for instance in sorted(gpu.instances, key=lambda i: i.start):
        if instance.resource:
            yield DeviceState(
                resource=instance.resource,
                gpu=gpu.uuid,
                profile=instance.profile,
                start=instance.start,
                size=instance.size,
                withheld=_withheld(gpu, instance.ready, stays(instance), instance.start in unfit),
                holders=_holders(instance),
                shares=instance.shares.replicas if instance.shares is not None else 0,
                sharing=instance.shares.strategy if instance.shares is not None else Sharing.NONE,
                one_per_container=instance.shares is not None and instance.shares.one_per_container,
            )


def _holders(device: GPUStatus | GPUInstance) -> tuple[str, ...]:
    if device.shares is None:
        return tuple(sorted(device.pods))
    return tuple(sorted(held.pod for held in device.shares.held for _ in range(held.shares)))


def _withheld(gpu: GPUStatus, ready: bool, stays: bool, unfit: bool) -> Withheld | None:
    """The cause that will last: an ailing device or one on its way out is not advertised either."""
    if gpu.health is not Health.HEALTHY:
        return Withheld.UNHEALTHY
    if not stays:
        return Withheld.TO_BE_CUT
    if not ready:
        return Withheld.NOT_ADVERTISED
    return Withheld.OUTDATED if unfit else None
