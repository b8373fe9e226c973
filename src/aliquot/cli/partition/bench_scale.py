"""The section `scale` of bench: what a run costs as the fleet grows, each in a process of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aliquot.cli.output import table
from aliquot.cli.partition.simulate import decision, document_of

if TYPE_CHECKING:
    from aliquot.gpu.driver import InstanceProfile
    from aliquot.partition.simulation.suite import Cell, Job, Played, Result

SEED = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run: drawing the requests, playing and measuring."""

    took_s: float
    peak_memory_mib: float
    """Of the whole process, which holds all requests and what became of them."""


def play_sizes(
    profiles: "tuple[InstanceProfile, ...]", cells: "Sequence[Cell]", contenders: Sequence[str]
) -> "Iterator[tuple[Result, dict[str, Cost]]]":
    """One after the other, so that none slows another down; a fresh process each, whose memory is that of one run."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    from time import perf_counter

    from aliquot.partition.simulation.suite import Job, Result

    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        jobs = [[Job(profiles, cell, (name,), SEED, perf_counter) for name in contenders] for cell in cells]
        played = pool.map(_play_alone, [job for of_cell in jobs for job in of_cell])
        for cell in cells:
            costs: dict[str, Cost] = {}
            found: dict[str, Any] = {}
            for name in contenders:
                metrics, costs[name] = next(played)
                found.update(metrics)
            yield Result(cell, [found]), costs


def _play_alone(job: "Job") -> "tuple[Played, Cost]":
    from time import perf_counter

    from aliquot.partition.simulation.suite import play

    began = perf_counter()
    metrics = play(job)
    return metrics, Cost(perf_counter() - began, _peak_memory_mib())


def _peak_memory_mib() -> float:
    """Of this process since it began; getrusage tells that of its parent where that is more."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("/proc/self/status tells no VmHWM")


def show_sizes(played: "Sequence[tuple[Result, dict[str, Cost]]]") -> None:
    table(
        ("GPUS", "POLICY", "REQUESTS", "SLOTS ADMITTED", "USE", "DECISION P50/P99", "TOOK", "PEAK MEMORY"),
        [
            (
                f"{result.cell.workload.gpus:,}",
                name,
                f"{result.mean(name, 'requests').mean:,.0f}",
                f"{result.mean(name, 'slice_acceptance').mean:.4f}",
                f"{result.mean(name, 'utilisation').mean:.4f}",
                decision(result, name),
                f"{cost.took_s:.1f} s",
                f"{cost.peak_memory_mib:.0f} MiB",
            )
            for result, costs in played
            for name, cost in costs.items()
        ],
    )


def document_of_size(result: "Result", costs: dict[str, Cost]) -> dict[str, Any]:
    document = document_of(result)
    for name, cost in costs.items():
        document["policies"][name] |= {"tookS": cost.took_s, "peakMemoryMib": cost.peak_memory_mib}
    return document
