"""What each queue is due: against sums by hand, and against rounds of exact fractions."""

import random
from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.pod import CPU, Amounts
from aliquot.scheduler.core.queues.fair_share import Past, Shares, fair_shares, fill, with_past
from aliquot.scheduler.core.queues.terms import GPU, UNLIMITED, QueueSpec, Terms, of_model
from aliquot.scheduler.core.queues.tree import ROOT, QueueTree
from tests.scheduler.queues.trees import COUNTED, amounts, by_leaf, specs, thorough

CAPACITY = {GPU: 12_000}


def queue(name: str, quota: int | None = None, weight: int = 1, **more: object) -> QueueSpec:
    """In GPUs."""
    limit = more.pop("limit", None)
    gpus = Terms(
        None if quota is None else quota * 1000 if quota < UNLIMITED else quota,
        UNLIMITED if not isinstance(limit, int) else limit * 1000,
        weight * 1000,
    )
    return QueueSpec(name, terms={GPU: gpus}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("queues", "wanted", "due"),
    [
        # Room for all: each what it wants.
        ([queue("a"), queue("b")], {"a": 4, "b": 8}, {"a": 4, "b": 8}),
        # By weight.
        ([queue("a"), queue("b", weight=2)], {"a": 20, "b": 20}, {"a": 4, "b": 8}),
        # What one does not need goes to the others.
        ([queue("a"), queue("b"), queue("c")], {"a": 2, "b": 20, "c": 20}, {"a": 2, "b": 5, "c": 5}),
        # The quota first, then by weight.
        ([queue("a", 6), queue("b")], {"a": 20, "b": 20}, {"a": 9, "b": 3}),
        # A quota is worth no more than what is asked for.
        ([queue("a", 6), queue("b")], {"a": 1, "b": 20}, {"a": 1, "b": 11}),
        # A limit holds whatever there is.
        ([queue("a", limit=2), queue("b")], {"a": 20, "b": 20}, {"a": 2, "b": 10}),
        # Above the quotas the higher priority takes all that it wants.
        ([queue("a", 2, priority=200), queue("b", 4)], {"a": 7, "b": 20}, {"a": 7, "b": 5}),
        # Without a weight: the quota alone.
        ([queue("a", 2, weight=0), queue("b")], {"a": 7, "b": 20}, {"a": 2, "b": 10}),
        ([queue("a", 2, weight=0)], {"a": 7}, {"a": 2}),
        # All of it guaranteed.
        ([queue("a", UNLIMITED), queue("b")], {"a": 10, "b": 20}, {"a": 10, "b": 2}),
        # Quotas that do not fit shrink alike.
        ([queue("a", 16), queue("b", 8)], {"a": 20, "b": 20}, {"a": 8, "b": 4}),
        ([queue("a", 16), queue("b", 8)], {"a": 20, "b": 2}, {"a": 10, "b": 2}),
        # Level by level: what b gets is divided below it.
        (
            [
                queue("a", 4),
                queue("b", 4),
                queue("b1", 3, parent="b"),
                queue("b2", 1, parent="b"),
            ],
            {"a": 20, "b1": 20, "b2": 20},
            {"a": 6, "b": 6, "b1": 4, "b2": 2},
        ),
        # A team that wants little leaves the rest to its sister first.
        (
            [queue("a"), queue("b"), queue("b1", parent="b"), queue("b2", parent="b")],
            {"a": 20, "b1": 1, "b2": 20},
            {"a": 6, "b": 6, "b1": 1, "b2": 5},
        ),
        # The limit of a department holds for all of it.
        (
            [queue("a"), queue("b", limit=4), queue("b1", parent="b"), queue("b2", parent="b")],
            {"a": 20, "b1": 20, "b2": 20},
            {"a": 8, "b": 4, "b1": 2, "b2": 2},
        ),
        # Thousandths that cannot be divided go to the first names.
        ([queue("a"), queue("b"), queue("c"), queue("d", 11, weight=0)], dict.fromkeys("abcd", 20), None),
    ],
)
def test_who_is_due_what(
    queues: list[QueueSpec], wanted: Mapping[str, int], due: Mapping[str, float] | None
) -> None:
    tree = QueueTree(queues)
    shares = fair_shares(tree, {name: {GPU: count * 1000} for name, count in wanted.items()}, CAPACITY)
    found = {spec.name: shares.of(spec.name)[GPU] for spec in queues}
    if due is None:
        assert found == {"a": 334, "b": 333, "c": 333, "d": 11_000}
    else:
        assert found == {name: round(1000 * count) for name, count in due.items()}


def test_the_example_of_the_docs() -> None:
    tree = QueueTree(
        [
            queue("research", 8),
            queue("vision", 4, parent="research"),
            queue("language", 4, parent="research"),
            queue("products", 4),
            queue("serving", 4, parent="products"),
        ]
    )
    wanted = {"vision": {GPU: 10_000}, "language": {GPU: 2000}, "serving": {GPU: 8000}}
    shares = fair_shares(tree, wanted, {GPU: 16_000})
    due = {node.name: shares.of(node.name).get(GPU, 0) // 1000 for node in tree.nodes[1:]}
    assert due == {"default": 0, "research": 10, "vision": 8, "language": 2, "products": 6, "serving": 6}


def test_resources_are_divided_each_by_itself_and_models_by_the_weight_for_gpus() -> None:
    h100 = of_model("H100")
    tree = QueueTree(
        [
            QueueSpec("a", terms={GPU: Terms(weight_milli=3000), h100: Terms(quota=4000)}),
            QueueSpec("b", terms={CPU: Terms(quota=9000)}),
        ]
    )
    all_of_it = {GPU: 16_000, CPU: 10_000, h100: 8000}
    shares = fair_shares(tree, {"a": all_of_it, "b": all_of_it}, all_of_it)
    assert shares.of("a") == {GPU: 12_000, CPU: 500, h100: 7000}
    assert shares.of("b") == {GPU: 4000, CPU: 9500, h100: 1000}
    assert shares.guaranteed[h100][tree.node("a").index] == 4000


def reference(amount: int, needs: Sequence[int], weights: Sequence[int]) -> list[int]:
    """In rounds: each the part that it is due of what is left, or its need; then the largest remainders."""
    exact = [Fraction(0)] * len(needs)
    left = Fraction(amount)
    while True:
        hungry = [i for i, need in enumerate(needs) if exact[i] < need and weights[i]]
        if not left or not hungry:
            break
        total, before = sum(weights[i] for i in hungry), left
        for i in hungry:
            given_ = min(before * weights[i] / total, needs[i] - exact[i])
            exact[i] += given_
            left -= given_
    whole = [int(part) for part in exact]
    for i in sorted(range(len(needs)), key=lambda i: (whole[i] - exact[i], i))[
        : round(sum(exact)) - sum(whole)
    ]:
        whole[i] += 1
    return whole


@st.composite
def fillings(draw: st.DrawFn) -> tuple[int, list[int], list[int]]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=6))
    return draw(st.integers(0, 60)), [need for need, _ in pairs], [weight for _, weight in pairs]


@given(fillings())
@thorough
def test_filling_is_what_rounds_of_exact_fractions_come_to(filling: tuple[int, list[int], list[int]]) -> None:
    assert fill(*filling) == reference(*filling)


@given(fillings())
@thorough
def test_more_to_give_is_less_for_nobody_but_for_the_rounding_of_a_unit(
    filling: tuple[int, list[int], list[int]],
) -> None:
    amount, needs, weights = filling
    more = fill(amount + 1, needs, weights)
    assert all(after >= before - 1 for before, after in zip(fill(amount, needs, weights), more, strict=True))


@given(fillings(), st.integers(0, 5))
@thorough
def test_who_needs_more_gets_no_less(filling: tuple[int, list[int], list[int]], which: int) -> None:
    amount, needs, weights = filling
    if which < len(needs):
        more = [need + (index == which) for index, need in enumerate(needs)]
        assert fill(amount, more, weights)[which] >= fill(amount, needs, weights)[which]


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[QueueSpec], dict[str, Amounts], Amounts]:
    declared = draw(specs())
    return declared, draw(by_leaf(QueueTree(declared))), draw(amounts)


def check_level(shares: Shares, resource: str, capacity: int) -> None:
    tree, fair, wanted = shares.tree, shares.fair[resource], shares.wanted[resource]
    assert fair[ROOT] == min(capacity, wanted[ROOT])
    for node in tree.nodes:
        assert 0 <= shares.guaranteed[resource][node.index] <= fair[node.index] <= wanted[node.index]
        assert fair[node.index] <= tree.limits[resource][node.index]
        if not node.children:
            continue
        given_ = sum(fair[child] for child in node.children)
        bases = {child: min(tree.quotas[resource][child], wanted[child]) for child in node.children}
        if sum(bases.values()) <= fair[node.index]:
            assert all(fair[child] >= base for child, base in bases.items())
        # Nothing is left where somebody who has a claim wants more.
        assert given_ == fair[node.index]


@given(situations())
@thorough
def test_shares_fit_serve_quotas_and_leave_nothing(
    situation: tuple[list[QueueSpec], dict[str, Amounts], Amounts],
) -> None:
    declared, requested, capacity = situation
    tree = QueueTree(declared)
    shares = fair_shares(tree, requested, capacity)
    for resource in tree.resources:
        check_level(shares, resource, capacity.get(resource, 0))


@given(situations(), st.data())
@thorough
def test_the_past_moves_only_what_is_divided_by_weight(
    situation: tuple[list[QueueSpec], dict[str, Amounts], Amounts], data: st.DataObject
) -> None:
    declared, requested, capacity = situation
    tree = QueueTree(declared)
    past = Past(data.draw(by_leaf(tree)), data.draw(st.sampled_from((0.0, 0.5, 4.0))))
    shares = fair_shares(tree, requested, capacity, past)
    for resource in tree.resources:
        fair, capacity_ = shares.fair[resource], capacity.get(resource, 0)
        for node in tree.nodes:
            assert fair[node.index] <= shares.wanted[resource][node.index]
            if node.children:
                assert sum(fair[child] for child in node.children) <= fair[node.index]
                bases = [min(tree.quotas[resource][c], shares.wanted[resource][c]) for c in node.children]
                if sum(bases) <= fair[node.index]:
                    assert all(fair[c] >= base for c, base in zip(node.children, bases, strict=True))
        assert fair[ROOT] == min(capacity_, shares.wanted[resource][ROOT])


@given(situations(), st.randoms(use_true_random=False))
@thorough
def test_the_order_of_queues_and_requests_does_not_matter(
    situation: tuple[list[QueueSpec], dict[str, Amounts], Amounts], rng: random.Random
) -> None:
    declared, requested, capacity = situation
    one = fair_shares(QueueTree(declared), requested, capacity)
    shuffled = dict(rng.sample(sorted(requested.items()), len(requested)))
    other = fair_shares(QueueTree(rng.sample(declared, len(declared))), shuffled, capacity)
    assert (one.fair, one.guaranteed, one.wanted) == (other.fair, other.guaranteed, other.wanted)


@given(situations(), st.data())
@thorough
def test_a_queue_that_wants_more_is_due_no_less(
    situation: tuple[list[QueueSpec], dict[str, Amounts], Amounts], data: st.DataObject
) -> None:
    declared, requested, capacity = situation
    tree = QueueTree(declared)
    leaf = data.draw(st.sampled_from(sorted(tree.leaves)))
    resource = data.draw(st.sampled_from(COUNTED))
    more = dict(requested.get(leaf, {}))
    more[resource] = more.get(resource, 0) + data.draw(st.integers(1, 9))
    before = fair_shares(tree, requested, capacity).of(leaf).get(resource, 0)
    after = fair_shares(tree, requested | {leaf: more}, capacity).of(leaf).get(resource, 0)
    # Each level above it rounds to a unit.
    assert after >= before - len(tree.path(leaf))


@pytest.mark.parametrize(
    ("used", "strength", "expected"),
    [
        # As they should have had it: nothing changes.
        ((500, 500), 1.0, (500_000, 500_000)),
        # One had it all.
        ((1000, 0), 0.5, (250_000, 750_000)),
        ((1000, 0), 4.0, (0, 2_500_000)),
        ((1000, 0), 0.0, (500_000, 500_000)),
        # Nobody had anything: all alike.
        ((0, 0), 1.0, (1_000_000, 1_000_000)),
    ],
)
def test_who_had_more_than_its_weight_weighs_less(
    used: tuple[int, int], strength: float, expected: tuple[int, int]
) -> None:
    assert with_past((1000, 1000), used, 1000, strength) == list(expected)


def test_who_had_much_is_due_less_but_never_less_than_its_quota() -> None:
    tree = QueueTree([queue("a", 2), queue("b", 2)])
    wanted = {"a": {GPU: 20_000}, "b": {GPU: 20_000}}
    past = Past({"a": {GPU: 12_000}}, strength=1.0)
    shares = fair_shares(tree, wanted, CAPACITY, past)
    assert (shares.of("a"), shares.of("b")) == ({GPU: 2000}, {GPU: 10_000})
