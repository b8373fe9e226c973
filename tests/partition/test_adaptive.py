"""What the default places by as the mix of requests becomes known, and changes."""

import random

import pytest

from aliquot.partition.adaptive import AdaptiveFleet
from aliquot.partition.placer import place
from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY
from aliquot.partition.suited import ENOUGH, NEAR, REMEMBERED, distance
from aliquot.partition.value_tables import ValueTable, shipped
from tests.partition.boards import states

SMALL = (0.40, 0.15, 0.25, 0.10, 0.05, 0.05)
BIG = (0.05, 0.05, 0.10, 0.25, 0.25, 0.30)


def ask(fleet: AdaptiveFleet, shares: tuple[float, ...], requests: int, seed: int = 1) -> list[str]:
    """The policies that were used, in order, without repetition."""
    rng = random.Random(seed)
    used = [fleet.policy.name]
    for profile in rng.choices(range(len(shares)), shares, k=requests):
        fleet.observe(profile)
        if fleet.policy.name != used[-1]:
            used.append(fleet.policy.name)
    return used


@pytest.mark.parametrize("table", shipped(), ids=lambda table: table.name)
def test_a_known_mix_is_found_and_kept(table: ValueTable) -> None:
    fleet = AdaptiveFleet(states(), range(3))
    assert ask(fleet, table.mix(states()), ENOUGH - 1) == [MOST_SLOT_CAPABILITY.name]
    for seed in range(5):
        assert ask(fleet, table.mix(states()), 5 * REMEMBERED, seed)[-1] == f"learned/{table.name}"
    assert len(ask(fleet, table.mix(states()), 5 * REMEMBERED)) == 1


def test_a_drifted_mix_is_followed() -> None:
    fleet = AdaptiveFleet(states(), range(3))
    ask(fleet, SMALL, 2 * REMEMBERED)
    used = ask(fleet, BIG, 5 * REMEMBERED)
    assert used[0] == "learned/skew-small" and used[-1] == MOST_SLOT_CAPABILITY.name


def test_a_mix_like_none_is_placed_by_the_rule() -> None:
    alike = (0.0, 0.5, 0.0, 0.5, 0.0, 0.0)
    assert all(distance(table.mix(states()), alike) > 2 * NEAR for table in shipped())
    fleet = AdaptiveFleet(states(), range(3))
    assert ask(fleet, alike, 5 * REMEMBERED) == [MOST_SLOT_CAPABILITY.name]
    ask(fleet, SMALL, 5 * REMEMBERED)
    assert ask(fleet, alike, 5 * REMEMBERED)[-1] == MOST_SLOT_CAPABILITY.name


def test_tables_of_other_boards_are_left_out() -> None:
    fleet = AdaptiveFleet(states("a30-24gb"), range(3))
    share = 1 / len(states("a30-24gb").profiles)
    assert ask(fleet, (share,) * len(states("a30-24gb").profiles), 5 * REMEMBERED) == [
        MOST_SLOT_CAPABILITY.name
    ]


def test_what_is_placed_stays_when_the_policy_changes() -> None:
    fleet = AdaptiveFleet(states(), range(20))
    held = [place(fleet, profile) for profile in (0, 1, 2, 3, 4, 5, 0, 0)]
    before = {gpu: fleet.occupancy(gpu) for gpu in fleet.gpus()}
    assert len(ask(fleet, SMALL, REMEMBERED)) > 1
    assert {gpu: fleet.occupancy(gpu) for gpu in fleet.gpus()} == before
    for choice in held:
        assert choice is not None
        fleet.release(*choice)
    assert fleet.counts() == {0: 20}


def test_distance_is_the_part_of_the_requests_that_differ() -> None:
    assert distance((0.5, 0.5), (0.5, 0.5)) == 0
    assert distance((1.0, 0.0), (0.0, 1.0)) == 1
    assert distance((0.6, 0.4), (0.4, 0.6)) == pytest.approx(0.2)
