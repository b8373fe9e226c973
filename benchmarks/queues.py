"""Queues by the thousand: what each is due, and who is next.

"next" is one placement: the best leaf, its ledger entry, and the order told of it. "anew" is the order made from nothing, as one
would for each placement without an order that is kept.
"""

import random
import time
from collections.abc import Callable

from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts
from aliquot.scheduler.core.queues.fair_share import fair_shares
from aliquot.scheduler.core.queues.ledger import Ledger
from aliquot.scheduler.core.queues.order import QueueOrder
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec, Terms
from aliquot.scheduler.core.queues.tree import QueueTree
from benchmarks.clusters import machine

LEAVES = (1, 100, 1000, 5000)
DEPARTMENT = 30
"""Leaves below one queue."""
HEAD: Amounts = {GPU: 1000, CPU: 8000, MEMORY: 64 << 30}


def tree_of(leaves: int, rng: random.Random) -> QueueTree:
    departments = [QueueSpec(f"department-{n}") for n in range(-(-leaves // DEPARTMENT))]
    teams = [
        QueueSpec(
            f"team-{n}",
            departments[n // DEPARTMENT].name,
            terms={GPU: Terms(rng.randrange(5) * 1000, weight_milli=rng.choice((500, 1000, 3000)))},
        )
        for n in range(leaves)
    ]
    return QueueTree([*departments, *teams])


def best_s(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main(*, short: bool = False) -> None:
    rng = random.Random(0)
    repeats, picks = (5, 2000) if short else (50, 20_000)
    print(f"{machine()}; three resources, all of them contested; departments of {DEPARTMENT}")
    print(f"{'leaves':>7} {'shares ms':>10} {'order ms':>9} {'next µs':>8} {'anew µs':>8} {'ratio':>7}")
    for leaves in LEAVES[: 3 if short else None]:
        tree = tree_of(leaves, rng)
        requested: dict[str, Amounts] = {
            f"team-{n}": {
                GPU: rng.randrange(20) * 1000,
                CPU: rng.randrange(160) * 1000,
                MEMORY: rng.randrange(1280) << 30,
            }
            for n in range(leaves)
        }
        capacity = {GPU: leaves * 4000, CPU: leaves * 32_000, MEMORY: leaves << 38}
        shares = fair_shares(tree, requested, capacity)
        heads = dict.fromkeys(requested, HEAD)
        ledger = Ledger(tree)
        order = QueueOrder(ledger, shares, heads)

        def place_some(order: QueueOrder = order, ledger: Ledger = ledger) -> None:
            for _ in range(picks):
                leaf = order.best()
                assert leaf is not None
                ledger.add(leaf, HEAD, preemptible=True)
                order.changed(leaf)

        shares_s = best_s(lambda: fair_shares(tree, requested, capacity), repeats)  # noqa: B023
        order_s = best_s(lambda: QueueOrder(ledger, shares, heads), repeats)  # noqa: B023
        next_s = best_s(place_some, 1) / picks
        print(
            f"{leaves:>7} {shares_s * 1e3:>10.2f} {order_s * 1e3:>9.2f} {next_s * 1e6:>8.1f} {order_s * 1e6:>8.0f} "
            f"{order_s / next_s:>6.0f}x"
        )
