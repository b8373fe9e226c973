"""Waits with and without backfill, on jobs of Microsoft's Philly clusters as Gavel has them, with the scheduler's own core.

`none` lets whoever fits go in front of a job that is blocked, `strict` nobody: EASY as published is compared with the latter.
Each virtual cluster of the trace, but for small ones and one where all jobs are of one size, gets as many nodes of 8 GPUs as
make its load 70 % of them. Job events are submissions, starts and ends, by CPU time. `ALIQUOT_TRACES` names the directory with
gavel_philly in it.
"""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, geometric_mean
from time import process_time

from aliquot.scheduler.core.backfill.stage import Style
from aliquot.scheduler.simulation.timed import philly
from aliquot.scheduler.simulation.timed.estimates import Estimates, estimated
from aliquot.scheduler.simulation.timed.figures import Figures, figures
from aliquot.scheduler.simulation.timed.workload import Workload
from aliquot.scheduler.simulation.timed.world import Setting, play
from benchmarks.clusters import machine

LOAD = 0.7
FEWEST_JOBS = 500
SEED = 42
RUNS: Sequence[tuple[str, Style | None, Estimates]] = (
    ("none", None, Estimates.EXACT),
    ("strict", Style.STRICT, Estimates.EXACT),
    ("easy, exact", Style.EASY, Estimates.EXACT),
    ("easy, round", Style.EASY, Estimates.ROUND),
    ("easy, poor", Style.EASY, Estimates.POOR),
    ("conservative, exact", Style.CONSERVATIVE, Estimates.EXACT),
    ("conservative, round", Style.CONSERVATIVE, Estimates.ROUND),
    ("conservative, poor", Style.CONSERVATIVE, Estimates.POOR),
)


def main(short: bool = False) -> None:
    folder = Path(os.environ.get("ALIQUOT_TRACES", "")) / "gavel_philly"
    table = folder / "simulation_throughputs.json"
    if "ALIQUOT_TRACES" not in os.environ or not table.is_file():
        print(
            "  skipped: ALIQUOT_TRACES names no directory with gavel_philly/simulation_throughputs.json in it"
        )
        return
    print(f"{machine()}, one thread; waits in hours")
    throughputs = philly.read_throughputs(table.read_text(), str(table))
    found: dict[str, list[Figures]] = {name: [] for name, _, _ in RUNS}
    for path in sorted(folder.glob("*.trace")):
        with path.open() as lines:
            workload = philly.read_jobs(lines, throughputs, source=str(path))
        sizes = {job.total_gpus for job in workload.jobs}
        if len(workload.jobs) >= FEWEST_JOBS and len(sizes) > 1:
            _compare(path.stem, workload, found)
            if short:
                break
    _sum_up(found)


def _sum_up(found: Mapping[str, Sequence[Figures]]) -> None:
    print("\n  all of them, each virtual cluster counting the same")
    for name, runs in found.items():
        to_strict, to_none = _ratio(runs, found["strict"], _mean), _ratio(runs, found["none"], _mean)
        longest = _ratio(runs, found["none"], _most)
        late, promised = sum(run.late for run in runs), sum(run.promised for run in runs)
        print(
            f"  {name:20} mean wait {to_strict:+7.1%} to strict {to_none:+7.1%} to none   longest wait {longest:+7.1%} to none   "
            f"late {late:4} of {promised:5} promised   {fmean(run.events_per_s for run in runs):7,.0f} job events/s"
        )


def _ratio(runs: Sequence[Figures], base: Sequence[Figures], figure: Callable[[Figures], float]) -> float:
    """By how much one is more than the other, the geometric mean."""
    return geometric_mean(figure(one) / figure(other) for one, other in zip(runs, base, strict=True)) - 1


def _compare(name: str, workload: Workload, found: dict[str, list[Figures]]) -> None:
    jobs = workload.jobs
    span_s = jobs[-1].submit_s - jobs[0].submit_s
    load = sum(job.total_gpus * job.runtime_s for job in jobs) / span_s
    nodes = max(*(job.pods for job in jobs), round(load / LOAD / 8))
    print(f"\n  {name}: {len(jobs):,} jobs, {nodes} nodes")
    for title, style, kind in RUNS:
        traced = estimated(jobs, kind, random.Random(SEED))
        run = figures(play(traced, Setting(nodes, backfill=style), process_time))
        found[title].append(run)
        waits, large, slips = run.of_all.waits, run.large, run.slips
        assert waits is not None
        print(
            f"  {title:20} mean {_h(waits.mean)} p50 {_h(waits.p50)} p90 {_h(waits.p90)} p99 {_h(waits.p99)} most {_h(waits.most)}   "
            f"8 GPUs and more: mean {_h(large.mean) if large else '      -'}   slowdown {run.of_all.slowdown:9,.1f}   "
            f"late {run.late:4} of {run.promised:4}, on average {_h(slips.mean) if slips else '      -'}   {run.events_per_s:7,.0f} events/s",
            flush=True,
        )


def _mean(run: Figures) -> float:
    assert run.of_all.waits is not None
    return run.of_all.waits.mean


def _most(run: Figures) -> float:
    assert run.of_all.waits is not None
    return run.of_all.waits.most


def _h(seconds: float) -> str:
    return f"{seconds / 3600:7.2f}"
