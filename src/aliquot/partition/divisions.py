"""How the slots of a GPU are divided: which are taken, and where one instance ends and the next begins.

More than an occupancy and less than a layout: half a board that one instance has comes free at once, and one that four
have does not, while a 3g and a 4g instance in the same slots are alike to everybody else. An H100 has 417 divisions: 192
occupancies are fewer, 723 layouts more. They are numbered; number 0 is the empty one.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from aliquot.partition.board_states import BoardStates, Occupancy

Division: TypeAlias = int
"""Its number."""


@dataclass(frozen=True, slots=True, eq=False)
class Divisions:
    """The tables of one board, each by number."""

    states: BoardStates
    instances: tuple[frozenset[Occupancy], ...]
    """The slots of each instance."""
    occupancies: tuple[Occupancy, ...]
    after: tuple[dict[Occupancy, Division], ...]
    """With an instance in these slots, where that fits."""
    without: tuple[dict[Occupancy, Division], ...]
    """Without the instance in these slots, for each that there is."""

    def __len__(self) -> int:
        return len(self.instances)


@lru_cache(maxsize=64)
def divisions_of(states: BoardStates) -> Divisions:
    """Made once for each board."""
    different = {frozenset(placing.mask for placing in state) for state in states.states}
    instances = tuple(sorted(different, key=lambda one: (sum(one), sorted(one))))
    number_of = {one: number for number, one in enumerate(instances)}
    masks = sorted({placing.mask for placing in states.placings})
    occupancies = tuple(sum(one) for one in instances)
    return Divisions(
        states,
        instances,
        occupancies,
        after=tuple(
            {
                mask: number_of[one | {mask}]
                for mask in masks
                if not mask & taken and one | {mask} in number_of
            }
            for one, taken in zip(instances, occupancies, strict=True)
        ),
        without=tuple({mask: number_of[one - {mask}] for mask in one} for one in instances),
    )
