"""The line of jobs within one queue: by priority, by age, and by who has had how much."""

from dataclasses import dataclass
from typing import TypeAlias

from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pod import Amounts

Rank: TypeAlias = tuple[float, float, float, str]


@dataclass(frozen=True, slots=True)
class Line:
    """How jobs of one queue are ordered. What a job may evict goes by its priority alone: waiting gives no right to a place."""

    ageing_s: float | None = None
    """A job that has waited so much longer is level with one whose priority is higher by one; None: no wait makes up for
    priority."""

    def rank(self, job: JobSpec, had: float = 0.0) -> Rank:
        """The lowest goes first. `had`: see `dominant`, of the job's user; among jobs that are level otherwise the user who had
        less goes first.

        All that wait grow older alike, so that age is the head start of those who came first: a rank stays what it is, and
        a line need not be sorted again because time passes.
        """
        if self.ageing_s is None:
            return -job.priority, had, job.created_s, job.key
        return job.created_s - job.priority * self.ageing_s, had, job.created_s, job.key


def dominant(had: Amounts, capacity: Amounts) -> float:
    """The largest part of any one resource."""
    return max(
        (amount / capacity[resource] for resource, amount in had.items() if capacity.get(resource)),
        default=0.0,
    )
