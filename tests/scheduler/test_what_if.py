"""What if: each row is a cluster, a job that waits, and the changes that would let it run, the cheapest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.what_if import changes
from aliquot.scheduler.testing import mig, node, placed, pod
from tests.scheduler.test_gangs import TREE, racks, within
from tests.scheduler.test_queue_turns import counted, queue


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Sequence[NodeFacts]
    pods: Sequence[PodRequest]
    changes: Sequence[str]
    root: Group | None = None
    """Of a job of several pods."""
    queues: Sequence[QueueSpec] = ()
    runs: Mapping[str, int] = field(default_factory=dict)
    """Queue to GPUs in use on the first node."""
    preemptible: bool = True


def gang(count: int, gpu: int) -> list[PodRequest]:
    return [pod(f"p{number}", gpu=gpu) for number in range(count)]


def found(case: Case) -> list[str]:
    policies, accounts = Policies(), Accounts(case.queues, counted)
    snapshot, rankings = Snapshot(), Rankings(policies)
    pending = Pending(policies.order, accounts)
    for facts in case.nodes:
        snapshot.set_facts(facts)
        accounts.offer(facts.name, {GPU: 1000 * facts.allocatable.get("nvidia.com/gpu", 0)})
    for name, count in case.runs.items():
        one = pod(f"run-{name}", gpu=count)
        snapshot.set_pod(placed(one, case.nodes[0].name, admitted=True))
        pending.hold(one, JobSpec(one.key, queue=name))
    name = "a" if case.queues else ""
    spec = JobSpec("default/j", case.root, queue=name, preemptible=case.preemptible)
    for one in case.pods:
        pending.put(one, spec)
    before = dict(snapshot.nodes), dict(snapshot.pods)
    told = [
        str(one) for one in changes(snapshot, pending, rankings, {"net": TREE}, pending.jobs["default/j"])
    ]
    assert before == (dict(snapshot.nodes), dict(snapshot.pods))
    if not told:
        return told
    # What it is told to change is what is in its way.
    assert cycle.run(snapshot, pending, rankings, {"net": TREE}).blocked
    return told


@pytest.mark.parametrize(
    "case",
    [
        Case("it would run as it is", [node("a", gpus=2)], [pod("p", gpu=2)], []),
        Case(
            "less, or one more node",
            [node("a", gpus=4)],
            [pod("p", gpu=4)],
            ["ask for 1 nvidia.com/gpu instead of 4", "add 1 node like a (4 nvidia.com/gpu)"],
            runs={"": 3},
        ),
        Case(
            "no node of any make would do",
            [node("a", gpus=4)],
            [pod("p", gpu=6)],
            ["ask for 4 nvidia.com/gpu instead of 6"],
        ),
        Case(
            "as many nodes as it takes, of the make that takes fewest devices first",
            [node("a", gpus=8), node("b", gpus=2)],
            gang(4, gpu=2),
            [
                "begin with 1 pod instead of 4",
                "add 1 node like a (8 nvidia.com/gpu)",
                "add 3 nodes like b (2 nvidia.com/gpu)",
            ],
            Group("", 4),
            runs={"": 8},
        ),
        Case(
            "less of CPU",
            [node("a", cpu=16, gpus=1)],
            [pod("p", cpu=20, gpu=1)],
            ["ask for 16 cpu instead of 20"],
        ),
        Case(
            "its selector",
            [node("a", gpus=4, labels={"zone": "x"})],
            [pod("p", gpu=1, selector={"zone": "y"})],
            ["take out its nodeSelector"],
        ),
        Case(
            "that all of its pods be in one NUMA node",
            [node("a", *["whole=x/o", "whole"] * 4, numa=[range(4), range(4, 8)])],
            gang(3, gpu=1),
            [
                "do not require its pods to be in one aliquot.dev/numa",
                "begin with 2 pods instead of 3",
                "add 1 node like a (8 nvidia.com/gpu)",
            ],
            Group("", 3, topology=within("aliquot.dev/numa", topology="")),
        ),
        Case(
            "that its GPUs be in one NUMA node",
            [node("a", *["whole=x/o", "whole"] * 4, numa=[range(4), range(4, 8)])],
            [pod("p", gpu=3, gpus_in="numa")],
            [
                "take out aliquot.dev/required-gpu-level",
                "ask for 2 nvidia.com/gpu instead of 3",
                "add 1 node like a (8 nvidia.com/gpu)",
            ],
        ),
        Case(
            "its queue's limit, and no more than it takes",
            [node("a", gpus=8)],
            gang(4, gpu=1),
            ["raise the limit of queue a from 5 to 7 GPUs", "begin with 2 pods instead of 4"],
            Group("", 4),
            queues=[queue("a", limit=5)],
            runs={"a": 3},
        ),
        Case(
            "the limit of each queue that is in its way",
            [node("a", gpus=8)],
            [pod("p", gpu=4)],
            [
                "raise the limit of queue a from 2 to 4 GPUs, and raise the limit of queue top from 3 to 4 GPUs",
                "ask for 2 nvidia.com/gpu instead of 4",
            ],
            queues=[queue("top", limit=3), queue("a", limit=2, parent="top")],
        ),
        Case(
            "its quota, or to be preempted",
            [node("a", gpus=8)],
            [pod("p", gpu=4)],
            [
                "let it be preempted",
                "raise the quota of queue a from 2 to 4 GPUs",
                "ask for 2 nvidia.com/gpu instead of 4",
            ],
            queues=[queue("a", 2)],
            preemptible=False,
        ),
        Case(
            "queue and nodes together, where neither is enough",
            [node("a", gpus=1)],
            [pod("p", gpu=1)],
            ["raise the limit of queue a from 1 to 2 GPUs, and add 1 node like a (1 nvidia.com/gpu)"],
            queues=[queue("a", limit=1)],
            runs={"a": 1},
        ),
        Case(
            "its topology level",
            racks(1, 1),
            gang(2, gpu=8),
            [
                "do not require its pods to be in one rack",
                "ask for 4 nvidia.com/gpu in each pod instead of 8",
                "begin with 1 pod instead of 2",
                "add 1 node like r0n0 (8 nvidia.com/gpu)",
            ],
            Group("", 2, topology=within("rack")),
        ),
        Case(
            "members that are missing",
            [node("a", gpus=8)],
            gang(2, gpu=1),
            ["begin with 2 pods instead of 4"],
            Group("", 4),
        ),
        Case(
            "a node of slices",
            [node("a", "1g.10gb@0=default/x 1g.10gb@1=default/y")],
            [pod("p", wants={mig("1g.10gb"): 1})],
            ["add 1 node like a (2 nvidia.com/mig-1g.10gb)"],
        ),
        Case(
            "a queue that is not there is not made up",
            [node("a", gpus=8)],
            [pod("p", gpu=1)],
            [],
            queues=[queue("b")],
        ),
    ],
    ids=lambda case: case.rule,
)
def test_changes(case: Case) -> None:
    assert found(case) == list(case.changes)
