"""What could be made on one GPU for one more container, beside what is held there: a slice cut, a GPU shared, a name changed.

Nothing that somebody holds, or is about to get, is touched. What is free may go: a slice in the way of another, a name,
a way of sharing. MIG mode changes only where no reset is needed and nobody has anything of the GPU.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Geometry, Slice, geometry_of
from aliquot.kube.api.gpunode import Sharing
from aliquot.partition.value import BY_RULE, Valuation
from aliquot.partition.ways import GpuWay, SliceWay, WayOn


class Effort(IntEnum):
    """What has to be done; the more, the longer it takes."""

    NONE = 0
    """It is there, or on its way."""
    RENAME = 1
    """It is there, and is offered under another name or in other shares."""
    CUT = 2
    """Into memory that no slice has."""
    RECUT = 3
    """Slices that nobody has go first."""
    CHANGE_MODE = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A slice, or the GPU as a whole (`start` None), as it is offered, or will be once what is decided is done."""

    resource: str
    profile: str = ""
    start: int | None = None
    held: int = 0
    """How many have it, or are about to get it."""
    sharing: Sharing = Sharing.NONE
    replicas: int = 1
    usable: bool = True
    """Whether it could be given to somebody at all; an ailing one could not."""

    @property
    def room(self) -> int:
        return self.replicas - self.held


@dataclass(frozen=True, slots=True)
class GpuNow:
    """One GPU, and what may be done with it."""

    uuid: str
    profiles: tuple[InstanceProfile, ...]
    """Empty: it has no MIG, or nobody knows its profiles."""
    mig_on: bool
    pieces: tuple[Piece, ...]
    may_cut: bool = False
    """Whether slices and shares are made as they are needed; else only names change."""
    may_change_mode: bool = False
    """Whether MIG can be switched without a reset."""
    going: frozenset[int | None] = frozenset()
    """Starts of what somebody else wants gone, free or not; None: the GPU as a whole."""

    @property
    def geometry(self) -> Geometry:
        return geometry_of(self.profiles)

    @property
    def held(self) -> bool:
        return any(piece.held for piece in self.pieces)

    @property
    def sound(self) -> bool:
        return all(piece.usable for piece in self.pieces)

    def slice_of(self, piece: Piece) -> Slice | None:
        """None for what the board cannot hold: a spec may ask for that, and nothing comes of it."""
        profile = next((p for p in self.profiles if p.name == piece.profile), None)
        if profile is None or piece.start is None:
            return None
        starts = (placement.start for placement in profile.placements)
        return Slice(profile.profile_id, piece.start) if piece.start in starts else None


@dataclass(frozen=True, slots=True)
class Making:
    """One thing that could be made; `piece` is what it will be offered as."""

    gpu: str
    piece: Piece
    effort: Effort
    loss: float = 0.0
    """How much less the GPU is worth to those who come later; for slices alone."""
    gone: tuple[Piece, ...] = ()
    """What nobody has and goes for it."""

    @property
    def order(self) -> tuple[bool, float, int, int]:
        """The least is best. A slice is cut in a fraction of a second, and where it is cut matters for as long as it is
        used; a change of mode takes seconds."""
        return self.effort is Effort.CHANGE_MODE, self.loss, self.effort, len(self.gone)


def makings(
    gpu: GpuNow, way: WayOn, resource: str, shares: int = 1, valuation: Valuation = BY_RULE
) -> Iterator[Making]:
    """All that could be made of the GPU, or is there, for a container that asks for `resource`; of what is shared it gets
    as many as `shares`. Slices of the same order are in the order of the policy."""
    if not gpu.sound:
        return
    match way:
        case SliceWay(profile):
            yield from _slices(gpu, profile, resource, valuation)
        case GpuWay(sharing, replicas):
            if replicas >= (shares if replicas > 1 else 1):
                yield from _whole(gpu, sharing, replicas, resource, shares)


def after(gpu: GpuNow, making: Making, shares: int = 1) -> GpuNow:
    """The GPU once it is made, and somebody has it, or as many shares of it."""
    made = replace(making.piece, held=making.piece.held + (shares if making.piece.replicas > 1 else 1))
    stays = tuple(
        piece
        for piece in gpu.pieces
        if piece not in making.gone and piece.start != making.piece.start and piece.start is not None
    )
    if making.piece.start is None:
        return replace(gpu, mig_on=False, pieces=(made,))
    return replace(gpu, mig_on=True, pieces=tuple(sorted((*stays, made), key=_start)))


def _start(piece: Piece) -> int:
    return -1 if piece.start is None else piece.start


def _slices(gpu: GpuNow, profile: InstanceProfile, resource: str, valuation: Valuation) -> Iterator[Making]:
    turns = {start: turn for turn, start in enumerate(valuation.starts(gpu.profiles, profile))}
    if not gpu.mig_on:
        if gpu.may_cut and gpu.may_change_mode and not gpu.held:
            for start in turns:
                piece = Piece(resource, profile.name, start)
                lost = valuation.loss(gpu.profiles, (), Slice(profile.profile_id, start))
                yield Making(gpu.uuid, piece, Effort.CHANGE_MODE, lost, gpu.pieces)
        return
    there = [(piece, found) for piece in gpu.pieces if (found := gpu.slice_of(piece)) is not None]
    held = list(dict.fromkeys(found for piece, found in there if piece.held))
    if not gpu.geometry.legal(held):
        # A spec asks for what is in the way of what somebody has: nobody knows what will be there.
        return
    free = [(piece, found) for piece, found in there if not piece.held and piece.start not in gpu.going]
    for piece, found in sorted(free, key=lambda one: turns.get(one[1].start, 0)):
        if piece.profile == profile.name and piece.replicas == 1:
            effort = Effort.NONE if piece.resource == resource else Effort.RENAME
            offered = replace(piece, resource=resource)
            yield Making(gpu.uuid, offered, effort, valuation.loss(gpu.profiles, held, found))
    if not gpu.may_cut:
        return
    taken = {found for _, found in free if found.profile_id == profile.profile_id}
    open_starts = {one.start for one in gpu.geometry.free_placements(profile.profile_id, held)}
    for start in (start for start in turns if start in open_starts):
        wanted = Slice(profile.profile_id, start)
        if wanted in taken:
            continue
        gone = tuple(piece for piece, found in free if not gpu.geometry.fits(wanted, (found,)))
        stay = [found for piece, found in free if piece not in gone]
        if not gpu.geometry.fits(wanted, (*held, *stay)):
            # Media engines: what is in the way of the whole set goes as well.
            gone, stay = tuple(piece for piece, _ in free), []
        effort = Effort.RECUT if gone else Effort.CUT
        piece = Piece(resource, profile.name, start)
        yield Making(gpu.uuid, piece, effort, valuation.loss(gpu.profiles, held, wanted), gone)


def _whole(gpu: GpuNow, sharing: Sharing, replicas: int, resource: str, shares: int) -> Iterator[Making]:
    now = next((one for one in gpu.pieces if one.start is None), None)
    same_form = now is not None and (now.sharing, now.replicas) == (sharing, replicas)
    if now is not None and same_form and now.resource == resource:
        if now.room >= (shares if replicas > 1 else 1):
            yield Making(gpu.uuid, now, Effort.NONE)
        return
    if gpu.held or None in gpu.going:
        return
    piece = Piece(resource, sharing=sharing, replicas=replicas)
    if gpu.mig_on:
        if gpu.may_cut and gpu.may_change_mode:
            yield Making(gpu.uuid, piece, Effort.CHANGE_MODE, gone=gpu.pieces)
    elif now is not None and (same_form or gpu.may_cut):
        yield Making(gpu.uuid, piece, Effort.RENAME)


def best(
    gpus: Sequence[GpuNow],
    ways: Sequence[Sequence[WayOn]],
    resource: str,
    shares: int = 1,
    *,
    most: Effort = Effort.CHANGE_MODE,
    valuation: Valuation = BY_RULE,
) -> tuple[int, Making] | None:
    """The number of the way, and what to make with an effort of `most`, on the best of `gpus`. `ways` of each, in order;
    None: nothing."""
    found: tuple[tuple[int, bool, float, int, int], GpuNow, Making] | None = None
    for gpu, its_ways in zip(gpus, ways, strict=True):
        for number, way in enumerate(its_ways):
            if found is not None and number > found[0][0]:
                break
            making = _best_of_like(gpu, way, resource, shares, most, valuation)
            if making is not None and (found is None or (number, *making.order) < found[0]):
                found = (number, *making.order), gpu, making
    return (found[0][0], replace(found[2], gpu=found[1].uuid)) if found is not None else None


_MOST_REMEMBERED = 100_000
_remembered: dict[tuple[object, ...], tuple[object, Making | None]] = {}


def _best_of_like(
    gpu: GpuNow, way: WayOn, resource: str, shares: int, most: Effort, valuation: Valuation
) -> Making | None:
    """For all GPUs in the same state the same, found once: a large cluster has many GPUs and few states."""
    policy = valuation.policy(gpu.profiles)
    part = way.profile.profile_id if isinstance(way, SliceWay) else (way.sharing, way.replicas)
    # Profiles and policy by identity, since to hash them takes longer than the rest; kept with the answer, so that it stays
    # theirs.
    state = (
        id(gpu.profiles),
        id(policy),
        gpu.pieces,
        gpu.mig_on,
        gpu.may_cut,
        gpu.may_change_mode,
        gpu.going,
    )
    key = (*state, part, resource, shares, most)
    known = _remembered.get(key)
    if known is None:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        found = (one for one in makings(gpu, way, resource, shares, valuation) if one.effort <= most)
        best_one = min(found, key=lambda one: one.order, default=None)
        known = _remembered[key] = (gpu.profiles, policy), best_one
    return known[1]
