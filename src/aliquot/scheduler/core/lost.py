"""What is lost when pods of a job are evicted: its work since it was last written down, or else since it started.

GPUs count first. What was written down by any pod of a job was written down by all of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from aliquot.scheduler.core.pod import CPU, Amounts, PlacedPod
from aliquot.scheduler.core.queues.terms import GPU

MOST_AHEAD_S = 60.0
"""A checkpoint may be so much later than now, as clocks differ; one that is later still counts as none."""


@dataclass(frozen=True, slots=True)
class Lost:
    gpu_s: float = 0.0
    """GPUs times seconds."""
    cpu_s: float = 0.0
    since_s: float = inf
    checkpoint: bool = False
    """The job wrote its work down at `since_s`; else it started then."""

    @property
    def cost(self) -> tuple[float, float]:
        return self.gpu_s, self.cpu_s

    def __add__(self, other: "Lost") -> "Lost":
        """Of other pods of the same job."""
        first = min(self, other, key=lambda lost: lost.since_s)
        return Lost(self.gpu_s + other.gpu_s, self.cpu_s + other.cpu_s, first.since_s, first.checkpoint)


NOTHING_LOST = Lost()


def last_checkpoint_s(pods: Iterable[PlacedPod], now_s: float) -> float:
    """Of pods of one job; -inf: they have none that could be believed."""
    believed = (pod.checkpoint_s for pod in pods if pod.checkpoint_s <= now_s + MOST_AHEAD_S)
    return min(max(believed, default=-inf), now_s)


def lost_by(pod: PlacedPod, counts: Amounts, checkpoint_s: float, now_s: float) -> Lost:
    """`counts`: what it counts in its queue. `checkpoint_s`: of its job."""
    since_s = max(pod.since_s, checkpoint_s)
    for_s = max(0.0, now_s - since_s)
    return Lost(
        counts.get(GPU, 0) / 1000 * for_s,
        counts.get(CPU, 0) / 1000 * for_s,
        since_s,
        checkpoint=checkpoint_s > pod.since_s,
    )


def gpu_time(gpu_s: float) -> str:
    """In words."""
    for unit, name in ((3600, "hours"), (60, "minutes")):
        if gpu_s >= unit:
            return f"{gpu_s / unit:.1f} GPU-{name}"
    return f"{gpu_s:.0f} GPU-seconds"
