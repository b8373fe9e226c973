"""Who is compared: the ways of placement, those that may move a few, and what could be had at best, by name."""

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
from aliquot.partition.simulation.hindsight import Hindsight, best_choice
from aliquot.partition.simulation.placements import Placements
from aliquot.partition.simulation.workload import Trace, Workload

BASELINE = "first-fit"
REFERENCE = "free-migration"
OPTIMUM = "optimum"

_PROVEN_WITHIN_S = 120.0
"""Some ten times what the largest cell of the suite takes."""

_STANDING = {"static-balanced"}
"""Their instances are there from the beginning, and stay."""


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    make: Callable[[BoardStates, Workload, Trace], Allocator]
    """An empty fleet for it."""
    knows_places: bool = True
    """Whether it can lose a GPU: a `Breakable`."""
    foresees: bool = False
    """It knows the trace, and so has nobody wait."""

    def plays(self, *, queueing: bool, outages: bool) -> bool:
        return (self.knows_places or not outages) and not (self.foresees and queueing)


def _placed_once(
    maker: Maker, cuts: bool, board: BoardStates, workload: Workload, _trace: Trace
) -> Allocator:
    placer = maker(board, range(workload.gpus), workload.mix.shares)
    return Placements(board, placer, cuts=cuts)


def _default(board: BoardStates, workload: Workload, _trace: Trace) -> Allocator:
    return Placements(board, AdaptiveFleet(board, range(workload.gpus)))


def _few_moves(budget: MoveBudget, board: BoardStates, workload: Workload, _trace: Trace) -> Allocator:
    fleet = Fleet(board, MOST_SLOT_CAPABILITY, range(workload.gpus))
    return BoundedMigration(board, fleet, slot_capability(board), budget)


def _free_migration(board: BoardStates, workload: Workload, _trace: Trace) -> Allocator:
    return FreeMigration(board, workload.gpus)


def _hindsight(board: BoardStates, workload: Workload, trace: Trace) -> Allocator:
    return Hindsight(
        board, workload.gpus, best_choice(board, workload.gpus, trace, within_s=_PROVEN_WITHIN_S)
    )


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
"""Those that play at every size."""

_BY_NAME = {**CONTENDERS, OPTIMUM: Contender(OPTIMUM, _hindsight, knows_places=False, foresees=True)}


class UnknownContender(ValueError):
    """One line."""


def contender_of(name: str) -> Contender:
    """One of CONTENDERS, `moves-PART%`, or `optimum`. Raises UnknownContender."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith(_MOVES) and name.endswith("%"):
        try:
            percent = float(name[len(_MOVES) : -1])
        except ValueError:
            percent = -1.0
        if 0 <= percent < inf:
            return _of_budget(percent / 100)
    raise UnknownContender(f"no policy '{name}'; there are {', '.join(_BY_NAME)}, and moves-2% and the like")
