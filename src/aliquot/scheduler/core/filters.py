"""Can this node take this pod? Each filter answers None (yes) or the Reason why not; none looks at another node.

They are asked in order: first what the pod and the node say of each other, then room. The node that gets furthest tells
the dominant reason, so an earlier filter must be the more hopeless one.
"""

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import TypeAlias

from aliquot.scheduler.core.gpu_domains import apart
from aliquot.scheduler.core.matching import Taint as NodeTaint
from aliquot.scheduler.core.matching import (
    TaintEffect,
    Toleration,
    any_term_matches,
    first_untolerated,
    named_by,
)
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import PodShape
from aliquot.scheduler.core.reasons import Kind, Reason, Shortage
from aliquot.scheduler.core.shares import share_out
from aliquot.scheduler.core.volumes import bound

Filter: TypeAlias = Callable[[PodShape, NodeState], Reason | None]

HARD = frozenset({TaintEffect.NO_SCHEDULE, TaintEffect.NO_EXECUTE})
_ELSEWHERE = Reason(Kind.NODE_AFFINITY)
_CORDON = NodeTaint("node.kubernetes.io/unschedulable", TaintEffect.NO_SCHEDULE)


def node_name(shape: PodShape, node: NodeState) -> Reason | None:
    if shape.node_name and shape.node_name != node.name:
        return Reason(Kind.NODE_NAME, shape.node_name)
    return None


def node_selector(shape: PodShape, node: NodeState) -> Reason | None:
    labels = node.facts.labels
    for key, value in shape.node_selector:
        if labels.get(key) != value:
            return Reason(Kind.NODE_SELECTOR, f"{key}={value}")
    return None


def node_affinity(shape: PodShape, node: NodeState) -> Reason | None:
    if shape.required is None or any_term_matches(shape.required, node.name, node.facts.labels):
        return None
    return _ELSEWHERE


def named(shape: PodShape) -> frozenset[str] | None:
    """The only nodes that `node_name` and `node_affinity` let pass; None: others may too."""
    if shape.node_name:
        return frozenset((shape.node_name,))
    return named_by(shape.required) if shape.required is not None else None


def volumes(shape: PodShape, node: NodeState) -> Reason | None:
    """Where the pod's volumes can be reached, and those that it has not got yet can be had."""
    labels = node.facts.labels
    for claim in shape.bound_claims:
        if not claim.reached_from(node.name, labels):
            return Reason(Kind.VOLUME_AFFINITY, claim.claim)
    if shape.open_claims:
        found = bound(shape.open_claims, node.name, labels)
        if isinstance(found, str):
            return Reason(Kind.VOLUME_BINDING, found)
    return None


def cordoned(shape: PodShape, node: NodeState) -> Reason | None:
    if node.facts.unschedulable and not _tolerates(shape.tolerations, _CORDON):
        return Reason(Kind.CORDONED)
    return None


def taints(shape: PodShape, node: NodeState) -> Reason | None:
    taint = first_untolerated(node.facts.taints, shape.tolerations, HARD)
    return None if taint is None else Reason(Kind.TAINT, str(taint))


def room(shape: PodShape, node: NodeState) -> Reason | None:
    """Of all that is counted. One look says whether there is enough; what is short is asked for kind by kind."""
    if node.has_room(shape.request):
        shared = node.facts.devices.shared
        if not (shared or shape.gpu_wish) or _can_be_given(shape, node, shared):
            return None
    return devices(shape, node) or _extended_resources(shape, node) or _resources(shape, node)


def _can_be_given(shape: PodShape, node: NodeState, shared: Collection[str]) -> bool:
    """Whether what is enough in all is to be had as the pod needs it."""
    if any(r in shared and share_out(r, shape, node) is None for r in shape.request):
        return False
    return shape.gpu_wish is None or apart(shape, node) is None


def devices(shape: PodShape, node: NodeState) -> Reason | None:
    """GPUs, slices and shares, where the node lists them one by one."""
    short = _short(Kind.DEVICES, node, [r for r in shape.request if r in node.free], shape)
    if short is not None:
        return short
    shared = node.facts.devices.shared
    for resource in shape.request if shared else ():
        if resource in shared and share_out(resource, shape, node) is None:
            needed = shape.largest_of_one_container(resource)
            most = max(node.free_of(device) for device in node.facts.devices.by_resource[resource])
            total = node.total(resource)
            shortage = Shortage(resource, needed=needed, free=most, total=total, of_one=True)
            return Reason(Kind.DEVICES, shortages=(shortage,))
    return None if shape.gpu_wish is None else apart(shape, node)


def _extended_resources(shape: PodShape, node: NodeState) -> Reason | None:
    """Counted resources of a device plugin; a name that the node does not know counts as zero."""
    extended, _ = _by_kind(shape)
    return _short(Kind.EXTENDED, node, [r for r in extended if r not in node.free], shape)


def _resources(shape: PodShape, node: NodeState) -> Reason | None:
    """CPU, memory, storage, number of pods."""
    _, native = _by_kind(shape)
    return _short(Kind.RESOURCES, node, native, shape)


def host_ports(shape: PodShape, node: NodeState) -> Reason | None:
    for wanted in shape.host_ports:
        if any(wanted.clashes_with(taken) for taken in node.host_ports):
            return Reason(Kind.HOST_PORTS, f"{wanted.port}/{wanted.protocol}")
    return None


MATCHING: tuple[Filter, ...] = (node_name, node_selector, node_affinity, volumes, cordoned, taints)
"""They look at the node's facts alone."""
ROOM: tuple[Filter, ...] = (room, host_ports)
"""They look at what its pods have left of it, and give a reason of `CAPACITY`."""


@lru_cache(maxsize=4096)
def is_extended(resource: str) -> bool:
    """Kubernetes' rule: a name with a domain that is not Kubernetes' own."""
    domain, slash, _ = resource.partition("/")
    return bool(slash) and domain != "kubernetes.io" and not domain.endswith(".kubernetes.io")


@lru_cache(maxsize=4096)
def _by_kind(shape: PodShape) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the pod asks for of extended resources, and of Kubernetes' own."""
    extended = tuple(resource for resource in shape.request if is_extended(resource))
    return extended, tuple(resource for resource in shape.request if resource not in extended)


def _short(kind: Kind, node: NodeState, wanted: Iterable[str], shape: PodShape) -> Reason | None:
    short = []
    for resource in wanted:
        needed, free = shape.request[resource], node.available(resource)
        if needed > free:
            short.append(Shortage(resource, needed=needed, free=max(0, free), total=node.total(resource)))
    return Reason(kind, shortages=tuple(short)) if short else None


def _tolerates(tolerations: tuple[Toleration, ...], taint: NodeTaint) -> bool:
    return any(toleration.tolerates(taint) for toleration in tolerations)
