"""Room for one pod by moving others, searched: who is evicted, where their likes find a place again. Pure.

Of pods that ask for slices by profile the exact planner decides (`replanned`), where it is installed. This search knows ways
of GPUClasses as well, and looks one pod ahead.

There is no move in place: a pod is evicted, and the one that takes its place goes where there is room. So there has to be
room for it before, and what it costs is a start: the fewest pods are moved, and of these the smallest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Slice
from aliquot.gpu.profiles import resource_name
from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.partition.controller.moves import Relocation, Victim
from aliquot.partition.controller.needs import Need, Place
from aliquot.partition.demand import Classes, ways
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.making import Effort, GpuNow, Piece, after, best
from aliquot.partition.replanning.plan import Spot
from aliquot.partition.value import BY_RULE, Valuation
from aliquot.partition.ways import SliceWay

Holders = Mapping[tuple[str, int], str]
"""GPU UUID and start -> the pod that has the slice, where one pod has it alone."""
MOST_VICTIMS = 3
"""Of one relocation: who has to move more is better served by waiting."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place for the need that somebody is in."""

    place: Place
    facts: GpuFacts
    profile: InstanceProfile
    start: int
    inside: tuple[Piece, ...]
    cost: tuple[int, int, float]
    """How many have to go, of how many memory slots, and by how much the GPU is worth less."""


def relocation(
    need: Need,
    places: Sequence[Place],
    classes: Classes,
    holders: Holders,
    stays: Callable[[str], str],
    valuation: Valuation = BY_RULE,
) -> Relocation | None:
    """The cheapest one for a pod that needs one slice. `stays`: why a pod is not to be moved; empty: it may be. None: nothing
    that may be moved makes room, or there is nowhere to move it to."""
    if need.count != 1:
        return None
    spots = sorted(_spots(need, places, classes, holders, stays, valuation), key=lambda spot: spot.cost)
    for spot in spots:
        found = _moved(need, spot, places, classes, holders, valuation)
        if found is not None:
            return found
    return None


def _spots(
    need: Need,
    places: Sequence[Place],
    classes: Classes,
    holders: Holders,
    stays: Callable[[str], str],
    valuation: Valuation,
) -> Iterator[_Spot]:
    for place in places:
        if any(place.labels.get(name) != value for name, value in need.selector):
            continue
        for facts in place.facts:
            gpu = place.gpus[facts.uuid]
            if not (facts.may_cut and gpu.mig_on and gpu.sound):
                continue
            for way in ways(need.resource, classes, facts):
                if isinstance(way, SliceWay):
                    yield from _spots_of(place, facts, gpu, way.profile, holders, stays, valuation)


def _spots_of(
    place: Place,
    facts: GpuFacts,
    gpu: GpuNow,
    profile: InstanceProfile,
    holders: Holders,
    stays: Callable[[str], str],
    valuation: Valuation,
) -> Iterator[_Spot]:
    held = [
        (piece, found) for piece in gpu.pieces if piece.held and (found := gpu.slice_of(piece)) is not None
    ]
    for placement in profile.placements:
        wanted = Slice(profile.profile_id, placement.start)
        inside = [(piece, found) for piece, found in held if not gpu.geometry.fits(wanted, (found,))]
        if not 0 < len(inside) <= MOST_VICTIMS:
            continue
        rest = [found for _, found in held if all(found != other for _, other in inside)]
        if not gpu.geometry.fits(wanted, rest):
            continue
        pods = [holders.get((gpu.uuid, piece.start or 0), "") for piece, _ in inside]
        if any(
            piece.replicas > 1 or not pod or stays(pod) for (piece, _), pod in zip(inside, pods, strict=True)
        ):
            continue
        slots = sum(gpu.geometry.profiles[found.profile_id].memory_slots for _, found in inside)
        cost = len(inside), slots, valuation.loss(gpu.profiles, rest, wanted)
        yield _Spot(place, facts, profile, placement.start, tuple(piece for piece, _ in inside), cost)


def _moved(
    need: Need,
    spot: _Spot,
    places: Sequence[Place],
    classes: Classes,
    holders: Holders,
    valuation: Valuation,
) -> Relocation | None:
    """None where not all who are moved find a place again."""
    gpus = {facts.uuid: place.gpus[facts.uuid] for place in places for facts in place.facts}
    before = gpus[spot.facts.uuid]
    taken = Piece(need.resource, spot.profile.name, spot.start, held=1)
    wanted = Slice(spot.profile.profile_id, spot.start)
    kept = [
        piece
        for piece in before.pieces
        if piece not in spot.inside
        and (found := before.slice_of(piece)) is not None
        and before.geometry.fits(wanted, (found,))
    ]
    gpus[before.uuid] = replace(before, pieces=(*kept, taken))
    victims = []
    for piece in spot.inside:
        where = _elsewhere(piece, places, classes, gpus, valuation)
        if where is None:
            return None
        start = piece.start or 0
        victims.append(
            Victim(
                holders[before.uuid, start],
                (_spot(spot.place, before, piece.profile, start),),
                (where,),
            )
        )
    wanted_spot = _spot(spot.place, before, spot.profile.name, spot.start)
    return Relocation(need.pod, ((need.resource, wanted_spot),), tuple(victims))


def _elsewhere(
    piece: Piece, places: Sequence[Place], classes: Classes, gpus: dict[str, GpuNow], valuation: Valuation
) -> Spot | None:
    """Takes the place in `gpus`. Without a change of mode: it may take long, and would cost a whole GPU."""
    resource = piece.resource or resource_name(piece.profile)
    for place in places:
        on_each = [
            ways(resource, classes, facts)
            if resource.startswith(CLASS_PREFIX)
            else tuple(SliceWay(profile) for profile in facts.profiles if profile.name == piece.profile)
            for facts in place.facts
        ]
        now = [gpus[facts.uuid] for facts in place.facts]
        found = best(now, on_each, resource, most=Effort.RECUT, valuation=valuation)
        if found is not None:
            making = found[1]
            gpu = gpus[making.gpu] = after(gpus[making.gpu], making)
            return _spot(place, gpu, making.piece.profile, making.piece.start or 0)
    return None


def _spot(place: Place, gpu: GpuNow, profile: str, start: int) -> Spot:
    """A GPU as a whole takes all slots."""
    sizes = {one.name: one.memory_slots for one in gpu.profiles}
    return Spot(place.name, gpu.uuid, profile, start, sizes.get(profile, max(sizes.values(), default=0)))
