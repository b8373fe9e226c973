"""Against recordings of the FGD authors' simulator. ALIQUOT_TRACES names a directory with openb/, fgd_order/ and
fgd_expected_results/ (docs/scheduler.md says where they come from)."""

import csv
import os
from collections import Counter
from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from aliquot.scheduler.simulation.engine import run
from aliquot.scheduler.simulation.openb import read_nodes, read_pods
from aliquot.scheduler.simulation.policies import POLICIES
from aliquot.scheduler.simulation.protocol import Arrivals
from aliquot.scheduler.simulation.suite import play_suite
from aliquot.scheduler.simulation.trace import Node, Pod


def recorded(*parts: str) -> Path:
    directory = os.environ.get("ALIQUOT_TRACES")
    if not directory:
        pytest.skip("ALIQUOT_TRACES is not set: it names the directory of the recorded traces")
    path = Path(directory).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def default_trace() -> tuple[list[Node], list[Pod]]:
    nodes = recorded("openb", "openb_node_list_gpu_node.csv")
    pods = recorded("openb", "openb_pod_list_default.csv")
    with nodes.open(newline="") as node_lines, pods.open(newline="") as pod_lines:
        return read_nodes(node_lines, source=str(nodes)), read_pods(pod_lines, source=str(pods))


def test_fgd_decides_as_the_authors_simulator_did() -> None:
    """10,866 pods in its order. Its node names begin with their place in the order that breaks ties."""
    nodes, pods = default_trace()
    with recorded("fgd_order", "default_seed42_fgd.csv").open(newline="") as lines:
        log = list(csv.DictReader(lines))
    places = {row["node"].partition("-")[2]: row["node"] for row in log if row["node"]}
    by_name = {pod.name: pod for pod in pods}
    ordered = sorted(nodes, key=lambda node: places[node.name])
    arrivals = Arrivals(ordered, [by_name[row["base_pod"]] for row in log], Counter(pod.task for pod in pods))
    outcome = run(arrivals, POLICIES["fgd"], Random(1), lambda: 0.0)
    decided = [places[ordered[row].name] if row >= 0 else "" for row in outcome.rows]
    same = sum(ours == row["node"] for ours, row in zip(decided, log, strict=True))
    assert same / len(log) >= 0.999


def test_one_seed_comes_near_the_published_means_and_aliquot_above_fgd() -> None:
    nodes, pods = default_trace()
    result = play_suite(nodes, pods, ["aliquot", "fgd", "bestfit"], [42], spread=map, timer=_Ticks())
    with recorded("fgd_expected_results", "allocation_percent.csv").open(newline="") as lines:
        published = [row for row in csv.DictReader(lines) if row["workload"] == "openb_pod_list_default"]
    for policy, name in (("fgd", "FGD"), ("bestfit", "BestFit")):
        mean = fmean(float(row["100"]) for row in published if row["sc_policy"].endswith(name))
        assert result.mean(policy, 100) == pytest.approx(mean, abs=0.5)
    assert result.mean("aliquot", 100) > result.mean("fgd", 100) + 0.4


class _Ticks:
    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 1
        return self._now
