"""The named points of a cycle and the rule at each. A rule is a pure function; put another in to change a behaviour."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from aliquot.scheduler.core import devices
from aliquot.scheduler.core.domains import Preference
from aliquot.scheduler.core.filters import MATCHING, ROOM, Filter
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import DeviceChoice, PodShape
from aliquot.scheduler.core.queues.line import BY_PRIORITY_THEN_AGE, Line
from aliquot.scheduler.core.reasons import Reason
from aliquot.scheduler.core.scores import BEFORE_NEIGHBOURS, BEST, BY_FACTS, PACKING, Score

Assign: TypeAlias = Callable[[PodShape, NodeState], tuple[DeviceChoice, ...]]


class Judge(Protocol):
    """Which nodes will do for a pod, how well, and with which devices."""

    def reject(self, shape: PodShape, node: NodeState) -> Reason | None: ...
    def lacks_room(self, shape: PodShape, node: NodeState) -> Reason | None:
        """What `reject` says of a node of which only room has changed, since it would do or was rejected for a reason of
        `CAPACITY`."""

    def score(self, shape: PodShape, node: NodeState) -> int: ...
    def score_anew(self, shape: PodShape, node: NodeState, before: int) -> int:
        """What `score` says of a node of which only room has changed since it said `before`."""

    def weigh(self, score: int, preference: Preference) -> tuple[float, ...]: ...
    def assign(self, shape: PodShape, node: NodeState) -> tuple[DeviceChoice, ...]: ...


@dataclass(frozen=True, slots=True)
class Policies:
    order: Line = BY_PRIORITY_THEN_AGE
    """Who goes first: the lowest rank. It does not depend on the cluster, or the line would have to be sorted anew."""
    filters: tuple[Filter, ...] = MATCHING
    room: tuple[Filter, ...] = ROOM
    """Asked after the others; and alone where only room has changed."""
    by_facts: tuple[Score, ...] = BY_FACTS
    by_room: tuple[Score, ...] = PACKING
    """Of less weight than the others."""
    choose: Assign = devices.assign

    def reject(self, shape: PodShape, node: NodeState) -> Reason | None:
        """The first filter's answer that is a no."""
        for accept in self.filters:
            reason = accept(shape, node)
            if reason is not None:
                return reason
        return self.lacks_room(shape, node)

    def lacks_room(self, shape: PodShape, node: NodeState) -> Reason | None:
        for accept in self.room:
            reason = accept(shape, node)
            if reason is not None:
                return reason
        return None

    def score(self, shape: PodShape, node: NodeState) -> int:
        """All scores in one number that sorts as their sequence does."""
        return self._scored(0, (*self.by_facts, *self.by_room), shape, node)

    def score_anew(self, shape: PodShape, node: NodeState, before: int) -> int:
        if shape.gpu_wish is not None:
            # Its preference is for GPUs that are free together.
            return self.score(shape, node)
        foremost = before // (BEST + 1) ** len(self.by_room)
        return self._scored(foremost, self.by_room, shape, node)

    def _scored(self, foremost: int, scores: Iterable[Score], shape: PodShape, node: NodeState) -> int:
        total = foremost
        for score in scores:
            total = total * (BEST + 1) + score(shape, node)
        return total

    def weigh(self, score: int, preference: Preference) -> tuple[float, ...]:
        """`score` with what the pod's rules say of the node's domains put in; the larger the better."""
        behind = max(0, len(self.by_facts) + len(self.by_room) - BEFORE_NEIGHBOURS)
        foremost, rest = divmod(score, (BEST + 1) ** behind)
        return (foremost, *preference, rest)

    def assign(self, shape: PodShape, node: NodeState) -> tuple[DeviceChoice, ...]:
        return self.choose(shape, node)
