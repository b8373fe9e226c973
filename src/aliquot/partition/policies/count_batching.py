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
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, permutations

from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.divisions import Division
from aliquot.partition.occupancies import Occupancies
from aliquot.partition.placer import Choice, Gpu, place

ORDERS_TRIED = 20


class CountBatching(Occupancies):
    """A `Placer`, and of batches by `place_batch`."""

    def __init__(self, states: BoardStates, gpus: Iterable[Gpu] = ()) -> None:
        super().__init__(states)
        self._used: dict[Gpu, list[Placing]] = {}
        self._idle: dict[Gpu, list[Placing]] = {}
        """Instances that exist and nobody has."""
        self._lacking: Counter[int] = Counter()
        """Of the batch that is placed: how many of each profile."""
        self.add_all(gpus)

    def choose(self, profile: int) -> Choice | None:
        for gpu in sorted(self._idle):
            for placing in self._idle[gpu]:
                if placing.profile == profile:
                    return gpu, placing
        for gpu in sorted(self._used):
            geometry = self._geometry(gpu, profile)
            if geometry is not None:
                # The plan is made, and the pod waits for this GPU, whether it can be cut so or not.
                made = self._cut(gpu, geometry)
                return next(((gpu, new) for new in made or () if new.profile == profile), None)
        return None

    def commit(self, gpu: Gpu, placing: Placing) -> None:
        idle = self._idle[gpu]
        made = None if placing in idle else self._made_for(gpu, placing)
        super().commit(gpu, placing)
        if made is not None:
            self._idle[gpu] = idle = list(made)
        idle.remove(placing)
        self._used[gpu].append(placing)

    def release(self, gpu: Gpu, placing: Placing) -> None:
        if placing not in self._used[gpu]:
            raise ValueError(f"GPU {gpu}: slots {placing.mask:#b} are not one instance in use")
        super().release(gpu, placing)
        self._used[gpu].remove(placing)
        self._idle[gpu].append(placing)

    def add(self, gpu: Gpu, held: Iterable[Placing] = ()) -> None:
        used = list(held)
        super().add(gpu, used)
        self._used[gpu], self._idle[gpu] = used, []

    def remove(self, gpu: Gpu) -> None:
        super().remove(gpu)
        del self._used[gpu], self._idle[gpu]

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

    def _geometry(self, gpu: Gpu, profile: int) -> tuple[int, ...] | None:
        """That offers most of what is lacking, and the profile more often than it is in use."""
        used = Counter(placing.profile for placing in self._used[gpu])
        lacking = self._lacking or Counter((profile,))
        best, most = None, 0
        for counts in self.states.maximal_counts:
            if counts[profile] <= used[profile] or any(counts[p] < n for p, n in used.items()):
                continue
            offered = sum(min(counts[p] - used[p], n) for p, n in lacking.items() if n > 0)
            if offered > most:
                best, most = counts, offered
        return best

    def _cut(self, gpu: Gpu, geometry: tuple[int, ...]) -> tuple[Placing, ...] | None:
        """The instances of the geometry that are made beside those in use, by the first order that succeeds."""
        used = Counter(placing.profile for placing in self._used[gpu])
        missing = [p for p, count in enumerate(geometry) for _ in range(count - used[p])]
        for order in islice(_different(missing), ORDERS_TRIED):
            taken = self.occupancy(gpu)
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
        geometry = self._geometry(gpu, placing.profile)
        made = self._cut(gpu, geometry) if geometry is not None else None
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
