"""The line of jobs within one queue: by priority, by age, and by who has had how much.

What is of the job alone is its rank, and never changes: all that wait grow older alike, so that age is the head start of those
who came first, and a line need not be sorted again because time passes. What a user has had changes with each job that is
placed. It is the same for all jobs of a user, so it is put in when the first jobs of each user are compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Rank: TypeAlias = tuple[float, float, str]
Turn: TypeAlias = tuple[float, float, float, str]


class Ranked(Protocol):
    """A job, or a pod that is one."""

    @property
    def key(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def created_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Line:
    """How jobs of one queue are ordered. What a job may evict goes by its priority alone: waiting gives no right to a place."""

    ageing_s: float | None = None
    """A job that has waited so much longer is level with one whose priority is higher by one; None: no wait makes up for
    priority."""

    def rank(self, job: Ranked) -> Rank:
        """Of the jobs of one user the lowest goes first."""
        if self.ageing_s is None:
            return -job.priority, job.created_s, job.key
        return job.created_s - job.priority * self.ageing_s, job.created_s, job.key

    def turn(self, rank: Rank, part: float = 0.0) -> Turn:
        """Of all jobs the lowest goes first. `part`: of what users have had, that of the job's. Among jobs of one priority the
        user who had less goes first; with ageing, one who had everything stands back as for one priority."""
        level, created_s, key = rank
        if self.ageing_s is None:
            return level, part, created_s, key
        return level + part * self.ageing_s, 0.0, created_s, key


BY_PRIORITY_THEN_AGE = Line()


def dominant(had: Mapping[str, float], whole: Mapping[str, float]) -> float:
    """The largest part of any one resource."""
    return max(
        (amount / whole[resource] for resource, amount in had.items() if whole.get(resource)),
        default=0.0,
    )
