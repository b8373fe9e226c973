"""Stopping in the middle: which of the steps that are left put back what was begun. Pure."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from aliquot.eks.plan import giving_up
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.freeze import Freeze, Unfreeze
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.gpu_restore import STARTUP_TAINT, RestoreGpus
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.acts.soak import Soak
from aliquot.eks.upgrade.journal import Phase, Standing
from aliquot.eks.upgrade.states import Abort
from aliquot.eks.upgrade.steps import Step

_PUTTING_BACK = (Unfreeze, GroupConfig, GroupRemoval, ResumeGangs)


def left(steps: Sequence[Step], standing: Sequence[Standing]) -> tuple[Step, ...]:
    """In the order of the plan, which is the order in which they put back. A plan that is itself the rest of another one has what puts
    back without what it puts back: that is due, too."""
    phases = {one.step: one.phase for one in standing}
    begun = _begun(steps, standing)
    to_come = [step for step in steps if phases.get(step.id) not in (Phase.DONE, Phase.LEFT)]
    given_up = giving_up.left(steps, begun, to_come)
    return (
        *given_up,
        *_smoke_jobs_go(begun, to_come),
        *_rolls_settle(begun, to_come),
        *(
            step
            for number, step in enumerate(steps)
            if step in to_come
            and step not in given_up
            and isinstance(step.act, _PUTTING_BACK)
            and not (isinstance(step.act, ResumeGangs) and not step.act.uncordons)
            and not (isinstance(step.act, GroupRemoval) and not step.act.only_copy)
            and (
                any(_puts_back(step, one) for one in begun if one is not step)
                or not any(_puts_back(step, one) for one in steps[:number])
            )
            and not _first_of_two(step, steps[number + 1 :])
        ),
    )


def _smoke_jobs_go(begun: Sequence[Step], to_come: Sequence[Step]) -> Iterator[Step]:
    for step in to_come:
        if not isinstance(step.act, SmokeJob):
            continue
        if step.act.goes:
            yield step
        elif step in begun:
            what = f"smoke job {step.act.name} is taken away"
            yield replace(
                step, id=f"{step.id}/goes", what=what, act=replace(step.act, goes=True), disrupts="", back=""
            )


def _rolls_settle(begun: Sequence[Step], to_come: Sequence[Step]) -> Iterator[Step]:
    """Before anybody goes on: who came back to nodes that EKS is about to take would be cut."""
    for step in to_come:
        if not isinstance(step.act, GroupRoll):
            continue
        if step.act.only_settles:
            yield step
        elif step in begun:
            what = f"EKS sees the update of node group {step.act.name} to its end"
            act = replace(step.act, only_settles=True)
            yield replace(step, id=f"{step.id}/settles", what=what, act=act, call=None, disrupts="", back="")


def stays(steps: Sequence[Step], standing: Sequence[Standing]) -> tuple[str, ...]:
    """What nobody puts back, in sentences: new GPU nodes that have not all yet that the old ones had."""
    phases = {one.step: one.phase for one in standing}
    begun = _begun(steps, standing)
    groups = dict.fromkeys(
        group
        for step in steps
        if isinstance(step.act, RestoreGpus) and phases.get(step.id) not in (Phase.DONE, Phase.LEFT)
        for group in step.act.groups
        if any(isinstance(one.act, GroupRoll) and one.act.name == group for one in begun)
    )
    return tuple(
        f"new nodes of node group {group} lack what single nodes were given, and keep the taint {STARTUP_TAINT} where they came with it"
        for group in groups
    )


def may_stop(steps: Sequence[Step], standing: Sequence[Standing]) -> Abort:
    """What stopping now comes to, by the hop that goes on. Between two hops nothing stands still, and nobody is in the middle of anything."""
    phases = {one.step: one.phase for one in standing}
    begun = _begun(steps, standing)
    if not begun:
        return Abort.FREE
    of_hop = [step for step in steps if step.hop == begun[-1].hop]
    if all(phases[step.id] is Phase.DONE for step in of_hop if not isinstance(step.act, Soak)):
        return Abort.FREE
    if has_gone_on(of_hop, standing):
        return Abort.ROLLBACK
    order = list(Abort)
    return max((step.abort for step in begun if step in of_hop), key=order.index)


def has_gone_on(steps: Sequence[Step], standing: Sequence[Standing]) -> bool:
    """The control plane, by a step of this run."""
    done = {one.step for one in standing if one.phase is Phase.DONE}
    return any(isinstance(step.act, ControlPlane) and step.id in done for step in steps)


def on_its_way(steps: Sequence[Step], standing: Sequence[Standing]) -> ControlPlane | None:
    """What may have been asked for, and only AWS knows what has become of it."""
    open_ = {one.step for one in standing if one.was_begun and one.phase is not Phase.DONE}
    return next((step.act for step in steps if isinstance(step.act, ControlPlane) and step.id in open_), None)


def _begun(steps: Sequence[Step], standing: Sequence[Standing]) -> list[Step]:
    begun = {one.step for one in standing if one.was_begun}
    return [step for step in steps if step.id in begun]


def _first_of_two(step: Step, later: Sequence[Step]) -> bool:
    """A group's configuration is changed, and later put back: the change itself puts nothing back."""
    return isinstance(step.act, GroupConfig) and any(_puts_back(one, step) for one in later)


def _puts_back(step: Step, begun: Step) -> bool:
    if step.hop != begun.hop:
        return False
    match step.act, begun.act:
        case Unfreeze(), Freeze():
            return True
        case GroupConfig(), GroupConfig():
            return step.act.name == begun.act.name
        case GroupRemoval(), GroupCopy():
            return step.act.only_copy and step.act.name == begun.act.name
        case ResumeGangs(), SuspendGangs():
            return not step.act.places or bool(set(step.act.places) & set(begun.act.places))
    return False
