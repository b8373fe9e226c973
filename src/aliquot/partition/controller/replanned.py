"""What the exact planner sees of budgeted nodes, and what of its plan is to be done next. Pure.

A plan is for all that waits; of it one relocation is carried out, and then it is planned anew from what is there. So whatever
comes between, or goes another way than planned, is in the next plan. The other nodes are left out: nothing there moves, and
what a scheduler finds there needs no plan.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aliquot.gpu.profiles import RESOURCE_PREFIX, resource_name
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.policy import PodDisruptionBudget
from aliquot.partition.asked import asked_of
from aliquot.partition.cluster import Cluster
from aliquot.partition.controller.moves import Relocation, Victim
from aliquot.partition.reading import read
from aliquot.partition.replanning.plan import Evict, Place, Plan, Spot
from aliquot.partition.replanning.planning import Request, replan

_MIG_PREFIX = RESOURCE_PREFIX + "mig-"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects of budgeted nodes, all pods and budgets, as the caches had them at one moment."""

    nodes: Sequence[tuple[Node, GPUNode]]
    pods: Sequence[Pod]
    budgets: Sequence[PodDisruptionBudget]
    waiting: Collection[str]
    """Keys of the pods that room may be made for."""
    staying: Mapping[str, str]
    """Pods that are not to be moved for reasons that the objects do not tell, and these."""

    def cluster(self) -> Cluster:
        found = read(
            [gpu_node for _, gpu_node in self.nodes],
            [node for node, _ in self.nodes],
            self.pods,
            self.budgets,
        )
        pending = tuple(pod for pod in found.pending if pod.key in self.waiting)
        running = dict(found.running)
        for name, why in self.staying.items():
            if name in running and not running[name].fixed:
                running[name] = replace(running[name], fixed=why)
        return replace(found, pending=pending, running=running)


@dataclass(frozen=True, slots=True)
class Planned:
    cluster: Cluster
    plan: Plan
    moves: int
    """That were left of the budget."""
    at_s: float


AGAIN_S = 30.0
"""A cluster that has not changed is planned for anew after so long: meanwhile pods have run for long enough to be moved."""


def planned(
    snapshot: Snapshot, request: Request, before: Planned | None, monotonic: Callable[[], float]
) -> Planned:
    """`before`: the plan of the last time, which stands while nothing has changed."""
    cluster = snapshot.cluster()
    moves = request.limits.moves or 0
    if (
        before is not None
        and request.now_s - before.at_s < AGAIN_S
        and (before.moves, before.cluster) == (moves, cluster)
    ):
        return before
    return Planned(cluster, replan(cluster, request, monotonic), moves, request.now_s)


def is_planned_for(pod: Pod) -> bool:
    """Whether it asks for slices by profile, and for nothing else that could be made."""
    resources = asked_of(pod)
    return bool(resources) and all(name.startswith(_MIG_PREFIX) for name in resources)


def relocation_in(plan: Plan, pod: str) -> Relocation | None:
    """What has to be moved for the pod; None: it goes on waiting, or its scheduler has room for it as it is."""
    admitted = next(
        (op for op in plan.operations if isinstance(op, Place) and op.pod == pod and not op.again), None
    )
    if admitted is None:
        return None
    leaving = {op.pod: op for op in plan.operations if isinstance(op, Evict)}
    again = {op.pod: op.spots for op in plan.operations if isinstance(op, Place) and op.again}
    victims = list(_inside(admitted.spots, leaving, again))
    if not victims:
        return None
    later: list[Victim] = []
    # Each brings in those who are where its like goes.
    reached = list(victims)
    while reached:
        more = list(_inside(reached.pop(0).to, leaving, again))
        later += more
        reached += more
    slices = tuple((resource_name(spot.profile), spot) for spot in admitted.spots)
    return Relocation(pod, slices, tuple(victims), tuple(later))


def _inside(
    spots: Sequence[Spot], leaving: dict[str, Evict], again: Mapping[str, tuple[Spot, ...]]
) -> Iterator[Victim]:
    """Those who leave these spots, each once: `leaving` loses them."""
    for name, eviction in list(leaving.items()):
        if any(_overlap(one, spot) for one in eviction.spots for spot in spots):
            del leaving[name]
            yield Victim(name, eviction.spots, again[name])


def _overlap(one: Spot, other: Spot) -> bool:
    return (
        one.uuid == other.uuid and one.start < other.start + other.size and other.start < one.start + one.size
    )


def now_of(plan: Plan, nodes: Sequence[tuple[Node, GPUNode]], pods: Sequence[Pod]) -> Cluster:
    """The nodes that the plan touches, as they are by now."""
    touched = [(node, gpu_node) for node, gpu_node in nodes if node.metadata.name in plan.basis]
    return Snapshot(touched, pods, (), (), {}).cluster()
