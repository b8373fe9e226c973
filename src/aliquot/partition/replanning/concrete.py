"""From counts to GPUs: which GPU of those that are alike gets what, which pod leaves, and where each goes.

A flow falls apart into GPUs: they stand at what they hold, and those that an arc takes move on along it. Of pods that are
alike, those that have run for the shortest time are evicted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.cluster import Cluster, PendingPod, PlannedGpu
from aliquot.partition.replanning.model import Model
from aliquot.partition.replanning.network import Fill, Network
from aliquot.partition.replanning.plan import Spot
from aliquot.partition.replanning.pools import Alike, Needs, Pool, Pools, Unit


@dataclass(slots=True)
class Assignment:
    """Who goes where; nothing of it is in order yet."""

    admitted: dict[str, tuple[Spot, ...]] = field(default_factory=dict)
    evicted: dict[str, tuple[Spot, ...]] = field(default_factory=dict)
    """Pod -> where it is."""
    resettled: dict[str, tuple[Spot, ...]] = field(default_factory=dict)
    """Evicted pod -> where it goes."""


def spell_out(model: Model, values: Sequence[int], cluster: Cluster) -> Assignment:
    found = Assignment()
    free: list[dict[str, list[Spot]]] = []
    for pool in model.pools.pools:
        filling = _leave(model, pool, values, cluster, found)
        free.append(_fill(model, pool, values, filling))
    waiting = {demand: list(pods) for demand, pods in model.pools.demands.items()}
    for (demand, pool_number), column in model.admitted.items():
        for _ in range(values[column]):
            pod: PendingPod = waiting[demand].pop(0)
            found.admitted[pod.key] = _taken(free[pool_number], demand.needs)
    of_kind: dict[int, list[str]] = {}
    for key in sorted(found.evicted):
        of_kind.setdefault(model.pools.movable[key], []).append(key)
    for (kind, pool_number), column in model.resettled.items():
        for _ in range(values[column]):
            found.resettled[of_kind[kind].pop(0)] = _taken(free[pool_number], model.pools.kinds[kind].needs)
    return found


def _taken(free: Mapping[str, list[Spot]], needs: Needs) -> tuple[Spot, ...]:
    return tuple(free[profile].pop(0) for profile, count in needs for _ in range(count))


def _leave(
    model: Model, pool: Pool, values: Sequence[int], cluster: Cluster, found: Assignment
) -> dict[int, list[PlannedGpu]]:
    """Evicts, and says which GPUs stand where in the network then."""
    standing: dict[Alike, list[PlannedGpu]] = {}
    for alike, gpus in pool.groups.items():
        standing[alike] = sorted(gpus, key=lambda gpu: (-_youngest(gpu, model.pools, cluster), gpu.uuid))
    for arc in model.leaving[pool.number]:
        for _ in range(values[arc.column]):
            gpu = standing[arc.source].pop(0)
            pod = _holder(gpu, arc.unit, pool.states)
            there = tuple(_spot(gpu, pool.states, placing) for placing in arc.unit.placings)
            found.evicted[pod] = (*found.evicted.get(pod, ()), *there)
            standing.setdefault(arc.target, []).append(gpu)
    network = model.networks[pool.number]
    filling: dict[int, list[PlannedGpu]] = {}
    for alike, gpus in standing.items():
        filling.setdefault(network.number(alike.fill), []).extend(gpus)
    return filling


def _youngest(gpu: PlannedGpu, pools: Pools, cluster: Cluster) -> float:
    """When the last of its movable pods started."""
    pods = [pod for instance in gpu.instances for pod in instance.pods if pod in pools.movable]
    return max((cluster.running[pod].started_s or 0.0 for pod in pods), default=0.0)


def _holder(gpu: PlannedGpu, unit: Unit, states: BoardStates) -> str:
    starts = {placing.start for placing in unit.placings}
    return next(instance.pods[0] for instance in gpu.instances if instance.start in starts)


def _fill(
    model: Model, pool: Pool, values: Sequence[int], standing: dict[int, list[PlannedGpu]]
) -> dict[str, list[Spot]]:
    """Profile -> the spots where slices of it come to be."""
    network = model.networks[pool.number]
    spots: dict[str, list[Spot]] = {}
    for number in _in_order(network):
        arc = network.arcs[number]
        for _ in range(values[model.flow[pool.number, number]]):
            gpu = standing[arc.source].pop(0)
            spot = _spot(gpu, pool.states, arc.placing)
            spots.setdefault(spot.profile, []).append(spot)
            standing.setdefault(arc.target, []).append(gpu)
    return spots


def _in_order(network: Network) -> list[int]:
    """Arcs out of what holds less first: whoever comes along an arc is there before one leads on."""

    def taken(fill: Fill) -> int:
        return fill[0].bit_count()

    return sorted(range(len(network.arcs)), key=lambda n: (taken(network.fills[network.arcs[n].source]), n))


def _spot(gpu: PlannedGpu, states: BoardStates, placing: Placing) -> Spot:
    name = states.profiles[placing.profile].name
    return Spot(gpu.node, gpu.uuid, name, placing.start, placing.mask.bit_count())
