"""Queue.status: what each queue holds, asks for and is due, how many jobs wait for it, and what is wrong with it.

Told that something may have changed, it looks at all queues at once, never more often than every `PAUSE_S`: a thousand of
them are divided in some 10 ms.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from math import inf

from aliquot.clock import Clock, rfc3339
from aliquot.kube.api.meta import Condition
from aliquot.kube.api.queue import Queue, QueueStatus
from aliquot.kube.client import Client
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.queues.tree import QueueTree
from aliquot.scheduler.core.standing import Standing, standings
from aliquot.scheduler.dividing import Dividing, Settled
from aliquot.scheduler.queues import status_amounts
from aliquot.scheduler.status_writer import StatusWriter, timed

PAUSE_S = 2.0
_FRESH_S = 0.5

_READY = "Ready"
_NOTHING = Standing()


class QueueStatuses:
    """`may_write` as in Binder."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        dividing: Dividing,
        pending: Pending,
        may_write: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._dividing = dividing
        self._pending = pending
        self._may_have_changed = asyncio.Event()
        self._now: Mapping[str, tuple[Settled, Standing, Condition]] = {}
        self._fresh: Mapping[str, Standing] = {}
        self._fresh_until = -inf
        self._writer = StatusWriter(
            client,
            dividing.queues,
            shown=lambda queue: queue.status,
            wanted=self._wanted,
            rng=rng,
            may_write=may_write,
        )

    async def run(self) -> None:
        """Until cancelled. May be run again."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._writer.run(), name="queue statuses")
            while True:
                await self._may_have_changed.wait()
                self._may_have_changed.clear()
                self._look()
                await asyncio.sleep(PAUSE_S)

    def look(self) -> None:
        """Something was decided, or is to be."""
        self._may_have_changed.set()

    def standing(self, queue: str) -> Standing:
        """As it is, or was a moment ago."""
        return self.standings().get(queue, _NOTHING)

    def standings(self) -> Mapping[str, Standing]:
        """Of all queues, as `standing`."""
        now = asyncio.get_running_loop().time()
        if now >= self._fresh_until:
            self._fresh, self._fresh_until = standings(self._pending, self._dividing.settled), now + _FRESH_S
        return self._fresh

    def _look(self) -> None:
        before, settled = self._now, self._dividing.settled
        if not (before or settled):
            return
        tree, now = self._pending.accounts.tree, standings(self._pending, settled)
        self._now = {
            name: (one, now[name], ready(name, tree, one.unreadable)) for name, one in settled.items()
        }
        for name, one in self._now.items():
            if before.get(name) != one:
                self._writer.look(name)

    def _wanted(self, queue: Queue, shown: QueueStatus) -> QueueStatus | None:
        found = self._now.get(queue.metadata.name)
        if found is None:
            return None
        settled, standing, condition = found
        return status(settled.generation, standing, condition, shown.conditions, rfc3339(self._clock.now()))


def ready(name: str, tree: QueueTree, unreadable: str) -> Condition:
    """Whether the queue counts, and why not."""
    if unreadable:
        return Condition(type=_READY, status="False", reason="SpecUnreadable", message=unreadable)
    if (problem := tree.problems.get(name)) is not None:
        return Condition(type=_READY, status="False", reason=problem.kind.value, message=problem.detail)
    below = name in tree and tree.node(name).children
    message = "those below it take jobs" if below else "it takes jobs"
    return Condition(type=_READY, status="True", reason="Open", message=message)


def status(
    generation: int, standing: Standing, condition: Condition, shown: Sequence[Condition], now: str
) -> QueueStatus:
    """`shown`: the conditions that it has. One that goes on keeps its time."""
    return QueueStatus(
        observed_generation=generation,
        allocated=status_amounts(standing.allocated),
        allocated_non_preemptible=status_amounts(standing.non_preemptible),
        requested=status_amounts(standing.requested),
        fair_share=status_amounts(standing.fair_share),
        pending_jobs=standing.pending_jobs,
        conditions=[timed(condition, shown, generation, now)],
    )
