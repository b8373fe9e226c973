"""The numbers that others count as well (published counts of layouts), and what the tables promise."""

from itertools import pairwise

import pytest

from aliquot.gpu.boards import board
from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Slice
from aliquot.partition.board_states import BoardStates, ordinary, states_of


def profiles_of(key: str, without: str = "-") -> tuple[InstanceProfile, ...]:
    mig = board(key).mig
    assert mig is not None
    return tuple(p for p in ordinary(mig.instance_profiles()) if p.name != without)


@pytest.mark.parametrize(
    ("key", "without", "states", "occupancies", "multisets", "maximal"),
    [
        ("a30-24gb", "-", 26, 16, 10, 4),
        ("a100-80gb", "1g.20gb", 298, 144, 38, 12),
        ("a100-80gb", "-", 723, 192, 78, 28),
        ("h100-80gb", "-", 723, 192, 78, 28),
    ],
)
def test_the_numbers_of_a_board(
    key: str, without: str, states: int, occupancies: int, multisets: int, maximal: int
) -> None:
    tables = BoardStates(profiles_of(key, without))
    found = len(tables.states), len(tables.occupancies), len(set(tables.counts)), len(tables.maximal_counts)
    assert found == (states, occupancies, multisets, maximal)


def test_tables_agree_with_the_layouts() -> None:
    tables = states_of(profiles_of("h100-80gb"))
    assert tables.states[0] == () and tables.occupancies[0] == 0
    assert all(a < b for a, b in pairwise(tables.occupancies))
    for number, state in enumerate(tables.states):
        taken = tables.occupancy(state)
        assert tables.number_of[frozenset(state)] == number
        for profile, reported in enumerate(tables.profiles):
            beside = [Slice(tables.profiles[p.profile].profile_id, p.start) for p in state]
            free = tables.geometry.free_placements(reported.profile_id, beside)
            assert [p.start for p in tables.fitting(profile, taken)] == [p.start for p in free]
