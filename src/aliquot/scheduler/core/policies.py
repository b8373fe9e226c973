"""The named points of a cycle and the rule at each. A rule is a pure function; put another in to change a behaviour."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from aliquot.scheduler.core import devices, filters, scores
from aliquot.scheduler.core.domains import Preference
from aliquot.scheduler.core.filters import Filter
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import DeviceChoice, PodShape
from aliquot.scheduler.core.queues.line import BY_PRIORITY_THEN_AGE, Line
from aliquot.scheduler.core.reasons import Reason
from aliquot.scheduler.core.scores import BEST, Score

Assign: TypeAlias = Callable[[PodShape, NodeState], tuple[DeviceChoice, ...]]


class Judge(Protocol):
    """Which nodes will do for a pod, how well, and with which devices."""

    def reject(self, shape: PodShape, node: NodeState) -> Reason | None: ...
    def score(self, shape: PodShape, node: NodeState) -> int: ...
    def weigh(self, score: int, preference: Preference) -> tuple[float, ...]: ...
    def assign(self, shape: PodShape, node: NodeState) -> tuple[DeviceChoice, ...]: ...


@dataclass(frozen=True, slots=True)
class Policies:
    order: Line = BY_PRIORITY_THEN_AGE
    """Who goes first: the lowest rank. It does not depend on the cluster, or the line would have to be sorted anew."""
    filters: tuple[Filter, ...] = filters.FILTERS
    scores: tuple[Score, ...] = scores.SCORES
    choose: Assign = devices.assign

    def reject(self, shape: PodShape, node: NodeState) -> Reason | None:
        """The first filter's answer that is a no."""
        for accept in self.filters:
            reason = accept(shape, node)
            if reason is not None:
                return reason
        return None

    def score(self, shape: PodShape, node: NodeState) -> int:
        """All scores in one number that sorts as their sequence does."""
        total = 0
        for score in self.scores:
            total = total * (BEST + 1) + score(shape, node)
        return total

    def weigh(self, score: int, preference: Preference) -> tuple[float, ...]:
        """`score` with what the pod's rules say of the node's domains put in; the larger the better."""
        behind = max(0, len(self.scores) - scores.BEFORE_NEIGHBOURS)
        foremost, rest = divmod(score, (BEST + 1) ** behind)
        return (foremost, *preference, rest)

    def assign(self, shape: PodShape, node: NodeState) -> tuple[DeviceChoice, ...]:
        return self.choose(shape, node)
