"""What others were promised, where somebody is to be evicted: each row is a cluster, what runs until when, and who waits.

A job's line is as in `worlds`, with `until SECONDS` at its end where it is known how long it runs: for one that waits, if it
started now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from msgspec import structs

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.backfill.stage import Backfill, Style
from aliquot.scheduler.core.queues.terms import QueueSpec
from aliquot.scheduler.core.victims import Guards
from tests.scheduler.worlds import Cluster, Line, queue

NOW_S = 1000.0


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Mapping[str, int]
    runs: Sequence[str]
    waits: Sequence[str]
    """The first of them was promised a start before the others came."""
    starts: Mapping[str, str] = field(default_factory=dict)
    """Job to the pods that go for it, by name."""
    promises: Mapping[str, float] = field(default_factory=dict)
    queues: Sequence[QueueSpec] = ()
    style: Style = Style.EASY


def outcome_of(case: Case) -> cycle.Outcome:
    cluster = Cluster(case.nodes, case.queues)
    backfill = Backfill(case.style)
    for text in case.runs:
        job, _, until = text.partition(" until ")
        cluster.run(job)
        line = Line.of(job)
        spec = structs.replace(line.spec(), max_runtime_s=float(until) - line.since_s if until else None)
        backfill.started(spec, [request.key for request in line.requests()], line.since_s)

    def decide() -> cycle.Outcome:
        return cycle.run(
            cluster.snapshot,
            cluster.pending,
            cluster.rankings,
            backfill=backfill,
            guards=Guards(),
            now_s=NOW_S,
        )

    for age, text in enumerate(case.waits):
        job, _, until = text.partition(" until ")
        line = Line.of(job)
        runtime_s = float(until) - NOW_S if until else None
        for request in line.requests(age):
            cluster.pending.put(request, structs.replace(line.spec(age), max_runtime_s=runtime_s))
        if age == 0:
            assert decide().decisions == ()
    return decide()


def short(name: str) -> str:
    return name.removeprefix("default/")


BESIDE = {"a": 2, "b": 2}
HELD = ["x gpu 2 since 900 on a until 1100", "y gpu 2 on b"]
"""The cheaper one is on the node where the first of those that wait starts when it ends."""
PARTLY = ["x gpu 2 on a until 1100", "y gpu 2 on b"]
"""There is room on the first node, and not enough for the first of those that wait."""


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "nobody goes whose room was promised",
            BESIDE,
            HELD,
            ["first gpu 2 kept", "high gpu 2 at 10"],
            {"high": "y"},
            {"first": 1100},
        ),
        Case(
            "nobody at all where all of it was promised",
            {"a": 2},
            HELD[:1],
            ["first gpu 2 kept", "high gpu 2 at 10"],
            {},
            {"first": 1100},
        ),
        Case(
            "but for one who has ended by then",
            {"a": 2},
            HELD[:1],
            ["first gpu 2 kept", "high gpu 2 at 10 until 1100"],
            {"high": "x"},
            {"first": 1100},
        ),
        Case(
            "nor is another looked for on a node where that one would be the first to go",
            {"a": 4},
            ["x gpu 2 since 900 on a until 1100", "y gpu 2 on a"],
            ["first gpu 2 kept", "high gpu 2 at 10"],
            {},
            {"first": 1100},
        ),
        Case(
            "a promise to one that could be evicted does not count, and is made anew",
            {"a": 2},
            HELD[:1],
            ["first gpu 2", "high gpu 2 at 10 until 1300"],
            {"high": "x"},
            {"first": 1300},
        ),
        Case(
            "whose room is promised to others may have that of somebody elsewhere",
            {"a": 4, "b": 2},
            PARTLY,
            ["first gpu 4 kept", "high gpu 2 at 10"],
            {"high": "y"},
            {"first": 1100},
        ),
        Case(
            "or the room that is promised, of one that could be evicted: nobody goes",
            {"a": 4, "b": 2},
            PARTLY,
            ["first gpu 4", "high gpu 2 at 10 until 1500"],
            {"high": ""},
            {"first": 1500},
        ),
        Case(
            "an equal waits until the promised one has started",
            {"a": 4, "b": 2},
            PARTLY,
            ["first gpu 4", "equal gpu 2"],
            {},
            {"first": 1100},
        ),
        Case(
            "in a strict line nobody goes in front, by eviction neither",
            {"a": 2, "b": 1},
            ["x gpu 2 at 20 on a", "y on b"],
            ["first gpu 2 at 20", "high at 10"],
            style=Style.STRICT,
        ),
        Case(
            "a promise to a borrower gives way to the owner",
            {"a": 4},
            ["x in lent gpu 2 on a until 1100"],
            ["first in lent gpu 4", "mine in owner gpu 2 until 1500"],
            {"mine": ""},
            {"first": 1500},
            [queue("owner", 2), queue("lent", 2)],
        ),
        Case(
            "one within its quota holds against a higher priority elsewhere",
            {"a": 4},
            ["x in b gpu 2 kept on a until 1100"],
            ["first in a gpu 4", "high in b at 10"],
            {},
            {"first": 1100},
            [queue("a", 4), queue("b", 0)],
        ),
    ],
    ids=lambda case: case.rule,
)
def test_promises(case: Case) -> None:
    outcome = outcome_of(case)
    starts = {
        short(decision.job.key): " ".join(short(pod.key) for pod in decision.after)
        for decision in outcome.decisions
    }
    promises = {short(promise.job.key): promise.start_s for promise in outcome.promises}
    assert (starts, promises) == (dict(case.starts), dict(case.promises))
