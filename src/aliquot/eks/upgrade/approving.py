"""Which gate somebody's yes is for: the next one that is not open. Pure."""

from collections.abc import Sequence

from aliquot.eks.upgrade.acts.approval import Approval
from aliquot.eks.upgrade.journal import Phase, Standing
from aliquot.eks.upgrade.steps import Step

_OVER = frozenset({Phase.DONE, Phase.LEFT})


def gates_left(steps: Sequence[Step], standing: Sequence[Standing]) -> tuple[str, ...]:
    """Ids of steps, in their order; the first is where the run waits, or comes to next."""
    over = {one.step for one in standing if one.phase in _OVER}
    return tuple(step.id for step in steps if isinstance(step.act, Approval) and step.id not in over)
