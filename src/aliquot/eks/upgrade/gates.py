"""When a step may begin: in a maintenance window, where there are some. What has begun is seen to its end. Pure."""

from collections.abc import Sequence

from aliquot.eks.upgrade.acts.canary_node import CanaryNode
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.group_health import GroupHealth
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.pool_health import PoolHealth
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.windows import Window, opens_in_s

NOTICED = frozenset(
    {
        State.FREEZE,
        State.PRE_ADDONS,
        State.PRE_NODES,
        State.CONTROL_PLANE,
        State.CORE_ADDONS,
        State.CANARY_NODES,
        State.GPU_DRAIN_PREP,
        State.NODES,
        State.FARGATE,
        State.KUBE_PROXY,
    }
)
"""What people may notice. The way back is none of them: whoever goes back has waited long enough."""

_LOOKS = (CanaryNode, GroupHealth, GroupRemoval, PoolHealth, SmokeJob)
"""Among them, but of the roll or the canary before them: whether that went well nobody wants to know a week later."""


def waits_s(steps: Sequence[Step], number: int, windows: Sequence[Window], now_s: float) -> float:
    """Until the step of this number may begin; 0: now."""
    step = steps[number]
    if step.state not in NOTICED or isinstance(step.act, _LOOKS) or _jobs_are_suspended(steps, number):
        return 0.0
    return opens_in_s(windows, now_s)


def _jobs_are_suspended(steps: Sequence[Step], number: int) -> bool:
    """Between the suspension of jobs and their going on nobody waits for a window: a day without work is worse."""
    before = [step.act for step in steps[:number] if isinstance(step.act, SuspendGangs | ResumeGangs)]
    return bool(before) and isinstance(before[-1], SuspendGangs)
