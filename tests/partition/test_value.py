"""Single GPUs are valued as the fleet values them, on every board there is."""

import random

import pytest

from aliquot.gpu import boards
from aliquot.gpu.layout import Slice, geometry_of
from aliquot.partition.fleet import Fleet
from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY
from aliquot.partition.value import BY_RULE
from tests.partition.boards import states as tables

BOARDS = [board.key for board in boards.boards() if board.mig and board.mig.instance_profiles()]


@pytest.mark.parametrize("key", BOARDS)
def test_every_slice_that_fits_has_a_loss(key: str) -> None:
    mig = boards.board(key).mig
    assert mig is not None
    profiles, rng = mig.instance_profiles(), random.Random(key)
    geometry = geometry_of(profiles)
    for _ in range(50):
        held: list[Slice] = []
        while fitting := [slice_ for slice_ in geometry.placements if geometry.fits(slice_, held)]:
            for slice_ in fitting:
                assert BY_RULE.loss(profiles, held, slice_) >= 0
            held.append(rng.choice(fitting))


def test_the_least_loss_is_where_the_fleet_places() -> None:
    states, rng = tables("h100-80gb"), random.Random(1)
    profiles = states.profiles
    for _ in range(200):
        state = rng.choice(states.states)
        fleet = Fleet(states, MOST_SLOT_CAPABILITY, {0: state})
        held = [Slice(profiles[placing.profile].profile_id, placing.start) for placing in state]
        for number, profile in enumerate(profiles):
            fitting = states.fitting(number, states.occupancy(state))
            losses = {
                p.start: BY_RULE.loss(profiles, held, Slice(profile.profile_id, p.start)) for p in fitting
            }
            chosen = fleet.choose(number)
            if chosen is None:
                assert not losses
            else:
                assert losses[chosen[1].start] == pytest.approx(min(losses.values()))
