"""What each queue is due of what there is, resource by resource and level by level of the tree.

At each level an amount is divided among siblings:

1. each gets what it wants of its quota; of quotas that do not fit together, each gets what it wants of its part, in
   proportion;
2. what is left goes to the siblings of the highest priority, in proportion to their weights, none getting more than it
   wants; what those leave goes to the next priority.

What a queue gets is then divided among those below it. All numbers are whole units, and their sums exact: units that are
left over by rounding go to the largest remainders, one each, among equal ones to the first name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.terms import UNLIMITED
from aliquot.scheduler.core.queues.tree import ROOT, QueueTree

_SCALE = 1_000_000
"""Of weights that history has changed."""


@dataclass(frozen=True, slots=True)
class Past:
    """What queues have had on average, recent times counting most, and how much that matters."""

    used: Mapping[str, Amounts]
    """By leaf; see `history`."""
    strength: float
    """0: the past does not matter. The weight w of a queue, as a part of 1 among its siblings that want more, becomes
    max(0, w + strength * (w - u)), u being what it had, as a part of what is divided."""


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """By resource, one number for each queue, in the order of the tree."""

    tree: QueueTree
    wanted: Mapping[str, Sequence[int]]
    """What it has and what its jobs that wait ask for, as far as it can be due that much."""
    guaranteed: Mapping[str, Sequence[int]]
    """The part of `fair` that it has by its quota."""
    fair: Mapping[str, Sequence[int]]

    def of(self, queue: str) -> Amounts:
        """The fair share of an open queue, of that and no more than it has a use for. Raises KeyError."""
        index = self.tree.node(queue).index
        return {resource: shares[index] for resource, shares in self.fair.items() if shares[index]}


def fair_shares(
    tree: QueueTree, requested: Mapping[str, Amounts], capacity: Amounts, past: Past | None = None
) -> Shares:
    """`requested`, by leaf: what its jobs hold and what those that wait ask for. `past` moves only what is divided by weight,
    never what is guaranteed."""
    asked = _placed(tree, requested)
    had = _placed(tree, past.used) if past is not None else None
    wanted, guaranteed, fair = {}, {}, {}
    for resource in tree.resources:
        there_is = capacity.get(resource, 0)
        wanted[resource] = _summed(tree, resource, asked, tree.most[resource])
        used = _summed(tree, resource, had, [there_is] * len(tree.nodes)) if had is not None else None
        guaranteed[resource], fair[resource] = _divided(
            tree, resource, wanted[resource], there_is, used, past.strength if past is not None else 0.0
        )
    return Shares(tree, wanted, guaranteed, fair)


def _placed(tree: QueueTree, by_leaf: Mapping[str, Amounts]) -> list[tuple[int, Amounts]]:
    """By place in the tree. Of queues that take no jobs nobody is due anything."""
    places = ((tree.path(leaf)[0], amounts) for leaf, amounts in by_leaf.items())
    return [(index, amounts) for index, amounts in places if index != ROOT]


def _summed(
    tree: QueueTree, resource: str, by_leaf: Iterable[tuple[int, Amounts]], most: Sequence[int]
) -> list[int]:
    found = [0] * len(tree.nodes)
    for index, amounts in by_leaf:
        if resource in amounts:
            found[index] = amounts[resource]
    parents = tree.parents
    for index in range(len(found) - 1, ROOT, -1):
        amount = found[index]
        if amount:
            if amount > most[index]:
                amount = found[index] = most[index]
            found[parents[index]] += amount
    return found


def _divided(
    tree: QueueTree,
    resource: str,
    wanted: Sequence[int],
    capacity: int,
    used: Sequence[int] | None,
    strength: float,
) -> tuple[list[int], list[int]]:
    quotas, weights = tree.quotas[resource], tree.weights
    guaranteed = list(map(min, quotas, wanted))
    fair = list(wanted)
    fair[ROOT] = guaranteed[ROOT] = min(capacity, wanted[ROOT])
    for node in tree.nodes:
        children = node.children
        if not children:
            continue
        amount = fair[node.index]
        if amount == sum([wanted[child] for child in children]):
            # Enough for all.
            for child in children:
                fair[child] = wanted[child]
            continue
        bases = [guaranteed[child] for child in children]
        over = amount - sum(bases)
        if over < 0:
            bases = fill(
                amount,
                bases,
                [
                    quotas[child] if quotas[child] < UNLIMITED else max(amount, wanted[child])
                    for child in children
                ],
            )
            over = 0
        for child, base in zip(children, bases, strict=True):
            guaranteed[child] = fair[child] = base
        for bucket in node.buckets:
            if not over:
                break
            needs = [wanted[child] - fair[child] for child in bucket]
            shares = [weights[resource][child] for child in bucket]
            if used is not None:
                divided = capacity if node.index == ROOT else amount
                # Who wants nothing more is no part of the whole.
                shares = [weight if need else 0 for weight, need in zip(shares, needs, strict=True)]
                shares = with_past(shares, [used[child] for child in bucket], divided, strength)
            for child, given in zip(bucket, fill(over, needs, shares), strict=True):
                fair[child] += given
                over -= given
    return guaranteed, fair


def with_past(weights: Sequence[int], used: Sequence[int], divided: int, strength: float) -> list[int]:
    """The weights of siblings, changed by what they have had of `divided`."""
    total = sum(weights)
    if not total or not divided:
        return list(weights)
    return [
        max(0, round(_SCALE * (weight / total + strength * (weight / total - had / divided))))
        if weight
        else 0
        for weight, had in zip(weights, used, strict=True)
    ]


def fill(amount: int, needs: Sequence[int], weights: Sequence[int]) -> list[int]:
    """`amount` in proportion to `weights`, to none more than its need; what one does not need goes to the others. Who has no
    weight gets nothing. All of the amount, unless all needs of those with a weight are met before.

    Exact: the water stands at one level, `given / weight`, for all whose need is not met, but for the rounding of less than
    one unit each.
    """
    given = [0] * len(needs)
    order = [index for index, weight in enumerate(weights) if weight and needs[index]]
    left = amount
    if left >= sum([needs[index] for index in order]):
        for index in order:
            given[index] = needs[index]
        return given
    # True division of integers is rounded correctly: it keeps the order, or makes equal what is all but equal.
    levels = [need / weight if weight else 0.0 for need, weight in zip(needs, weights, strict=True)]
    order.sort(key=levels.__getitem__)
    total = sum([weights[index] for index in order])
    met = 0
    for index in order:
        need, weight = needs[index], weights[index]
        if need * total > left * weight:
            break
        given[index] = need
        left -= need
        total -= weight
        met += 1
    # Those of equal remainder: by their place.
    rest = sorted(order[met:])
    remainders = [0] * len(needs)
    spare = left
    for index in rest:
        part, remainders[index] = divmod(left * weights[index], total)
        if part > needs[index]:
            part = needs[index]
        given[index] = part
        spare -= part
    if spare:
        rest.sort(key=remainders.__getitem__, reverse=True)
        for index in rest:
            if spare and given[index] < needs[index]:
                given[index] += 1
                spare -= 1
    return given
