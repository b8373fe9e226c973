"""What is above what, and what is wrong with a queue; each row a rule."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.pod import CPU
from aliquot.scheduler.core.queues.terms import GPU, UNLIMITED, QueueSpec, Terms, of_model
from aliquot.scheduler.core.queues.tree import QueueTree
from aliquot.scheduler.core.reasons import Kind
from tests.scheduler.queues.trees import specs, thorough


def tree(*above: str) -> QueueTree:
    """`tree("a", "b<a")`: b below a."""
    parts = (text.partition("<") for text in above)
    return QueueTree(QueueSpec(name, parent) for name, _, parent in parts)


@pytest.mark.parametrize(
    ("declared", "closed"),
    [
        (("a", "b<a"), {}),
        (
            ("a<nowhere", "b<a", "c<b", "d"),
            {
                "a": (Kind.QUEUE_PARENT_UNKNOWN, "its parent nowhere does not exist"),
                "b": (Kind.QUEUE_CLOSED, "its parent a is closed: its parent nowhere does not exist"),
                "c": (Kind.QUEUE_CLOSED, "its parent b is closed: its parent nowhere does not exist"),
            },
        ),
        (("a<a",), {"a": (Kind.QUEUE_CYCLE, "its parents form a cycle: a -> a")}),
        (
            ("c<b", "b<a", "a<c", "d<b", "e"),
            {
                "a": (Kind.QUEUE_CYCLE, "its parents form a cycle: a -> c -> b -> a"),
                "b": (Kind.QUEUE_CYCLE, "its parents form a cycle: a -> c -> b -> a"),
                "c": (Kind.QUEUE_CYCLE, "its parents form a cycle: a -> c -> b -> a"),
                "d": (
                    Kind.QUEUE_CLOSED,
                    "its parent b is closed: its parents form a cycle: a -> c -> b -> a",
                ),
            },
        ),
        (
            ("a", "a", "b<a"),
            {
                "a": (Kind.QUEUE_DUPLICATE, "there is more than one queue a"),
                "b": (Kind.QUEUE_CLOSED, "its parent a is closed: there is more than one queue a"),
            },
        ),
    ],
)
def test_a_queue_with_a_problem_closes_those_below_it_alone(
    declared: tuple[str, ...], closed: dict[str, tuple[Kind, str]]
) -> None:
    for order in range(4):
        told = random.Random(order).sample(declared, len(declared))
        made = tree(*told)
        assert {name: (reason.kind, reason.detail) for name, reason in made.problems.items()} == closed
        names = {text.partition("<")[0] for text in declared}
        assert {name for name in names if name in made} == names - closed.keys()


@pytest.mark.parametrize(
    ("name", "kind", "detail"),
    [
        ("team", None, ""),
        ("default", None, ""),
        ("nobody", Kind.QUEUE_UNKNOWN, "there is no queue nobody: create it, or name another"),
        (
            "org",
            Kind.QUEUE_NOT_LEAF,
            "queue org has queues below it (a, b, c, ...), and only those take jobs: name one of them",
        ),
        ("lost", Kind.QUEUE_CLOSED, "queue lost is closed: its parent nowhere does not exist"),
    ],
)
def test_who_takes_jobs(name: str, kind: Kind | None, detail: str) -> None:
    made = tree("org", "team<org", "a<org", "b<org", "c<org", "lost<nowhere")
    found = made.refusal(name)
    assert (None if found is None else found.kind) == kind
    assert found is None or found.detail == detail


def test_a_queue_that_cannot_be_read_is_there_and_closed() -> None:
    why = "spec.resources.gpu.limit: 'many' is not a quantity"
    made = QueueTree([QueueSpec("below", "broken"), QueueSpec("other")], {"broken": why, "default": why})
    assert {name: reason.kind for name, reason in made.problems.items()} == {
        "broken": Kind.QUEUE_UNREADABLE,
        "default": Kind.QUEUE_UNREADABLE,
        "below": Kind.QUEUE_CLOSED,
    }
    told = {name: reason.detail for name in ("broken", "below") if (reason := made.refusal(name)) is not None}
    assert told == {
        "broken": f"queue broken is closed: it cannot be read: {why}",
        "below": f"queue below is closed: its parent broken is closed: it cannot be read: {why}",
    }
    # Nothing without bounds stands in for one that was to have some.
    assert list(made.leaves) == ["other"]


def test_without_queues_there_is_one_without_bounds() -> None:
    made = QueueTree()
    assert list(made.leaves) == ["default"]
    assert made.refusal("default") is None
    assert made.bounded("default") == ()


def test_a_declared_default_queue_is_the_one() -> None:
    made = QueueTree([QueueSpec("default", terms={GPU: Terms(limit=1000)})])
    assert [node.name for node in made.bounded("default")] == ["default"]


def test_a_default_queue_that_is_closed_is_not_replaced() -> None:
    assert QueueTree([QueueSpec("default", "nowhere")]).refusal("default") is not None


def test_paths_go_from_the_leaf_to_the_root() -> None:
    made = tree("a", "b<a", "c<b", "d<a")
    names = [
        [made.nodes[index].name for index in made.path(name)] for name in ("c", "d", "default", "b", "x")
    ]
    assert names == [["c", "b", "a", ""], ["d", "a", ""], ["default", ""], [""], [""]]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("c", "d", (["c", "b"], ["d"])),
        ("d", "c", (["d"], ["c", "b"])),
        ("c", "default", (["c", "b", "a"], ["default"])),
        ("c", "c", ([], [])),
        ("c", "nobody", (["c", "b", "a"], [])),
    ],
)
def test_where_two_queues_part(one: str, other: str, expected: tuple[list[str], list[str]]) -> None:
    made = tree("a", "b<a", "c<b", "d<a")
    assert tuple([made.nodes[i].name for i in path] for path in made.apart(one, other)) == expected


def test_a_quota_that_is_not_stated_is_what_those_below_have() -> None:
    model = of_model("H100")
    made = QueueTree(
        [
            QueueSpec("org"),
            QueueSpec("a", "org", terms={GPU: Terms(quota=3000), model: Terms(quota=1000)}),
            QueueSpec("b", "org", terms={GPU: Terms(quota=5000)}),
            QueueSpec("stated", terms={GPU: Terms(quota=1000)}),
            QueueSpec("c", "stated", terms={GPU: Terms(quota=UNLIMITED)}),
            QueueSpec("rich"),
            QueueSpec("d", "rich", terms={GPU: Terms(quota=UNLIMITED)}),
            QueueSpec("e", "rich", terms={GPU: Terms(quota=1)}),
        ]
    )
    quota = {node.name: made.quotas[GPU][node.index] for node in made.nodes}
    assert quota["org"] == 8000 and quota["stated"] == 1000 and quota["rich"] == UNLIMITED
    assert made.quotas[model][made.node("org").index] == 1000
    stated = {node.name: made.stated[GPU][node.index] for node in made.nodes}
    assert stated["org"] and stated["rich"] and not stated["default"]
    assert not made.stated[CPU][made.node("org").index]


def test_minimum_run_times_come_from_the_nearest_above() -> None:
    made = QueueTree(
        [
            QueueSpec("org", preempt_min_runtime_s=60, reclaim_min_runtime_s=600),
            QueueSpec("a", "org", reclaim_min_runtime_s=0),
        ]
    )
    assert (made.preempt_min_runtime_s("a"), made.reclaim_min_runtime_s("a")) == (60, 0)
    assert (made.preempt_min_runtime_s("default"), made.reclaim_min_runtime_s("default")) == (0, 0)


@given(specs(), st.randoms(use_true_random=False))
@thorough
def test_the_order_in_which_queues_are_told_does_not_matter(
    declared: list[QueueSpec], rng: random.Random
) -> None:
    one, other = QueueTree(declared), QueueTree(rng.sample(declared, len(declared)))
    assert [node.spec for node in one.nodes] == [node.spec for node in other.nodes]
    assert one.parents == other.parents


def test_a_very_deep_tree_is_no_problem() -> None:
    made = QueueTree(QueueSpec(f"q{n}", f"q{n - 1}" if n else "") for n in range(3000))
    assert len(made.path("q2999")) == 3001
    broken = QueueTree(QueueSpec(f"q{n}", f"q{n - 1}") for n in range(3000))
    assert len(broken.problems["q2999"].detail) < 100
