"""Gangs whose GPUs are to be in one NUMA node or NVLink domain, all together or each sub-group for itself: each row is a cluster,
a job that waits, and the GPUs that its pods get or why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from msgspec import structs

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.backfill.stage import Backfill
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import Group, JobSpec, TopologyWish
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.topology import Topology
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.testing import describe, node, placed, pod
from tests.scheduler.test_gpu_domains import HALVES, machine
from tests.scheduler.worlds import Cluster

NUMA, NVLINK, HOST = "aliquot.dev/numa", "aliquot.dev/nvlink", "kubernetes.io/hostname"
CLIQUE = "nvidia.com/gpu.clique"
TREE = Topology("net", ("block", "rack", CLIQUE, HOST))
LEVELS = f"it has block, rack, {CLIQUE}, {HOST}, {NVLINK}, {NUMA}"


def within(required: str = "", preferred: str = "", topology: str = "") -> TopologyWish:
    return TopologyWish(topology, required, preferred)


def gang(pods: int, wish: TopologyWish, minimum: int | None = None) -> Group:
    return Group("", pods if minimum is None else minimum, topology=wish)


def subgroups(*groups: Group, wish: TopologyWish | None = None) -> Group:
    return Group(minimum=len(groups), groups=groups, topology=wish)


def labels(rack: str, clique: str) -> dict[str, str]:
    return {"block": "b", "rack": rack, CLIQUE: f"cluster.{clique}"}


def nvl(
    rack: str, clique: str, trays: int, taken: Mapping[int, Sequence[int]] | None = None
) -> list[NodeFacts]:
    """Compute trays of an NVL72: four GPUs on two NUMA nodes each."""
    return [
        node(
            f"{rack}-{clique}{tray}",
            *("whole=x/o" if gpu in (taken or {}).get(tray, ()) else "whole" for gpu in range(4)),
            numa=[[0, 1], [2, 3]],
            nvlink=[range(4)],
            labels=labels(rack, clique),
        )
        for tray in range(trays)
    ]


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Sequence[NodeFacts]
    root: Group
    pods: Mapping[str, int]
    """Leaf to how many wait."""
    go: Mapping[str, str] = field(default_factory=dict)
    """Pod, as `LEAF NUMBER`, to `describe`d place."""
    why: str = ""
    gpu: int = 1
    runs: Mapping[str, str] = field(default_factory=dict)
    """Name of a pod of the job to `describe`d place."""
    each: str = ""
    """What each pod requires for itself."""

    def request(self, name: str) -> PodRequest:
        return pod(name, gpu=self.gpu, gpus_in=self.each)


def decide(case: Case) -> tuple[dict[str, str], str]:
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    for facts in case.nodes:
        snapshot.set_facts(facts)
    spec = JobSpec("default/job", case.root)
    for name, where in case.runs.items():
        snapshot.set_pod(placed(case.request(name), where, admitted=True))
        pending.hold(case.request(name), spec, name.rstrip("0123456789"))
    for leaf, count in case.pods.items():
        for number in range(count):
            pending.put(case.request(f"{leaf}{number}"), spec, leaf)
    outcome = cycle.run(snapshot, pending, rankings, {"net": TREE})
    went = {
        bind.pod.key.removeprefix("default/"): describe(bind.placed)
        for decision in outcome.decisions
        for bind in decision.binds
    }
    told = [cycle.why(snapshot, pending, one, rankings, {"net": TREE}).message for one in outcome.blocked]
    return went, " ".join(told)


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "all in one NUMA node, the fullest that has room",
            [machine("a"), machine("b", [0])],
            gang(2, within(NUMA)),
            {"": 2},
            {"0": "b gpu1", "1": "b gpu2"},
        ),
        Case(
            "in none is room for all",
            [machine("a", [0, 1, 5])],
            gang(4, within(NUMA)),
            {"": 4},
            why="3 of 4 pods find a node in one aliquot.dev/numa, and all are needed: 1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free",
        ),
        Case(
            "none is large enough",
            [machine("a")],
            gang(3, within(NUMA)),
            {"": 3},
            why="no NUMA node has the 6 nvidia.com/gpu that its pods ask for together: the largest has 4",
            gpu=2,
        ),
        Case(
            "no node tells",
            [node("a", "whole", "whole"), node("b", gpus=8)],
            gang(2, within(NUMA)),
            {"": 2},
            why="no node says which NUMA node its GPUs are in",
        ),
        Case(
            "one pod of a group: what is said of it is said of the node",
            [machine("a", [0, 1, 5])],
            gang(1, within(NUMA)),
            {"": 1},
            why="no NUMA node of node a has 4 free nvidia.com/gpu (2 and 3)",
            gpu=4,
        ),
        Case(
            "preferred: in one NUMA node if there is room",
            [machine("a", [0]), machine("b", [0, 1, 4, 5])],
            gang(3, within(preferred=NUMA)),
            {"": 3},
            {"0": "a gpu1", "1": "a gpu2", "2": "a gpu3"},
        ),
        Case(
            "else in one of a coarser level, of the topology that is named",
            [
                machine("a", [0, 1, 4, 5], labels=labels("r1", "x")),
                machine("b", [0, 4], labels=labels("r1", "x")),
            ],
            gang(6, within(preferred=NUMA, topology="net")),
            {"": 6},
            {f"{n}": f"b gpu{gpu}" for n, gpu in enumerate((1, 2, 3, 5, 6, 7))},
        ),
        Case(
            "one required level and a finer one preferred",
            [*nvl("r1", "x", 1, {0: [0, 2]}), *nvl("r2", "y", 1)],
            gang(2, within(NVLINK, NUMA)),
            {"": 2},
            {"0": "r2-y0 gpu0", "1": "r2-y0 gpu1"},
        ),
        Case(
            "each sub-group in its NUMA node, all in one rack",
            [*nvl("r1", "x", 2, {0: [0, 2], 1: [0, 2]}), *nvl("r2", "y", 2, {0: [0], 1: [2, 3]})],
            subgroups(
                Group("x", 2, topology=within(NUMA)),
                Group("y", 2, topology=within(NUMA)),
                wish=within("rack"),
            ),
            {"x": 2, "y": 2},
            {"x0": "r2-y0 gpu2", "x1": "r2-y0 gpu3", "y0": "r2-y1 gpu0", "y1": "r2-y1 gpu1"},
        ),
        Case(
            "sub-groups of one pod",
            [machine("a", [0, 5])],
            subgroups(Group("x", 1, topology=within(NUMA)), Group("y", 1, topology=within(NUMA))),
            {"x": 1, "y": 1},
            {"x0": "a gpu1 gpu2 gpu3", "y0": "a gpu4 gpu6 gpu7"},
            gpu=3,
        ),
        Case(
            "a sub-group in a NUMA node of the NVLink domain of all",
            [node("a", *["whole"] * 8, numa=HALVES, nvlink=[[0, 4, 5, 6], [1, 2, 3, 7]])],
            subgroups(Group("x", 3, topology=within(NUMA)), Group("y", 1), wish=within(NVLINK)),
            {"x": 3, "y": 1},
            {"x0": "a gpu4", "x1": "a gpu5", "x2": "a gpu6", "y0": "a gpu0"},
        ),
        Case(
            "each pod for itself, all in one block",
            [*nvl("r1", "x", 1), *nvl("r2", "y", 1, {0: [0]})],
            gang(3, within("block", topology="net")),
            {"": 3},
            {"0": "r2-y0 gpu2 gpu3", "1": "r1-x0 gpu0 gpu1", "2": "r1-x0 gpu2 gpu3"},
            gpu=2,
            each="numa",
        ),
        Case(
            "a member that is replaced goes where the others are",
            [machine("a"), machine("b", [0, 1])],
            gang(3, within(NUMA)),
            {"": 1},
            {"0": "a gpu6"},
            runs={"8": "a gpu4", "9": "a gpu5"},
        ),
        Case(
            "or waits for room there",
            [machine("a", [6, 7])],
            gang(3, within(NUMA)),
            {"": 1},
            why="it has to be in one aliquot.dev/numa with the others of its job: 1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free",
            runs={"8": "a gpu4", "9": "a gpu5"},
        ),
        Case(
            "those that run are apart already",
            [machine("a")],
            gang(3, within(NUMA)),
            {"": 1},
            why="there is no one NUMA node with those of its pods that have a node and room for the others",
            runs={"8": "a gpu3", "9": "a gpu5"},
        ),
        Case(
            "an NVLink domain across nodes is a label as any other",
            [*nvl("r1", "x", 2, {0: [0]}), *nvl("r1", "y", 2)],
            gang(8, within(CLIQUE, topology="net")),
            {"": 8},
            {f"{n}": f"r1-y{n // 4} gpu{n % 4}" for n in range(8)},
        ),
        Case(
            "and may be found without a name",
            [*nvl("r1", "x", 1), *nvl("r1", "y", 1, {0: [0]})],
            gang(4, within(preferred=CLIQUE)),
            {"": 4},
            {f"{n}": f"r1-x0 gpu{n}" for n in range(4)},
        ),
        Case(
            "a level that neither the topology nor a node has",
            [machine("a")],
            gang(2, within("aliquot.dev/socket", topology="net")),
            {"": 2},
            why=f"Topology net has no level aliquot.dev/socket: {LEVELS}",
        ),
        Case(
            "nor what is preferred above what is required",
            [machine("a")],
            gang(2, within(NUMA, "row", topology="net")),
            {"": 2},
            why=f"Topology net has no level row: {LEVELS}",
        ),
        Case(
            "a topology that nobody made, though the level needs none",
            [machine("a")],
            gang(2, within(NUMA, topology="nvl")),
            {"": 2},
            why="there is no Topology nvl: create it, or name another",
        ),
    ],
    ids=lambda case: case.rule,
)
def test_gangs(case: Case) -> None:
    assert decide(case) == (dict(case.go), case.why)


def test_room_is_made_in_one_domain() -> None:
    """Of two NUMA nodes that are full by half, in that where fewer have to go."""
    cluster = Cluster([machine("a")])
    for name, where in {"x": "a gpu0", "y": "a gpu1", "z": "a gpu4"}.items():
        request = pod(name, gpu=1)
        cluster.snapshot.set_pod(structs.replace(placed(request, where, admitted=True), since_s=0.0))
        cluster.pending.hold(request, JobSpec(request.key))
    spec = JobSpec("default/job", gang(4, within(NUMA)), priority=10)
    for number in range(4):
        cluster.pending.put(pod(f"p{number}", gpu=1), spec)
    (decision,) = cluster.decide(Guards(), 1000.0).decisions
    assert [one.key for one in decision.after] == ["default/z"]
    assert sorted(describe(bind.placed) for bind in decision.binds) == [f"a gpu{n}" for n in range(4, 8)]


def test_what_was_promised_together_is_had_together() -> None:
    """What it was promised is free now, and so is a GPU elsewhere, which would be taken first by pods one by one."""
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    snapshot.set_facts(machine("a"))
    backfill = Backfill()
    for name, where in {f"r{gpu}": f"a gpu{gpu}" for gpu in range(8)}.items():
        request = pod(name, gpu=1)
        snapshot.set_pod(structs.replace(placed(request, where, admitted=True), since_s=0.0))
        until_s = 100.0 if int(where[-1]) >= 4 else 200.0
        backfill.started(JobSpec(request.key, max_runtime_s=until_s), [request.key], 0.0)
    spec = JobSpec("default/job", gang(4, within(NUMA)), priority=10)
    for number in range(4):
        pending.put(pod(f"p{number}", gpu=1), spec)
    outcome = cycle.run(snapshot, pending, rankings, backfill=backfill, now_s=1.0)
    (promise,) = outcome.promises
    assert promise.start_s == 100.0
    for name in ("r0", "r4", "r5", "r6", "r7"):
        snapshot.remove_pod(f"default/{name}")
        backfill.ended(f"default/{name}", 100.0)
    outcome = cycle.run(snapshot, pending, rankings, backfill=backfill, now_s=100.0)
    assert sorted(describe(bind.placed) for bind in outcome.binds) == [f"a gpu{n}" for n in range(4, 8)]
