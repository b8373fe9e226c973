"""How much of a cluster's GPUs the scheduler gets to use: recorded workloads, beside FGD and other policies.

ALIQUOT_TRACES names a directory with openb/ (the node list and pod lists of Alibaba's GPU trace of 2023) and, if there,
fgd_expected_results/allocation_percent.csv (what the authors of FGD got, run by run); docs/scheduler.md tells where they
come from. Decisions are counted by CPU time of one thread. Last, the scheduler's core as it runs, on an eighth of the cluster and
of its pods.
"""

import csv
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import fmean

from aliquot.scheduler.core.placement import Placement
from aliquot.scheduler.simulation.engine import run
from aliquot.scheduler.simulation.openb import read_nodes, read_pods
from aliquot.scheduler.simulation.policies import POLICIES
from aliquot.scheduler.simulation.production import play_core
from aliquot.scheduler.simulation.protocol import draw
from aliquot.scheduler.simulation.suite import (
    FIRST_SEED,
    SHOWN,
    Result,
    allocation_percent,
    play_suite,
)
from aliquot.scheduler.simulation.trace import Node, Pod
from benchmarks.clusters import machine

SEEDS = 10
CORE_PART = 8
"""Of the cluster and the pods, for the core: it takes a hundred times as long as the simulator."""
_NODES = "openb_node_list_gpu_node.csv"
_AUTHORS_NAMES = {
    "fgd": "FGD",
    "bestfit": "BestFit",
    "packing": "GpuPacking",
    "clustering": "GpuClustering",
    "dotprod": "DotProd",
    "random": "Random",
}

Published = Mapping[tuple[str, str], tuple[float, ...]]
"""Means by workload and policy, one for each of SHOWN."""


def main(short: bool = False) -> None:
    directory = os.environ.get("ALIQUOT_TRACES")
    if not directory:
        print("skipped: ALIQUOT_TRACES names no directory of recorded traces (docs/scheduler.md)")
        return
    openb = Path(directory) / "openb"
    traces = sorted(openb.glob("openb_pod_list_*.csv"))
    if not traces or not (openb / _NODES).exists():
        print(f"skipped: {openb} has no {_NODES} or no openb_pod_list_*.csv")
        return
    with (openb / _NODES).open(newline="") as lines:
        nodes = read_nodes(lines, source=_NODES)
    published = _published(Path(directory) / "fgd_expected_results" / "allocation_percent.csv")
    seeds = range(FIRST_SEED, FIRST_SEED + (2 if short else SEEDS))
    policies = ("aliquot", "fgd") if short else tuple(POLICIES)
    gpus = sum(node.gpus for node in nodes)
    print(f"{len(nodes):,} nodes, {gpus:,} GPUs; {len(seeds)} seeds; {machine()}, one thread")
    print(
        "  percent of GPUs allocated, when as many were asked for as there are, and at 1.3 times that: mean ± sd"
    )
    print(f"  goal: {policies[0]} 0.5 above fgd at {SHOWN[0]}; 5,000 decisions/s")
    for trace in traces:
        with trace.open(newline="") as lines:
            pods = read_pods(lines, source=trace.name)
        print(f"  {trace.stem.removeprefix('openb_pod_list_')}", flush=True)
        heads = "".join(f"{f'@{percent}':>8}{'':7}{'published':>11}{'vs fgd':>16}" for percent in SHOWN)
        print(f"    {'':12}{heads}{'decisions/s':>14}", flush=True)
        # FGD first: others are compared with it.
        order = ("fgd", *(policy for policy in policies if policy != "fgd"))
        result = play_suite(nodes, pods, order, seeds, spread=map, timer=time.process_time)
        for policy in policies:
            _line(result, policy, published.get((trace.stem, _AUTHORS_NAMES.get(policy, ""))))
    default = openb / "openb_pod_list_default.csv"
    if default.exists():
        with default.open(newline="") as lines:
            _core(nodes, read_pods(lines, source=default.name), seeds[:1] if short else seeds)


def _core(nodes: Sequence[Node], pods: Sequence[Pod], seeds: Iterable[int]) -> None:
    """Drawn anew for each seed; beside the simulator's policies on the same arrivals."""
    found: defaultdict[str, list[Sequence[float]]] = defaultdict(list)
    speeds: defaultdict[str, list[float]] = defaultdict(list)
    for seed in seeds:
        random = Random(seed)
        some = random.sample(list(nodes), len(nodes) // CORE_PART)
        arrivals = draw(some, random.sample(list(pods), len(pods) // CORE_PART), random)
        outcomes = {
            f"core, {placement}": play_core(arrivals, placement, time.process_time) for placement in Placement
        }
        for policy in ("aliquot", "fgd"):
            outcomes[policy] = run(arrivals, POLICIES[policy], random, time.process_time)
        for name, outcome in outcomes.items():
            found[name].append([allocation_percent(outcome, percent) for percent in SHOWN])
            speeds[name].append(len(outcome.rows) / outcome.took_s)
    print(f"  the scheduler's core, 1/{CORE_PART} of the default list")
    heads = "".join(f"{f'@{percent}':>8}" for percent in SHOWN)
    print(f"    {'':<16}{heads}{'decisions/s':>14}")
    for name, runs in found.items():
        cells = "".join(f"{fmean(values):>8.2f}" for values in zip(*runs, strict=True))
        print(f"    {name:<16}{cells}{fmean(speeds[name]):>14,.0f}", flush=True)


def _line(result: Result, policy: str, published: tuple[float, ...] | None) -> None:
    cells = ""
    for number, percent in enumerate(SHOWN):
        known = f"{published[number]:.2f}" if published else "-"
        found = result.difference(policy, percent)
        gain = "-" if policy == result.policies[0] else f"{found.mean:+.2f} ±{found.half_width:.2f}"
        spread = f" ±{result.deviation(policy, percent):.2f}"
        cells += f"{result.mean(policy, percent):>8.2f}{spread:<7}{known:>11}{gain:>16}"
    print(f"    {policy:<12}{cells}{result.decisions_per_s(policy):>14,.0f}", flush=True)


def _published(path: Path) -> Published:
    if not path.exists():
        return {}
    found: defaultdict[tuple[str, str], list[list[float]]] = defaultdict(list)
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            key = row["workload"], row["sc_policy"].partition("-")[2]
            found[key].append([float(row[str(percent)]) for percent in SHOWN])
    return {key: tuple(fmean(values) for values in zip(*runs, strict=True)) for key, runs in found.items()}
