"""Who is compared: the policies, what others place by, and the references, by the names that commands know them by."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

from aliquot.partition.board_states import BoardStates
from aliquot.partition.fleet import Fleet
from aliquot.partition.policies.capability import MOST_CAPABILITY, capability
from aliquot.partition.policies.fit import BEST_FIT, FIRST_FIT, HAMI, WORST_FIT
from aliquot.partition.policies.fragmentation import least_fragmentation
from aliquot.partition.policies.policy import Policy
from aliquot.partition.simulation.bounded_migration import BoundedMigration, MoveBudget
from aliquot.partition.simulation.engine import Allocator
from aliquot.partition.simulation.free_migration import FreeMigration
from aliquot.partition.simulation.placements import Placements
from aliquot.partition.simulation.workload import Workload

BASELINE = "first-fit"
REFERENCE = "free-migration"


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    models: str
    """One line."""
    make: Callable[[BoardStates, Workload], Allocator]
    """An empty fleet for it."""
    knows_places: bool = True
    """Whether it can lose a GPU: a `Breakable`."""


def _fixed(policy: Policy, board: BoardStates, workload: Workload) -> Allocator:
    return Placements(board, Fleet(board, policy, range(workload.gpus)))


def _fragmentation(board: BoardStates, workload: Workload) -> Allocator:
    return _fixed(least_fragmentation(workload.mix.shares), board, workload)


def _few_moves(budget: MoveBudget, board: BoardStates, workload: Workload) -> Allocator:
    fleet = Fleet(board, least_fragmentation(workload.mix.shares), range(workload.gpus))
    return BoundedMigration(board, fleet, capability(board), budget)


def _free_migration(board: BoardStates, workload: Workload) -> Allocator:
    return FreeMigration(board, workload.gpus)


def moves(part: float) -> str:
    """The name of the contender that may move this part of what it admits: `moves-1%`."""
    return f"{_MOVES}{100 * part:g}%"


_MOVES = "moves-"


def _of_budget(part: float) -> Contender:
    models = f"fragmentation-gradient that may move {100 * part:g} % of what it admits"
    return Contender(moves(part), models, partial(_few_moves, MoveBudget(part)))


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(BASELINE, "dynamic resource allocation today", partial(_fixed, FIRST_FIT)),
        Contender("hami", "HAMi v2.10's order of starts", partial(_fixed, HAMI)),
        Contender("best-fit", "the fullest GPU", partial(_fixed, BEST_FIT)),
        Contender("worst-fit", "the emptiest GPU", partial(_fixed, WORST_FIT)),
        Contender("max-capability", "most placements left (MCC)", partial(_fixed, MOST_CAPABILITY)),
        Contender("fragmentation-gradient", "FGD's rule; it knows the mix", _fragmentation),
        _of_budget(0.01),
        Contender(REFERENCE, "everything may move at any time", _free_migration, knows_places=False),
    )
}


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
