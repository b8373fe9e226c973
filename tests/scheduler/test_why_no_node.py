"""The one reason that is told, of all nodes that will not do."""

from aliquot.scheduler.core.attempts import why_no_node
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import mig, node, pod
from tests.scheduler.placement_cases import Case, check, rows


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
