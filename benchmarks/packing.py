"""How much of a cluster's GPUs the scheduler gets to use: recorded workloads, beside FGD and other policies.

ALIQUOT_TRACES names a directory with openb/ (the node list and pod lists of Alibaba's GPU trace of 2023) and, if there,
fgd_expected_results/allocation_percent.csv (what the authors of FGD got, run by run); docs/scheduler.md tells where they
come from. Decisions are counted by CPU time of one thread.
"""

import csv
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from aliquot.scheduler.simulation.openb import read_nodes, read_pods
from aliquot.scheduler.simulation.policies import POLICIES
from aliquot.scheduler.simulation.suite import FIRST_SEED, SHOWN, Result, play_suite
from benchmarks.clusters import machine

SEEDS = 10
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
