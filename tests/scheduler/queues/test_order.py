"""Which queue is served next: rule by rule, and against looking at every pair."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts
from aliquot.scheduler.core.queues.fair_share import Shares, fair_shares
from aliquot.scheduler.core.queues.ledger import Ledger
from aliquot.scheduler.core.queues.order import QueueOrder
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec, Terms, primary
from aliquot.scheduler.core.queues.tree import ROOT, QueueTree
from tests.scheduler.queues.trees import amounts, by_leaf, thorough, trees


def terms(quota: int | None = None, weight: int = 1) -> dict[str, Terms]:
    return {GPU: Terms(quota=None if quota is None else quota * 1000, weight_milli=weight * 1000)}


@pytest.mark.parametrize(
    ("queues", "held", "heads", "capacity", "expected"),
    [
        # Not above its share before above it, whatever the priority.
        (
            [QueueSpec("a", priority=200), QueueSpec("b", priority=100, terms=terms(6))],
            {"a": 7, "b": 1},
            {"a": 1, "b": 1},
            8,
            ["b", "a"],
        ),
        # Within the quota before borrowing, whatever the priority.
        (
            [QueueSpec("a", priority=200), QueueSpec("b", terms=terms(2))],
            {"a": 0, "b": 1},
            {"a": 1, "b": 1},
            8,
            ["b", "a"],
        ),
        # The higher priority.
        ([QueueSpec("a"), QueueSpec("b", priority=200)], {"b": 1}, {"a": 1, "b": 1}, 8, ["b", "a"]),
        # Who is due anything of it before who is due nothing.
        (
            [QueueSpec("a", terms=terms(weight=0)), QueueSpec("b")],
            {"b": 3},
            {"a": 1, "b": 9},
            8,
            ["b", "a"],
        ),
        # The smaller share with the job: 3 + 1 of 4 against 2 + 2 of 4, and then as it is.
        ([QueueSpec("a"), QueueSpec("b")], {"a": 3, "b": 2}, {"a": 4, "b": 1}, 8, ["b", "a"]),
        ([QueueSpec("a"), QueueSpec("b")], {"a": 3, "b": 2}, {"a": 1, "b": 2}, 8, ["b", "a"]),
        # The older one; then by name.
        (
            [QueueSpec("a", created_s=2), QueueSpec("b", created_s=1), QueueSpec("c", created_s=1)],
            {},
            {"a": 1, "b": 1, "c": 1},
            9,
            ["b", "c", "a"],
        ),
        # Departments first, then the teams in them.
        (
            [
                QueueSpec("x"),
                QueueSpec("y"),
                QueueSpec("x1", "x"),
                QueueSpec("x2", "x"),
                QueueSpec("y1", "y"),
            ],
            {"x1": 1, "x2": 0, "y1": 2},
            {"x1": 9, "x2": 9, "y1": 9},
            12,
            ["x2", "x1", "y1"],
        ),
    ],
)
def test_who_goes_first(
    queues: list[QueueSpec], held: dict[str, int], heads: dict[str, int], capacity: int, expected: list[str]
) -> None:
    tree = QueueTree(queues)
    ledger = Ledger(tree)
    for leaf, count in held.items():
        ledger.add(leaf, {GPU: count * 1000}, preemptible=True)
    # All of them want everything.
    shares = fair_shares(tree, {leaf: {GPU: 99_000} for leaf in heads}, {GPU: capacity * 1000})
    order = QueueOrder(ledger, shares, {leaf: {GPU: count * 1000} for leaf, count in heads.items()})
    found = []
    while (best := order.best()) is not None:
        found.append(best)
        order.put(best, None)
    assert found == expected


def test_the_dominant_resource_decides() -> None:
    tree = QueueTree([QueueSpec("a"), QueueSpec("b")])
    ledger = Ledger(tree)
    capacity = {GPU: 8000, CPU: 64_000, MEMORY: 1 << 40}
    # 1 of 4 GPUs and 28 of 32 cores, against 2 of 4 GPUs and 4 of 32 cores.
    ledger.add("a", {GPU: 1000, CPU: 28_000}, preemptible=True)
    ledger.add("b", {GPU: 2000, CPU: 4000}, preemptible=True)
    shares = fair_shares(tree, {"a": capacity, "b": capacity}, capacity)
    head = {GPU: 1000, CPU: 1000}
    assert QueueOrder(ledger, shares, {"a": head, "b": head}).best() == "b"


def test_without_jobs_there_is_no_next() -> None:
    tree = QueueTree()
    assert QueueOrder(Ledger(tree), fair_shares(tree, {}, {})).best() is None


def before(ledger: Ledger, shares: Shares, one: tuple[int, Amounts], other: tuple[int, Amounts]) -> bool:
    """The rules once more, of a pair, one after the other."""
    tree = ledger.tree

    def held(index: int, resource: str) -> int:
        return ledger.held(index).get(resource, 0)

    def facts(side: tuple[int, Amounts]) -> list[object]:
        index, head = side
        fair = {resource: shares.fair[resource][index] for resource in tree.resources}
        within = all(
            held(index, resource) + head[resource] <= tree.quotas[resource][index]
            for resource in tree.resources
            if head.get(resource) and (resource == primary(head) or tree.stated[resource][index])
        )

        def ratio(amount: int, due: int) -> float:
            return amount / due if due else float("inf") if amount else 0.0

        return [
            any(held(index, resource) > fair[resource] for resource in fair),
            not within,
            -tree.nodes[index].spec.priority,
            not any(fair[resource] for resource in fair if head.get(resource)),
            max(ratio(held(index, r) + head.get(r, 0), fair[r]) for r in fair),
            max(ratio(held(index, r), fair[r]) for r in fair),
            -fair[primary(head)],
            tree.nodes[index].spec.created_s,
            tree.nodes[index].name,
        ]

    for mine, theirs in zip(facts(one), facts(other), strict=True):
        if mine != theirs:
            return bool(mine < theirs)  # type: ignore[operator]
    return False


def brute(ledger: Ledger, shares: Shares, heads: dict[str, Amounts], at: int = ROOT) -> str | None:
    """By walking down, each level compared pair by pair."""

    def best_below(index: int) -> str | None:
        node = ledger.tree.nodes[index]
        if not node.children:
            return node.name if node.name in heads else None
        best: tuple[int, str] | None = None
        for child in node.children:
            leaf = best_below(child)
            if leaf is not None and (
                best is None or before(ledger, shares, (child, heads[leaf]), (best[0], heads[best[1]]))
            ):
                best = child, leaf
        return best[1] if best is not None else None

    return best_below(at)


@given(trees, st.data())
@thorough
def test_it_is_what_comparing_every_pair_comes_to(tree: QueueTree, data: st.DataObject) -> None:
    ledger = Ledger(tree)
    for leaf, held in data.draw(by_leaf(tree)).items():
        ledger.add(leaf, held, preemptible=True)
    heads = data.draw(by_leaf(tree))
    shares = fair_shares(tree, data.draw(by_leaf(tree)), data.draw(amounts))
    order = QueueOrder(ledger, shares, heads)
    assert order.best() == brute(ledger, shares, heads)
    # Then whatever may happen to it, one by one.
    for _ in range(data.draw(st.integers(0, 30))):
        leaf = data.draw(st.sampled_from(sorted(tree.leaves)))
        if data.draw(st.booleans()):
            head = data.draw(st.none() | amounts)
            heads.pop(leaf, None)
            if head is not None:
                heads[leaf] = head
            order.put(leaf, head)
        else:
            ledger.add(leaf, data.draw(amounts), preemptible=True)
            order.changed(leaf)
        assert order.best() == brute(ledger, shares, heads)
