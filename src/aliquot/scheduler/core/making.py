"""Where devices are made for a pod that finds none free: the node, and what to make there.

The same questions are asked as for a pod whose devices are there, but for whether they are. Of all that could be made
the pod gets what its GPUClass names first, with the least effort, on the GPU that loses least by it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from aliquot.partition import demand
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.making import Effort, GpuNow, Piece, after, best
from aliquot.partition.ways import WayOn
from aliquot.scheduler.core.facts import Withheld
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import ContainerKind, ContainerRequest, DeviceChoice, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.reasons import Kind, Reason, Shortage

_MOST_WAYS = 100
_LOSS_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Plan:
    choices: tuple[DeviceChoice, ...]
    way: int = 0
    """The number of the worst way taken."""
    effort: Effort = Effort.NONE
    loss: float = 0.0


class Makings:
    """A `Judge` of nodes by what could be made on them; `policies` judge all else."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._plans: dict[str, tuple[NodeState, str, _Plan | None]] = {}
        """By node, the last one: asked for in turn by all that a decision needs."""

    def reject(self, shape: PodShape, node: NodeState) -> Reason | None:
        made, there = _divided(shape)
        if made is shape:
            return Reason(Kind.DEVICES)
        reason = self._policies.reject(there, node)
        if reason is not None:
            return reason
        if self._plan(shape, node) is not None:
            return None
        return Reason(Kind.DEVICES, shortages=tuple(_short(made, node)))

    def score(self, shape: PodShape, node: NodeState) -> int:
        plan = self._plan(shape, node)
        assert plan is not None
        least = (plan.way * len(Effort) + plan.effort) * _LOSS_STEPS + min(
            round(plan.loss * 1000), _LOSS_STEPS - 1
        )
        return _MOST_WAYS * len(Effort) * _LOSS_STEPS - least

    def assign(self, shape: PodShape, node: NodeState) -> tuple[DeviceChoice, ...]:
        """Raises LookupError where nothing can be made: ask `reject` first."""
        plan = self._plan(shape, node)
        if plan is None:
            raise LookupError(f"{node.name}: nothing can be made for the pod")
        _, there = _divided(shape)
        return (*self._policies.assign(there, node), *plan.choices)

    def _plan(self, shape: PodShape, node: NodeState) -> _Plan | None:
        known = self._plans.get(node.name)
        if known is not None and known[0] is node and known[1] == shape.signature:
            return known[2]
        plan = _plan(shape, node)
        self._plans[node.name] = node, shape.signature, plan
        return plan


def asks(shape: PodShape) -> bool:
    """Whether the pod asks for anything that can be made."""
    return any(demand.could_be_made(resource) for resource in shape.request)


def _divided(shape: PodShape) -> tuple[PodShape, PodShape]:
    """What may have to be made of the pod's request, and the rest of the pod."""
    made = {r: amount for r, amount in shape.request.items() if demand.could_be_made(r)}
    if not made:
        return shape, shape
    containers = tuple(
        replace(c, requests={r: n for r, n in c.requests.items() if r not in made}) for c in shape.containers
    )
    rest = {r: amount for r, amount in shape.request.items() if r not in made}
    return replace(shape, request=made), replace(shape, request=rest, containers=containers)


def _short(made: PodShape, node: NodeState) -> Iterator[Shortage]:
    for resource, needed in made.request.items():
        if node.available(resource) < needed:
            yield Shortage(resource, needed, max(0, node.available(resource)), node.total(resource))


def _plan(shape: PodShape, node: NodeState) -> _Plan | None:
    awaited = {resource for resource in node.free if node.kept_back(resource) > 0}
    gpus = {gpu.uuid: _now(gpu, node, awaited) for gpu in node.facts.gpus}
    choices: list[DeviceChoice] = []
    way, effort, loss = 0, Effort.NONE, 0.0
    made_for: dict[tuple[str, int], tuple[DeviceChoice, ...]] = {}
    # In the end all others run together; what an init container had, they get.
    for container in sorted(shape.containers, key=lambda c: c.kind is ContainerKind.INIT):
        for resource, count in container.requests.items():
            if not demand.could_be_made(resource):
                continue
            if container.kind is ContainerKind.INIT and (had := made_for.get((resource, count))):
                choices += (replace(choice, container=container.name) for choice in had)
                continue
            ways = {gpu.uuid: _ways(resource, node, gpu) for gpu in node.facts.gpus}
            given: list[DeviceChoice] = []
            while (left := count - sum(max(choice.shares, 1) for choice in given)) > 0:
                found = best(list(gpus.values()), list(ways.values()), resource, left)
                if found is None:
                    return None
                number, making = found
                shares = left if making.piece.replicas > 1 else 0
                given.append(_choice(container, resource, making.gpu, making.piece, shares))
                gpus[making.gpu] = after(gpus[making.gpu], making, shares or 1)
                way, effort, loss = max(way, number), max(effort, making.effort), loss + making.loss
            made_for.setdefault((resource, count), tuple(given))
            choices += given
    return _Plan(tuple(choices), way, effort, loss)


def _choice(container: ContainerRequest, resource: str, gpu: str, piece: Piece, shares: int) -> DeviceChoice:
    return DeviceChoice(
        container.name,
        resource,
        gpu,
        piece.profile,
        piece.start,
        shares,
        sharing=piece.sharing,
        replicas=piece.replicas if shares else 0,
    )


def _ways(resource: str, node: NodeState, gpu: GpuFacts) -> tuple[WayOn, ...]:
    return demand.ways(resource, node.facts.classes, gpu.board, gpu.profiles, gpu.memory_mib)


def _now(gpu: GpuFacts, node: NodeState, awaited: Collection[str]) -> GpuNow:
    """`awaited`: resources of which somebody is still to get one; which one is kubelet's choice, so it may be any."""
    pieces = [
        Piece(
            device.resource,
            device.profile,
            device.start,
            device.capacity
            if device.usable and device.resource in awaited
            else len(node.held.get(device.id, ())),
            device.sharing,
            device.shares or 1,
            usable=device.withheld is not Withheld.UNHEALTHY,
        )
        for device in node.facts.devices.all
        if device.gpu == gpu.uuid
    ]
    # Wanted for somebody else, whom this scheduler does not place.
    known = {(piece.profile, piece.start) for piece in pieces}
    by_name = {profile.name: profile for profile in gpu.profiles}
    for profile, start in gpu.wanted:
        if (profile, start) not in known and profile in by_name:
            pieces.append(Piece("", profile, start, held=1))
    # A change of mode that is on its way shows in what will be there.
    mig_on = all(piece.start is not None for piece in pieces) if pieces else gpu.mig_on
    return GpuNow(gpu.uuid, gpu.profiles, mig_on, tuple(pieces), gpu.may_cut, gpu.may_change_mode)
