"""What a GPU is worth to those who come later, as placement counts it: for single GPUs.

`Fleet` keeps GPUs by how they are divided and places by the same scores; this is for those who know one GPU at a time,
with slices on it that could also go.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Geometry, Slice, geometry_of, mask
from aliquot.partition.board_states import BoardStates, Placing, ordinary, states_of
from aliquot.partition.divisions import Divisions, divisions_of
from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY
from aliquot.partition.policies.learned import shape
from aliquot.partition.policies.policy import Policy, Score, same_score
from aliquot.partition.suited import SuitedPolicy
from aliquot.partition.value_tables import ValueTable, shipped


@dataclass(slots=True)
class _Board:
    states: BoardStates
    divisions: Divisions
    number_of: Mapping[str, int]
    """By shape: the index of the profile. Profiles that differ in media engines alone are one."""
    suited: SuitedPolicy
    scores: dict[str, Score] = field(default_factory=dict)
    """By policy, of those that were in use."""

    def score(self) -> Score:
        policy = self.suited.policy
        found = self.scores.get(policy.name)
        if found is None:
            found = self.scores[policy.name] = policy.scores(self.divisions)
        return found


class Valuation:
    """By the policy that suits what is asked for, on each board. `observe` is what it lives by; without it, that is the rule.

    `tables`: the shipped ones, unless others are given. No two of one board have the same name.
    """

    def __init__(self, tables: Sequence[ValueTable] | None = None) -> None:
        self._tables = shipped() if tables is None else tuple(tables)
        self._boards: dict[Geometry, _Board] = {}

    def policy(self, profiles: Sequence[InstanceProfile]) -> Policy:
        """The one in use on boards with these profiles: answers hold for as long as it is."""
        board = self._boards.get(geometry_of(profiles))
        return MOST_SLOT_CAPABILITY if board is None else board.suited.policy

    def learned(self) -> Iterator[tuple[tuple[InstanceProfile, ...], ValueTable]]:
        """Boards, by their profiles, on which a table is in use, and which."""
        for geometry, board in self._boards.items():
            if (table := board.suited.table) is not None:
                yield tuple(geometry.profiles.values()), table

    def use(self, profiles: Sequence[InstanceProfile], table: ValueTable) -> None:
        """As if what was asked for were like the mix of that table, one of `tables`."""
        self._board(profiles).suited.use(table)

    def observe(self, profiles: Sequence[InstanceProfile], profile: InstanceProfile) -> bool:
        """A slice of `profile` is asked for, once for each. Returns whether another policy is in use from now on."""
        board = self._board(profiles)
        number = board.number_of.get(shape(profile))
        return number is not None and board.suited.observe(number)

    def loss(self, profiles: Sequence[InstanceProfile], held: Sequence[Slice], new: Slice) -> float:
        """By how much the GPU is worth less once `new` is beside `held`; less is better. By the rule it is in memory slots;
        by what was learned it may be below 0."""
        board, geometry = self._board(profiles), geometry_of(profiles)
        after, division = board.divisions.after, 0
        for slice_ in held:
            # Of two in the same slots the second waits for the first to go.
            division = after[division].get(geometry.occupancy((slice_,)), division)
        # The score of a placing goes by its slots.
        placing = Placing(0, new.start, geometry.occupancy((new,)))
        if placing.mask not in after[division]:
            return 0.0
        return -same_score(board.score()(division, placing))

    def starts(self, profiles: Sequence[InstanceProfile], profile: InstanceProfile) -> Sequence[int]:
        """Those of `profile` in the order in which the policy takes them where its loss is the same."""
        board = self._board(profiles)
        number = board.number_of.get(shape(profile), 0)
        placements = sorted(profile.placements, key=lambda placement: placement.start)
        placings = [Placing(number, placement.start, mask(placement)) for placement in placements]
        return [placing.start for placing in board.suited.policy.starts(board.states, placings)]

    def _board(self, profiles: Sequence[InstanceProfile]) -> _Board:
        geometry = geometry_of(profiles)
        found = self._boards.get(geometry)
        if found is None:
            states = states_of(_of_different_slots(tuple(geometry.profiles.values())))
            numbers = {shape(profile): number for number, profile in enumerate(states.profiles)}
            suited = SuitedPolicy(states, self._tables)
            found = self._boards[geometry] = _Board(states, divisions_of(states), numbers, suited)
        return found


BY_RULE = Valuation(())
"""By `max-slot-capability`, whatever is asked for."""


def _of_different_slots(profiles: Sequence[InstanceProfile]) -> tuple[InstanceProfile, ...]:
    """The ordinary ones, and of the others those whose slots none of these takes."""
    found = list(ordinary(profiles))
    for profile in profiles:
        taken = {placement for one in found for placement in one.placements}
        if not taken.issuperset(profile.placements):
            found.append(profile)
    return tuple(found)
