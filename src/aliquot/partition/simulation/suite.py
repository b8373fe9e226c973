"""Many runs: cells of the suite x seeds x contenders, and what they come to.

All contenders of a cell meet the same requests (and failures) for one seed, so every difference is paired. Jobs are
(cell, seed) and independent: `spread` is the builtin map, or that of a pool of processes. So contenders go by name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol, TypeVar, cast

from aliquot.gpu.driver import InstanceProfile
from aliquot.partition.board_states import states_of
from aliquot.partition.simulation.contenders import BASELINE, REFERENCE, contender_of
from aliquot.partition.simulation.engine import Breakable, run, run_with_outages
from aliquot.partition.simulation.metrics import Estimate, Metrics, estimate, measure, paired
from aliquot.partition.simulation.workload import (
    MIXES,
    Drift,
    Outages,
    Workload,
    draw,
    draw_outages,
)

Timer = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Cell:
    name: str
    workload: Workload
    queueing: bool = False
    outages: Outages | None = None


@dataclass(frozen=True, slots=True)
class Job:
    profiles: tuple[InstanceProfile, ...]
    cell: Cell
    contenders: tuple[str, ...]
    seed: int
    timer: Timer | None = None


Played = Mapping[str, Metrics]
"""By name of the contender."""


def play(job: Job) -> Played:
    board, cell = states_of(job.profiles), job.cell
    workload = cell.workload
    random = Random(job.seed)
    trace = draw(board, workload, random)
    broken = draw_outages(cell.outages, workload, random) if cell.outages is not None else ()
    found = {}
    for contender in map(contender_of, job.contenders):
        if not contender.plays(queueing=cell.queueing, outages=cell.outages is not None):
            continue
        allocator = contender.make(board, workload, trace)
        if cell.outages is None:
            outcome = run(trace, allocator, queueing=cell.queueing, timer=job.timer)
        else:
            outcome = run_with_outages(trace, cast(Breakable, allocator), broken, queueing=cell.queueing)
        found[contender.name] = measure(board, workload.gpus, outcome, queueing=cell.queueing)
    return found


_Job = TypeVar("_Job")
_Found = TypeVar("_Found")


class Spread(Protocol):
    """Does jobs, of whatever kind, here or in other processes, and keeps their order."""

    def __call__(self, function: Callable[[_Job], _Found], jobs: Iterable[_Job], /) -> Iterable[_Found]: ...


@dataclass(frozen=True, slots=True)
class Result:
    cell: Cell
    runs: Sequence[Played]
    """By seed."""

    @property
    def contenders(self) -> tuple[str, ...]:
        return tuple(self.runs[0])

    def values(self, contender: str, figure: str) -> list[float]:
        """By seed. `figure`: a field of Metrics."""
        return [getattr(run[contender], figure) for run in self.runs]

    def mean(self, contender: str, figure: str) -> Estimate:
        return estimate(self.values(contender, figure))

    def gain(self, contender: str, figure: str) -> Estimate:
        """Over first fit, seed by seed."""
        return paired(self.values(contender, figure), self.values(BASELINE, figure))

    def gap_closed(self, contender: str, figure: str, reference: str = REFERENCE) -> float | None:
        """The part of the way from first fit to the reference; None where these do not differ or were not run."""
        if not {BASELINE, reference} <= set(self.contenders):
            return None
        gap = self.gain(reference, figure).mean
        return self.gain(contender, figure).mean / gap if gap else None

    def timed(self, contender: str, figure: str) -> float:
        """The mean of a decision's time over the seeds that were timed."""
        values = [value for value in self.values(contender, figure) if value]
        return sum(values) / len(values) if values else 0.0


def play_suite(
    profiles: tuple[InstanceProfile, ...],
    cells: Sequence[Cell],
    contenders: Sequence[str],
    seeds: Sequence[int],
    *,
    spread: Spread = map,
    timer: Timer | None = None,
) -> Iterator[Result]:
    """Cell by cell, each as soon as it is done. `timer` times the decisions of the first seed."""
    jobs = [
        Job(profiles, cell, tuple(contenders), seed, timer if number == 0 else None)
        for cell in cells
        for number, seed in enumerate(seeds)
    ]
    played = iter(spread(play, jobs))
    for cell in cells:
        yield Result(cell, [next(played) for _ in seeds])


# --- the cells ---


def loss_cells(base: Workload, loads: Sequence[float]) -> list[Cell]:
    """Every mix at every load. `base` has the rest."""
    return [
        Cell(f"{mix.name} {load:g}", replace(base, mix=mix, load=load))
        for load in loads
        for mix in MIXES.values()
    ]


def queueing_cells(base: Workload, loads: Sequence[float]) -> list[Cell]:
    """At load 1 and above queues grow as long as the run lasts."""
    return [replace(cell, queueing=True) for cell in loss_cells(base, loads)]


def drift_cells(base: Workload, loads: Sequence[float]) -> list[Cell]:
    """The mix changes when the warm-up ends: all that is counted comes after. What is told the mix is told the first."""
    turns = (
        *(("skew-small", "skew-big"), ("skew-big", "skew-small")),
        *(("uniform", "bimodal"), ("bimodal", "uniform")),
    )
    return [
        Cell(
            f"{before} to {after} {load:g}",
            replace(base, mix=MIXES[before], load=load, drift=Drift(MIXES[after], base.warm_up)),
        )
        for load in loads
        for before, after in turns
    ]


def failure_cells(base: Workload, loads: Sequence[float]) -> list[Cell]:
    return [replace(cell, outages=Outages()) for cell in loss_cells(base, loads)]


def optimum_cells(base: Workload, loads: Sequence[float]) -> list[Cell]:
    """Two nodes at most, whose optimum is found in seconds. All is counted: the optimum is that of the whole run."""
    small = replace(base, gpus=min(base.gpus, 16), horizon=min(base.horizon, 20.0), warm_up=0.0)
    return loss_cells(small, loads)


def scale_cells(sizes: Sequence[int]) -> list[Cell]:
    """Just long enough to fill the fleet and see it full: how costs grow is what they are for."""
    return [
        Cell(f"{gpus:,} GPUs", Workload(MIXES["uniform"], 1.0, gpus, horizon=5.0, warm_up=3.0))
        for gpus in sizes
    ]
