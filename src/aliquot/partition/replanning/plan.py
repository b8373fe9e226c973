"""A plan: operations in order, each with its why; and what it makes of the cluster, which is what it promised."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from aliquot.partition.cluster import Cluster, Instance, PendingPod, PlannedGpu, RunningPod
from aliquot.partition.replanning.solving import Reached


@dataclass(frozen=True, slots=True)
class Spot:
    """A slice at a place, there or to be."""

    node: str
    uuid: str
    profile: str
    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.profile} at slot {self.start} of {self.node}/{self.uuid}"


@dataclass(frozen=True, slots=True)
class Evict:
    """`gap`: its new place is not made yet, and it waits meanwhile."""

    pod: str
    spots: tuple[Spot, ...]
    gap: bool
    why: str


@dataclass(frozen=True, slots=True)
class Destroy:
    spot: Spot
    why: str


@dataclass(frozen=True, slots=True)
class Create:
    spot: Spot
    why: str


@dataclass(frozen=True, slots=True)
class Place:
    """A pod gets the slices that are ready for it. `again`: it was evicted."""

    pod: str
    spots: tuple[Spot, ...]
    again: bool
    why: str


Operation: TypeAlias = Evict | Destroy | Create | Place


@dataclass(frozen=True, slots=True)
class Plan:
    operations: tuple[Operation, ...]
    reached: tuple[Reached, ...]
    waiting: Mapping[str, str]
    """Pods that go on waiting, and why."""
    fixed: Mapping[str, str]
    """Pods that run and were not to be moved, and why."""
    basis: Mapping[str, str]
    """Node -> hash of what the plan found there; of the nodes that it touches."""
    room: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Profile -> how many more of it alone would fit before, and after."""
    note: str = ""
    """What was not looked at, so that the plan may not be the best; empty: all was."""

    @property
    def admitted(self) -> tuple[str, ...]:
        return tuple(op.pod for op in self.operations if isinstance(op, Place) and not op.again)

    @property
    def evicted(self) -> tuple[str, ...]:
        return tuple(op.pod for op in self.operations if isinstance(op, Evict))

    @property
    def instance_operations(self) -> int:
        return sum(1 for op in self.operations if isinstance(op, (Create, Destroy)))


class StaleSnapshot(Exception):
    """The cluster is not any more what the plan was made for. One line: what changed."""


class BrokenPlan(Exception):
    """An operation that cannot be: of a plan that was not made by this package, or a defect of it. One line."""


def check_basis(plan: Plan, cluster: Cluster) -> None:
    """Raises StaleSnapshot where a node that the plan touches has changed, takes nothing any more, or is gone."""
    now = cluster.basis(plan.basis)
    parts = [f"node {node} is gone" for node in plan.basis if node not in now]
    parts += [f"the GPUs of {node} changed" for node in now if now[node] != plan.basis[node]]
    parts += [f"node {node} is closed: {why}" for node in now if (why := cluster.node[node].closed)]
    if parts:
        told = ", ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
        raise StaleSnapshot(f"the plan is stale: {told}; plan again")


def apply(plan: Plan, cluster: Cluster) -> Cluster:
    """The cluster once the plan is done. Raises StaleSnapshot, or BrokenPlan."""
    check_basis(plan, cluster)
    gpus = {gpu.uuid: gpu for gpu in cluster.gpus}
    waits: dict[str, PendingPod] = {pod.key: pod for pod in cluster.pending}
    running = dict(cluster.running)
    evicted: set[str] = set()
    for op in plan.operations:
        match op:
            case Evict(pod=pod, spots=spots):
                if pod in plan.fixed or pod in evicted or pod not in running:
                    raise BrokenPlan(f"{pod} cannot be evicted: {plan.fixed.get(pod, 'it does not run')}")
                evicted.add(pod)
                for spot in spots:
                    _change(gpus, spot, _found(gpus, spot, pod), None)
                    _change(gpus, spot, None, Instance(spot.profile, spot.start, spot.size))
                if any(
                    pod in i.pods for gpu in cluster.gpus_of[spots[0].node] for i in gpus[gpu.uuid].instances
                ):
                    raise BrokenPlan(f"{pod} still holds a slice after its eviction")
            case Destroy(spot=spot):
                _change(gpus, spot, _found(gpus, spot, ""), None)
            case Create(spot=spot):
                _change(gpus, spot, None, Instance(spot.profile, spot.start, spot.size))
            case Place(pod=pod, spots=spots, again=again):
                if (pod not in evicted) if again else (pod not in waits):
                    raise BrokenPlan(f"{pod} is not there to be placed")
                for spot in spots:
                    _change(gpus, spot, _found(gpus, spot, ""), None)
                    _change(gpus, spot, None, Instance(spot.profile, spot.start, spot.size, (pod,)))
                if again:
                    evicted.discard(pod)
                else:
                    from_wait = waits.pop(pod)
                    running[pod] = _started(from_wait)
    if evicted:
        raise BrokenPlan(f"{min(evicted)} is evicted and gets no new place")
    return replace(
        cluster,
        gpus=tuple(gpus[gpu.uuid] for gpu in cluster.gpus),
        running=running,
        pending=tuple(pod for pod in cluster.pending if pod.key in waits),
    )


def _started(pod: PendingPod) -> RunningPod:
    return RunningPod(pod.key, pod.priority, where=pod.where)


def _found(gpus: Mapping[str, PlannedGpu], spot: Spot, pod: str) -> Instance:
    """The instance at the spot, held by the pod alone; of nobody, where `pod` is empty."""
    wanted = Instance(spot.profile, spot.start, spot.size, (pod,) if pod else ())
    if spot.uuid not in gpus or wanted not in gpus[spot.uuid].instances:
        raise BrokenPlan(f"there is no {spot} that {pod or 'nobody'} holds")
    return wanted


def _change(gpus: dict[str, PlannedGpu], spot: Spot, less: Instance | None, more: Instance | None) -> None:
    gpu = gpus[spot.uuid]
    instances = [one for one in gpu.instances if one != less]
    if more is not None:
        if any(one.mask & more.mask for one in instances):
            raise BrokenPlan(f"{spot} overlaps what is there")
        if gpu.states.placing(more.profile, more.start) is None:
            raise BrokenPlan(f"the board cannot hold {spot}")
        instances.append(more)
    instances.sort(key=lambda one: one.start)
    gpus[spot.uuid] = replace(gpu, instances=tuple(instances))
