"""Who holds how much, and who may have more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts
from aliquot.scheduler.core.queues.ledger import Ledger
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec, Terms, of_model
from aliquot.scheduler.core.queues.tree import QueueTree
from aliquot.scheduler.core.queues.words import told
from aliquot.scheduler.core.reasons import Kind, QueueBound
from tests.scheduler.queues.trees import amounts, thorough, trees

H100 = of_model("H100")
TREE = QueueTree(
    [
        QueueSpec("org", terms={GPU: Terms(limit=10_000), MEMORY: Terms(limit=64 << 30)}),
        QueueSpec(
            "a", "org", terms={GPU: Terms(quota=4000, limit=8000), H100: Terms(quota=1000, limit=2000)}
        ),
        QueueSpec("b", "org"),
    ]
)


def ledger(**gpus: int) -> Ledger:
    """GPUs held by each queue, half of them by jobs that cannot be preempted."""
    made = Ledger(TREE)
    for queue, count in gpus.items():
        made.add(queue, {GPU: count * 500}, preemptible=True)
        made.add(queue, {GPU: count * 500}, preemptible=False)
    return made


@pytest.mark.parametrize(
    ("held", "asked", "preemptible", "kind", "bound"),
    [
        ({}, {GPU: 8000}, True, None, None),
        ({"b": 10}, {CPU: 1000}, True, None, None),
        ({"b": 10}, {}, False, None, None),
        ({"a": 6}, {GPU: 2000}, True, None, None),
        ({"a": 6}, {GPU: 2001}, True, Kind.OVER_LIMIT, QueueBound("a", GPU, 2001, 6000, 8000)),
        ({"a": 2, "b": 6}, {GPU: 4000}, True, Kind.OVER_LIMIT, QueueBound("org", GPU, 4000, 8000, 10_000)),
        ({}, {GPU: 8001}, True, Kind.LARGER_THAN_LIMIT, QueueBound("a", GPU, 8001, 0, 8000)),
        # What will never do goes first.
        (
            {"a": 8},
            {GPU: 1000, MEMORY: 65 << 30},
            True,
            Kind.LARGER_THAN_LIMIT,
            QueueBound("org", MEMORY, 65 << 30, 0, 64 << 30),
        ),
        ({"a": 4}, {GPU: 2000}, False, None, None),
        (
            {"a": 4},
            {GPU: 2001},
            False,
            Kind.NON_PREEMPTIBLE_OVER_QUOTA,
            QueueBound("a", GPU, 2001, 2000, 4000),
        ),
        ({}, {GPU: 4001}, False, Kind.LARGER_THAN_QUOTA, QueueBound("a", GPU, 4001, 0, 4000)),
        (
            {},
            {GPU: 3000, H100: 3000},
            True,
            Kind.LARGER_THAN_LIMIT,
            QueueBound("a", H100, 3000, 0, 2000),
        ),
        (
            {},
            {GPU: 2000, H100: 2000},
            False,
            Kind.LARGER_THAN_QUOTA,
            QueueBound("a", H100, 2000, 0, 1000),
        ),
        ({}, {GPU: 3000, of_model("L4"): 3000}, False, None, None),
    ],
)
def test_who_may_have_more(
    held: dict[str, int], asked: Amounts, preemptible: bool, kind: Kind | None, bound: QueueBound | None
) -> None:
    found = ledger(**held).refusal("a", asked, preemptible=preemptible)
    assert (kind, bound) == (None, None) if found is None else (found.kind, found.bound) == (kind, bound)


def test_a_quota_that_is_not_stated_holds_nobody_back() -> None:
    assert ledger().refusal("b", {GPU: 9000}, preemptible=False) is None


@pytest.mark.parametrize(
    ("held", "asked", "preemptible", "words"),
    [
        (
            {"a": 6},
            {GPU: 2500},
            True,
            "2.5 GPUs are asked for, and queue a has 6 of 8 at most",
        ),
        (
            {},
            {GPU: 1000, MEMORY: 65 << 30},
            True,
            "65Gi memory is asked for, and queue org may have 64Gi at most: ask for less, or raise its limit",
        ),
        (
            {"a": 7},
            {GPU: 1000},
            False,
            "1 GPU is asked for by a job that cannot be preempted, and in queue a such jobs have 3.5 of the quota of 4",
        ),
        (
            {},
            {GPU: 2000, H100: 2000},
            False,
            "2 GPUs (H100) are asked for by a job that cannot be preempted, and queue a has a quota of 1: "
            "make the job preemptible, ask for less, or raise the quota",
        ),
    ],
)
def test_a_refusal_in_words(held: dict[str, int], asked: Amounts, preemptible: bool, words: str) -> None:
    found = ledger(**held).refusal("a", asked, preemptible=preemptible)
    assert found is not None
    assert told(found) == words


def test_what_a_queue_holds_counts_for_all_above_it() -> None:
    made = ledger(a=2, b=4, default=1)
    assert [made.allocated(queue)[GPU] for queue in ("a", "b", "org")] == [2000, 4000, 6000]
    assert made.total[GPU] == 7000
    assert made.allocated_non_preemptible("org") == {GPU: 3000}


def test_what_is_held_in_a_queue_that_is_gone_counts_for_the_whole_and_comes_back_with_it() -> None:
    made = ledger(a=2, b=4)
    without = made.under(QueueTree([QueueSpec("b")]))
    assert without.total[GPU] == 6000 and without.allocated("b") == {GPU: 4000}
    without.remove("a", {GPU: 1000}, preemptible=True)
    again = without.under(TREE)
    assert again.allocated("a") == {GPU: 1000} and again.allocated("org") == {GPU: 5000}


placements = st.lists(st.tuples(st.integers(0, 9), amounts, st.booleans()), max_size=8)


@given(trees, placements, placements)
@thorough
def test_remove_takes_back_what_add_did(
    tree: QueueTree, before: list[tuple[int, Amounts, bool]], tried: list[tuple[int, Amounts, bool]]
) -> None:
    leaves = [*tree.leaves, "nobody"]
    made = Ledger(tree)
    for which, asked, preemptible in before:
        made.add(leaves[which % len(leaves)], asked, preemptible=preemptible)
    books = [dict(made.held(node.index)) for node in tree.nodes]
    for which, asked, preemptible in tried:
        made.add(leaves[which % len(leaves)], asked, preemptible=preemptible)
    for which, asked, preemptible in tried:
        made.remove(leaves[which % len(leaves)], asked, preemptible=preemptible)
    assert [made.held(node.index) for node in tree.nodes] == books
    assert [made.under(tree).held(node.index) for node in tree.nodes] == books


@given(trees, placements)
@thorough
def test_nobody_is_ever_above_a_limit_or_unpreemptible_above_a_quota(
    tree: QueueTree, asked: list[tuple[int, Amounts, bool]]
) -> None:
    leaves = list(tree.leaves)
    made = Ledger(tree)
    for which, amounts_, preemptible in asked:
        leaf = leaves[which % len(leaves)]
        if made.refusal(leaf, amounts_, preemptible=preemptible) is None:
            made.add(leaf, amounts_, preemptible=preemptible)
    for node in tree.nodes[1:]:
        for resource, terms in node.spec.terms.items():
            assert made.allocated(node.name).get(resource, 0) <= terms.limit
            if terms.quota is not None:
                assert made.allocated_non_preemptible(node.name).get(resource, 0) <= terms.quota
