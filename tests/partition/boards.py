"""Boards whose tables tests share: they take a moment to make."""

from aliquot.gpu.boards import board
from aliquot.partition.board_states import BoardStates, ordinary, states_of


def states(key: str = "h100-80gb") -> BoardStates:
    mig = board(key).mig
    assert mig is not None
    return states_of(ordinary(mig.instance_profiles()))


def profile(tables: BoardStates, name: str) -> int:
    return [one.name for one in tables.profiles].index(name)
