"""The steps of node groups: which one goes first, what goes together, and how each is rolled."""

from collections.abc import Iterator

from aliquot.eks.estate import places
from aliquot.eks.estate.estate import Estate, Nodegroup
from aliquot.eks.estate.karpenter import Pool
from aliquot.eks.estate.places import told
from aliquot.eks.plan import blue_green, canaries, gang_steps, pool_steps, rolling
from aliquot.eks.plan.new_nodes import drivers, health
from aliquot.eks.plan.passing import after
from aliquot.eks.plan.placing import Placement
from aliquot.eks.plan.rolling import MINUTE_S
from aliquot.eks.plan.way import Way
from aliquot.eks.upgrade.acts.gpu_restore import RestoreGpus, SaveGpus
from aliquot.eks.upgrade.acts.group_config import GroupConfig, as_it_is
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions.minor import Minor


def of_groups(
    way: Way, groups: tuple[Nodegroup, ...], to: Minor, *, before: bool, with_canaries: bool = True
) -> Iterator[Step]:
    """`before`: the control plane goes on. `with_canaries`: GPU nodes are tried first."""
    rolls = {
        one.name: roll
        for one in groups
        if (roll := rolling.target(way.cluster, one, to, way.targets, way.options)) is not None
    }
    behind = tuple(one for one in groups if one.name in rolls)
    replaced = blue_green.chosen(way, behind)
    sets = rolling.sets(way.estate, way.placement, tuple(one for one in behind if one not in replaced))
    canary, nodes = (State.PRE_NODES,) * 2 if before else (State.CANARY_NODES, State.NODES)
    if sets.canary is not None:
        yield from _group(way, sets.canary, rolls[sets.canary.name], canary)
    gpu_groups = [one for together in sets.gpu for one in together]
    for group in canaries.tried(way.estate, gpu_groups, rolls, way.options) if with_canaries else ():
        roll = rolls[group.name]
        yield from canaries.steps(way, group, roll, drivers((group,), rolls).get(group.name, ""), canary)
    for group in sets.plain:
        yield from _group(way, group, rolls[group.name], nodes)
    for together in sets.gpu:
        yield from _together(way, together, _tied(way, together, to, before=before), rolls, before=before)
    # What may take a day, after all that does not.
    for group in replaced:
        yield from blue_green.steps(way, group, rolls[group.name], before=before)


def _tied(way: Way, groups: tuple[Nodegroup, ...], to: Minor, *, before: bool) -> tuple[Pool, ...]:
    """Pools that gangs tie to these groups. They follow the control plane, and do not go before it."""
    names = {name for one in way.placement.sets if any(group.name in one for group in groups) for name in one}
    return tuple(one for one in pool_steps.due(way, to) if not before and places.pool(one.name) in names)


def _together(
    way: Way,
    groups: tuple[Nodegroup, ...],
    pools: tuple[Pool, ...],
    rolls: dict[str, GroupRoll],
    *,
    before: bool,
) -> Iterator[Step]:
    """Groups and pools between which gangs lie: first nobody runs there any more, then all are rolled, then all run again."""
    prepare, nodes, restore = (
        (State.PRE_NODES,) * 3 if before else (State.GPU_DRAIN_PREP, State.NODES, State.GPU_RESTORE)
    )
    wanted = {one.name: rolling.config(way.estate, way.placement, one, way.options) for one in groups}
    changed = [(one, act) for one in groups if (act := wanted[one.name]) is not None]
    configured = {one.name: _as(way.estate, one, act) for one, act in changed}
    rolled = [
        _roll(way, configured.get(one.name, one), rolls[one.name], nodes, suspended=True) for one in groups
    ]
    with_gpus = tuple(one.name for one in groups if rolling.has_gpus(way.estate, one))
    names, to = tuple(one.name for one in groups), rolls[groups[0].name].minor
    rolled += [pool_steps.roll(way, one, nodes, to) for one in pools]
    everywhere = (*names, *(places.pool(one.name) for one in pools))
    for pool in pools:
        yield pool_steps.ready(way, pool, prepare, to)
    for group, act in changed:
        yield _config(way, prepare, group, act, f"roll-as/{group.name}")
    if with_gpus:
        yield way.step(
            prepare,
            f"what nodes of {told(with_gpus)} were given is kept: MIG layouts, labels, taints",
            SaveGpus(cluster=way.cluster, groups=with_gpus),
            f"save/{'+'.join(with_gpus)}",
            minutes=(1, 10),
        )
    yield gang_steps.suspend(way, prepare, everywhere, sum(step.expected_s for step in rolled), to)
    yield from rolled
    if with_gpus:
        yield way.step(
            restore,
            f"new nodes of {told(with_gpus)} are given what those before them had, and offer as many GPUs",
            RestoreGpus(groups=with_gpus, minor=to, drivers=drivers(groups, rolls)),
            f"gpus/{'+'.join(with_gpus)}",
            minutes=(10, 30),
        )
    for name in names:
        yield health(way, restore, name, to)
    for smoke in way.options.smokes:
        if smoke.group in names:
            yield way.smoke(restore, smoke)
    yield gang_steps.resume(way, restore, everywhere)
    for pool in pools:
        yield pool_steps.health(way, pool, restore, to)
    for group, _ in changed:
        yield _config(way, restore, group, as_it_is(way.cluster, group), f"as-it-was/{group.name}")


def _group(way: Way, group: Nodegroup, roll: GroupRoll, state: State) -> Iterator[Step]:
    wanted = rolling.config(way.estate, way.placement, group, way.options)
    if wanted is not None:
        yield _config(way, state, group, wanted, f"roll-as/{group.name}")
    yield _roll(way, group if wanted is None else _as(way.estate, group, wanted), roll, state)
    yield health(way, state, group.name, roll.minor)
    for smoke in way.options.smokes:
        if smoke.group == group.name:
            yield way.smoke(state, smoke)
    if wanted is not None:
        yield _config(way, state, group, as_it_is(way.cluster, group), f"as-it-was/{group.name}")


def _as(estate: Estate, group: Nodegroup, wanted: GroupConfig) -> Nodegroup:
    return next(one for one in after(estate, wanted).nodegroups if one.name == group.name)


def _config(way: Way, state: State, group: Nodegroup, act: GroupConfig, name: str) -> Step:
    was = as_it_is(way.cluster, group)
    return way.step(
        state,
        f"node group {group.name}: rolled {_rolled_as(act)}",
        act,
        name,
        minutes=(1, 10),
        back=""
        if act == was
        else f"update the configuration of node group {group.name} to {_rolled_as(was)}",
    )


def _rolled_as(act: GroupConfig) -> str:
    share = act.most_unavailable_percentage
    return f"{act.strategy}, {act.most_unavailable if share is None else f'{share} %'} at once"


def _roll(way: Way, group: Nodegroup, act: GroupRoll, state: State, *, suspended: bool = False) -> Step:
    """`suspended`: gangs are, by then."""
    to = act.release or f"version {act.template['version']} of its launch template"
    was = group.release or f"version {group.template_version} of its launch template"
    return way.step(
        state,
        f"node group {group.name} from {group.minor} ({was}) to {act.minor} ({to})",
        act,
        group.name,
        minutes=(rolling.expected_s(group) / MINUTE_S, rolling.at_most_s(group) / MINUTE_S),
        disrupts=_moved(way.placement, group, suspended=suspended),
        back=f"update node group {group.name} to {group.minor} ({was})",
    )


def _moved(placement: Placement, group: Nodegroup, *, suspended: bool) -> str:
    if not group.desired:
        return ""
    order = "old ones go first" if group.strategy == "MINIMAL" else "new ones come first"
    nodes = f"{_counted(group.desired, 'node')} {'is' if group.desired == 1 else 'are'} replaced, {min(group.most_unavailable, group.desired)} at a time, {order}"
    if not placement.known:
        return f"{nodes}; which pods move was not read"
    moving = placement.alone if suspended else placement.pods
    pods, gangs = moving.get(group.name, 0), placement.gangs.get(group.name, ())
    found = f"{nodes}; {_counted(pods, 'pod')} {'moves' if pods == 1 else 'move'}"
    if suspended or not gangs:
        return found
    return f"{found}, among them those of {', '.join(gangs)}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
