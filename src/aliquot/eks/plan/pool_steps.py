"""The steps of Karpenter's NodePools: which are behind, which go by themselves and which with gangs suspended, and how many nodes at once."""

import math
from collections.abc import Iterator

from aliquot.eks.estate import karpenter, places
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.gangs import GPU_PREFIXES
from aliquot.eks.estate.karpenter import Pool
from aliquot.eks.estate.objects import Node
from aliquot.eks.plan import gang_steps
from aliquot.eks.plan.placing import Placement
from aliquot.eks.plan.rolling import BOOT_S, DRAIN_S, MINUTE_S, NODE_MOST_S, SETTLE_S
from aliquot.eks.plan.way import Way
from aliquot.eks.upgrade.acts.node_class import NodeClassReady
from aliquot.eks.upgrade.acts.pool_health import PoolHealth
from aliquot.eks.upgrade.acts.pool_roll import PoolRoll
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions.minor import Minor


def of_pools(way: Way, to: Minor) -> Iterator[Step]:
    """Those without gangs first, smallest first; then each set that gangs tie together."""
    every = sorted(due(way, to), key=lambda one: (len(nodes_of(way.estate, one)), one.name))
    with_gangs = [one for one in every if has_gangs(way.estate, way.placement, one)]
    for pool in every:
        if pool not in with_gangs:
            yield roll(way, pool, State.NODES, to)
            yield health(way, pool, State.NODES, to)
    for names in way.placement.sets:
        together = tuple(one for one in with_gangs if places.pool(one.name) in names)
        if together:
            yield from _together(way, together, to)


def _together(way: Way, pools: tuple[Pool, ...], to: Minor) -> Iterator[Step]:
    names = tuple(places.pool(one.name) for one in pools)
    rolled = [roll(way, one, State.NODES, to) for one in pools]
    for pool in pools:
        yield ready(way, pool, State.GPU_DRAIN_PREP, to)
    yield gang_steps.suspend(way, State.GPU_DRAIN_PREP, names, sum(step.expected_s for step in rolled), to)
    yield from rolled
    yield gang_steps.resume(way, State.GPU_RESTORE, names)
    for pool in pools:
        yield health(way, pool, State.GPU_RESTORE, to)


def due(way: Way, to: Minor) -> tuple[Pool, ...]:
    """That have nodes to be replaced. While the control plane goes on also those without any: nodes may come before it has."""
    if way.estate.objects is None:
        return ()
    found = []
    for pool in karpenter.pools(way.estate.objects):
        come_yet = way.hop.now < way.hop.to and not nodes_of(way.estate, pool)
        if come_yet or to_replace(way.estate, pool, to):
            found.append(pool)
    return tuple(found)


def to_replace(estate: Estate, pool: Pool, to: Minor) -> int:
    """Nodes that are behind; on the way back those that are ahead. One that has not told of its kubelet yet is a new one."""
    kubelets = [kubelet for node in nodes_of(estate, pool) if (kubelet := _kubelet(node)) is not None]
    if to < estate.cluster.minor:
        return sum(1 for one in kubelets if one > to)
    return sum(1 for one in kubelets if one < to)


def nodes_of(estate: Estate, pool: Pool) -> tuple[Node, ...]:
    every = estate.objects.nodes if estate.objects is not None else ()
    return tuple(node for node in every if node.metadata.labels.get(places.POOL_LABEL) == pool.name)


def has_gangs(estate: Estate, placement: Placement, pool: Pool) -> bool:
    """Of several pods, or GPUs: gangs may come by then. Where nobody knows who runs there, too."""
    nodes = nodes_of(estate, pool)
    return (
        not placement.known
        or places.pool(pool.name) in placement.several
        or any(name.startswith(GPU_PREFIXES) for node in nodes for name in node.status.capacity)
        or (not nodes and karpenter.made_for_gpus(pool))
    )


def ready(way: Way, pool: Pool, state: State, to: Minor) -> Step:
    return way.step(
        state,
        f"EC2NodeClass {pool.node_class} selects AMIs of {to}, for NodePool {pool.name}",
        NodeClassReady(pool=pool.name, minor=to),
        f"class/{places.pool(pool.name)}",
        minutes=(5, 30),
    )


def roll(way: Way, pool: Pool, state: State, to: Minor) -> Step:
    nodes, at_once = nodes_of(way.estate, pool), _empty_by_then(way, pool)
    number = to_replace(way.estate, pool, to)
    many = number if at_once else karpenter.at_once(pool, len(nodes), way.estate.read_s) or 1
    batches = math.ceil(number / many) if number else 0
    return way.step(
        state,
        f"NodePool {pool.name}: its nodes to {to}",
        PoolRoll(name=pool.name, minor=to, at_once=at_once),
        places.pool(pool.name),
        minutes=(
            (batches * (DRAIN_S + SETTLE_S + BOOT_S) or MINUTE_S) / MINUTE_S,
            (batches + 1) * NODE_MOST_S / MINUTE_S,
        ),
        disrupts=_moved(way, pool, number, many) if number else "",
    )


def _empty_by_then(way: Way, pool: Pool) -> bool:
    """Gangs are suspended, and nobody else runs there."""
    suspended = has_gangs(way.estate, way.placement, pool)
    return suspended and way.placement.known and not way.placement.alone.get(places.pool(pool.name))


def _moved(way: Way, pool: Pool, number: int, many: int) -> str:
    nodes = f"{number} node{'' if number == 1 else 's'} of Karpenter {'is' if number == 1 else 'are'} replaced, {min(many, number)} at a time, oldest first"
    if not way.placement.known:
        return f"{nodes}; which pods move was not read"
    suspended = has_gangs(way.estate, way.placement, pool)
    moving = way.placement.alone if suspended else way.placement.pods
    pods = moving.get(places.pool(pool.name), 0)
    return f"{nodes}; {pods} pod{' moves' if pods == 1 else 's move'}"


def health(way: Way, pool: Pool, state: State, to: Minor) -> Step:
    return way.step(
        state,
        f"NodePool {pool.name} is well: its nodes are Ready and at {to}, offer their GPUs, and nobody waits for room",
        PoolHealth(name=pool.name, minor=to),
        f"health/{places.pool(pool.name)}",
        minutes=(5, 30),
    )


def _kubelet(node: Node) -> Minor | None:
    try:
        return Minor.parse(node.status.node_info.kubelet_version)
    except ValueError:
        return None
