"""Where devices are made for a pod that finds none free: the node, and what to make there.

The same questions are asked as for a pod whose devices are there, but for whether they are. Of all that could be made
the pod gets what its GPUClass names first, with the least effort, on the GPU that loses least by it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from msgspec import structs

from aliquot.gpu.profiles import of_gpu_instance
from aliquot.partition import demand
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.making import Effort, GpuNow, Piece, after, best
from aliquot.partition.value import BY_RULE, Valuation
from aliquot.partition.ways import GpuWay, SliceWay, WayOn
from aliquot.scheduler.core.domains import Preference
from aliquot.scheduler.core.facts import DeviceId, DeviceState, Withheld, device_id
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import ContainerKind, ContainerRequest, DeviceChoice, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.reasons import Kind, Reason, Shortage

_MOST_WAYS = 100
_LOSS_PARTS = 1_000_000_000
"""Of what is lost, so that two losses which placement tells apart are told apart."""
_MOST_LOSS = 1_000
"""A board has fewer slots for all profiles at all starts together; what was learned is of the same order, above 0 and below."""
_LOSS_STEPS = 2 * _MOST_LOSS * _LOSS_PARTS


@dataclass(frozen=True, slots=True)
class _Plan:
    choices: tuple[DeviceChoice, ...]
    way: int = 0
    """The number of the worst way taken."""
    effort: Effort = Effort.NONE
    loss: float = 0.0


class Makings:
    """A `Judge` of nodes by what could be made on them; `policies` judge all else."""

    def __init__(self, policies: Policies, valuation: Valuation = BY_RULE) -> None:
        self._policies = policies
        self._valuation = valuation
        self._plans: dict[str, tuple[NodeState, str, _Plan | None]] = {}
        """By node, the last one: asked for in turn by all that a decision needs."""

    def reject(self, shape: PodShape, node: NodeState) -> Reason | None:
        made, there = _divided(shape)
        if made is shape:
            return Reason(Kind.DEVICES)
        reason = self._policies.reject(there, node)
        if reason is not None:
            return reason
        if not node.facts.makes_devices:
            return Reason(Kind.DEVICES, shortages=tuple(_short(made, node)))
        if self._plan(shape, node) is not None:
            return None
        return Reason(Kind.DEVICES, shortages=tuple(_short(made, node)))

    lacks_room = reject

    def score(self, shape: PodShape, node: NodeState) -> int:
        plan = self._plan(shape, node)
        assert plan is not None
        changes_mode = plan.effort is Effort.CHANGE_MODE
        most = _MOST_LOSS * _LOSS_PARTS - 1
        loss = most + max(-most, min(round(plan.loss * _LOSS_PARTS), most))
        least = ((plan.way * 2 + changes_mode) * _LOSS_STEPS + loss) * len(Effort) + plan.effort
        return _MOST_WAYS * 2 * _LOSS_STEPS * len(Effort) - least

    def score_anew(self, shape: PodShape, node: NodeState, before: int) -> int:
        return self.score(shape, node)

    def weigh(self, score: int, preference: Preference) -> tuple[float, ...]:
        return (score, *preference)

    def assign(self, shape: PodShape, node: NodeState) -> tuple[DeviceChoice, ...]:
        """Raises LookupError where nothing can be made: ask `reject` first."""
        plan = self._plan(shape, node)
        if plan is None:
            raise LookupError(f"{node.name}: nothing can be made for the pod")
        return (*self._besides(shape, node), *plan.choices)

    def forget(self) -> None:
        """What was decided by another policy of the valuation."""
        self._plans.clear()

    def _besides(self, shape: PodShape, node: NodeState) -> tuple[DeviceChoice, ...]:
        """Devices that are there, for the rest of what it asks for."""
        _, there = _divided(shape)
        return self._policies.assign(there, node)

    def _plan(self, shape: PodShape, node: NodeState) -> _Plan | None:
        known = self._plans.get(node.name)
        if known is not None and known[0] is node and known[1] == shape.signature:
            return known[2]
        taken = [device_id(choice.gpu, choice.start) for choice in self._besides(shape, node)]
        plan = _plan(shape, node, taken, self._valuation)
        self._plans[node.name] = node, shape.signature, plan
        return plan


def asks(shape: PodShape) -> bool:
    """Whether the pod asks for anything that can be made."""
    return any(demand.could_be_made(resource) for resource in shape.request)


def most(resource: str, node: NodeState) -> int:
    """How much of it could be made on the node if nobody had anything there."""
    return sum(max((n for n, _ in _could_be(resource, node, gpu)), default=0) for gpu in node.facts.gpus)


def most_of_one_container(resource: str, node: NodeState) -> int:
    """As `most`, for one container: all of its shares are of one GPU."""
    alone, shared = 0, 0
    for gpu in node.facts.gpus:
        found = list(_could_be(resource, node, gpu))
        alone += max((count for count, is_shares in found if not is_shares), default=0)
        shared = max(shared, *(count for count, is_shares in found if is_shares), 0)
    return max(alone, shared)


def _could_be(resource: str, node: NodeState, gpu: GpuFacts) -> Iterator[tuple[int, bool]]:
    """By way: how many of one GPU, and whether they are shares of it."""
    for way in _ways(resource, node, gpu):
        is_slice, shared = isinstance(way, SliceWay), _is_shared(way)
        if not gpu.may_cut:
            devices = node.facts.devices.by_gpu.get(gpu.uuid, ())
            pieces = [_piece(device, node, (), ()) for device in devices]
            yield sum(piece.replicas for piece in pieces if _has_form(piece, way)), shared
        elif gpu.may_change_mode or gpu.mig_on is is_slice:
            yield way.profile.max_instances if isinstance(way, SliceWay) else way.replicas, shared


def _has_form(piece: Piece, way: WayOn) -> bool:
    if isinstance(way, SliceWay):
        return piece.profile == way.profile.name and piece.replicas == 1
    return piece.start is None and (piece.sharing, piece.replicas) == (way.sharing, way.replicas)


@lru_cache(maxsize=4096)
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


def _plan(
    shape: PodShape, node: NodeState, taken: Collection[DeviceId], valuation: Valuation
) -> _Plan | None:
    """`taken`: devices of the node that the pod is to have besides."""
    awaited = {resource for resource in node.free if node.kept_back(resource) > 0}
    gpus: _Gpus = {gpu.uuid: _now(gpu, node, awaited, taken) for gpu in node.facts.gpus}
    plan = _Plan(())
    had: dict[str, list[DeviceChoice]] = {}
    """By resource, what init containers had that nobody has yet of those who stay: kubelet gives that first."""
    for container in shape.containers:
        for resource, count in container.requests.items():
            if not demand.could_be_made(resource):
                continue
            ways = {gpu.uuid: _ways(resource, node, gpu) for gpu in node.facts.gpus}
            again = _again(container, had.get(resource, ()), count)
            found = _made(container, resource, count, again, gpus, ways, valuation)
            if found is None:
                return None
            gpus, given, cost = found
            plan = _Plan(
                (*plan.choices, *given),
                max(plan.way, cost.way),
                max(plan.effort, cost.effort),
                plan.loss + cost.loss,
            )
            if container.kind is ContainerKind.INIT:
                had[resource] = _most_of_each((*had.get(resource, ()), *given))
            else:
                had[resource] = _without(had.get(resource, ()), given)
    return plan


_Gpus: TypeAlias = Mapping[str, GpuNow]
_Ways: TypeAlias = Mapping[str, Sequence[WayOn]]


def _made(
    container: ContainerRequest,
    resource: str,
    count: int,
    again: Sequence[DeviceChoice],
    gpus: _Gpus,
    ways: _Ways,
    valuation: Valuation,
) -> tuple[_Gpus, tuple[DeviceChoice, ...], _Plan] | None:
    """`again`, and what is made besides. Never shares and other devices for one container: Allocate refuses that."""
    if again and again[0].shares:
        lot = again[0]
        ways = {lot.gpu: [way for way in ways[lot.gpu] if _is_shared(way)]}
        return _shares(container, resource, count, lot.shares, gpus, ways, valuation)
    alone = {uuid: [way for way in its if not _is_shared(way)] for uuid, its in ways.items()}
    shared = {uuid: [way for way in its if _is_shared(way)] for uuid, its in ways.items()}
    if not again:
        first = best(list(gpus.values()), list(ways.values()), resource, count, valuation=valuation)
        if first is not None and first[1].piece.replicas > 1:
            return _shares(container, resource, count, 0, gpus, ways, valuation)
    return _alone(container, resource, count, again, gpus, alone, valuation) or (
        None if again else _shares(container, resource, count, 0, gpus, shared, valuation)
    )


def _alone(
    container: ContainerRequest,
    resource: str,
    count: int,
    again: Sequence[DeviceChoice],
    gpus: _Gpus,
    ways: _Ways,
    valuation: Valuation,
) -> tuple[_Gpus, tuple[DeviceChoice, ...], _Plan] | None:
    given, cost = list(again), _Plan(())
    while len(given) < count:
        found = best(list(gpus.values()), list(ways.values()), resource, valuation=valuation)
        if found is None:
            return None
        number, making = found
        given.append(_choice(container, resource, making.gpu, making.piece, 0))
        gpus = {**gpus, making.gpu: after(gpus[making.gpu], making)}
        cost = _Plan((), max(cost.way, number), max(cost.effort, making.effort), cost.loss + making.loss)
    return gpus, tuple(given), cost


def _shares(
    container: ContainerRequest,
    resource: str,
    count: int,
    had: int,
    gpus: _Gpus,
    ways: _Ways,
    valuation: Valuation,
) -> tuple[_Gpus, tuple[DeviceChoice, ...], _Plan] | None:
    """All of one GPU; of those it has `had` already."""
    among = [gpus[uuid] for uuid in ways]
    found = best(among, list(ways.values()), resource, max(count - had, 0), valuation=valuation)
    if found is None:
        return None
    number, making = found
    gpus = {**gpus, making.gpu: after(gpus[making.gpu], making, max(count - had, 0))}
    given = _choice(container, resource, making.gpu, making.piece, count)
    return gpus, (given,), _Plan((), number, making.effort, making.loss)


def _is_shared(way: WayOn) -> bool:
    return isinstance(way, GpuWay) and way.replicas > 1


def _again(container: ContainerRequest, had: Sequence[DeviceChoice], count: int) -> tuple[DeviceChoice, ...]:
    """What of it the container gets: as many devices as it asks for, or all shares of the first GPU."""
    if had and had[0].shares:
        return (structs.replace(had[0], container=container.name, shares=min(had[0].shares, count)),)
    return tuple(structs.replace(choice, container=container.name) for choice in had[:count])


def _most_of_each(choices: Iterable[DeviceChoice]) -> list[DeviceChoice]:
    """Each device once, with as many shares of it as one had."""
    found: dict[DeviceId, DeviceChoice] = {}
    for choice in choices:
        id_ = device_id(choice.gpu, choice.start)
        if id_ not in found or found[id_].shares < choice.shares:
            found[id_] = choice
    return list(found.values())


def _without(had: Iterable[DeviceChoice], given: Iterable[DeviceChoice]) -> list[DeviceChoice]:
    gone = {device_id(choice.gpu, choice.start): choice.shares for choice in given}
    left = []
    for choice in had:
        shares = gone.get(device_id(choice.gpu, choice.start))
        if shares is None:
            left.append(choice)
        elif choice.shares > shares:
            left.append(structs.replace(choice, shares=choice.shares - shares))
    return left


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
    return demand.ways(resource, node.facts.classes, gpu)


def _now(gpu: GpuFacts, node: NodeState, awaited: Collection[str], taken: Collection[DeviceId]) -> GpuNow:
    """`awaited`: resources of which somebody is still to get one; which one is kubelet's choice, so it may be any."""
    devices = node.facts.devices.by_gpu.get(gpu.uuid, ())
    pieces = [_piece(device, node, awaited, taken) for device in devices]
    # Wanted for somebody else, whom this scheduler does not place.
    known = {(piece.profile, piece.start) for piece in pieces}
    for profile, start in gpu.wanted:
        if (profile, start) not in known and any(one.name == profile for one in gpu.profiles):
            pieces.append(Piece("", profile, start, held=1))
    # A change of mode that is on its way shows in what will be there.
    mig_on = all(piece.start is not None for piece in pieces) if pieces else gpu.mig_on
    return GpuNow(gpu.uuid, gpu.profiles, mig_on, tuple(pieces), gpu.may_cut, gpu.may_change_mode, gpu.going)


def _piece(
    device: DeviceState, node: NodeState, awaited: Collection[str], taken: Collection[DeviceId]
) -> Piece:
    usable = device.withheld is not Withheld.UNHEALTHY
    profile = of_gpu_instance(device.profile) if device.profile else ""
    if profile != device.profile:
        # One part of a GPU instance stands here for all of them: who has the others is not known.
        return Piece("", profile, device.start, held=1, usable=usable)
    anyones = device.offered and device.resource in awaited
    held = device.capacity if anyones else len(node.held.get(device.id, ())) + (device.id in taken)
    return Piece(
        device.resource, profile, device.start, held, device.sharing, device.shares or 1, usable=usable
    )
