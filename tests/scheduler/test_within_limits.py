"""How many of those that wait their queues could take if there were room for all: each row is queues, jobs, and who is within."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from aliquot.scheduler.core.queues.terms import QueueSpec
from aliquot.scheduler.core.within_limits import within_limits
from aliquot.scheduler.testing import pod
from tests.scheduler.worlds import Cluster, Line, queue


@dataclass(frozen=True)
class Case:
    rule: str
    queues: Sequence[QueueSpec]
    waits: Sequence[str]
    within: str | None
    """None: nothing is counted."""
    runs: Sequence[str] = ()


CASES = [
    Case("without queues nobody is beyond", (), ["a", "b"], None),
    Case("without a limit nobody is beyond", [queue("q")], ["a in q", "b in q"], None),
    Case(
        "a quota holds nobody back who can be preempted", [queue("q", quota=1)], ["a in q", "b in q"], "a b"
    ),
    Case("up to the limit", [queue("q", limit=2)], ["a in q", "b in q", "c in q"], "a b"),
    Case("what runs counts", [queue("q", limit=2)], ["a in q", "b in q"], "a", ["r in q on n"]),
    Case(
        "by rank, over jobs that are not alike",
        [queue("q", limit=4)],
        ["a in q gpu 2", "b in q at 9", "c in q gpu 2 at 5", "d in q"],
        "b c d",
    ),
    Case("a gang counts whole", [queue("q", limit=3)], ["a*2 in q", "b*2 in q", "c in q"], "a c"),
    Case(
        "the limit above is for all below it",
        [queue("all", limit=3), queue("p", parent="all"), queue("q", parent="all")],
        ["a in p", "b in q", "c in p", "d in q"],
        "a b c",
    ),
    Case(
        "each queue by its own",
        [queue("p", limit=1), queue("q", limit=1)],
        ["a in p", "b in q", "c in p"],
        "a b",
    ),
    Case(
        "who cannot be preempted, up to the quota", [queue("q", quota=1)], ["a in q kept", "b in q kept"], "a"
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_who_is_within_the_limit(case: Case) -> None:
    cluster = Cluster({"n": 8}, case.queues)
    for text in case.runs:
        cluster.run(text)
    for age, text in enumerate(case.waits):
        cluster.wait(text, age)
    pending, ledger = cluster.pending, cluster.accounts.ledger
    before = [dict(ledger.held(node.index)) for node in ledger.tree.nodes]
    found = within_limits(pending, [*pending.lines, *pending.begun])
    assert [dict(ledger.held(node.index)) for node in ledger.tree.nodes] == before
    names = sorted(key.removeprefix("default/") for jobs in found.values() for key in jobs)
    assert (" ".join(names) if found else None) == case.within


def test_of_one_who_has_begun_what_it_is_given_next_counts() -> None:
    cluster = Cluster({"n": 8}, [queue("q", limit=3)])
    cluster.run("a*1/1 in q on n")
    more = Line.of("a*1/1 in q")
    for number in (1, 2, 3):
        cluster.pending.put(pod(f"a-{number}", gpu=1), more.spec())
    cluster.wait("b in q", 1)
    cluster.wait("c in q gpu 2", 2)
    (found,) = within_limits(cluster.pending, list(cluster.pending.begun)).values()
    assert found == {"default/a"}
    both = within_limits(cluster.pending, [*cluster.pending.lines, *cluster.pending.begun])
    assert set().union(*both.values()) == {"default/a", "default/b"}


@pytest.mark.parametrize("seed", range(20))
def test_it_is_what_asking_one_after_the_other_comes_to(seed: int) -> None:
    rng = random.Random(seed)
    queues = [queue("all", limit=20), queue("p", 5, 15, parent="all"), queue("q", 5, 15, parent="all")]
    cluster = Cluster({"n": 8}, queues)
    for number in range(60):
        kept = rng.choice(["", "", " kept"])
        text = (
            f"j{number:02} in {rng.choice('pq')} gpu {rng.choice((1, 1, 2, 4))} at {rng.randrange(2)}{kept}"
        )
        cluster.wait(text, rng.randrange(5))
    pending, accounts = cluster.pending, cluster.accounts
    ranked = sorted((rank, alike) for alike, ranks in pending.lines.items() for rank in ranks)
    closed, expected = set(), set()
    taken = []
    for rank, alike in ranked:
        job = pending.jobs[rank[-1]]
        asked = pending.asked(job)
        if alike in closed or accounts.refusal(job.spec, asked) is not None:
            closed.add(alike)
            continue
        taken.append((job.spec, asked))
        accounts.ledger.add(job.spec.queue, asked, preemptible=job.spec.preemptible)
        expected.add(rank[-1])
    for spec, asked in taken:
        accounts.ledger.remove(spec.queue, asked, preemptible=spec.preemptible)
    assert set().union(*within_limits(pending, list(pending.lines)).values()) == expected
