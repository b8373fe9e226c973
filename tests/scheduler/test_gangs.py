"""Jobs of several pods: each row is a cluster, the jobs that wait, and who goes where or why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import Group, JobSpec, TopologyWish
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.topology import Topology
from aliquot.scheduler.testing import node, placed, pod, ways

TREE = Topology("net", ("block", "rack"))


@dataclass(frozen=True)
class Waits:
    """`pods`: leaf to how many wait, each asking for `gpu` (of a leaf, or of all). `runs`: pod name to node. `done`: names of pods
    that have ended well."""

    name: str
    root: Group
    pods: Mapping[str, int]
    gpu: int | Mapping[str, int] = 1
    runs: Mapping[str, str] = field(default_factory=dict)
    done: Sequence[str] = ()
    priority: int = 0
    created_s: float = 0.0

    def asked(self, leaf: str) -> int:
        return self.gpu if isinstance(self.gpu, int) else self.gpu[leaf]

    def spec(self) -> JobSpec:
        return JobSpec(f"default/{self.name}", self.root, priority=self.priority, created_s=self.created_s)

    def requests(self) -> list[tuple[PodRequest, str]]:
        return [
            (pod(f"{self.name}-{leaf}{n}", gpu=self.asked(leaf), created_s=self.created_s), leaf)
            for leaf, count in self.pods.items()
            for n in range(count)
        ]


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Sequence[NodeFacts]
    jobs: Sequence[Waits]
    go: Mapping[str, str] = field(default_factory=dict)
    """Job to `node*pods`, in order of the nodes' names."""
    wait: Mapping[str, str] = field(default_factory=dict)
    """Job to dominant reason."""


def gang(name: str, pods: int, minimum: int | None = None, **more: object) -> Waits:
    return Waits(name, Group("", pods if minimum is None else minimum), {"": pods}, **more)  # type: ignore[arg-type]


def racks(*counts: int, gpus: int = 8, blocks: int = 2) -> list[NodeFacts]:
    """A rack with so many nodes each; `blocks` racks make a block."""
    return [
        node(f"r{rack}n{n}", gpus=gpus, labels={"block": f"b{rack // blocks}", "rack": f"r{rack}"})
        for rack, count in enumerate(counts)
        for n in range(count)
    ]


def decide(case: Case) -> tuple[dict[str, str], dict[str, str]]:
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    for facts in case.nodes:
        snapshot.set_facts(facts)
    for job in case.jobs:
        for name, where in job.runs.items():
            leaf = name.rstrip("0123456789")
            snapshot.set_pod(placed(pod(f"{job.name}-{name}", gpu=job.asked(leaf)), where, admitted=True))
            pending.hold(pod(f"{job.name}-{name}", gpu=job.asked(leaf)), job.spec(), leaf)
        for name in job.done:
            pending.succeed(f"default/{job.name}-{name}", job.spec(), name.rstrip("0123456789"))
        for request, leaf in job.requests():
            pending.put(request, job.spec(), leaf)
    outcome = cycle.run(snapshot, pending, rankings, {"net": TREE})
    went: dict[str, dict[str, int]] = {}
    for decision in outcome.decisions:
        on = went.setdefault(decision.job.key.removeprefix("default/"), {})
        for bind in decision.binds:
            on[bind.placed.node] = on.get(bind.placed.node, 0) + 1
    told = {
        one.job.key.removeprefix("default/"): cycle.why(
            snapshot, pending, one, rankings, {"net": TREE}
        ).message
        for one in outcome.blocked
    }
    return {name: " ".join(f"{n}*{on[n]}" for n in sorted(on)) for name, on in went.items()}, told


def within(required: str = "", preferred: str = "", topology: str = "net") -> TopologyWish:
    return TopologyWish(topology, required, preferred)


@pytest.mark.parametrize(
    "case",
    [
        Case("all or nothing", [node("a", gpus=4)], [gang("g", 4)], go={"g": "a*4"}),
        Case(
            "nothing, where not all find a node",
            [node("a", gpus=2), node("b", gpus=1)],
            [gang("g", 4)],
            wait={
                "g": "3 of 4 pods find a node, and all are needed: 2 nodes match, all full: needs 1 nvidia.com/gpu, most free on one node 0"
            },
        ),
        Case(
            "a gang that waits does not hold up who comes after",
            [node("a", gpus=2)],
            [gang("g", 4), gang("small", 2, created_s=1)],
            go={"small": "a*2"},
            wait={
                "g": "0 of 4 pods find a node, and all are needed: 1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"
            },
        ),
        Case(
            "extras come after all minima",
            [node("a", gpus=4)],
            [gang("g", 4, minimum=2), gang("h", 1, created_s=1)],
            go={"g": "a*3", "h": "a*1"},
            wait={"g": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
        ),
        Case(
            "pods that do not exist yet are waited for",
            [node("a", gpus=8)],
            [gang("g", 3, minimum=4)],
            wait={"g": "3 of the 4 pods that it takes exist; the others have to be made first"},
        ),
        Case(
            "a job that lost members goes before a higher rank",
            [node("a", gpus=4)],
            [
                gang("first", 2, priority=10),
                Waits("broken", Group("", 4), {"": 1}, runs={"7": "a", "8": "a", "9": "a"}),
            ],
            go={"broken": "a*1"},
            wait={
                "first": "0 of 2 pods find a node, and all are needed: 1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"
            },
        ),
        Case(
            "a member that ended well is there",
            [node("a", gpus=4)],
            [Waits("g", Group("", 3), {"": 1}, runs={"8": "a"}, done=["9"])],
            go={"g": "a*1"},
        ),
        Case(
            "so is the whole of a role, where the others begin anew",
            [node("a", gpus=4)],
            [
                Waits(
                    "g",
                    Group(minimum=2, groups=(Group("head", 1), Group("work", 2))),
                    {"work": 2},
                    done=["head9"],
                )
            ],
            go={"g": "a*2"},
        ),
        Case(
            "what comes beside as many as it takes is an extra, whether they run or have ended well",
            [node("a", gpus=2)],
            [
                gang("first", 1, created_s=1),
                Waits("g", Group("", 2), {"": 1}, runs={"8": "a"}, done=["9"]),
            ],
            go={"first": "a*1"},
            wait={"g": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
        ),
        Case(
            "with those that ended well too few exist",
            [node("a", gpus=4)],
            [Waits("g", Group("", 4), {"": 1}, runs={"8": "a"}, done=["9"])],
            wait={"g": "3 of the 4 pods that it takes exist; the others have to be made first"},
        ),
        Case(
            "every role its own minimum",
            [node("a", gpus=5)],
            [
                Waits(
                    "g",
                    Group(minimum=2, groups=(Group("head", 1), Group("work", 2))),
                    {"head": 1, "work": 3},
                    {"head": 1, "work": 2},
                )
            ],
            go={"g": "a*3"},
            wait={"g": "1 node matches, it is full: needs 2 nvidia.com/gpu, 0 free"},
        ),
        Case(
            "so many of the groups, and of the others later each as a whole",
            [node("a", gpus=5)],
            [
                Waits(
                    "g",
                    Group(minimum=1, groups=(Group("x", 2), Group("y", 2), Group("z", 2))),
                    {"x": 2, "y": 2, "z": 2},
                )
            ],
            go={"g": "a*4"},
            wait={
                "g": "1 of 2 pods find a node, and all are needed: 1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"
            },
        ),
        Case(
            "all in one rack, the fullest that has room",
            racks(2, 1, 2),
            [
                Waits("other", Group("", 1), {}, runs={"0": "r2n0"}),
                Waits("g", Group("", 8, topology=within("rack")), {"": 8}),
            ],
            go={"g": "r1n0*8"},
        ),
        Case(
            "no rack alone has room",
            racks(1, 1),
            [Waits("g", Group("", 2, topology=within("rack")), {"": 2}, 8)],
            wait={
                "g": "1 of 2 pods find a node in one rack, and all are needed: 1 node matches, it is full: needs 8 nvidia.com/gpu, 0 free"
            },
        ),
        Case(
            "one rack if there is room, else one block",
            racks(1, 1, 3),
            [
                Waits("g", Group("", 2, topology=within("block", "rack")), {"": 2}, 8),
                Waits("h", Group("", 2, topology=within("block", "rack")), {"": 2}, 8, created_s=1),
            ],
            go={"g": "r2n0*1 r2n1*1", "h": "r0n0*1 r1n0*1"},
        ),
        Case(
            "only preferred: anywhere at last",
            racks(1, 1, 1),
            [Waits("g", Group("", 3, topology=within(preferred="rack")), {"": 3}, 8)],
            go={"g": "r0n0*1 r1n0*1 r2n0*1"},
        ),
        Case(
            "each group in its rack, all in one block",
            racks(1, 1, 1, 2),
            [
                Waits(
                    "g",
                    Group(
                        minimum=2,
                        groups=(
                            Group("x", 2, topology=within("rack")),
                            Group("y", 1, topology=within("rack")),
                        ),
                        topology=within("block"),
                    ),
                    {"x": 2, "y": 1},
                    8,
                )
            ],
            go={"g": "r2n0*1 r3n0*1 r3n1*1"},
        ),
        Case(
            "a member that is replaced goes where the others are",
            racks(1, 1),
            [Waits("g", Group("", 3, topology=within("rack")), {"": 1}, runs={"7": "r1n0", "8": "r1n0"})],
            go={"g": "r1n0*1"},
        ),
        Case(
            "a topology that nobody made",
            racks(1),
            [Waits("g", Group("", 1, topology=within("rack", topology="nvl")), {"": 1})],
            wait={"g": "there is no Topology nvl: create it, or name another"},
        ),
        Case(
            "the topology that has the level, where none is named",
            racks(1, 1),
            [
                Waits("g", Group("", 1, topology=within("rack", topology="")), {"": 1}, 8),
                Waits("h", Group("", 1, topology=within("zone", topology="")), {"": 1}),
            ],
            go={"g": "r0n0*1"},
            wait={"h": "no Topology has the level zone"},
        ),
        Case(
            "a level that the topology lacks",
            racks(1),
            [Waits("g", Group("", 1, topology=within("zone")), {"": 1})],
            wait={
                "g": "Topology net has no level zone: it has block, rack, aliquot.dev/nvlink, aliquot.dev/numa"
            },
        ),
        Case(
            "nodes without the labels are in no domain",
            [node("a", gpus=8)],
            [Waits("g", Group("", 1, topology=within("rack")), {"": 1})],
            wait={"g": "no node has all labels of the topology down to rack"},
        ),
    ],
    ids=lambda case: case.rule,
)
def test_gangs(case: Case) -> None:
    assert decide(case) == (dict(case.go), dict(case.wait))


@pytest.mark.parametrize("resource", ["nvidia.com/mig-1g.10gb", "class.aliquot.dev/small", "nvidia.com/gpu"])
def test_devices_of_a_name_that_no_node_has_yet_are_made_for_a_gang(resource: str) -> None:
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    layouts = ("whole", "whole") if resource != "nvidia.com/gpu" else ("1g.10gb@6", "1g.10gb@6")
    snapshot.set_facts(node("a", *layouts, cut="h100-80gb", classes={"small": ways("1g.10gb")}))
    spec = JobSpec("default/g", Group("", 2))
    for number in range(2):
        pending.put(pod(f"g-{number}", wants={resource: 1}), spec)
    outcome = cycle.run(snapshot, pending, rankings)
    assert [bind.placed.reserved for bind in outcome.binds] == [True, True]
