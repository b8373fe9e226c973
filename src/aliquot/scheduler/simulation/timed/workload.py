"""Jobs as a trace has them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TracedJob:
    name: str
    submit_s: float
    runtime_s: float
    """What it takes, if it is left to run."""
    gpus: int
    """Of each pod."""
    pods: int = 1
    """All needed together."""
    estimate_s: float | None = None
    """What its owner says it takes; None: nothing."""
    queue: str = ""
    user: str = ""
    priority: int = 0

    @property
    def total_gpus(self) -> int:
        return self.pods * self.gpus


@dataclass(frozen=True, slots=True)
class Workload:
    jobs: Sequence[TracedJob]
    """By time of submission."""
    remarks: tuple[str, ...] = ()
    """What a reader had to make up, or leave out."""


def split(gpus: int, most: int) -> tuple[int, int]:
    """Pods, and GPUs of each, for a job of so many GPUs on nodes that have `most`: as few pods of one size as there can be."""
    pods = -(-gpus // most)
    while gpus % pods:
        pods += 1
    return pods, gpus // pods
