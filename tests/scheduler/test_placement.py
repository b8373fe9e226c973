"""Placement rules: each row is a cluster, those who wait, and where they go or why they do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.attempts import why_no_node
from aliquot.scheduler.core.facts import MODEL_LABEL, NodeFacts
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.placement import Placement, starting
from aliquot.scheduler.core.pod import ContainerKind, PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import GPU, by_usual, container, describe, linked, mig, node, placed, pod, term

SEVEN = " ".join(f"1g.10gb@{start}" for start in range(7))
HALVES = "4g.40gb@0 3g.40gb@4"


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Sequence[NodeFacts]
    pods: Sequence[PodRequest]
    go: Mapping[str, str] = field(default_factory=dict)
    """Pod name to `describe`d place."""
    wait: Mapping[str, str] = field(default_factory=dict)
    """Pod name to dominant reason."""
    bound: Sequence[tuple[PodRequest, str]] = ()
    running: Sequence[tuple[PodRequest, str]] = ()
    """Bound, and taken in by kubelet."""


USUAL = [
    *(pod("one", gpu=1, cpu=8, memory_gib=64) for _ in range(4)),
    pod("two", gpu=2, cpu=16, memory_gib=128),
    pod("eight", gpu=8, cpu=64, memory_gib=512),
    *(pod("small", wants={mig("1g.10gb"): 1}, cpu=1, memory_gib=8) for _ in range(4)),
    *(pod("half", wants={mig(profile): 1}, cpu=4, memory_gib=32) for profile in ("3g.40gb", "4g.40gb")),
]


def decide(case: Case, policies: Policies) -> tuple[dict[str, str], dict[str, str]]:
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    for facts in case.nodes:
        snapshot.set_facts(facts)
    for request, where in case.bound:
        snapshot.set_pod(placed(request, where))
    for request, where in case.running:
        snapshot.set_pod(placed(request, where, admitted=True))
    for request in case.pods:
        pending.put(request)
    outcome = cycle.run(snapshot, pending, rankings)
    go = {bind.pod.key.removeprefix("default/"): describe(bind.placed) for bind in outcome.binds}
    wait = {
        key.removeprefix("default/"): why_no_node(snapshot, request.shape, rankings).message
        for key, request in pending.pods.items()
    }
    return go, wait


def check(case: Case) -> None:
    """Rules hold whether or not it is known yet what pods usually ask for."""
    for policies in (Policies(), by_usual(USUAL, case.nodes)):
        assert decide(case, policies) == (dict(case.go), dict(case.wait))


def rows(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.rule)


@rows(
    Case("no nodes", [], [pod("p")], wait={"p": "the cluster has no nodes"}),
    Case("the only node", [node("a")], [pod("p", cpu=1)], go={"p": "a"}),
    Case(
        "the node named",
        [node("a"), node("b")],
        [pod("p", on_node="b"), pod("q", on_node="c")],
        go={"p": "b"},
        wait={"q": "there is no node c"},
    ),
    Case(
        "all labels of the selector",
        [node("a", labels={"x": "1"}), node("b", labels={"x": "1", "y": "2"})],
        [pod("p", selector={"x": "1", "y": "2"})],
        go={"p": "b"},
    ),
    Case(
        "a label that no node has",
        [node("a"), node("b", labels={"accelerator": "l4"})],
        [pod("p", selector={"accelerator": "h100"}), pod("q", selector={"x": "1", "y": "2"})],
        wait={"p": "no node has the label accelerator=h100", "q": "no node has the labels x=1,y=2"},
    ),
    Case(
        "affinity In and NotIn",
        [node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"}), node("c")],
        [
            pod("in", required=[term("zone in 2,3")]),
            pod("notin", required=[term("zone notin 1,2")]),
        ],
        go={"in": "b", "notin": "c"},
    ),
    Case(
        "affinity Exists and DoesNotExist",
        [node("a", labels={"gpu": ""}), node("b")],
        [pod("exists", required=[term("gpu")]), pod("not", required=[term("!gpu")])],
        go={"exists": "a", "not": "b"},
    ),
    Case(
        "affinity Gt and Lt compare integers",
        [node("a", labels={"gen": "9"}), node("b", labels={"gen": "10"}), node("c", labels={"gen": "x"})],
        [pod("gt", required=[term("gen > 9")]), pod("lt", required=[term("gen < 10")])],
        go={"gt": "b", "lt": "a"},
    ),
    Case(
        "affinity by node name (DaemonSet pods)",
        [node("a"), node("b")],
        [pod("p", required=[term("@name in b")])],
        go={"p": "b"},
    ),
    Case(
        "affinity terms are alternatives, their requirements are not",
        [node("a", labels={"x": "1"}), node("b", labels={"x": "1", "y": "1"})],
        [
            pod("either", required=[term("nothing"), term("x", "y")]),
            pod("both", required=[term("x", "!x"), term("y", "z")]),
        ],
        go={"either": "b"},
        wait={"both": "no node matches the required node affinity: x and !x or y and z"},
    ),
    Case(
        "an empty affinity term matches nothing",
        [node("a")],
        [pod("p", required=[term()]), pod("q", required=[])],
        wait={
            "p": "no node matches the required node affinity: (empty term)",
            "q": "no node matches the required node affinity: (no terms)",
        },
    ),
    Case(
        "cordoned",
        [node("a", cordoned=True), node("b", cordoned=True)],
        [pod("p"), pod("daemon", tolerates=["node.kubernetes.io/unschedulable:NoSchedule"])],
        go={"daemon": "a"},
        wait={"p": "2 nodes match, all are cordoned"},
    ),
    Case(
        "taints: key, value and effect must be tolerated",
        [node("a", taints=["team=red:NoSchedule"])],
        [
            pod("none"),
            pod("value", tolerates=["team=blue:NoSchedule"]),
            pod("effect", tolerates=["team=red:NoExecute"]),
            pod("exact", tolerates=["team=red:NoSchedule"]),
            pod("exists", tolerates=["team"]),
            pod("all", tolerates=["*"]),
        ],
        go={"exact": "a", "exists": "a", "all": "a"},
        wait=dict.fromkeys(
            ("none", "value", "effect"),
            "1 node matches, it has a taint that is not tolerated: team=red:NoSchedule",
        ),
    ),
    Case(
        "NoExecute keeps out too",
        [node("a", taints=["down:NoExecute"]), node("b", taints=["down:NoExecute"])],
        [pod("p")],
        wait={"p": "2 nodes match, all have a taint that is not tolerated: down:NoExecute"},
    ),
    Case(
        "PreferNoSchedule is avoided where there is a choice",
        [node("a", taints=["spot:PreferNoSchedule"]), node("b")],
        [pod("p"), pod("q", selector={"kubernetes.io/hostname": "a"})],
        go={"p": "b", "q": "a"},
    ),
    Case(
        "preferred affinity: the heaviest match",
        [node("a", labels={"x": ""}), node("b", labels={"y": ""}), node("c")],
        [pod("p", preferred=[(10, term("x")), (20, term("y"))])],
        go={"p": "b"},
    ),
    Case(
        "host ports",
        [node("a"), node("b")],
        [
            pod("p", ports=[80], created_s=1),
            pod("q", ports=[80, 81], created_s=2),
            pod("r", ports=[80], created_s=3),
        ],
        go={"p": "a", "q": "b"},
        wait={"r": "2 nodes match, host port 80/TCP is taken on all"},
    ),
)
def test_matching(case: Case) -> None:
    check(case)


@rows(
    Case(
        "CPU pods keep off GPU nodes",
        [node("a", "whole"), node("b", gpus=8), node("c")],
        [pod(f"p{i}", cpu=8) for i in range(4)],
        go=dict.fromkeys(("p0", "p1", "p2", "p3"), "c"),
    ),
    Case(
        "CPU pods use GPU nodes when there is nothing else",
        [node("a", "whole"), node("b", cpu=1)],
        [pod("p", cpu=8)],
        go={"p": "a"},
    ),
    Case(
        "CPU pods spread",
        [node("a"), node("b")],
        [pod("p", cpu=8, created_s=1), pod("q", cpu=8, created_s=2)],
        go={"p": "a", "q": "b"},
    ),
    Case(
        "pods that ask for nothing spread too",
        [node("a"), node("b")],
        [pod("p", created_s=1), pod("q", created_s=2)],
        go={"p": "a", "q": "b"},
    ),
    Case(
        "GPU pods pack nodes",
        [node("a", gpus=8), node("b", gpus=8)],
        [pod("p", gpu=1)],
        running=[(pod("r", gpu=2), "b")],
        go={"p": "b"},
    ),
    Case(
        "a small node before a large one",
        [
            node("a", *["whole"] * 8, cpu=128, memory_gib=1024),
            node("b", *["whole"] * 2, cpu=32, memory_gib=256),
        ],
        [pod("p", gpu=2, cpu=16, memory_gib=128)],
        go={"p": "b gpu0 gpu1"},
    ),
    Case(
        "whole GPUs by index when links do not differ",
        [node("a", *["whole"] * 4, links=linked([[0, 1, 2, 3]]))],
        [pod("p", gpu=1), pod("q", gpu=2)],
        go={"p": "a gpu0", "q": "a gpu1 gpu2"},
    ),
    Case(
        "whole GPUs with the best links",
        [node("a", *["whole"] * 4, links=linked([[0, 2], [1, 3]]))],
        [pod("p", gpu=2)],
        go={"p": "a gpu0 gpu2"},
    ),
    Case(
        "the pair with the better link, whatever is left over",
        [node("a", *["whole"] * 3, links=linked([[0], [1, 2]]))],
        [pod("p", gpu=2)],
        go={"p": "a gpu1 gpu2"},
    ),
    Case(
        "of equal pairs the one that leaves the better link behind",
        [node("a", *["whole"] * 4, links={**linked([[0, 1, 2, 3]]), (0, 1): 10})],
        [pod("p", gpu=2)],
        go={"p": "a gpu0 gpu2"},
    ),
    Case(
        "GPUs that are linked alike: of the NUMA node that they fill",
        [
            node(
                "a",
                *["whole=x/o", *["whole"] * 7],
                links=linked([range(8)]),
                numa=[range(4), range(4, 8)],
            )
        ],
        [pod("p", gpu=3), pod("q", gpu=4, created_s=1)],
        go={"p": "a gpu1 gpu2 gpu3", "q": "a gpu4 gpu5 gpu6 gpu7"},
    ),
    Case(
        "and one GPU leaves a whole NUMA node whole",
        [node("a", "whole", "whole", "whole", "whole=x/o", numa=[[0, 1], [2, 3]])],
        [pod("p", gpu=1)],
        go={"p": "a gpu2"},
    ),
    Case(
        "more than a NUMA node has: as many as can be of one",
        [node("a", *["whole=x/o", *["whole"] * 5], numa=[[0, 1], [2, 3, 4]])],
        [pod("p", gpu=4)],
        go={"p": "a gpu1 gpu2 gpu3 gpu4"},
    ),
    Case(
        "one GPU leaves the well linked pair alone",
        [node("a", *["whole"] * 3, links=linked([[0, 2], [1]]))],
        [pod("p", gpu=1)],
        go={"p": "a gpu1"},
    ),
    Case(
        "containers of a pod get the better linked pairs of its GPUs",
        [node("a", *["whole"] * 4, links=linked([[0, 3], [1, 2]]))],
        [pod("p", container("x", gpu=2), container("y", gpu=2))],
        go={"p": "a x=gpu0 x=gpu3 y=gpu1 y=gpu2"},
    ),
    Case(
        "seven slices of one GPU, then no more",
        [node("a", "whole", SEVEN)],
        [pod(f"p{i}", wants={mig("1g.10gb"): 1}, created_s=i) for i in range(8)],
        go={f"p{i}": f"a gpu1@{i}" for i in range(7)},
        wait={"p7": "1 node matches, it is full: needs 1 nvidia.com/mig-1g.10gb, 0 free"},
    ),
    Case(
        "slices go to the GPU that is used the most",
        [node("a", SEVEN, SEVEN, SEVEN)],
        [pod("p", wants={mig("1g.10gb"): 1})],
        running=[(pod("r", wants={mig("1g.10gb"): 2}), "a gpu1@5 gpu1@6")],
        go={"p": "a gpu1@0"},
    ),
    Case(
        "slices go to the GPU that is used the least, where the node distributes",
        [node("a", SEVEN, SEVEN, packs_slices=False)],
        [pod("p", wants={mig("1g.10gb"): 1}), pod("q", wants={mig("1g.10gb"): 3})],
        running=[(pod("r", wants={mig("1g.10gb"): 2}), "a gpu0@5 gpu0@6")],
        go={"p": "a gpu1@0", "q": "a gpu1@1 gpu0@0 gpu1@2"},
    ),
    Case(
        "several slices stay on one GPU where one has room",
        [node("a", "1g.10gb@0 1g.10gb@1", "1g.10gb@0 1g.10gb@1 1g.10gb@2")],
        [pod("p", wants={mig("1g.10gb"): 3})],
        go={"p": "a gpu1@0 gpu1@1 gpu1@2"},
    ),
    Case(
        "several slices span GPUs where none has room",
        [node("a", "1g.10gb@0 1g.10gb@1", "1g.10gb@3")],
        [pod("p", wants={mig("1g.10gb"): 3})],
        go={"p": "a gpu0@0 gpu0@1 gpu1@3"},
    ),
    Case(
        "a slice of each kind for two containers, on one GPU",
        [node("a", HALVES, HALVES)],
        [pod("p", container("train", _4g_40gb=1), container("encode", _3g_40gb=1))],
        go={"p": "a train=gpu0@0 encode=gpu0@4"},
    ),
    Case(
        "kinds join the GPU that another kind of the pod is on",
        [node("a", "1g.10gb@0", "4g.40gb@0 1g.10gb@4")],
        [pod("p", wants={mig("4g.40gb"): 1, mig("1g.10gb"): 1})],
        go={"p": "a gpu1@0 gpu1@4"},
    ),
    Case(
        "two kinds in one container",
        [node("a", HALVES)],
        [pod("p", container("main", _3g_40gb=1, _4g_40gb=1))],
        go={"p": "a gpu0@4 gpu0@0"},
    ),
    Case(
        "a pair of pods fills a GPU before the next is begun",
        [node("a", HALVES, HALVES)],
        [pod("three", wants={mig("3g.40gb"): 1}), pod("four", wants={mig("4g.40gb"): 1})],
        go={"three": "a gpu0@4", "four": "a gpu0@0"},
    ),
    Case(
        "an init container gets devices that the pod keeps",
        [node("a", *["whole"] * 3)],
        [pod("p", container("setup", kind=ContainerKind.INIT, gpu=1), container("main", gpu=2))],
        go={"p": "a setup=gpu0 main=gpu0 main=gpu1"},
    ),
    Case(
        "a sidecar shares with nobody that runs beside it",
        [node("a", *["whole"] * 3)],
        [
            pod(
                "p",
                container("side", kind=ContainerKind.SIDECAR, gpu=1),
                container("setup", kind=ContainerKind.INIT, gpu=2),
                container("main", gpu=1),
            )
        ],
        go={"p": "a side=gpu0 setup=gpu1 setup=gpu2 main=gpu1"},
    ),
    Case(
        "a GPU counted, not listed, is not named",
        [node("a", gpus=2)],
        [pod("p", gpu=2)],
        go={"p": "a"},
    ),
)
def test_choice(case: Case) -> None:
    check(case)


@rows(
    Case(
        "little CPU goes where there is little, much where there is much",
        [node("a", gpus=8, cpu=128), node("b", gpus=8, cpu=32)],
        [pod("little", gpu=1, cpu=1), pod("much", gpu=1, cpu=24)],
        go={"little": "b", "much": "a"},
    ),
    Case(
        "memory counts as CPU does",
        [node("a", gpus=8, memory_gib=1024), node("b", gpus=8, memory_gib=256)],
        [pod("little", gpu=1, memory_gib=4), pod("much", gpu=1, memory_gib=200)],
        go={"little": "b", "much": "a"},
    ),
    Case(
        "CPU pods on GPU nodes go where GPUs are not missed: all are taken, or there is CPU to spare",
        [node("a", gpus=4, cpu=64), node("b", gpus=4, cpu=48), node("c", gpus=4, cpu=32)],
        [pod("p", cpu=8), pod("q", cpu=16, selector={"kubernetes.io/hostname": "a"})],
        running=[(pod("r", gpu=4, cpu=4), "c")],
        go={"p": "c", "q": "a"},
    ),
    Case(
        "eight free GPUs stay together",
        [node("a", gpus=8, cpu=256, memory_gib=4096), node("b", gpus=4, cpu=256, memory_gib=4096)],
        [pod(f"p{i}", gpu=1, created_s=i) for i in range(4)],
        go=dict.fromkeys(("p0", "p1", "p2", "p3"), "b"),
    ),
    Case(
        "a part of a GPU that others need is left whole, where the node packs shares",
        [node("a", "whole*100", "whole*100", packs_shares=True)],
        [
            pod("p", wants={GPU: 14}, created_s=0),
            pod("q", wants={GPU: 53}, created_s=1),
            pod("r", wants={GPU: 53}, created_s=2),
        ],
        go={"p": "a gpu0*14", "q": "a gpu0*53", "r": "a gpu1*53"},
        running=[(pod("x", wants={GPU: 33}), "a gpu0*33"), (pod("y", wants={GPU: 47}), "a gpu1*47")],
    ),
    Case(
        "a model that others ask for by name is left to them",
        [
            node("a", gpus=4, cpu=256, memory_gib=4096, labels={MODEL_LABEL: "H200"}),
            node("b", gpus=4, cpu=256, memory_gib=4096, labels={MODEL_LABEL: "L4"}),
        ],
        [
            pod("any", gpu=1),
            *(pod(f"h{i}", gpu=1, selector={MODEL_LABEL: "H200"}) for i in range(2)),
        ],
        go={"any": "b", "h0": "a", "h1": "a"},
    ),
    Case(
        "slices fill a node's GPUs before those of the next are begun",
        [node("a", SEVEN, SEVEN, cpu=256), node("b", SEVEN, SEVEN, cpu=256)],
        [pod("p", wants={mig("1g.10gb"): 1}, cpu=1)],
        running=[(pod("r", wants={mig("1g.10gb"): 3}), "b gpu0@0 gpu0@1 gpu0@2")],
        go={"p": "b gpu0@3"},
    ),
)
def test_choice_by_worth(case: Case) -> None:
    usual = [*USUAL, *case.pods]
    assert decide(case, by_usual(usual, case.nodes)) == (dict(case.go), dict(case.wait))


@rows(
    Case(
        "GPU pods keep apart",
        [node("a", gpus=8), node("b", gpus=4), node("c", *["whole"] * 4)],
        [pod(f"p{i}", gpu=1, created_s=i) for i in range(4)],
        go={"p0": "a", "p1": "a", "p2": "b", "p3": "c gpu0"},
    ),
    Case(
        "CPU pods keep off GPU nodes all the same",
        [node("a", gpus=8), node("b")],
        [pod("p", cpu=1), pod("q", cpu=1)],
        go={"p": "b", "q": "b"},
    ),
)
def test_choice_where_pods_are_spread(case: Case) -> None:
    assert decide(case, starting(Placement.SPREAD)) == (dict(case.go), dict(case.wait))


@rows(
    Case(
        "too large for every node",
        [node("a", gpus=8), node("b", gpus=4), node("c")],
        [pod("p", gpu=16)],
        wait={"p": "no node has 16 nvidia.com/gpu: the largest has 8"},
    ),
    Case(
        "offered by nobody, though nodes are tainted as well",
        [node("a", gpus=8, taints=["x:NoSchedule"])],
        [pod("p", wants={mig("7g.80gb"): 1})],
        wait={"p": "nvidia.com/mig-7g.80gb is not offered by any node"},
    ),
    Case(
        "all full",
        [node(name, "whole", "whole") for name in "abc"],
        [pod("p", gpu=2)],
        running=[
            (pod("r", gpu=2), "a gpu0 gpu1"),
            (pod("s", gpu=1), "b gpu0"),
            (pod("t", gpu=2), "c gpu0 gpu1"),
        ],
        wait={"p": "3 nodes match, all full: needs 2 nvidia.com/gpu, most free on one node 1"},
    ),
    Case(
        "too large for the nodes that match",
        [node("a", gpus=8), node("b", gpus=2, labels={"x": "1"}), node("c", gpus=1, labels={"x": "1"})],
        [pod("p", gpu=4, selector={"x": "1"}), pod("q", wants={"example.com/nic": 1}, selector={"x": "1"})],
        wait={
            "p": "no node that matches has 4 nvidia.com/gpu: the largest has 2",
            "q": "example.com/nic is not offered by any node",
        },
    ),
    Case(
        "offered, but not by the nodes that match",
        [node("a", gpus=8), node("b", labels={"x": "1"})],
        [pod("p", gpu=1, selector={"x": "1"})],
        wait={"p": "nvidia.com/gpu is not offered by any node that matches"},
    ),
    Case(
        "no cpu left",
        [node("a", cpu=4, memory_gib=8)],
        [pod("p", cpu=3, created_s=1), pod("q", cpu=1.5, memory_gib=8, created_s=2)],
        go={"p": "a"},
        wait={"q": "1 node matches, it is full: needs 1500m cpu, 1 free"},
    ),
    Case(
        "no memory left",
        [node("a", memory_gib=8)],
        [pod("p", memory_gib=7, created_s=1), pod("q", memory_gib=2, created_s=2)],
        go={"p": "a"},
        wait={"q": "1 node matches, it is full: needs 2Gi memory, 1Gi free"},
    ),
    Case(
        "more memory than any node has",
        [node("a", memory_gib=8)],
        [pod("p", memory_gib=9)],
        wait={"p": "no node has 9Gi memory: the largest has 8Gi"},
    ),
    Case(
        "more memory than anybody has",
        [node("a", memory_gib=2048)],
        [pod("p", memory_gib=8 << 30)],
        wait={"p": "no node has 8Ei memory: the largest has 2048Gi"},
    ),
    Case(
        "no pod slots left",
        [node("a", pods=1)],
        [pod("p", created_s=1), pod("q", created_s=2)],
        go={"p": "a"},
        wait={"q": "1 node matches, it is full: needs 1 pod slots, 0 free"},
    ),
    Case(
        "large enough, but cordoned: not the pod's fault",
        [node("a", gpus=2), node("b", gpus=4, cordoned=True)],
        [pod("p", gpu=4)],
        wait={"p": "1 node matches and is large enough, it is cordoned"},
    ),
    Case(
        "enough of each on some node, of all on none",
        [node("a", gpus=8, cpu=4), node("b", gpus=1, cpu=64)],
        [pod("p", gpu=4, cpu=16)],
        wait={"p": "no node has 4 nvidia.com/gpu and 16 cpu together"},
    ),
    Case(
        "each node lacks something else",
        [node(name, gpus=1) for name in "abc"],
        [pod("p", gpu=1, cpu=8)],
        running=[(pod("r", gpu=1), "a"), (pod("s", cpu=60), "b"), (pod("t", cpu=60), "c")],
        wait={"p": "3 nodes match, all full: 1 lacks nvidia.com/gpu, 2 lack cpu"},
    ),
    Case(
        "the nodes that came furthest tell the reason",
        [node("a"), node("b", labels={"x": "1"}, taints=["t:NoSchedule"])],
        [pod("p", selector={"x": "1"})],
        wait={"p": "1 node matches, it has a taint that is not tolerated: t:NoSchedule"},
    ),
)
def test_dominant_reason(case: Case) -> None:
    check(case)


@rows(
    Case(
        "a device that is not ready is not given",
        [node("a", "whole!unadvertised", "whole")],
        [pod("p", gpu=1, created_s=1), pod("q", gpu=1, created_s=2)],
        go={"p": "a gpu1"},
        wait={"q": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free, 1 in use, 1 not advertised"},
    ),
    Case(
        "a device that is ill is not given",
        [node("a", "whole!unhealthy", "whole")],
        [pod("p", gpu=1)],
        go={"p": "a gpu1"},
    ),
    Case(
        "a device that kubelet gave to a pod not seen yet is not given",
        [node("a", "whole=other/x", "whole")],
        [pod("p", gpu=1)],
        go={"p": "a gpu1"},
    ),
    Case(
        "an assignment counts before kubelet knows",
        [node("a", "whole", "whole")],
        [pod("p", gpu=1)],
        bound=[(pod("r", gpu=1), "a gpu0")],
        go={"p": "a gpu1"},
    ),
    Case(
        "what kubelet did counts over what was assigned",
        [node("a", "whole", "whole=default/r")],
        [pod("p", gpu=1)],
        running=[(pod("r", gpu=1), "a gpu0")],
        go={"p": "a gpu0"},
    ),
    Case(
        "what kubelet did for an earlier pod of that name does not count over what was assigned",
        [node("a", "whole", "whole=default/r", "whole")],
        [pod("p", gpu=1)],
        bound=[(pod("r", gpu=1), "a gpu0")],
        go={"p": "a gpu2"},
    ),
    Case(
        "kubelet has done a part: both count",
        [node("a", "whole=default/r", "whole", "whole", "whole")],
        [pod("p", gpu=1)],
        running=[(pod("r", gpu=2), "a gpu1 gpu2")],
        go={"p": "a gpu3"},
    ),
    Case(
        "room is kept for a pod whose device is not known",
        [node("a", "whole", "whole")],
        [pod("p", gpu=1, created_s=1), pod("q", gpu=1, created_s=2)],
        running=[(pod("r", gpu=1), "a")],
        go={"p": "a gpu0"},
        wait={"q": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
    ),
    Case(
        "an assignment to a slot that now is another kind does not hold that",
        [node("a", "3g.40gb@0 1g.10gb@4")],
        [pod("p", wants={mig("3g.40gb"): 1}), pod("q", wants={mig("1g.10gb"): 1})],
        running=[(pod("r", wants={mig("1g.10gb"): 1}), "a gpu0@0")],
        go={"p": "a gpu0@0"},
        wait={"q": "1 node matches, it is full: needs 1 nvidia.com/mig-1g.10gb, 0 free"},
    ),
    Case(
        "an assignment to a slot that went away keeps one device back",
        [node("a", "3g.40gb@0 3g.40gb@4")],
        [pod("p", wants={mig("3g.40gb"): 1}, created_s=1), pod("q", wants={mig("3g.40gb"): 1}, created_s=2)],
        running=[(pod("r", wants={mig("3g.40gb"): 1}), "a gpu0@2")],
        go={"p": "a gpu0@0"},
        wait={"q": "1 node matches, it is full: needs 1 nvidia.com/mig-3g.40gb, 0 free"},
    ),
)
def test_what_is_free(case: Case) -> None:
    check(case)


@rows(
    Case(
        "priority first, then age, then name",
        [node("a", gpus=2)],
        [
            pod("young", gpu=1, created_s=9),
            pod("old", gpu=1, created_s=1),
            pod("urgent", gpu=1, created_s=9, priority=1),
        ],
        go={"urgent": "a", "old": "a"},
        wait={"young": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
    ),
    Case(
        "who finds no room does not hold up others",
        [node("a", gpus=2)],
        [pod("large", gpu=2, priority=9), pod("small", gpu=1)],
        running=[(pod("r", gpu=1), "a")],
        go={"small": "a"},
        wait={"large": "1 node matches, it is full: needs 2 nvidia.com/gpu, 0 free"},
    ),
    Case(
        "order holds across shapes",
        [node("a", gpus=3)],
        [
            pod("first", gpu=1, created_s=1),
            pod("second", gpu=1, cpu=1, created_s=2),
            pod("third", gpu=1, created_s=3),
            pod("fourth", gpu=1, cpu=1, created_s=4),
        ],
        go={"first": "a", "second": "a", "third": "a"},
        wait={"fourth": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
    ),
)
def test_order(case: Case) -> None:
    check(case)


def test_upstream_counts_are_the_detail() -> None:
    policies = Policies()
    snapshot, rankings = Snapshot(), Rankings(policies)
    for facts in (
        node("a", gpus=1),
        node("b", gpus=1, taints=["x=y:NoSchedule"]),
        node("c", cordoned=True),
        node("d", gpus=8, cpu=1, memory_gib=1, pods=0),
    ):
        snapshot.set_facts(facts)
    explanation = why_no_node(snapshot, pod("p", gpu=2, cpu=2, memory_gib=2).shape, rankings)
    assert explanation.detail == (
        "0/4 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Insufficient nvidia.com/gpu, "
        "1 Too many pods, 1 node(s) had untolerated taint {x=y:NoSchedule}, 1 node(s) were unschedulable."
    )


def test_a_limited_pass_goes_on_where_it_stopped() -> None:
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    snapshot.set_facts(node("a", gpus=8))
    for i in range(5):
        pending.put(pod(f"p{i}", gpu=1, created_s=i))
    passes = []
    more = True
    while more:
        outcome = cycle.run(snapshot, pending, rankings, limit=2)
        passes.append([bind.pod.key for bind in outcome.binds])
        more = outcome.more
    assert passes == [["default/p0", "default/p1"], ["default/p2", "default/p3"], ["default/p4"]]
    assert snapshot.nodes["a"].available(GPU) == 3
