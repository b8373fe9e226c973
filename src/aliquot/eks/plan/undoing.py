"""Stopping in the middle: which of the steps that are left put back what was begun. Pure."""

from collections.abc import Sequence

from aliquot.eks.upgrade.acts.freeze import Freeze, Unfreeze
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.journal import Phase, Standing
from aliquot.eks.upgrade.states import Abort
from aliquot.eks.upgrade.steps import Step


def left(steps: Sequence[Step], standing: Sequence[Standing]) -> tuple[Step, ...]:
    """In the order of the plan, which is the order in which they put back."""
    phases = {one.step: one.phase for one in standing}
    begun = [step for step in steps if phases.get(step.id) in (Phase.BEGUN, Phase.HELD, Phase.DONE)]
    to_come = [step for step in steps if phases.get(step.id) not in (Phase.DONE, Phase.LEFT)]
    return tuple(step for step in to_come if any(_puts_back(step, one) for one in begun if one is not step))


def may_stop(steps: Sequence[Step], standing: Sequence[Standing]) -> Abort:
    """What stopping now comes to: by the furthest step that has begun."""
    phases = {one.step: one.phase for one in standing}
    begun = [step.abort for step in steps if phases.get(step.id) not in (None, Phase.TO_DO, Phase.LEFT)]
    order = list(Abort)
    return max(begun, key=order.index, default=Abort.FREE)


def _puts_back(step: Step, begun: Step) -> bool:
    if step.hop != begun.hop:
        return False
    match step.act, begun.act:
        case Unfreeze(), Freeze():
            return True
        case GroupConfig(), GroupConfig():
            return step.act.name == begun.act.name
        case ResumeGangs(), SuspendGangs():
            return not step.act.groups or bool(set(step.act.groups) & set(begun.act.groups))
    return False
