"""Who has to go for whom: each row is a cluster, and who is evicted for the jobs that wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from aliquot.scheduler.core.queues.terms import QueueSpec
from aliquot.scheduler.core.victims import Guards
from tests.scheduler.worlds import Cluster, queue

NOW_S = 1000.0


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Mapping[str, int]
    runs: Sequence[str]
    waits: Sequence[str]
    gone: Mapping[str, str] = field(default_factory=dict)
    """Job that gets room, to the pods that go for it, by name."""
    queues: Sequence[QueueSpec] = ()
    guards: Guards = field(default_factory=Guards)
    blocked: str = ""
    """Jobs that go on waiting."""


def decide(case: Case) -> tuple[dict[str, str], str]:
    cluster = Cluster(case.nodes, case.queues)
    for text in case.runs:
        cluster.run(text)
    for age, text in enumerate(case.waits):
        cluster.wait(text, NOW_S - 100 + age)
    outcome = cluster.decide(case.guards, NOW_S)
    gone = {
        decision.job.key.removeprefix("default/"): " ".join(
            sorted(pod.key.removeprefix("default/") for pod in decision.after)
        )
        for decision in outcome.decisions
    }
    for state in cluster.snapshot.nodes.values():
        assert all(left >= 0 for left in state.unasked.values())
    return gone, " ".join(one.job.key.removeprefix("default/") for one in outcome.blocked)


@pytest.mark.parametrize(
    "case",
    [
        Case("a higher priority", {"a": 1}, ["low on a"], ["high at 10"], {"high": "low"}),
        Case("not the same priority", {"a": 1}, ["one on a"], ["other"], blocked="other"),
        Case(
            "not for one that waits until others end",
            {"a": 1},
            ["low on a"],
            ["high at 10 patient"],
            blocked="high",
        ),
        Case(
            "one like it that does not wait is served though the other is before it",
            {"a": 1},
            ["low on a"],
            ["higher at 20 patient", "high at 10"],
            {"high": "low"},
            blocked="higher",
        ),
        Case(
            "nor by another queue",
            {"a": 2},
            ["x in p on a", "y in p on a"],
            ["mine in q patient"],
            queues=[queue("p", 1), queue("q", 1)],
            blocked="mine",
        ),
        Case("nobody goes where there is room", {"a": 2}, ["low on a"], ["high at 10"], {"high": ""}),
        Case("not who cannot be preempted", {"a": 1}, ["low kept on a"], ["high at 10"], blocked="high"),
        Case(
            "the lowest priority, then who came last",
            {"a": 3},
            ["x at 2 on a", "y at 1 since 5 on a", "z at 1 since 9 on a"],
            ["high at 10"],
            {"high": "z"},
        ),
        Case(
            "of equals who has lost least since it wrote its work down",
            {"a": 3},
            ["x saved 990 on a", "y since 900 on a", "z since 100 saved 800 on a"],
            ["high at 10"],
            {"high": "x"},
        ),
        Case(
            "which one of a gang says for all of it",
            {"a": 4},
            ["g*2 saved 990 on a", "h*2 since 950 on a"],
            ["high at 10"],
            {"high": "g-0 g-1"},
        ),
        Case(
            "not what was before it started",
            {"a": 2},
            ["x since 900 saved 300 on a", "y since 950 on a"],
            ["high at 10"],
            {"high": "y"},
        ),
        Case(
            "nor what is yet to come",
            {"a": 2},
            ["x saved 1061 on a", "y since 900 on a"],
            ["high at 10"],
            {"high": "y"},
        ),
        Case(
            "but for a clock that is ahead by a little",
            {"a": 2},
            ["x saved 1060 on a", "y since 900 on a"],
            ["high at 10"],
            {"high": "x"},
        ),
        Case(
            "more GPUs lose more in the same time",
            {"a": 3},
            ["x gpu 2 since 900 on a", "y since 850 on a"],
            ["high at 10"],
            {"high": "y"},
        ),
        Case(
            "where it costs least",
            {"a": 2, "b": 2},
            ["x at 5 on a", "y on a", "u on b", "v on b"],
            ["high at 10 gpu 2"],
            {"high": "u v"},
        ),
        Case(
            "no more than are in the way",
            {"a": 4},
            ["x on a", "y gpu 2 at 1 on a", "z on a"],
            ["high at 10 gpu 2"],
            {"high": "x z"},
        ),
        Case(
            "a gang goes as a whole",
            {"a": 2, "b": 2},
            ["g*4 on a b"],
            ["high at 10"],
            {"high": "g-0 g-1 g-2 g-3"},
        ),
        Case(
            "extras before the gang",
            {"a": 4},
            ["g*4/2 on a"],
            ["high at 10 gpu 2"],
            {"high": "g-2 g-3"},
        ),
        Case(
            "pods that ended well leave more of the others beyond the minimum",
            {"a": 3},
            ["g*4/2 done 1 on a"],
            ["high at 10 gpu 2"],
            {"high": "g-2 g-3"},
        ),
        Case(
            "and keep a gang whole that has no more than its minimum with them",
            {"a": 3},
            ["g*4 done 1 on a"],
            ["high at 10"],
            {"high": "g-1 g-2 g-3"},
        ),
        Case(
            "a gang gets room on several nodes",
            {"a": 2, "b": 2},
            ["u on a", "v on a", "x on b", "y on b"],
            ["g*3 at 10"],
            {"g": "u v x"},
        ),
        Case(
            "a gang for which there is not room enough moves nobody",
            {"a": 2, "b": 2},
            ["u on a", "v kept on a", "x kept on b", "y on b"],
            ["g*3 at 10"],
            blocked="g",
        ),
        Case(
            "what is lent is taken back",
            {"a": 4},
            ["x in lent on a", "y in lent since 1 on a", "z in lent since 2 on a", "u in lent since 3 on a"],
            ["mine in owner gpu 2"],
            {"mine": "u z"},
            [queue("owner", 2), queue("lent", 2)],
        ),
        Case(
            "nobody takes what another has by its quota",
            {"a": 4},
            ["x in b gpu 2 on a", "y in a gpu 2 on a"],
            ["more in a"],
            queues=[queue("a", 2), queue("b", 2)],
            blocked="more",
        ),
        Case(
            "the fair share without quotas, and no more",
            {"a": 4},
            ["x in b on a", "y in b since 1 on a", "z in b since 2 on a", "u in b since 3 on a"],
            ["first in a", "second in a", "third in a"],
            {"first": "u", "second": "z"},
            [queue("a"), queue("b")],
            blocked="third",
        ),
        Case(
            "not before it has run for the minimum time",
            {"a": 2},
            ["x in lent since 990 on a", "y in lent since 900 on a"],
            ["mine in owner", "also in owner"],
            {"mine": "y"},
            [queue("owner", 2), queue("lent", min_runtime_s=60)],
            blocked="also",
        ),
        Case(
            "as many as a PodDisruptionBudget allows",
            {"a": 2},
            ["x on a", "y on a"],
            ["one at 10", "two at 10"],
            {"one": "x"},
            guards=Guards(budgets_of=lambda pod: ("pdb",), allowed={"pdb": 1}),
            blocked="two",
        ),
        Case(
            "who says that it is not to be disrupted stays",
            {"a": 2},
            ["x on a", "y at 5 on a"],
            ["high at 10"],
            {"high": "y"},
            guards=Guards(kept=lambda pod: "it is marked do-not-disrupt" * (pod == "default/x")),
        ),
    ],
    ids=lambda case: case.rule,
)
def test_evictions(case: Case) -> None:
    assert decide(case) == (dict(case.gone), case.blocked)
