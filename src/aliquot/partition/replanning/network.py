"""How the GPUs of a pool fill up: as flow, from what they hold to what they will hold.

A node of the network is what a GPU can hold (occupancy by slices in use, and which slices are idle), an arc one slice
more in use: an idle one taken as it is, or one that is made, for which the idle ones in its way go. Occupancy only
grows, so there are no cycles, and a whole-numbered flow falls apart into GPUs and the slices that each gets. On an H100
without idle slices that is 192 nodes with 703 arcs, for any number of GPUs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from aliquot.partition.board_states import BoardStates, Occupancy, Placing
from aliquot.partition.policies.capability import slot_capability

Fill = tuple[Occupancy, frozenset[Placing]]
"""(taken by slices in use, idle slices)"""


@dataclass(frozen=True, slots=True)
class Arc:
    source: int
    target: int
    """Indices in `Network.fills`."""
    placing: Placing
    reused: bool
    destroyed: tuple[Placing, ...]
    """Idle ones in the way."""

    @property
    def operations(self) -> int:
        return 0 if self.reused else 1 + len(self.destroyed)


class Network:
    def __init__(self, states: BoardStates, roots: Iterable[Fill], profiles: Sequence[int]) -> None:
        """`profiles`: those that anybody wants here."""
        self.states = states
        self.fills: list[Fill] = []
        self.arcs: list[Arc] = []
        self._number: dict[Fill, int] = {}
        for root in roots:
            self.number(root)
        at = 0
        while at < len(self.fills):
            occupancy, idle = self.fills[at]
            for profile in profiles:
                for placing in states.fitting(profile, occupancy):
                    self._lead(at, placing, idle)
            at += 1

    def number(self, fill: Fill) -> int:
        known = self._number.get(fill)
        if known is None:
            known = self._number[fill] = len(self.fills)
            self.fills.append(fill)
        return known

    def leading(self, source: int, placing: Placing) -> int:
        """The arc that places it from there."""
        return self._leading[source, placing]

    @cached_property
    def _leading(self) -> dict[tuple[int, Placing], int]:
        return {(arc.source, arc.placing): number for number, arc in enumerate(self.arcs)}

    def _lead(self, source: int, placing: Placing, idle: frozenset[Placing]) -> None:
        occupancy = self.fills[source][0] | placing.mask
        if not idle:
            self.arcs.append(Arc(source, self.number((occupancy, idle)), placing, False, ()))
            return
        gone = frozenset(other for other in idle if other.mask & placing.mask)
        target = self.number((occupancy, idle - gone))
        if placing in idle:
            self.arcs.append(Arc(source, target, placing, True, ()))
        else:
            destroyed = tuple(sorted(gone, key=lambda p: p.start))
            self.arcs.append(Arc(source, target, placing, False, destroyed))


@lru_cache(maxsize=1 << 16)
def worth(states: BoardStates, occupancy: Occupancy) -> int:
    """What is free on a GPU, in what could be made of it: by the rule that placement falls back to, so that a plan and what
    is placed after it pull the same way."""
    return int(slot_capability(states)(occupancy))
