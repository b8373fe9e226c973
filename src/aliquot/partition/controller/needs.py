"""What pods of other schedulers wait for: which slices and shares to make for them, on which node. Pure.

Another scheduler knows what node.status offers and nothing of what could be made. So the devices are made for it, and the
pods are its to bind. What is there already, or on its way, counts first; the rest is made where least is lost.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aliquot.clock import parse_rfc3339
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.resources import key
from aliquot.partition.asked import asked_of
from aliquot.partition.controller.claims import Claim
from aliquot.partition.controller.present import gpu_now
from aliquot.partition.demand import Classes, ways
from aliquot.partition.gpus import GpuFacts, gpus_of
from aliquot.partition.making import Effort, GpuNow, Making, after, best
from aliquot.partition.value import BY_RULE, Valuation
from aliquot.partition.ways import WayOn


@dataclass(frozen=True, slots=True)
class Need:
    pod: str
    """`namespace/name`"""
    resource: str
    count: int
    created_s: float
    selector: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Place:
    """A node that takes pods."""

    name: str
    labels: Mapping[str, str]
    facts: tuple[GpuFacts, ...]
    gpus: dict[str, GpuNow] = field(default_factory=dict)


def needs_of(pod: Pod) -> tuple[Need, ...]:
    """Of a pod that its scheduler found no node for; nothing of any other."""
    if pod.spec.node_name or pod.metadata.deletion_timestamp is not None or not _unschedulable(pod):
        return ()
    stamp = pod.metadata.creation_timestamp
    created_s = parse_rfc3339(stamp) if stamp else 0.0
    selector = tuple(sorted((pod.spec.node_selector or {}).items()))
    return tuple(
        Need(key(pod), resource, count, created_s, selector)
        for resource, count in sorted(asked_of(pod).items())
    )


def place_of(
    node: Node,
    gpu_node: GPUNode,
    claims: Sequence[Claim],
    *,
    awaited: Collection[str] = (),
    to_come_is_free: bool = False,
) -> Place | None:
    """None where pods are not to come. `claims`: what is spoken for there. `awaited` and `to_come_is_free` as in
    `present.gpu_now`."""
    if node.spec.unschedulable:
        return None
    labels = node.metadata.labels or {}
    facts = gpus_of(gpu_node, labels)
    statuses = {gpu.uuid: gpu for gpu in gpu_node.status.gpus}
    devices = [claim.device for claim in claims]
    gpus = {
        one.uuid: gpu_now(one, statuses[one.uuid], devices, awaited=awaited, to_come_is_free=to_come_is_free)
        for one in facts
    }
    return Place(node.metadata.name, labels, facts, gpus)


def supply(
    needs: Iterable[Need], places: Sequence[Place], classes: Classes, valuation: Valuation = BY_RULE
) -> dict[str, list[Claim]]:
    """By node, what is to be there for the pods that wait, the oldest first. Takes from `places` what it gives.

    Whoever finds what he needs as it is gets that before anything is made of it for another: his scheduler sees it, and will
    bind him to it.
    """
    found: dict[str, list[Claim]] = {}
    waiting = sorted(needs, key=lambda need: (need.created_s, need.pod, need.resource))
    for most in (Effort.NONE, max(Effort)):
        unmet = []
        for need in waiting:
            node, claims = _met(need, places, classes, most, valuation)
            if claims:
                found.setdefault(node, []).extend(claims)
            else:
                unmet.append(need)
        waiting = unmet
    return found


def _met(
    need: Need, places: Sequence[Place], classes: Classes, most: Effort, valuation: Valuation
) -> tuple[str, list[Claim]]:
    """All of it on one node, the first of those where the least is lost; nothing where no node has room for all."""
    chosen: tuple[tuple[int, int, float, int], Place, dict[str, GpuNow], list[Claim]] | None = None
    for place in places:
        if any(place.labels.get(name) != value for name, value in need.selector):
            continue
        tried = _tried(need, place, classes, most, valuation)
        if tried is not None and (chosen is None or tried[0] < chosen[0]):
            chosen = tried[0], place, *tried[1:]
    if chosen is None:
        return "", []
    _, place, gpus, claims = chosen
    place.gpus = gpus
    return place.name, claims


def _tried(
    need: Need, place: Place, classes: Classes, most: Effort, valuation: Valuation
) -> tuple[tuple[int, int, float, int], dict[str, GpuNow], list[Claim]] | None:
    gpus = dict(place.gpus)
    on_each: list[Sequence[WayOn]] = [ways(need.resource, classes, facts) for facts in place.facts]
    claims: list[Claim] = []
    way, effort, loss = 0, 0, 0.0
    for _ in range(need.count):
        now = [gpus[facts.uuid] for facts in place.facts]
        found = best(now, on_each, need.resource, most=most, valuation=valuation)
        if found is None:
            return None
        number, making = found
        gpus[making.gpu] = after(gpus[making.gpu], making)
        way, effort, loss = max(way, number), max(effort, making.effort), loss + making.loss
        claims.append(_claim(need, making))
    return (way, effort, loss, len(claims)), gpus, claims


def _claim(need: Need, making: Making) -> Claim:
    piece = making.piece
    device = AssignedDevice(
        container="",
        resource=need.resource,
        gpu=making.gpu,
        profile=piece.profile,
        start=piece.start,
        shares=1 if piece.replicas > 1 else 0,
        sharing=piece.sharing,
        replicas=piece.replicas if piece.replicas > 1 else 0,
    )
    return Claim(need.pod, device, bound=False, created_s=need.created_s)


def _unschedulable(pod: Pod) -> bool:
    return any(
        condition.type == "PodScheduled"
        and condition.status == "False"
        and condition.reason == "Unschedulable"
        for condition in pod.status.conditions or ()
    )
