"""Counts, not positions, and batches: nebuly's nos.

As its source has it (last commit April 2024): pending pods are looked at together. For each GPU in order it may choose
another geometry, one of a list of multisets, if that has at least what is in use there, and takes the one that offers
most of the profiles that are lacking. Then the pods are assigned, smallest first. That used instances cannot move is not
looked at: the node deletes what is free, tries to create the rest in up to 20 orders, and where none succeeds the pod
stays pending.

The list here has all maximal multisets of the board, where that of nos misses two of twelve: ours is kinder to it.
Creation takes the lowest start that is free.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, permutations
from operator import lt, sub
from typing import TypeAlias

from aliquot.partition.board_states import BoardStates, Occupancy, Placing
from aliquot.partition.divisions import Division
from aliquot.partition.index_set import NOTHING, IndexSet
from aliquot.partition.occupancies import Occupancies
from aliquot.partition.placer import Choice, Gpu, place

ORDERS_TRIED = 20

_Counts: TypeAlias = tuple[int, ...]
"""By profile."""


class CountBatching(Occupancies):
    """A `Placer`, and of batches by `place_batch`."""

    def __init__(self, states: BoardStates, gpus: Iterable[Gpu] = ()) -> None:
        super().__init__(states)
        self._used: dict[Gpu, list[Placing]] = {}
        self._idle: dict[Gpu, list[Placing]] = {}
        """Instances that exist and nobody has."""
        self._counts: dict[Gpu, _Counts] = {}
        """Of what is in use."""
        self._alike: dict[_Counts, IndexSet] = {}
        """GPUs by these counts: a plan looks at nothing else of them."""
        self._open: list[dict[_Counts, IndexSet]] = [{} for _ in states.profiles]
        """By profile: those of them for which a geometry has one more."""
        self._having = [IndexSet() for _ in states.profiles]
        """By profile: GPUs with an idle instance of it."""
        self._geometries: dict[tuple[_Counts, int], _Counts | None] = {}
        """What `_alone` has found."""
        self._cuts: dict[tuple[Occupancy, _Counts], tuple[Placing, ...] | None] = {}
        """What `_cut` has found, by what is taken and what is missing."""
        self._lacking: Counter[int] = Counter()
        """Of the batch that is placed: how many of each profile."""
        self.add_all(gpus)

    def choose(self, profile: int) -> Choice | None:
        gpu = self._having[profile].lowest
        if gpu != NOTHING:
            return gpu, next(placing for placing in self._idle[gpu] if placing.profile == profile)
        gpu = min((gpus.lowest for gpus in self._open[profile].values()), default=NOTHING)
        if gpu == NOTHING:
            return None
        # The plan is made, and the pod waits for this GPU, whether it can be cut so or not.
        made = self._cut(gpu, self._geometry(gpu, profile))
        return next(((gpu, new) for new in made or () if new.profile == profile), None)

    def commit(self, gpu: Gpu, placing: Placing) -> None:
        idle = self._idle[gpu]
        made = None if placing in idle else self._made_for(gpu, placing)
        super().commit(gpu, placing)
        left = list(idle if made is None else made)
        left.remove(placing)
        self._set(gpu, [*self._used[gpu], placing], left)

    def release(self, gpu: Gpu, placing: Placing) -> None:
        if placing not in self._used[gpu]:
            raise ValueError(f"GPU {gpu}: slots {placing.mask:#b} are not one instance in use")
        super().release(gpu, placing)
        used = list(self._used[gpu])
        used.remove(placing)
        self._set(gpu, used, [*self._idle[gpu], placing])

    def add(self, gpu: Gpu, held: Iterable[Placing] = ()) -> None:
        used = list(held)
        super().add(gpu, used)
        self._set(gpu, used, [])

    def remove(self, gpu: Gpu) -> None:
        super().remove(gpu)
        self._forget(gpu)

    def place_batch(self, profiles: Sequence[int]) -> list[Choice | None]:
        """One after the other, smallest first; the answers in the order of `profiles`."""
        slots = [self.states.profiles[profile].memory_slots for profile in profiles]
        placed: list[Choice | None] = [None] * len(profiles)
        self._lacking = Counter(profiles)
        for number in sorted(range(len(profiles)), key=slots.__getitem__):
            placed[number] = place(self, profiles[number])
            self._lacking[profiles[number]] -= 1
        self._lacking.clear()
        return placed

    def _set(self, gpu: Gpu, used: list[Placing], idle: list[Placing]) -> None:
        """What is on it from now on."""
        if gpu in self._used:
            self._forget(gpu)
        self._used[gpu], self._idle[gpu] = used, idle
        counts = [0] * len(self._having)
        for placing in used:
            counts[placing.profile] += 1
        self._counts[gpu] = kind = tuple(counts)
        alike = self._alike.get(kind)
        if alike is None:
            alike = self._alike[kind] = IndexSet()
            for profile, having_room in enumerate(self._open):
                if self._alone(kind, profile) is not None:
                    having_room[kind] = alike
        alike.add(gpu)
        for profile in {placing.profile for placing in idle}:
            self._having[profile].add(gpu)

    def _forget(self, gpu: Gpu) -> None:
        kind = self._counts.pop(gpu)
        alike = self._alike[kind]
        alike.remove(gpu)
        if alike.lowest == NOTHING:
            del self._alike[kind]
            for having_room in self._open:
                having_room.pop(kind, None)
        for profile in {placing.profile for placing in self._idle.pop(gpu)}:
            self._having[profile].remove(gpu)
        del self._used[gpu]

    def _geometry(self, gpu: Gpu, profile: int) -> _Counts | None:
        """That offers most of what is lacking, and the profile more often than it is in use."""
        used = self._counts[gpu]
        return self._offering(used, profile, self._lacking) if self._lacking else self._alone(used, profile)

    def _alone(self, used: _Counts, profile: int) -> _Counts | None:
        """Where nothing else is lacking."""
        key = used, profile
        if key not in self._geometries:
            self._geometries[key] = self._offering(used, profile, {profile: 1})
        return self._geometries[key]

    def _offering(self, used: _Counts, profile: int, lacking: Mapping[int, int]) -> _Counts | None:
        best, most = None, 0
        for counts in self.states.maximal_counts:
            if counts[profile] <= used[profile] or any(map(lt, counts, used)):
                continue
            offered = sum(min(counts[p] - used[p], n) for p, n in lacking.items() if n > 0)
            if offered > most:
                best, most = counts, offered
        return best

    def _cut(self, gpu: Gpu, geometry: _Counts | None) -> tuple[Placing, ...] | None:
        """The instances of the geometry that are made beside those in use, by the first order that succeeds."""
        if geometry is None:
            return None
        key = self.occupancy(gpu), tuple(map(sub, geometry, self._counts[gpu]))
        if key not in self._cuts:
            self._cuts[key] = self._make(*key)
        return self._cuts[key]

    def _make(self, occupancy: Occupancy, missing: _Counts) -> tuple[Placing, ...] | None:
        wanted = [profile for profile, count in enumerate(missing) for _ in range(count)]
        for order in islice(_different(wanted), ORDERS_TRIED):
            taken = occupancy
            made: list[Placing] = []
            for profile in order:
                fitting = self.states.fitting(profile, taken)
                if not fitting:
                    break
                made.append(fitting[0])
                taken |= fitting[0].mask
            else:
                return tuple(made)
        return None

    def _made_for(self, gpu: Gpu, placing: Placing) -> tuple[Placing, ...]:
        made = self._cut(gpu, self._geometry(gpu, placing.profile))
        if made is None or placing not in made:
            raise ValueError(f"GPU {gpu}: slots {placing.mask:#b} are not what it would be cut into")
        return made

    def _enter(self, gpu: Gpu, division: Division) -> None:
        """What is in use is known by instance."""

    def _leave(self, gpu: Gpu, division: Division) -> None:
        """What is in use is known by instance."""


def _different(items: Sequence[int]) -> Iterator[tuple[int, ...]]:
    seen = set()
    for order in permutations(items):
        if order not in seen:
            seen.add(order)
            yield order
