"""Many runs: seeds x policies on one trace, and what they come to.

All policies of a seed meet the same pods in the same order, so every difference is paired. Jobs are seeds and
independent: `spread` is the builtin map, or that of a pool of processes. So policies go by name.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean, stdev

import numpy as np

from aliquot.partition.simulation.metrics import Estimate, paired
from aliquot.partition.simulation.suite import Spread
from aliquot.scheduler.simulation.engine import Outcome, run
from aliquot.scheduler.simulation.policies import POLICIES
from aliquot.scheduler.simulation.protocol import draw
from aliquot.scheduler.simulation.trace import Node, Pod

FIRST_SEED = 42
"""Of the published runs."""
SHOWN = (100, 130)
"""Arrived load in percent of the GPUs, at which allocation is told."""

Timer = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Job:
    nodes: Sequence[Node]
    pods: Sequence[Pod]
    policies: tuple[str, ...]
    seed: int
    timer: Timer


@dataclass(frozen=True, slots=True)
class Run:
    policy: str
    seed: int
    allocation_percent: tuple[float, ...]
    """Of the cluster's GPUs; one for each of SHOWN."""
    turned_away: int
    """Pods that did not fit, of the whole run."""
    decisions_per_s: float
    curve: tuple["Point", ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """All in percent of the GPUs."""

    arrived: int
    allocated: float
    fragmented: float


def play(job: Job) -> list[Run]:
    arrivals = draw(job.nodes, job.pods, Random(job.seed))
    found = []
    for policy in job.policies:
        outcome = run(arrivals, POLICIES[policy], Random(job.seed), job.timer)
        shown = tuple(allocation_percent(outcome, percent) for percent in SHOWN)
        away = sum(1 for row in outcome.rows if row < 0)
        # A timer may stand still over a run of few pods.
        speed = len(outcome.rows) / max(outcome.took_s, 1e-6)
        found.append(Run(policy, job.seed, shown, away, speed, _curve(outcome)))
    return found


def _curve(outcome: Outcome) -> tuple[Point, ...]:
    return tuple(
        Point(percent, allocation_percent(outcome, percent), 100 * milli / outcome.total_gpu_milli)
        for percent, milli in outcome.fragmented_gpu_milli.items()
    )


def allocation_percent(outcome: Outcome, arrived_percent: int) -> float:
    """The mean after each pod with which the arrived load, rounded, comes to that. On clusters so small that none does: what
    was allocated last before."""
    scale = 100 / max(1, outcome.total_gpu_milli)
    arrived = np.rint(np.array(outcome.arrived_gpu_milli) * scale)
    allocated = np.array(outcome.allocated_gpu_milli) * scale
    there = arrived == arrived_percent
    if there.any():
        return float(allocated[there].mean())
    before = allocated[arrived < arrived_percent]
    return float(before[-1]) if len(before) else 0.0


class Result:
    """What runs of one trace come to."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs = tuple(runs)
        self.policies = tuple(dict.fromkeys(run.policy for run in self.runs))

    def allocation(self, policy: str, arrived_percent: int) -> list[float]:
        """By seed."""
        number = SHOWN.index(arrived_percent)
        return [run.allocation_percent[number] for run in self.runs if run.policy == policy]

    def mean(self, policy: str, arrived_percent: int) -> float:
        return fmean(self.allocation(policy, arrived_percent))

    def deviation(self, policy: str, arrived_percent: int) -> float | None:
        """Of a sample; None of one seed."""
        values = self.allocation(policy, arrived_percent)
        return stdev(values) if len(values) > 1 else None

    def difference(self, policy: str, arrived_percent: int) -> Estimate:
        """To the first policy, seed by seed."""
        first = self.allocation(self.policies[0], arrived_percent)
        return paired(self.allocation(policy, arrived_percent), first)

    def fragmentation(self, policy: str, arrived_percent: int) -> float | None:
        """The mean, of each run as it was looked at last by then; None where none was."""
        curves = [run.curve for run in self.runs if run.policy == policy]
        until = [[point for point in curve if point.arrived <= arrived_percent] for curve in curves]
        found = [points[-1].fragmented for points in until if points]
        return fmean(found) if found else None

    def curve(self, policy: str) -> list[Point]:
        """The mean of the runs."""
        by_load: dict[int, list[Point]] = {}
        for point in (point for one in self.runs if one.policy == policy for point in one.curve):
            by_load.setdefault(point.arrived, []).append(point)
        return [
            Point(load, fmean(one.allocated for one in points), fmean(one.fragmented for one in points))
            for load, points in sorted(by_load.items())
        ]

    def turned_away(self, policy: str) -> float:
        return fmean(run.turned_away for run in self.runs if run.policy == policy)

    def decisions_per_s(self, policy: str) -> float:
        return fmean(run.decisions_per_s for run in self.runs if run.policy == policy)


def play_suite(
    nodes: Sequence[Node],
    pods: Sequence[Pod],
    policies: Sequence[str],
    seeds: Iterable[int],
    *,
    spread: Spread,
    timer: Timer,
) -> Result:
    jobs = [Job(nodes, pods, tuple(policies), seed, timer) for seed in seeds]
    return Result(run for runs in spread(play, jobs) for run in runs)
