"""From an estate and targets to a plan. Pure: the same in, the same out."""

from datetime import UTC, date, datetime
from itertools import pairwise

from msgspec.structs import replace

from aliquot.eks.estate.estate import RESERVATIONS, Estate
from aliquot.eks.plan import blue_green, costs, hashing, pins, refusing
from aliquot.eks.plan.hops import PARTS
from aliquot.eks.plan.noting import notes, short_windows
from aliquot.eks.plan.passing import after
from aliquot.eks.plan.placing import Placement, placement
from aliquot.eks.plan.plan import CannotPlan, Hop, NothingToDo, Options, Plan, identity
from aliquot.eks.plan.targets import Targets, minors
from aliquot.eks.plan.way import Way
from aliquot.eks.preflight.surge import nodes_on_top
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.upgrade import rights
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.pool_roll import PoolRoll
from aliquot.eks.upgrade.acts.preflight import Preflight
from aliquot.eks.upgrade.acts.rights_check import RightsCheck
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions import calendar as calendars
from aliquot.eks.versions.minor import Minor

CHANGES = (ControlPlane, AddonBuild, GroupRoll, PoolRoll)
"""Acts after which something is at another version. A plan without any, and in which no group takes another one's place, has nothing to do."""
_TELL = ("minors that EKS has", "subnets", "instance types", RESERVATIONS)


def plan(estate: Estate, to: Minor, targets: Targets, options: Options) -> Plan:
    """Raises CannotPlan."""
    check(estate, to)
    calendar, today = estate.calendar or calendars.shipped(), today_of(estate)
    _known_groups(estate, options)
    pins.check(estate, options.pins, to)
    pins.check_templates(estate, options, targets, minors(estate.cluster.minor, to))
    _known_addons(estate, options)
    _once(options)
    hops = _hops(estate.cluster.minor, to)
    found = hashing.state(estate)
    where = placement(estate)
    bare = Plan(
        cluster=estate.cluster.name,
        arn=estate.cluster.arn,
        made_s=estate.read_s,
        now=estate.cluster.minor,
        to=to,
        options=options,
        hops=hops,
        steps=(),
        state=found,
        state_hash=hashing.hashed(found),
        notes=notes(estate, where, hops, calendar, today, options),
        unchecked=_unchecked(estate, where, targets),
    )
    steps = _steps(estate, where, bare, targets, "")
    if not any(isinstance(step.act, CHANGES) for step in steps) and not blue_green.standing_in(steps):
        raise NothingToDo(
            f"cluster {estate.cluster.name} is at {to}, and so is all of it: there is nothing to do"
        )
    bare = replace(bare, notes=(*bare.notes, *short_windows(steps, options)))
    surge = _surge(estate, steps, targets)
    whole = replace(
        bare,
        steps=steps,
        costs=costs.of(bare.now, to, calendar, today, surge),
        notes=(*bare.notes, *blue_green.notes(where, options, steps)),
    )
    id_ = identity(whole)
    return replace(whole, id=id_, steps=_steps(estate, where, bare, targets, id_))


def check(estate: Estate, to: Minor) -> None:
    """What speaks against any plan that leads there, whatever else is read. Raises CannotPlan."""
    refusing.check(estate, to, estate.calendar or calendars.shipped(), today_of(estate))


def today_of(estate: Estate) -> date:
    return datetime.fromtimestamp(estate.read_s, UTC).date()


def _hops(now: Minor, to: Minor) -> tuple[Hop, ...]:
    way = minors(now, to)
    return tuple(Hop(now=a, to=b) for a, b in pairwise(way)) or (Hop(now=now, to=now),)


def _steps(estate: Estate, where: Placement, plan: Plan, targets: Targets, approved: str) -> tuple[Step, ...]:
    found: list[Step] = []
    for hop in plan.hops:
        for part in PARTS:
            names = blue_green.standing_in(found)
            way = Way(
                estate=estate,
                placement=where.renamed(names),
                hop=hop,
                last=hop == plan.hops[-1],
                targets=targets,
                options=plan.options.renamed(names),
                plan=approved,
                today=today_of(estate),
                instead=blue_green.standing_in(step for step in found if step.hop == hop.to),
            )
            for step in part(way):
                found.append(step)
                estate = after(estate, step.act)
    return _with_rights(tuple(found), plan.arn)


def _with_rights(steps: tuple[Step, ...], arn: str) -> tuple[Step, ...]:
    """After the first preflight: all that the steps will take, for half way it is too late."""
    number = next(number for number, step in enumerate(steps, 1) if isinstance(step.act, Preflight))
    wanted = RightsCheck(
        in_cluster=rights.of(step.act for step in steps),
        at_aws=rights.at_aws((step.call for step in steps if step.call is not None), arn),
    )
    first = steps[number - 1]
    return (
        *steps[:number],
        Step(
            id=f"{first.id}/rights",
            state=first.state,
            hop=first.hop,
            what="whoever runs this may do what its steps do, in the cluster and at AWS",
            act=wanted,
            expected_s=60,
            at_most_s=300,
        ),
        *steps[number:],
    )


def _known_groups(estate: Estate, options: Options) -> None:
    names = {one.name for one in estate.nodegroups}
    smoked = (one.group for one in options.smokes if one.group)
    for name in (*options.no_surge, *options.blue_green, *smoked):
        if name not in names:
            raise CannotPlan(
                f"cluster {estate.cluster.name} has no node group {name}: it has {', '.join(sorted(names)) or 'none'}"
            )


def _known_addons(estate: Estate, options: Options) -> None:
    names = {one.name for one in estate.addons}
    for one in options.conflicts:
        if one.addon not in names:
            raise CannotPlan(
                f"cluster {estate.cluster.name} has no add-on {one.addon}: it has {', '.join(sorted(names)) or 'none'}"
            )


def _once(options: Options) -> None:
    named = [(one.group, one.name) for one in options.smokes]
    for group, name in named:
        if named.count((group, name)) > 1:
            on = f" on node group {group}" if group else ""
            raise CannotPlan(f"smoke job {name} is given twice{on}: give the other one another metadata.name")


def _unchecked(estate: Estate, where: Placement, targets: Targets) -> tuple[Unchecked, ...]:
    """What would have decided steps, or told of them; the rest is the preflight's."""
    found = [one for one in estate.unchecked if one.what in _TELL]
    found += targets.unchecked
    if not where.known:
        found.append(
            Unchecked(
                what="gangs, and who moves",
                why="no API server was asked"
                if estate.objects is None
                else "pods or nodes of the cluster could not be read",
            )
        )
    return tuple(dict.fromkeys(found))


def _surge(estate: Estate, steps: tuple[Step, ...], targets: Targets) -> tuple[costs.Surge, ...]:
    found = []
    for number, step in enumerate(steps):
        act = step.act
        name = act.of if isinstance(act, GroupCopy) else act.name if isinstance(act, GroupRoll) else ""
        group = next((one for one in estate.nodegroups if one.name == name), None)
        if group is not None:
            nodes, hours = nodes_on_top(estate, group), step.expected_s / 3600
            if isinstance(act, GroupCopy):
                nodes = group.desired if act.size is None else act.size
                hours = _both_s(act, steps[number:]) / 3600
            kind = next(iter(estate.types_of(group)), "")
            usd = targets.usd_per_hour.get(kind)
            found.append(
                costs.Surge(
                    group=group.name,
                    hop=step.hop,
                    instance_type=kind,
                    nodes=nodes,
                    hours=round(hours, 3),
                    usd=None if usd is None else round(usd * nodes * hours, 2),
                )
            )
        estate = after(estate, act)
    return tuple(one for one in found if one.nodes)


def _both_s(copy: GroupCopy, steps: tuple[Step, ...]) -> float:
    """From this copy's step until one of the two groups is gone."""
    until = next(
        number
        for number, step in enumerate(steps, start=1)
        if isinstance(step.act, GroupRemoval) and step.act.name in (copy.name, copy.of)
    )
    return sum(step.expected_s for step in steps[:until])
