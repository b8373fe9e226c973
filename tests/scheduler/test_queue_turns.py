"""Jobs of several queues: each row is queues, the GPUs there are, who runs and who waits, and who is served in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import Amounts, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.terms import GPU, UNLIMITED, QueueSpec, Terms
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import node, placed, pod

DEVICE = "nvidia.com/gpu"


def counted(shape: PodShape) -> Amounts:
    gpus = shape.request.get(DEVICE, 0)
    return {GPU: 1000 * gpus} if gpus else {}


def queue(
    name: str,
    quota: int | None = None,
    limit: int | None = None,
    *,
    weight: int = 1,
    priority: int = 100,
    parent: str = "",
) -> QueueSpec:
    terms = Terms(
        None if quota is None else 1000 * quota, UNLIMITED if limit is None else 1000 * limit, 1000 * weight
    )
    return QueueSpec(name, parent, priority, {GPU: terms})


@dataclass(frozen=True)
class Case:
    rule: str
    queues: Sequence[QueueSpec]
    gpus: int
    waits: Sequence[str]
    """Jobs in order of age: `QUEUE` for one GPU, `QUEUE*N` for a gang of N, with `!` when it cannot be preempted."""
    served: str
    """Queues of those that were placed, in order; a gang with `*N`."""
    runs: Mapping[str, int] = field(default_factory=dict)
    """GPUs in use, by queue."""
    blocked: Mapping[str, str] = field(default_factory=dict)
    """Queue of a job that is not placed, to why."""


def decide(case: Case) -> tuple[str, dict[str, str]]:
    policies, accounts = Policies(), Accounts(case.queues, counted)
    snapshot, rankings = Snapshot(), Rankings(policies)
    pending = Pending(policies.order, accounts)
    snapshot.set_facts(node("a", gpus=case.gpus))
    accounts.offer("a", {GPU: 1000 * case.gpus})
    for name, count in case.runs.items():
        for number in range(count):
            one = pod(f"run-{name}-{number}", gpu=1)
            snapshot.set_pod(placed(one, "a", admitted=True))
            pending.hold(one, JobSpec(one.key, queue=name))
    for age, text in enumerate(case.waits):
        name, _, size = text.rstrip("!").partition("*")
        root = Group("", int(size)) if size else None
        spec = JobSpec(f"default/{age}", root, queue=name, created_s=age, preemptible=not text.endswith("!"))
        for number in range(int(size or 1)):
            key = f"{age}-{number}" if size else str(age)
            pending.put(pod(key, gpu=1, created_s=age), spec)
    outcome = cycle.run(snapshot, pending, rankings)
    served = [
        decision.job.queue + (f"*{len(decision.binds)}" if decision.job.root is not None else "")
        for decision in outcome.decisions
    ]
    told = {one.job.queue: cycle.why(snapshot, pending, one, rankings).message for one in outcome.blocked}
    return " ".join(served), told


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "without weights each in turn, whoever came first",
            [queue("a", 0), queue("b", 0)],
            4,
            ["a", "a", "a", "b", "b"],
            "a b a b",
            blocked={"a": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
        ),
        Case(
            "twice the weight, twice the GPUs",
            [queue("a", weight=2), queue("b")],
            6,
            ["b"] * 6 + ["a"] * 6,
            "a b a a b a",
            blocked=dict.fromkeys("ab", "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"),
        ),
        Case(
            "within the quota before who borrows",
            [queue("a", 0), queue("b", 2)],
            2,
            ["a", "a", "b", "b"],
            "b b",
            blocked={"a": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
        ),
        Case(
            "what runs counts",
            [queue("a", 0), queue("b", 0)],
            5,
            ["a", "b", "b"],
            "b b",
            runs={"a": 3},
            blocked={"a": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
        ),
        Case(
            "never beyond the limit, free room or not",
            [queue("a", 1, 2)],
            4,
            ["a", "a", "a"],
            "a a",
            blocked={"a": "1 GPU is asked for, and queue a has 2 of 2 at most"},
        ),
        Case(
            "a gang larger than its queue's limit",
            [queue("a", 1, 2), queue("b")],
            4,
            ["a*3", "b"],
            "b",
            blocked={
                "a": "3 GPUs are asked for, and queue a may have 2 at most: ask for less, or raise its limit"
            },
        ),
        Case(
            "who cannot be preempted does not borrow",
            [queue("a", 1), queue("b")],
            4,
            ["a!", "a*2!", "b"],
            "a b",
            blocked={
                "a": "2 GPUs are asked for by a job that cannot be preempted, and queue a has a quota of 1: "
                "make the job preemptible, ask for less, or raise the quota"
            },
        ),
        Case(
            "a limit above holds for all below",
            [queue("top", None, 2), queue("a", parent="top"), queue("b", parent="top")],
            4,
            ["a", "a", "b", "b"],
            "a b",
            blocked=dict.fromkeys("ab", "1 GPU is asked for, and queue top has 2 of 2 at most"),
        ),
        Case(
            "a queue that nobody made",
            [queue("a")],
            4,
            ["nobody", "a"],
            "a",
            blocked={"nobody": "there is no queue nobody"},
        ),
        Case(
            "a queue that has others below it",
            [queue("top"), queue("a", parent="top")],
            4,
            ["top", "a"],
            "a",
            blocked={"top": "queue top has queues below it (a), and only those take jobs: name one of them"},
        ),
        Case(
            "a cycle closes its queues and no other",
            [queue("x", parent="y"), queue("y", parent="x"), queue("a")],
            4,
            ["x", "a"],
            "a",
            blocked={"x": "queue x is closed: its parents form a cycle: x -> y -> x"},
        ),
        Case("without a queue: the one for all others", [queue("a")], 2, ["", "a"], "a "),
        Case(
            "a gang is served whole in its turn",
            [queue("a"), queue("b")],
            6,
            ["a*3", "a*3", "b"],
            "a*3 b",
            blocked={
                "a": "2 of 3 pods find a node, and all are needed: 1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"
            },
        ),
    ],
    ids=lambda case: case.rule,
)
def test_turns(case: Case) -> None:
    assert decide(case) == (case.served, dict(case.blocked))
