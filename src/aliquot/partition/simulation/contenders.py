"""Who is compared: the ways of placement, those that may move a few, and the reference, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

from aliquot.partition.adaptive import AdaptiveFleet
from aliquot.partition.board_states import BoardStates
from aliquot.partition.fleet import Fleet
from aliquot.partition.policies.baselines import BASELINES, Maker
from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY, slot_capability
from aliquot.partition.simulation.bounded_migration import BoundedMigration, MoveBudget
from aliquot.partition.simulation.engine import Allocator
from aliquot.partition.simulation.free_migration import FreeMigration
from aliquot.partition.simulation.placements import Placements
from aliquot.partition.simulation.workload import Workload

BASELINE = "first-fit"
REFERENCE = "free-migration"

_STANDING = {"static-balanced"}
"""Their instances are there from the beginning, and stay."""


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    make: Callable[[BoardStates, Workload], Allocator]
    """An empty fleet for it."""
    knows_places: bool = True
    """Whether it can lose a GPU: a `Breakable`."""


def _placed_once(maker: Maker, cuts: bool, board: BoardStates, workload: Workload) -> Allocator:
    placer = maker(board, range(workload.gpus), workload.mix.shares)
    return Placements(board, placer, cuts=cuts)


def _default(board: BoardStates, workload: Workload) -> Allocator:
    return Placements(board, AdaptiveFleet(board, range(workload.gpus)))


def _few_moves(budget: MoveBudget, board: BoardStates, workload: Workload) -> Allocator:
    fleet = Fleet(board, MOST_SLOT_CAPABILITY, range(workload.gpus))
    return BoundedMigration(board, fleet, slot_capability(board), budget)


def _free_migration(board: BoardStates, workload: Workload) -> Allocator:
    return FreeMigration(board, workload.gpus)


def moves(part: float) -> str:
    """The name of the contender that may move this part of what it admits: `moves-1%`."""
    return f"{_MOVES}{100 * part:g}%"


_MOVES = "moves-"


def _of_budget(part: float) -> Contender:
    return Contender(moves(part), partial(_few_moves, MoveBudget(part)))


CONTENDERS = {
    contender.name: contender
    for contender in (
        *(
            Contender(name, partial(_placed_once, maker, name not in _STANDING))
            for name, maker in BASELINES.items()
        ),
        Contender("default", _default),
        _of_budget(0.01),
        Contender(REFERENCE, _free_migration, knows_places=False),
    )
}


QUICK = tuple(name for name in CONTENDERS if name not in ("node-spreading", "count-batching"))
"""Without those that look at every node or GPU for a decision."""


class UnknownContender(ValueError):
    """One line."""


def contender_of(name: str) -> Contender:
    """One of CONTENDERS, or `moves-PART%`. Raises UnknownContender."""
    if name in CONTENDERS:
        return CONTENDERS[name]
    if name.startswith(_MOVES) and name.endswith("%"):
        try:
            percent = float(name[len(_MOVES) : -1])
        except ValueError:
            percent = -1.0
        if 0 <= percent < inf:
            return _of_budget(percent / 100)
    raise UnknownContender(
        f"no policy '{name}'; there are {', '.join(CONTENDERS)}, and moves-2% and the like"
    )
