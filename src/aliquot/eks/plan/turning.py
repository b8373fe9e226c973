"""What becomes of a run that is stopped or turned round, and what the way back of one that is over has from it. Pure."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.updates import Progress
from aliquot.eks.plan import going_back, hashing, undoing
from aliquot.eks.plan import plan as plans
from aliquot.eks.plan.hashing import FoundGroup
from aliquot.eks.plan.plan import Options, Pin, Plan
from aliquot.eks.plan.targets import Targets
from aliquot.eks.upgrade.acts import control_plane
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.journal import Standing
from aliquot.eks.upgrade.states import Abort
from aliquot.eks.versions.minor import Minor


class CannotTurn(Exception):
    """Not now: one line."""


def stops(plan: Plan, standing: Sequence[Standing], seen: control_plane.Seen | None) -> Abort:
    """What stopping comes to. `seen`: the control plane, where `undoing.on_its_way`: of one that was asked to go on the journal does not
    know what has become, AWS does. Raises CannotTurn."""
    act = undoing.on_its_way(plan.steps, standing)
    if act is not None and seen is not None:
        running = [one.id for one in seen.updates if one.progress is Progress.IN_PROGRESS]
        if running:
            raise CannotTurn(
                f"EKS is at update {running[-1]} of the control plane of {plan.cluster}, which nobody can stop: "
                "once it is over, say this again"
            )
        if seen.version == str(act.to):
            return Abort.ROLLBACK
    return undoing.may_stop(plan.steps, standing)


def stopped(plan: Plan, standing: Sequence[Standing]) -> Plan:
    """The same run, with nothing left to do but to put back what it has begun."""
    return plans.instead(plan, undoing.left(plan.steps, standing), [one.step for one in standing])


def options(before: Plan | None, now: Minor, pins: tuple[Pin, ...] = ()) -> Options:
    """Of the way back from a minor. `before`: the last run of the cluster, if there is one: where it led here, it is gone back as it was
    come, to the releases that groups had. `pins`: what somebody says now, which counts before."""
    if before is None or now not in {hop.to for hop in before.hops}:
        return Options(pins=pins)
    return replace(before.options, pins=(*pins, *before.options.pins, *_had(before, now.previous)))


def back(
    estate: Estate, targets: Targets, wanted: Options, before: Plan | None, standing: Sequence[Standing]
) -> Plan:
    """`before`: the run that is turned round; None: there is none that goes on. Raises CannotPlan."""
    undo = () if before is None else undoing.left(before.steps, standing)
    way = going_back.plan(estate, targets, wanted, undo=undo)
    return plans.instead(way, way.steps, [one.step for one in standing])


def _had(before: Plan, at: Minor) -> Iterator[Pin]:
    """What node groups had at a minor: what a hop gave them, or what they were found with. Of one that took another one's place: by its name."""
    had = {one.name: one for one in hashing.groups(before.state)}
    for act in (step.act for step in before.steps):
        match act:
            case GroupRoll() if act.minor <= at and act.name in had:
                had[act.name] = _given(had[act.name], act)
            case GroupCopy() if act.minor <= at and not act.canary and act.of in had:
                had[act.name] = replace(_given(had.pop(act.of), act), name=act.name)
    for one in had.values():
        if one.minor == str(at):
            yield Pin(group=one.name, minor=at, release=one.release, template_version=one.template_version)


def _given(had: FoundGroup, act: GroupRoll | GroupCopy) -> FoundGroup:
    return replace(
        had,
        minor=str(act.minor),
        release=act.release,
        template_version=act.template.get("version", had.template_version),
    )
