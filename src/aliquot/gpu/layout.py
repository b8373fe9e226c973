"""MIG layouts of one GPU as pure data: what is legal, what still fits, and how to get from one to another.

A layout is a set of slices, each a profile at a start. It is legal when the runs of memory slots do not overlap,
every start is one that the profile has, and the media engines suffice. On boards of seven compute slots this also
keeps compute within bounds. Profiles and placements come in as the board reports them; nothing here knows a model.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import TypeAlias

from aliquot.gpu.driver import ComputeInstance, GpuInstance, InstanceProfile, Placement
from aliquot.gpu.profiles import WITHOUT_MEDIA, BadProfileName, ProfileName


@dataclass(frozen=True, slots=True)
class Slice:
    """A GPU instance, made or thought of: the profile with this id at this memory slot."""

    profile_id: int
    start: int


class Geometry:
    """The placements of one board, with what they exclude of each other."""

    def __init__(self, profiles: Iterable[InstanceProfile]) -> None:
        self.profiles = {profile.profile_id: profile for profile in profiles}
        self._masks = {
            Slice(profile.profile_id, placement.start): mask(placement)
            for profile in self.profiles.values()
            for placement in profile.placements
        }

    @cached_property
    def placements(self) -> tuple[Slice, ...]:
        """Every slice that the board could hold, by start, larger ones first."""
        return tuple(sorted(self._masks, key=lambda s: (s.start, -self._masks[s].bit_count(), s.profile_id)))

    @cached_property
    def memory_slots(self) -> int:
        return max((m.bit_length() for m in self._masks.values()), default=0)

    def occupancy(self, slices: Iterable[Slice]) -> int:
        """Bit n is set when memory slot n is taken. Raises KeyError for a slice that the board cannot hold."""
        taken = 0
        for placed in slices:
            taken |= self._masks[placed]
        return taken

    def fits(self, slice_: Slice, beside: Iterable[Slice]) -> bool:
        """Whether the driver could make `slice_` with `beside` in place."""
        if slice_ not in self._masks:
            return False
        others = tuple(beside)
        return not self._masks[slice_] & self.occupancy(others) and self._engines_suffice((*others, slice_))

    def legal(self, slices: Sequence[Slice]) -> bool:
        return all(self.fits(slices[i], slices[:i]) for i in range(len(slices)))

    def free_placements(self, profile_id: int, beside: Iterable[Slice]) -> tuple[Placement, ...]:
        """Where a profile still fits beside slices that cannot move, by start."""
        others = tuple(beside)
        profile = self.profiles[profile_id]
        free = (p for p in profile.placements if self.fits(Slice(profile_id, p.start), others))
        return tuple(sorted(free, key=lambda placement: placement.start))

    def states(self) -> Iterator[tuple[Slice, ...]]:
        """Every legal layout once, the empty one first; slices by start."""
        return self._grow((), 0)

    def maximal(self, slices: Sequence[Slice]) -> bool:
        """Whether nothing more fits."""
        return not any(self.fits(candidate, slices) for candidate in self.placements)

    def _grow(self, slices: tuple[Slice, ...], first: int) -> Iterator[tuple[Slice, ...]]:
        yield slices
        for index in range(first, len(self.placements)):
            if self.fits(self.placements[index], slices):
                yield from self._grow((*slices, self.placements[index]), index + 1)

    def _engines_suffice(self, slices: Sequence[Slice]) -> bool:
        """Media extensions exist once per GPU, and `+me.all` leaves engines to nobody but `-me` profiles."""
        profiles = [self.profiles[s.profile_id] for s in slices]
        extended = sum(1 for p in profiles if p.attributes & {"me", "me.all"})
        if extended > 1:
            return False
        if any("me.all" in p.attributes for p in profiles):
            return sum(1 for p in profiles if WITHOUT_MEDIA not in p.attributes) == 1
        return True


def mask(placement: Placement) -> int:
    return ((1 << placement.size) - 1) << placement.start


_MOST_REMEMBERED = 256
_by_identity: dict[int, tuple[tuple[InstanceProfile, ...], Geometry]] = {}


def geometry_of(profiles: Sequence[InstanceProfile]) -> Geometry:
    """One for all GPUs that report the same profiles. By identity first: to compare them takes longer than a plan."""
    key = id(profiles)
    found = _by_identity.get(key)
    if found is not None and found[0] is profiles:
        return found[1]
    frozen = tuple(profiles)
    geometry = _by_equality(frozen)
    if frozen is profiles:
        if len(_by_identity) >= _MOST_REMEMBERED:
            _by_identity.clear()
        _by_identity[key] = frozen, geometry
    return geometry


@lru_cache(maxsize=64)
def _by_equality(profiles: tuple[InstanceProfile, ...]) -> Geometry:
    return Geometry(profiles)


# --- from what is to what is wanted ---


@dataclass(frozen=True, slots=True)
class Held:
    """An instance that exists. `used_by` says who uses it, empty when nobody does.

    `idle_compute`: CI ids of an instance in use that are known to be used by nobody.
    """

    instance: GpuInstance
    used_by: str = ""
    idle_compute: frozenset[int] = frozenset()

    @property
    def slice(self) -> Slice:
        return Slice(self.instance.profile_id, self.instance.placement.start)

    def uses(self, ci_id: int) -> bool:
        return bool(self.used_by) and ci_id not in self.idle_compute


Compute: TypeAlias = tuple[int, ...] | None
"""Slices of each compute instance of a GPU instance; empty: one that fills it; None: it shall have none."""


def parts_of(compute: Compute, profile: InstanceProfile) -> tuple[int, ...]:
    """Larger ones first."""
    return () if compute is None else tuple(sorted(compute or (profile.compute_slices,), reverse=True))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A GPU instance that shall be there, divided as `compute` says."""

    slice: Slice
    compute: Compute = ()


@dataclass(frozen=True, slots=True)
class DestroyCompute:
    gi_id: int
    ci_id: int


@dataclass(frozen=True, slots=True)
class DestroyInstance:
    gi_id: int


@dataclass(frozen=True, slots=True)
class CreateInstance:
    slice: Slice


@dataclass(frozen=True, slots=True)
class CreateCompute:
    """A compute instance in the GPU instance at `start`, which may be made by an earlier step.

    `compute_slices` None: it fills the GPU instance. `profile_id` None: not known before the instance exists.
    """

    start: int
    profile_id: int | None
    compute_slices: int | None = None


Step = DestroyCompute | DestroyInstance | CreateInstance | CreateCompute


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order: every destruction before the first creation. Kept instances are not touched."""

    steps: tuple[Step, ...]
    kept: tuple[int, ...]
    """GI ids."""

    @property
    def destroyed(self) -> tuple[int, ...]:
        """GI ids of the instances that lose their MIG devices."""
        return tuple(
            sorted({s.gi_id for s in self.steps if isinstance(s, (DestroyCompute, DestroyInstance))})
        )


class RefusalReason(StrEnum):
    UNKNOWN_PROFILE = "UnknownProfile"
    BAD_START = "BadStart"
    OVERLAP = "Overlap"
    ENGINES_TAKEN = "EnginesTaken"
    BAD_COMPUTE = "BadCompute"
    TOO_MANY = "TooMany"
    IN_USE = "InUse"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a layout cannot be had. `blocking`: GI ids of the instances in use that are in its way."""

    reason: RefusalReason
    message: str
    blocking: tuple[int, ...] = ()


def plan(
    profiles: Sequence[InstanceProfile],
    current: Sequence[Held],
    wanted: Sequence[Wanted],
    released: Collection[int] = (),
) -> Plan | Refusal:
    """The fewest steps from `current` to exactly `wanted`.

    Destroys only what is not wanted as it is, and refuses whole rather than touch what is in use, unless its GI id is
    in `released`.
    """
    refusal = _illegal(geometry_of(profiles), wanted)
    return refusal or difference(profiles, current, wanted, released)


def difference(
    profiles: Sequence[InstanceProfile],
    current: Sequence[Held],
    wanted: Sequence[Wanted],
    released: Collection[int] = (),
) -> Plan | Refusal:
    """`plan` for what is known to be legal, as what `arrangement.arrange` gives.

    What is in use and released goes first: if the driver refuses that, nothing has been touched.
    """
    geometry = geometry_of(profiles)
    missing = {one.slice: one for one in wanted}
    kept: list[int] = []
    in_use: list[Held] = []
    destroy: list[Step] = []
    create: dict[int, list[Step]] = {}
    for held in sorted(current, key=lambda h: (not h.used_by, h.instance.gi_id)):
        instance = held.instance
        profile = geometry.profiles.get(instance.profile_id)
        as_wanted = missing.pop(held.slice, None)
        if as_wanted is None or profile is None:
            if held.used_by:
                in_use.append(held)
            parts = sorted(instance.compute_instances, key=lambda c: (not held.uses(c.ci_id), c.ci_id))
            destroy += [DestroyCompute(instance.gi_id, compute.ci_id) for compute in parts]
            destroy.append(DestroyInstance(instance.gi_id))
            continue
        kept.append(instance.gi_id)
        surplus, lacking = compute_changes(held, profile, as_wanted.compute)
        if any(held.uses(compute.ci_id) for compute in surplus):
            in_use.append(held)
        destroy += [DestroyCompute(instance.gi_id, compute.ci_id) for compute in surplus]
        create[held.slice.start] = [_compute(held.slice.start, profile, slices) for slices in lacking]
    for slice_, one in missing.items():
        profile = geometry.profiles[slice_.profile_id]
        create[slice_.start] = [
            CreateInstance(slice_),
            *(_compute(slice_.start, profile, slices) for slices in parts_of(one.compute, profile)),
        ]
    in_use = [held for held in in_use if held.instance.gi_id not in released]
    if in_use:
        return _refuse_use(geometry, in_use)
    made = (step for start in sorted(create) for step in create[start])
    return Plan((*destroy, *made), tuple(sorted(kept)))


def compute_changes(
    held: Held, profile: InstanceProfile, wanted: Compute
) -> tuple[tuple[ComputeInstance, ...], tuple[int, ...]]:
    """What of an instance's compute instances has to go, and the slices of those to be made, larger ones first.

    Of equal ones those in use stay.
    """
    lacking = Counter(parts_of(wanted, profile))
    surplus = []
    for compute in sorted(held.instance.compute_instances, key=lambda c: (not held.uses(c.ci_id), c.ci_id)):
        slices = compute_slices(compute, profile)
        if lacking[slices] > 0:
            lacking[slices] -= 1
        else:
            surplus.append(compute)
    return (
        tuple(sorted(surplus, key=lambda compute: compute.ci_id)),
        tuple(sorted(lacking.elements(), reverse=True)),
    )


def compute_slices(compute: ComputeInstance, profile: InstanceProfile) -> int:
    """By its profile, where the board tells of it, else by its name; 0 where neither says."""
    for known in profile.compute_profiles:
        if known.profile_id == compute.profile_id:
            return known.compute_slices
    try:
        return ProfileName.parse(compute.name).compute_slices
    except BadProfileName:
        return 0


def _illegal(geometry: Geometry, wanted: Sequence[Wanted]) -> Refusal | None:
    placed: list[Slice] = []
    for one in sorted(wanted, key=lambda w: (w.slice.start, w.slice.profile_id)):
        slice_ = one.slice
        profile = geometry.profiles.get(slice_.profile_id)
        if profile is None:
            return Refusal(
                RefusalReason.UNKNOWN_PROFILE, f"the board has no profile with id {slice_.profile_id}"
            )
        starts = sorted(p.start for p in profile.placements)
        if slice_.start not in starts:
            listed = ", ".join(map(str, starts))
            message = f"{profile.name} cannot start at slot {slice_.start}, only at {listed}"
            return Refusal(RefusalReason.BAD_START, message)
        if not geometry.fits(slice_, placed):
            return _conflict(geometry, profile, slice_, placed)
        if refusal := bad_compute(profile, one.compute):
            return refusal
        placed.append(slice_)
    return None


def bad_compute(profile: InstanceProfile, compute: Compute) -> Refusal | None:
    """Whether an instance of the profile can be divided so."""
    if not compute:
        return None
    parts = f"{profile.name} of {profile.compute_slices} compute slices"
    if sum(compute) > profile.compute_slices:
        listed = " + ".join(map(str, compute))
        return Refusal(
            RefusalReason.BAD_COMPUTE, f"compute instances of {listed} slices do not fit in {parts}"
        )
    most = {known.compute_slices: known.max_instances for known in profile.compute_profiles}
    for slices, count in Counter(compute).items():
        if most and count > most.get(slices, 0):
            there = ", ".join(map(str, sorted(most)))
            message = f"{parts} cannot hold {count} of {slices} slices: it takes compute instances of {there}"
            return Refusal(RefusalReason.BAD_COMPUTE, message)
    return None


def _conflict(
    geometry: Geometry, profile: InstanceProfile, slice_: Slice, placed: Sequence[Slice]
) -> Refusal:
    for other in placed:
        if geometry.occupancy([slice_]) & geometry.occupancy([other]):
            message = f"{profile.name} at slot {slice_.start} overlaps {spell(geometry, other)}"
            return Refusal(RefusalReason.OVERLAP, message)
    message = f"the media engines that {profile.name} at slot {slice_.start} needs are taken by other slices"
    return Refusal(RefusalReason.ENGINES_TAKEN, message)


def _refuse_use(geometry: Geometry, in_use: Sequence[Held]) -> Refusal:
    parts = [f"{spell(geometry, held.slice)} is in use by {held.used_by}" for held in in_use]
    return Refusal(RefusalReason.IN_USE, "; ".join(parts), tuple(held.instance.gi_id for held in in_use))


def spell(geometry: Geometry, slice_: Slice) -> str:
    profile = geometry.profiles.get(slice_.profile_id)
    name = profile.name if profile else f"the instance of profile {slice_.profile_id}"
    return f"{name} at slot {slice_.start}"


def _compute(start: int, profile: InstanceProfile, slices: int) -> CreateCompute:
    """Double-memory 1g profiles may list two compute profiles of one slice; the one with all the SMs is meant."""
    known = [c for c in profile.compute_profiles if c.compute_slices == slices]
    best = max(known, key=lambda c: c.multiprocessors or 0, default=None)
    part = None if slices == profile.compute_slices else slices
    return CreateCompute(start, best.profile_id if best else None, part)
