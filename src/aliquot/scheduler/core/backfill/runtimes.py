"""How long a job runs: as it says itself, else as others of its template ran."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import TypeAlias

from aliquot.scheduler.core.jobs import JobSpec

Estimate: TypeAlias = Callable[[JobSpec], float | None]
"""Seconds from start to end; None: nothing is known."""
Template: TypeAlias = tuple[str, str]
"""Queue, and what the names of its jobs have in common."""


def stated(spec: JobSpec) -> float | None:
    return spec.max_runtime_s


def template_of(spec: JobSpec) -> Template:
    """Of `ml/job.batch:train-llm-20261128-7` the same as of `ml/job.batch:train-llm-20261127-1`: without the parts at the end
    that have a digit in them."""
    parts = spec.key.split("-")
    while len(parts) > 1 and any(letter.isdigit() for letter in parts[-1]):
        parts.pop()
    return spec.queue, "-".join(parts)


@dataclass(slots=True)
class _Seen:
    in_turn: deque[float] = field(default_factory=deque)
    sorted: list[float] = field(default_factory=list)


class RuntimeHistory:
    """Of each template the latest `most` run times. The estimate is their `quantile`, once there are `least` of them: high,
    because a job that runs longer than expected delays those who were promised its room."""

    def __init__(self, *, quantile: float = 0.95, least: int = 3, most: int = 64) -> None:
        self._quantile = quantile
        self._least = least
        self._most = most
        self._seen: dict[Template, _Seen] = {}

    def ended(self, spec: JobSpec, runtime_s: float) -> None:
        seen = self._seen.setdefault(template_of(spec), _Seen())
        seen.in_turn.append(runtime_s)
        insort(seen.sorted, runtime_s)
        if len(seen.in_turn) > self._most:
            oldest = seen.in_turn.popleft()
            del seen.sorted[bisect_left(seen.sorted, oldest)]

    def estimate(self, spec: JobSpec) -> float | None:
        """What the job states goes first."""
        if spec.max_runtime_s is not None:
            return spec.max_runtime_s
        seen = self._seen.get(template_of(spec))
        if seen is None or len(seen.sorted) < self._least:
            return None
        return seen.sorted[max(0, ceil(self._quantile * len(seen.sorted)) - 1)]
