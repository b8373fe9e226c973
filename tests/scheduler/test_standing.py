"""How queues stand: each row is queues, who runs and who waits, and what each queue then has and is due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec
from aliquot.scheduler.core.standing import standings
from aliquot.scheduler.testing import pod
from tests.scheduler.test_queue_turns import counted, queue


@dataclass(frozen=True)
class Case:
    rule: str
    queues: Sequence[QueueSpec]
    stands: Mapping[str, str]
    """`allocated (of which not preemptible) requested due jobs`, in GPUs."""
    runs: Sequence[str] = ()
    """`QUEUE` for a GPU that is held, with `!` when its job cannot be preempted."""
    waits: Sequence[str] = ()
    """`QUEUE*N` for a gang of N, of which `*N+M` more run."""
    gpus: int = 8
    also: Sequence[str] = field(default_factory=tuple)


def stood(case: Case) -> dict[str, str]:
    accounts = Accounts(case.queues, counted)
    pending = Pending(Policies().order, accounts)
    accounts.offer("a", {GPU: 1000 * case.gpus})
    for number, text in enumerate(case.runs):
        name = text.rstrip("!")
        one = pod(f"run-{number}", gpu=1)
        pending.hold(one, JobSpec(one.key, queue=name, preemptible=name == text))
    for number, text in enumerate(case.waits):
        name, _, size = text.partition("*")
        more, _, there = size.partition("+")
        minimum = int(more) + int(there or 0)
        spec = JobSpec(f"default/{number}", Group("", minimum), queue=name)
        for member in range(minimum):
            one = pod(f"{number}-{member}", gpu=1)
            if member < int(more):
                pending.put(one, spec)
            else:
                pending.hold(one, spec)
    found = standings(pending, case.also)
    return {
        name: " ".join(
            str(amounts.get(GPU, 0) // 1000)
            for amounts in (one.allocated, one.non_preemptible, one.requested, one.fair_share)
        )
        + f" {one.pending_jobs}"
        for name, one in found.items()
        if name in case.stands
    }


@pytest.mark.parametrize(
    "case",
    [
        Case("nothing of anything", [queue("a")], {"a": "0 0 0 0 0"}),
        Case("what runs is held and asked for", [queue("a")], {"a": "2 1 2 2 0"}, runs=["a", "a!"]),
        Case(
            "what waits is asked for, a gang as one job",
            [queue("a")],
            {"a": "1 0 4 4 2"},
            runs=["a"],
            waits=["a*2", "a*1"],
        ),
        Case(
            "a queue has what those below it have",
            [queue("top"), queue("a", parent="top"), queue("b", parent="top")],
            {"top": "1 0 4 4 1", "a": "1 0 1 1 0", "b": "0 0 3 3 1"},
            runs=["a"],
            waits=["b*3"],
        ),
        Case(
            "no more is due than there is",
            [queue("a", 2), queue("b", 0)],
            {"a": "0 0 8 5 1", "b": "0 0 8 3 1"},
            waits=["a*8", "b*8"],
        ),
        Case("one that lost members waits", [queue("a")], {"a": "2 0 3 3 1"}, waits=["a*1+2"]),
        Case(
            "where none is named it is the default queue",
            [queue("a")],
            {"default": "1 0 3 3 1"},
            runs=[""],
            waits=["*2"],
        ),
        Case(
            "a closed queue has what its jobs took, and is due nothing",
            [queue("a", parent="gone")],
            {"a": "1 1 3 0 1"},
            runs=["a!"],
            waits=["a*2"],
            also=["a"],
        ),
        Case(
            "those who name one that takes no jobs wait for it",
            [queue("top"), queue("a", parent="top")],
            {"top": "0 0 2 0 1", "a": "0 0 0 0 0"},
            waits=["top*2"],
        ),
    ],
    ids=lambda case: case.rule,
)
def test_standings(case: Case) -> None:
    assert stood(case) == dict(case.stands)
