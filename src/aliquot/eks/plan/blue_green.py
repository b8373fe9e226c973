"""Node groups that others take the place of: a copy at the new minor is made, theirs are emptied as long as it takes, and they go."""

import re
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate, Nodegroup
from aliquot.eks.estate.group_selectors import stays_behind
from aliquot.eks.estate.job_kinds import Way as GangWay
from aliquot.eks.plan import new_nodes, rolling
from aliquot.eks.plan.placing import Placement
from aliquot.eks.plan.plan import CannotPlan, Options
from aliquot.eks.plan.times import duration
from aliquot.eks.plan.way import Way
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.gpu_restore import RestoreGpus, SaveGpus
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_drain import GroupDrain
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions.minor import Minor

MINUTE_S = 60.0
LONGEST_NAME = 63
"""Of a node group, in EKS."""
_SUFFIX = re.compile(r"-1-\d+$")


def stem(name: str) -> str:
    """Without the minor that an earlier one was named after."""
    return _SUFFIX.sub("", name)


def green(name: str, to: Minor) -> str:
    return f"{stem(name)}-{to.major}-{to.minor}"


def chosen(way: Way, groups: Iterable[Nodegroup]) -> tuple[Nodegroup, ...]:
    return tuple(one for one in groups if one.name in way.options.blue_green)


def steps(way: Way, group: Nodegroup, roll: GroupRoll, *, before: bool) -> Iterator[Step]:
    """`before`: the control plane goes on. Raises CannotPlan."""
    state = State.PRE_NODES if before else State.NODES
    name = green(group.name, roll.minor)
    _check(way, group, name)
    copy = GroupCopy(
        cluster=way.cluster,
        name=name,
        of=group.name,
        minor=roll.minor,
        release=roll.release,
        template=roll.template,
        size=None,
    )
    has_gpus = rolling.has_gpus(way.estate, group)
    if has_gpus:
        yield way.step(
            state,
            f"what nodes of node group {group.name} were given is kept: MIG layouts, labels, taints",
            SaveGpus(cluster=way.cluster, groups=(group.name,)),
            f"save/{group.name}",
            minutes=(1, 10),
        )
    yield way.step(
        state,
        f"node group {name} is made, like {group.name} and of {roll.minor}",
        copy,
        f"copy/{name}",
        minutes=(10, 40),
        back=f"empty node group {name}, and delete it",
    )
    yield new_nodes.health(way, state, name, roll.minor)
    if has_gpus:
        yield way.step(
            state,
            f"nodes of node group {name} are given what those of {group.name} have, and offer as many GPUs",
            RestoreGpus(
                groups=(group.name,),
                minor=roll.minor,
                drivers=new_nodes.drivers((group,), {group.name: roll}),
                instead={group.name: name},
            ),
            f"gpus/{name}",
            minutes=(10, 30),
        )
    for smoke in way.options.smokes:
        if smoke.group == group.name:
            yield way.smoke(state, replace(smoke, group=name))
    yield from _emptied(way, state, group, name)


def _emptied(way: Way, state: State, group: Nodegroup, name: str) -> Iterator[Step]:
    suspend = SuspendGangs(
        cluster=way.cluster,
        places=(group.name,),
        deadline_s=way.options.checkpoint_s,
        may_scale=way.options.scale_gangs,
        may_evict=way.options.evict_gangs,
        may_stay=True,
    )
    yield way.step(
        state,
        f"nodes of node group {group.name} are cordoned; gangs on them that can be suspended save what they have done, and are",
        suspend,
        f"suspend/{group.name}",
        minutes=(5, (suspend.deadline_s + suspend.leave_s) / MINUTE_S),
        disrupts=_who_stands_still(way, group, name),
        back="uncordon the nodes, and resume what the annotation of this run is on",
    )
    yield way.step(
        state,
        f"they go on, on node group {name}",
        ResumeGangs(places=(group.name,), uncordons=False),
        f"resume/{group.name}",
        minutes=(3, 10),
    )
    drain = GroupDrain(
        cluster=way.cluster,
        group=group.name,
        instead=name,
        limit_s=way.options.drain_limit_s,
        may_evict=way.options.evict_gangs,
    )
    yield way.step(
        state,
        f"node group {group.name} empties: whom nobody can suspend ends, others are evicted within their budgets",
        drain,
        f"drain/{group.name}",
        minutes=(rolling.drain_s(group) / MINUTE_S, drain.limit_s / MINUTE_S),
        disrupts=_who_moves(way, group),
        back=f"uncordon the nodes of node group {group.name}, and empty those of {name}",
    )
    yield way.step(
        state,
        f"node group {group.name} goes, once it is empty: {name} has its place",
        GroupRemoval(cluster=way.cluster, name=group.name, only_copy=False, first=drain),
        f"remove/{group.name}",
        minutes=(10, 40),
    )


def _check(way: Way, group: Nodegroup, name: str) -> None:
    """Raises CannotPlan."""
    what = f"node group {group.name} cannot be replaced by another one (--blue-green {group.name})"
    if len(name) > LONGEST_NAME:
        raise CannotPlan(
            f"{what}: {name} would be its name, and EKS takes {LONGEST_NAME} characters: roll it"
        )
    if name == group.name:
        raise CannotPlan(f"{what}: it is called as that one would be: roll it")
    if any(one.name == name for one in way.estate.nodegroups):
        raise CannotPlan(f"{what}: there is a node group {name}: delete that, or roll {group.name}")
    if rolling.no_surge(way.estate, replace(group, copied=True), way.options):
        raise CannotPlan(
            f"{what}: there is no capacity for {group.desired} nodes beside those that it has: roll it"
        )
    if not way.placement.known:
        raise CannotPlan(
            f"{what}: pods of the cluster were not read, and some may ask for that group: plan with its API server"
        )
    named = _named(way.estate, group.name, name)
    if named:
        more = f" and {len(named) - 1} more" if named[1:] else ""
        raise CannotPlan(
            f"{what}: {named[0]}{more} asks for its nodes by its name: let it ask for labels of your own, or roll it"
        )


def _named(estate: Estate, group: str, other: str) -> list[str]:
    """Who asks for nodes of the group by its name."""
    if estate.objects is None:
        return []
    made = [
        (f"{kind} {one.metadata.namespace}/{one.metadata.name}", one.spec.template.spec)
        for kind, found in (*estate.objects.workloads.items(), ("Job", estate.objects.jobs))
        for one in found
    ]
    pods = [(f"pod {one.metadata.namespace}/{one.metadata.name}", one.spec) for one in estate.objects.pods]
    return [named for named, spec in (*made, *pods) if stays_behind(spec, group, other)]


def _who_stands_still(way: Way, group: Nodegroup, name: str) -> str:
    stuck = {str(one) for one in way.placement.stuck.get(group.name, ())}
    gangs = [one for one in way.placement.gangs.get(group.name, ()) if one not in stuck]
    if not gangs:
        return f"no gang that runs there now; one that does by then stands still until it runs on {name}"
    return f"{', '.join(gangs)}, and gangs that run there by then, stand still until they run on {name}"


def _who_moves(way: Way, group: Nodegroup) -> str:
    pods = way.placement.alone.get(group.name, 0)
    counted = "1 pod moves" if pods == 1 else f"{pods} pods move"
    stuck = ", ".join(str(one) for one in way.placement.stuck.get(group.name, ()))
    if not stuck:
        return counted
    if way.options.evict_gangs:
        return f"{counted}; those of {stuck} are evicted"
    return f"{counted}; {stuck} is waited for, {duration(way.options.drain_limit_s)} at most"


def notes(placement: Placement, options: Options, found: tuple[Step, ...]) -> Iterator[str]:
    names = standing_in(found)
    for group in (one for one in options.blue_green if one in names):
        yield (
            f"node group {group} is called {names[group]} in the end: change it wherever its name is written down (files that made it, alarms, budgets); "
            f"the run takes the right eks:DeleteNodegroup for {group}"
        )
        for gang in placement.stuck.get(group, ()):
            if not options.evict_gangs and not (gang.way is GangWay.SCALE and options.scale_gangs):
                yield (
                    f"{gang} cannot be suspended ({gang.why}): it is waited for until it ends, {duration(options.drain_limit_s)} at most; "
                    "what stands still for the upgrade (GitOps, autoscalers) does so until then"
                )


def names_now(options: Options, estate: Estate) -> dict[str, str]:
    """By node group that an option names and that is gone, the one in its place, by their names."""
    there = {one.name for one in estate.nodegroups}
    by_stem = {stem(name): name for name in sorted(there)}
    said = (*options.no_surge, *(one.group for one in options.pins), *(one.group for one in options.smokes))
    return {name: by_stem[stem(name)] for name in said if name not in there and stem(name) in by_stem}


def standing_in(found: Iterable[Step]) -> dict[str, str]:
    """By node group that these steps take away, the one that has its place in the end."""
    copies: dict[str, str] = {}
    gone: dict[str, str] = {}
    for step in found:
        match step.act:
            case GroupCopy():
                copies[step.act.of] = step.act.name
            case GroupRemoval() if not step.act.only_copy:
                name, other = step.act.name, copies[step.act.name]
                gone = {was: other if now == name else now for was, now in gone.items()} | {name: other}
    return gone
