"""Nodes of the API, with the devices that their agents list, as the core knows them."""

from collections.abc import Iterator, Mapping, Sequence

import structlog

from aliquot.kube import quantity
from aliquot.kube.api.core import Node
from aliquot.kube.api.gpunode import GPUNode, GPUStatus, Health
from aliquot.kube.quantity import QuantityError
from aliquot.scheduler.core.matching import Taint, TaintEffect
from aliquot.scheduler.core.node import DeviceId, Devices, DeviceState, NodeFacts

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
    allocatable: dict[str, int] = {}
    for resource, text in (node.status.allocatable or {}).items():
        if gpus and _listed_by_agent(resource):
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
        devices=_devices(gpus),
    )


def _listed_by_agent(resource: str) -> bool:
    """Counted from GPUNode alone: node.status trails it by up to ten seconds, and forgets nothing it once knew."""
    listed = resource == "nvidia.com/gpu" or resource.startswith("nvidia.com/mig-")
    return listed and not resource.endswith(".shared")


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


def _devices(gpus: Sequence[GPUStatus]) -> Devices:
    devices: dict[DeviceId, DeviceState] = {}
    links: dict[tuple[str, str], int] = {}
    for gpu in sorted(gpus, key=lambda g: g.index):
        for device in (*_whole(gpu), *_slices(gpu)):
            # Two compute instances at one start slot cannot be told apart by an assignment: the first counts.
            devices.setdefault(device.id, device)
        for link in gpu.links:
            score = LINK_SCORES.get(link.kind, 0) * (max(1, link.lanes) if link.kind == "NVLink" else 1)
            links[gpu.uuid, link.peer] = score
            links.setdefault((link.peer, gpu.uuid), score)
    return Devices(devices.values(), links)


def _whole(gpu: GPUStatus) -> Iterator[DeviceState]:
    if gpu.resource:
        yield DeviceState(
            resource=gpu.resource,
            gpu=gpu.uuid,
            size=_WHOLE_GPU_SLOTS,
            ready=gpu.ready,
            healthy=gpu.health is Health.HEALTHY,
            holders=tuple(sorted(gpu.pods)),
        )


def _slices(gpu: GPUStatus) -> Iterator[DeviceState]:
    for instance in sorted(gpu.instances, key=lambda i: i.start):
        if instance.resource:
            yield DeviceState(
                resource=instance.resource,
                gpu=gpu.uuid,
                profile=instance.profile,
                start=instance.start,
                size=instance.size,
                ready=instance.ready,
                healthy=gpu.health is Health.HEALTHY,
                holders=tuple(sorted(instance.pods)),
            )
