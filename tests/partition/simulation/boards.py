"""Boards as the simulation's tests need them."""

from aliquot.gpu.boards import board
from aliquot.partition.board_states import BoardStates, ordinary, states_of


def states(key: str) -> BoardStates:
    mig = board(key).mig
    assert mig is not None
    return states_of(ordinary(mig.instance_profiles()))
