"""The planner as a whole: a cluster and limits in, a plan out, or the limits that contradict what is required."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from aliquot.partition.cluster import Cluster, PendingPod
from aliquot.partition.first_fit import most_of_one
from aliquot.partition.replanning.concrete import spell_out
from aliquot.partition.replanning.limits import Limit, Limits
from aliquot.partition.replanning.ordering import in_order, touched_nodes
from aliquot.partition.replanning.plan import Plan, apply
from aliquot.partition.replanning.pools import Pools, closed, pools_of, slices
from aliquot.partition.replanning.solving import Infeasible, NoTime, Solved, admission_of, solve

DEFAULT_WITHIN_S = 3.0
MOST_LIMITS_COMBINED = 8


class Contradiction(Exception):
    """What is required cannot be had within the limits. One line, with the smallest set of limits that forbids it."""

    def __init__(self, message: str, limits: tuple[Limit, ...]) -> None:
        super().__init__(message)
        self.limits = limits


@dataclass(frozen=True, slots=True)
class Request:
    limits: Limits = field(default_factory=Limits)
    now_s: float = 0.0
    """Of the clock that pods' starts were read from."""
    within_s: float = DEFAULT_WITHIN_S


def replan(cluster: Cluster, request: Request, monotonic: Callable[[], float]) -> Plan:
    """Raises Contradiction, or NoTime where something is required and time was up before it was found."""
    deadline = monotonic() + request.within_s
    pools = pools_of(cluster, request.limits, request.now_s)
    try:
        solved = solve(
            pools, cluster.budgets, request.limits, within_s=deadline - monotonic(), monotonic=monotonic
        )
    except Infeasible:
        raise _contradiction(cluster, request, monotonic) from None
    return _plan(cluster, pools, solved)


def _plan(cluster: Cluster, pools: Pools, solved: Solved) -> Plan:
    operations = in_order(spell_out(solved.model, solved.values, cluster), cluster)
    note = ""
    if not pools.all_looked_at:
        note = (
            f"for pods of several slices {pools.own_pools} of {pools.candidates} nodes were looked at, those with "
            "most room: another plan may admit more"
        )
    bare = Plan(
        operations,
        solved.reached,
        {},
        pools.fixed,
        cluster.basis(touched_nodes(operations)),
        note=note,
    )
    after = apply(bare, cluster)
    admitted = set(bare.admitted)
    proven = {one.aim for one in solved.reached if one.proven}
    waiting = {
        pod.key: _why_waits(pod, pools, admission_of(pod.priority) in proven)
        for pod in cluster.pending
        if pod.key not in admitted
    }
    before_room, after_room = _room(cluster), _room(after)
    room = {profile: (count, after_room.get(profile, 0)) for profile, count in before_room.items()}
    return Plan(operations, solved.reached, waiting, pools.fixed, bare.basis, room, note)


def _why_waits(pod: PendingPod, pools: Pools, proven: bool) -> str:
    listed = " and ".join(f"{count} x {profile}" for profile, count in pod.needs)
    if not any(pool.where_allows(pod.where) for pool in pools.pools):
        return "no node with an open GPU in MIG mode is one of those it asks for"
    if not any(pool.allows(pod.where, pod.needs) for pool in pools.pools):
        if slices(pod.needs) > 1 and any(
            pool.allows(pod.where, (need,)) for pool in pools.pools for need in pod.needs
        ):
            return f"no node that was looked at has {listed}"
        return f"no board it could be on has {listed}"
    if not proven:
        return f"no room for {listed} was found in time"
    return f"no room for {listed}, not even by moving what may be moved"


def _room(cluster: Cluster) -> dict[str, int]:
    """Profile -> how many of it alone would still fit, on all open GPUs."""
    fits: dict[tuple[int, int], Mapping[str, int]] = {}
    total: dict[str, int] = {}
    for gpu in cluster.gpus:
        if closed(gpu, cluster):
            continue
        held = 0
        for instance in gpu.instances:
            held |= instance.mask if instance.pods else 0
        key = id(gpu.states), held
        if key not in fits:
            names = [profile.name for profile in gpu.states.profiles]
            fits[key] = {name: most_of_one(gpu.states, n, held) for n, name in enumerate(names)}
        for name, count in fits[key].items():
            total[name] = total.get(name, 0) + count
    return total


# --- limits that contradict each other ---


def _contradiction(cluster: Cluster, request: Request, monotonic: Callable[[], float]) -> Contradiction:
    """Tries the limits by ever larger sets: the first set that alone forbids what is required is the smallest."""
    required = [pod for pod in cluster.pending if pod.required]
    listed = ", ".join(pod.key for pod in required[:3]) + (
        f" and {len(required) - 3} more" if len(required) > 3 else ""
    )
    limits = request.limits.all_of(cluster)
    if _forbidden(cluster, request, limits, (), monotonic):
        return Contradiction(f"{listed}: there is no room, even if all that can be moved were moved", ())
    for size in range(1, min(len(limits), MOST_LIMITS_COMBINED) + 1):
        for heeded in combinations(limits, size):
            if _forbidden(cluster, request, limits, heeded, monotonic):
                told = " and ".join(map(str, heeded))
                verb = "forbids" if size == 1 else "together forbid"
                return Contradiction(f"{listed}: {told} {verb} it; lift one of them", heeded)
    return Contradiction(f"{listed}: the limits forbid it", limits)


def _forbidden(
    cluster: Cluster,
    request: Request,
    limits: tuple[Limit, ...],
    heeded: tuple[Limit, ...],
    monotonic: Callable[[], float],
) -> bool:
    """Whether these limits alone forbid what is required. What is not found out in time does not count."""
    lifted = request.limits.without(limit for limit in limits if limit not in heeded)
    pools = pools_of(cluster, lifted, request.now_s)
    try:
        solve(
            pools,
            cluster.budgets,
            lifted,
            within_s=request.within_s,
            monotonic=monotonic,
            only_admission=True,
        )
    except Infeasible:
        return True
    except NoTime:
        return False
    return False
