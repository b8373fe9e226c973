"""GPU nodes of the new release that are tried before any that works is replaced: of which groups, and the steps of each. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate, Nodegroup
from aliquot.eks.plan import rolling
from aliquot.eks.plan.plan import CannotPlan, Options
from aliquot.eks.plan.way import Way
from aliquot.eks.upgrade.acts.canary_node import CanaryNode
from aliquot.eks.upgrade.acts.gpu_restore import STARTUP_TAINT
from aliquot.eks.upgrade.acts.group_config import Strategy
from aliquot.eks.upgrade.acts.group_copy import GroupCopy, Taint
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step

_LONGEST_NAME = 63
"""Of a node group, as EKS has it."""


def against(estate: Estate, group: Nodegroup, options: Options) -> str:
    """Why no node of it is tried first; empty: one is."""
    if not rolling.has_gpus(estate, group):
        return "it has no GPUs"
    if not several(group):
        return "it has one node" if group.desired else "it has no node"
    if group.strategy == Strategy.MINIMAL:
        return "it is rolled with its old nodes first, so that there are never more than there were"
    if rolling.no_surge(estate, group, options):
        return "there is no capacity beside what it has"
    return ""


def several(group: Nodegroup) -> bool:
    """A single node is itself the first of its group."""
    return group.desired > 1


def tried(
    estate: Estate, groups: Sequence[Nodegroup], rolls: Mapping[str, GroupRoll], options: Options
) -> tuple[Nodegroup, ...]:
    """One for each AMI, release and choice of instance types: of the groups that share them the one that has smoke jobs, and is small."""
    if options.no_gpu_canary:
        return ()
    smoked = {one.group for one in options.smokes}
    found: dict[object, Nodegroup] = {}
    for group in sorted(groups, key=lambda one: (one.name not in smoked, one.desired, one.name)):
        roll = rolls[group.name]
        alike = (group.ami_type, roll.release, tuple(roll.template.items()), estate.types_of(group))
        if not against(estate, group, options):
            found.setdefault(alike, group)
    return tuple(sorted(found.values(), key=lambda one: (one.desired, one.name)))


def named(group: str, roll: GroupRoll) -> str:
    end = f"-canary-{str(roll.minor).replace('.', '-')}"
    return group[: _LONGEST_NAME - len(end)] + end


def steps(way: Way, group: Nodegroup, roll: GroupRoll, driver: str, state: State) -> Iterator[Step]:
    """Raises CannotPlan."""
    name, of, cluster = named(group.name, roll), group.name, way.cluster
    if any(one.name == name for one in way.estate.nodegroups):
        raise CannotPlan(
            f"cluster {cluster} has a node group {name}, which is what the canary of {of} would be called: "
            "delete it, if nobody needs it, or leave the canary out (--no-gpu-canary)"
        )
    copy = GroupCopy(
        cluster=cluster,
        name=name,
        of=of,
        minor=roll.minor,
        release=roll.release,
        template=roll.template,
        size=1,
        taints=(Taint(key=STARTUP_TAINT),),
        canary=True,
    )
    yield way.step(
        state,
        f"one node like those of node group {of}, of {roll.minor}, comes for a while: no pod takes it",
        copy,
        f"canary/{of}",
        minutes=(rolling.BOOT_S / rolling.MINUTE_S, rolling.NODE_MOST_S / rolling.MINUTE_S),
        back=f"delete node group {name}",
    )
    yield way.step(
        state,
        f"the canary of {of} is cut as most nodes of {of} are, and offers what they offer",
        CanaryNode(cluster=cluster, name=name, of=of, minor=roll.minor, driver=driver),
        f"canary-node/{of}",
        minutes=(5, 30),
    )
    for smoke in way.options.smokes:
        if smoke.group == of and _fits_one_node(smoke):
            yield way.smoke(state, replace(smoke, group=name, canary_of=of))
    yield way.step(
        state,
        f"the canary of {of} goes",
        GroupRemoval(cluster=cluster, name=name, only_copy=True),
        f"canary-gone/{of}",
        minutes=(5, 30),
    )


def _fits_one_node(smoke: SmokeJob) -> bool:
    """Pods that run at once are as a rule meant for a node each."""
    return int(smoke.manifest["spec"].get("parallelism") or 1) == 1


def notes(estate: Estate, options: Options) -> Iterator[str]:
    """Of groups whose own nodes are the first of their kind to be of a new release."""
    if options.no_gpu_canary:
        return
    whys = {one.name: against(estate, one, options) for one in estate.nodegroups}
    alike = {(one.ami_type, estate.types_of(one)) for one in estate.nodegroups if not whys[one.name]}
    for group in estate.nodegroups:
        why, kind = whys[group.name], (group.ami_type, estate.types_of(group))
        if why and group.desired and kind not in alike and rolling.has_gpus(estate, group):
            yield f"no node like those of node group {group.name} is tried before them: {why}"
