"""What a plan may disturb: the limits that a cluster and its owner set, each of which can be named when it is in the way."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from aliquot.partition.cluster import Cluster, RunningPod


class Rule(StrEnum):
    """Limits that can be lifted, in the words of a message."""

    DO_NOT_DISRUPT = "pods marked do-not-disrupt"
    MINIMUM_RUN = "the minimum run time"
    MOVES = "the budget of moves"
    PRIORITIES = "pods of higher priority stay"
    PLACES = "the nodes that pods ask for"
    BUDGET = "PodDisruptionBudget"


@dataclass(frozen=True, slots=True)
class Limit:
    """One of them; of budgets, which."""

    rule: Rule
    budget: str = ""

    def __str__(self) -> str:
        return f"{self.rule} {self.budget}" if self.budget else str(self.rule)


@dataclass(frozen=True, slots=True)
class Limits:
    moves: int | None = None
    """What is left of the budget of moves; None: any number."""
    minimum_run_s: float = 0.0
    """A pod is not moved before."""
    lifted: frozenset[Limit] = frozenset()
    """Those that are not heeded. For finding out which are in each other's way, never for a plan."""

    def heed(self, rule: Rule, budget: str = "") -> bool:
        return Limit(rule, budget) not in self.lifted

    def without(self, lifted: Iterable[Limit]) -> "Limits":
        return replace(self, lifted=frozenset(lifted))

    def all_of(self, cluster: Cluster) -> tuple[Limit, ...]:
        """Those that can have a say in this cluster."""
        pods = cluster.running.values()
        budgets = sorted({pod.budget for pod in pods if pod.budget})
        held = [Limit(Rule.BUDGET, budget) for budget in budgets]
        if any(pod.do_not_disrupt for pod in pods):
            held.append(Limit(Rule.DO_NOT_DISRUPT))
        if self.minimum_run_s > 0:
            held.append(Limit(Rule.MINIMUM_RUN))
        if self.moves is not None:
            held.append(Limit(Rule.MOVES))
        places = [*(pod.where for pod in pods), *(pod.where for pod in cluster.pending)]
        if any(where.terms for where in places):
            held.append(Limit(Rule.PLACES))
        if max((p.priority for p in pods), default=0) > max((p.priority for p in cluster.pending), default=0):
            held.append(Limit(Rule.PRIORITIES))
        return tuple(held)


def why_not(pod: RunningPod, limits: Limits, cluster: Cluster, now_s: float, highest_pending: int) -> str:
    """Why the pod is not moved; empty: it may be."""
    if pod.fixed:
        return pod.fixed
    if pod.do_not_disrupt and limits.heed(Rule.DO_NOT_DISRUPT):
        return "it is marked do-not-disrupt"
    if limits.minimum_run_s > 0 and limits.heed(Rule.MINIMUM_RUN):
        if pod.started_s is None:
            return "it has not started yet"
        if (left := pod.started_s + limits.minimum_run_s - now_s) > 0:
            return f"it has {left:.0f} s to run until it may be moved"
    if pod.budget and limits.heed(Rule.BUDGET, pod.budget) and cluster.budgets.get(pod.budget, 0) < 1:
        return f"PodDisruptionBudget {pod.budget} allows no disruption now"
    if limits.moves is not None and limits.moves < 1 and limits.heed(Rule.MOVES):
        return "no moves are left"
    if pod.priority > highest_pending and limits.heed(Rule.PRIORITIES):
        return f"its priority {pod.priority} is above that of all that waits"
    return ""
