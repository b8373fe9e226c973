"""Jobs of several queues: each row is queues, the GPUs there are, who runs and who waits, and who is served in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.line_up import line_up
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import Amounts, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.history import History
from aliquot.scheduler.core.queues.line import Line
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
            blocked={"nobody": "there is no queue nobody: create it, or name another"},
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


HOUR = 3600.0


@dataclass(frozen=True)
class Past:
    rule: str
    had: Mapping[str, int]
    """GPUs held for long and let go now, by `QUEUE` or `QUEUE/USER`."""
    waits: Sequence[str]
    """Jobs of one GPU in order of age: `QUEUE`, or `QUEUE/USER`; `!` for a priority higher by one."""
    served: str
    queues: Sequence[QueueSpec] = (queue("a"), queue("b"))
    gpus: int = 4
    ageing_s: float | None = None


@pytest.mark.parametrize(
    "case",
    [
        Past("nobody had anything: in turn", {}, ["a", "a", "a", "b", "b"], "a b a b"),
        Past("who had all is due none of what is over", {"a": 4}, ["a"] * 4 + ["b"] * 4, "b b b b"),
        Past("what nobody else wants it has all the same", {"a": 4}, ["a"] * 4, "a a a a"),
        Past(
            "what is guaranteed is, whatever was had",
            {"a": 4},
            ["a"] * 4 + ["b"] * 4,
            "a a b b",
            queues=(queue("a", 2), queue("b")),
        ),
        Past(
            "who had just its part keeps it, and who had none gets more",
            {"a": 3},
            ["a"] * 6 + ["b"] * 6,
            "b a b b a b",
            gpus=6,
        ),
        Past(
            "the past of those below counts for the one above",
            {"x": 4},
            ["x"] * 4 + ["y"] * 4 + ["b"] * 4,
            "b b b b",
            queues=(queue("a"), queue("x", parent="a"), queue("y", parent="a"), queue("b")),
        ),
        Past(
            "users of a queue in turn, whoever came first",
            {},
            ["a/ann"] * 4 + ["a/bob"] * 4,
            "a/ann a/bob a/ann a/bob",
        ),
        Past(
            "the user who had less first",
            {"a/ann": 2},
            ["a/ann"] * 4 + ["a/bob"] * 4,
            "a/bob a/bob a/bob a/bob",
        ),
        Past(
            "jobs without a user are one user's", {"a": 2}, ["a"] * 2 + ["a/ann"] * 3, "a/ann a/ann a/ann a"
        ),
        Past("priority before who had less", {"a/ann": 2}, ["a/bob", "a/ann!", "a/bob"], "a/ann a/bob a/bob"),
        Past(
            "what a user had in another queue is no matter",
            {"b/ann": 4},
            ["a/ann", "a/bob", "a/ann"],
            "a/ann a/bob a/ann",
        ),
        Past(
            "with ageing, who had everything stands back by as much as one priority",
            {"a/ann": 2},
            ["a/ann", "a/ann!", "a/bob"],
            "a/ann a/bob a/ann",
            ageing_s=3 * HOUR,
        ),
        Past(
            "... and no longer: an hour is enough here",
            {"a/ann": 2},
            ["a/ann", "a/bob", "a/bob"],
            "a/ann a/bob a/bob",
            ageing_s=HOUR / 2,
        ),
    ],
    ids=lambda case: case.rule,
)
def test_what_was_had_counts_in_turns(case: Past) -> None:
    policies, history = Policies(order=Line(case.ageing_s)), History(HOUR)
    accounts = Accounts(case.queues, counted, history)
    snapshot, pending = Snapshot(), Pending(policies.order, accounts)
    snapshot.set_facts(node("a", gpus=case.gpus))
    accounts.offer("a", {GPU: 1000 * case.gpus})
    for name, gpus in case.had.items():
        held, (leaf, _, user) = pod(f"had-{name}", gpu=gpus), name.partition("/")
        pending.hold(held, JobSpec(held.key, queue=leaf, user=user))
    history.advance(10 * HOUR)
    for name in case.had:
        pending.discard(f"default/had-{name}")
    history.look()
    for age, text in enumerate(case.waits):
        leaf, _, user = text.rstrip("!").partition("/")
        spec = JobSpec(f"default/{age}", None, leaf, user, priority=text.count("!"), created_s=age * HOUR)
        pending.put(pod(str(age), gpu=1), spec)
    outcome = cycle.run(snapshot, pending, Rankings(policies))
    served = [f"{one.job.queue}/{one.job.user}".rstrip("/") for one in outcome.decisions]
    assert " ".join(served) == case.served


def test_jobs_that_are_alike_go_by_what_users_had_at_the_start_and_others_by_what_they_have_by_then() -> None:
    """Gangs of three take more at once than single jobs: who was given one waits for three of the others."""
    accounts = Accounts((queue("a"),), counted, History(HOUR))
    snapshot, policies = Snapshot(), Policies()
    pending = Pending(policies.order, accounts)
    snapshot.set_facts(node("n", gpus=8))
    accounts.offer("n", {GPU: 8000})
    for age, (user, size) in enumerate((("ann", 3), ("ann", 3), *(("bob", 1),) * 6)):
        spec = JobSpec(f"default/{age}", Group("", size), "a", user, created_s=age)
        for number in range(size):
            pending.put(pod(f"{age}-{number}", gpu=1), spec)
    outcome = cycle.run(snapshot, pending, Rankings(policies))
    assert " ".join(one.job.user for one in outcome.decisions) == "ann bob bob bob bob bob"


def test_who_is_before_a_job_goes_by_what_users_had() -> None:
    history = History(HOUR)
    accounts = Accounts((queue("a"),), counted, history)
    accounts.offer("a", {GPU: 4000})
    pending = Pending(Policies().order, accounts)
    history.hold("a", "ann", {GPU: 1000})
    history.advance(HOUR)
    history.look()
    for age, user in enumerate(("ann", "bob", "ann", "bob")):
        spec = JobSpec(f"default/{user}-{age}", None, "a", user, created_s=age)
        pending.put(pod(f"{user}-{age}", gpu=1), spec)
    ordered = line_up(pending, pending.jobs["default/ann-2"])
    assert [job.spec.key for job in ordered] == [
        "default/bob-1",
        "default/bob-3",
        "default/ann-0",
        "default/ann-2",
    ]
