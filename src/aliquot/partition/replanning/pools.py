"""GPUs that are alike, counted. A plan's size is that of these tables, not of the cluster.

A pool is the GPUs of one board on nodes that no pod tells apart. Within it GPUs are alike when the same slots are held
for good, the same kinds of movable pods hold the same slices, and the same slices are idle. Pods of several slices need
them on one node: such nodes are pools of their own, and where there are more than `MOST_OWN_POOLS`, those with most room.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from aliquot.partition.board_states import BoardStates, Occupancy, Placing
from aliquot.partition.cluster import Cluster, Instance, Node, PendingPod, PlannedGpu, RunningPod, Where
from aliquot.partition.replanning.limits import Limits, Rule, why_not

MOST_OWN_POOLS = 32

Needs = tuple[tuple[str, int], ...]
"""(profile, count), by profile."""


def slices(needs: Needs) -> int:
    return sum(count for _, count in needs)


@dataclass(frozen=True, slots=True)
class Demand:
    """Pods that wait and are alike: of these, the first of the cluster's are admitted."""

    needs: Needs
    priority: int
    where: Where
    required: bool


@dataclass(frozen=True, slots=True)
class Movable:
    """Pods that run, may be moved and are alike."""

    needs: Needs
    priority: int
    where: Where
    budget: str
    pod: str = ""
    """Of a pod whose slices are on several GPUs: there is only one like it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a movable pod has on one GPU: it goes as one."""

    placings: tuple[Placing, ...]
    kind: int
    """Index in `Pools.kinds`."""

    @property
    def mask(self) -> Occupancy:
        return BoardStates.occupancy(self.placings)


@dataclass(frozen=True, slots=True)
class Alike:
    """What GPUs have to have in common to be counted as one."""

    held: Occupancy
    """By what stays."""
    units: tuple[Unit, ...]
    idle: frozenset[Placing]

    @property
    def occupancy(self) -> Occupancy:
        taken = self.held
        for unit in self.units:
            taken |= unit.mask
        return taken

    @property
    def fill(self) -> tuple[Occupancy, frozenset[Placing]]:
        return self.occupancy, self.idle


@dataclass(slots=True)
class Pool:
    number: int
    states: BoardStates
    labels: Mapping[str, str]
    node: str
    """Empty: of many nodes."""
    groups: dict[Alike, list[PlannedGpu]] = field(default_factory=dict)

    def where_allows(self, where: Where) -> bool:
        return where.allows(self.labels)

    def allows(self, where: Where, needs: Needs) -> bool:
        """Whether pods like that may have slices here."""
        names = {profile.name for profile in self.states.profiles}
        several = slices(needs) > 1
        return (
            (bool(self.node) or not several)
            and all(name in names for name, _ in needs)
            and self.where_allows(where)
        )


@dataclass
class Pools:
    pools: list[Pool]
    demands: dict[Demand, list[PendingPod]]
    fixed: dict[str, str]
    """Pod that runs -> why it stays."""
    movable: dict[str, int]
    """Pod that runs -> its kind."""
    kinds: list[Movable]
    own_pools: int = 0
    candidates: int = 0
    """Nodes that pods of several slices could be on; more than `own_pools` when not all were looked at."""

    @cached_property
    def running(self) -> Counter[int]:
        """Kind -> how many pods."""
        return Counter(self.movable.values())

    @property
    def all_looked_at(self) -> bool:
        return self.own_pools == self.candidates


def pools_of(cluster: Cluster, limits: Limits, now_s: float) -> Pools:
    demands: dict[Demand, list[PendingPod]] = {}
    for pod in cluster.pending:
        where = pod.where if limits.heed(Rule.PLACES) else Where()
        demands.setdefault(Demand(pod.needs, pod.priority, where, pod.required), []).append(pod)
    highest = max((demand.priority for demand in demands), default=0)
    held, several_of = _held(cluster)
    judge = _Judge(cluster, limits, now_s, highest)
    fixed: dict[str, str] = {}
    movable: dict[str, int] = {}
    for key, (gpu, instance) in held.items():
        running = cluster.running.get(key)
        if running is None:
            fixed[key] = "nothing is known of it"
            continue
        slices_held = ((gpu, instance), *several_of.get(key, ()))
        reason, number = judge.of(running, slices_held)
        if reason:
            fixed[key] = reason
        else:
            movable[key] = number
    kinds = judge.kinds
    several = any(slices(needs) > 1 for needs in (*(d.needs for d in demands), *(k.needs for k in kinds)))
    own = _own_nodes(cluster) if several else []
    chosen = frozenset(own[:MOST_OWN_POOLS])
    for key in several_of:
        if key in movable and held[key][0].node not in chosen:
            fixed[key] = "it has several slices, and its node is not among those looked at for such pods"
            del movable[key]
    places = {*(demand.where for demand in demands), *(kind.where for kind in kinds)}
    keys = {key for where in places for key in where.keys}
    pools = _filled(cluster, keys, movable, chosen)
    return Pools(pools, demands, fixed, movable, list(kinds), len(chosen), len(own))


_Slice = tuple[PlannedGpu, Instance]


def _held(cluster: Cluster) -> tuple[dict[str, _Slice], dict[str, list[_Slice]]]:
    """By pod: a slice that it holds, and the others of pods that have more."""
    first: dict[str, _Slice] = {}
    others: dict[str, list[_Slice]] = {}
    for gpu in cluster.gpus:
        for instance in gpu.instances:
            for pod in instance.pods:
                if pod in first:
                    others.setdefault(pod, []).append((gpu, instance))
                else:
                    first[pod] = gpu, instance
    return first, others


class _Judge:
    """Which pods may be moved, and which of these are alike. Pods that differ in name alone are judged once."""

    def __init__(self, cluster: Cluster, limits: Limits, now_s: float, highest: int) -> None:
        self._cluster = cluster
        self._limits = limits
        self._now_s = now_s
        self._highest = highest
        self._numbers: dict[Movable, int] = {}
        self._known: dict[tuple[object, ...], tuple[str, int]] = {}

    @property
    def kinds(self) -> dict[Movable, int]:
        return self._numbers

    def of(self, pod: RunningPod, held: Sequence[_Slice]) -> tuple[str, int]:
        """(why it stays, 0), or ("", its kind)"""
        for gpu, instance in held:
            if reason := self._bound_to(gpu, instance):
                return reason, 0
        if len(held) > 1 or self._limits.minimum_run_s > 0:
            return self._judged(pod, held)
        template = (
            held[0][1].profile,
            pod.priority,
            pod.where.terms,
            pod.budget,
            pod.do_not_disrupt,
            pod.fixed,
        )
        known = self._known.get(template)
        if known is None:
            known = self._known[template] = self._judged(pod, held)
        return known

    def _bound_to(self, gpu: PlannedGpu, instance: Instance) -> str:
        if closed(gpu, self._cluster):
            return f"its GPU {gpu.uuid} is closed: nothing could take its place"
        if gpu.states.placing(instance.profile, instance.start) is None:
            return f"its {instance.profile} at slot {instance.start} is of no ordinary profile"
        return "it shares its slice with others" if len(instance.pods) > 1 else ""

    def _judged(self, pod: RunningPod, held: Sequence[_Slice]) -> tuple[str, int]:
        reason = why_not(pod, self._limits, self._cluster, self._now_s, self._highest)
        if reason:
            return reason, 0
        needs = tuple(sorted(Counter(instance.profile for _, instance in held).items()))
        spread = len({gpu.uuid for gpu, _ in held}) > 1
        where = pod.where if self._limits.heed(Rule.PLACES) else Where()
        kind = Movable(needs, pod.priority, where, pod.budget, pod.key if spread else "")
        return "", self._numbers.setdefault(kind, len(self._numbers))


def closed(gpu: PlannedGpu, cluster: Cluster) -> str:
    """Why nothing new goes on the GPU; empty: it may."""
    node = cluster.node.get(gpu.node)
    return gpu.closed or (node.closed if node is not None else "its node is gone")


def _own_nodes(cluster: Cluster) -> list[str]:
    """Nodes with GPUs that are open, those with most free memory slots first."""
    free: Counter[str] = Counter()
    for gpu in cluster.gpus:
        if not closed(gpu, cluster):
            free[gpu.node] += gpu.states.memory_slots - sum(i.size for i in gpu.instances if i.pods)
    return sorted(free, key=lambda name: (-free[name], name))


def _filled(cluster: Cluster, keys: set[str], movable: Mapping[str, int], own: frozenset[str]) -> list[Pool]:
    """Per GPU only what has to be: GPUs that look alike, instance by instance, are looked into once."""
    pools: dict[tuple[object, ...], Pool] = {}
    by_node: dict[tuple[str, int], Pool] = {}
    known: dict[tuple[object, ...], list[PlannedGpu]] = {}
    for gpu in cluster.gpus:
        if closed(gpu, cluster):
            continue
        pool = by_node.get((gpu.node, id(gpu.states)))
        if pool is None:
            labels = _told_apart(cluster.node[gpu.node], keys)
            name = gpu.node if gpu.node in own else ""
            key = (id(gpu.states), name, *sorted(labels.items()))
            pool = pools.setdefault(key, Pool(len(pools), gpu.states, labels, name))
            by_node[gpu.node, id(gpu.states)] = pool
        parts = _parts(gpu, movable)
        alike = (pool.number, *parts)
        if alike not in known:
            known[alike] = pool.groups.setdefault(_alike(parts, gpu.states), [])
        known[alike].append(gpu)
    return list(pools.values())


def _told_apart(node: Node, keys: set[str]) -> dict[str, str]:
    has = node.has()
    return {key: has[key] for key in keys if key in has}


_FIXED, _IDLE = -1, -2

_Part = tuple[str, int, int, int, str]
"""(profile, start, size, kind or why it has none, pod where it has several slices)"""


def _parts(gpu: PlannedGpu, movable: Mapping[str, int]) -> tuple[_Part, ...]:
    found: list[_Part] = []
    seen: list[str] = []
    for instance in gpu.instances:
        if not instance.pods:
            kind = _IDLE
        else:
            pod = instance.pods[0]
            kind = movable.get(pod, _FIXED) if len(instance.pods) == 1 else _FIXED
            seen.append(pod)
        found.append((instance.profile, instance.start, instance.size, kind, ""))
    if len(seen) > 1 and len(set(seen)) < len(seen):
        found = [
            (*part[:4], instance.pods[0] if part[3] >= 0 else "")
            for part, instance in zip(found, gpu.instances, strict=True)
        ]
    return tuple(found)


def _alike(parts: Sequence[_Part], states: BoardStates) -> Alike:
    held = 0
    idle: list[Placing] = []
    units: list[Unit] = []
    of_pod: dict[str, tuple[int, list[Placing]]] = {}
    for profile, start, size, kind, pod in parts:
        placing = states.placing(profile, start)
        if placing is None or kind == _FIXED:
            held |= ((1 << size) - 1) << start
        elif kind == _IDLE:
            idle.append(placing)
        elif pod:
            of_pod.setdefault(pod, (kind, []))[1].append(placing)
        else:
            units.append(Unit((placing,), kind))
    units += [Unit(tuple(placings), kind) for kind, placings in of_pod.values()]
    return Alike(held, tuple(sorted(units, key=lambda unit: unit.mask)), frozenset(idle))
