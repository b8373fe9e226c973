"""Queue.status: what each queue holds, asks for and is due, how many jobs wait for it, and what is wrong with it.

Told that something may have changed, it looks at all queues at once, never more often than every `PAUSE_S`: a thousand of
them are divided in some 10 ms.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from aliquot.clock import Clock, rfc3339
from aliquot.kube.api.meta import Condition
from aliquot.kube.api.queue import Queue, QueueStatus, QueueUsage
from aliquot.kube.client import Client
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.queues.terms import UNLIMITED, Terms
from aliquot.scheduler.core.queues.tree import QueueTree
from aliquot.scheduler.core.queues.words import amount, value
from aliquot.scheduler.core.standing import Standing, standings
from aliquot.scheduler.dividing import Dividing, Settled
from aliquot.scheduler.queues import status_amounts
from aliquot.scheduler.status_writer import StatusWriter, timed
from aliquot.scheduler.usage import UsageHistory

PAUSE_S = 2.0
_FRESH_S = 0.5

_READY = "Ready"
_NOTHING = Standing()


@dataclass(frozen=True, slots=True)
class _Told:
    """Of one queue."""

    settled: Settled
    standing: Standing
    condition: Condition
    usage: QueueUsage | None


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
        usage: UsageHistory,
        may_write: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._dividing = dividing
        self._pending = pending
        self._usage = usage
        self._may_have_changed = asyncio.Event()
        self._now: Mapping[str, _Told] = {}
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
        usage = self._usage.shown({name: self._shown_usage(name) for name in settled})
        self._now = {
            name: _Told(one, now[name], ready(name, tree), usage[name]) for name, one in settled.items()
        }
        for name, one in self._now.items():
            if before.get(name) != one:
                self._writer.look(name)

    def _shown_usage(self, name: str) -> QueueUsage | None:
        known, queue = self._now.get(name), self._dividing.queues.get(name)
        return known.usage if known is not None else queue.status.usage if queue is not None else None

    def _wanted(self, queue: Queue, shown: QueueStatus) -> QueueStatus | None:
        found = self._now.get(queue.metadata.name)
        if found is None:
            return None
        return status(found, shown.conditions, rfc3339(self._clock.now()))


def ready(name: str, tree: QueueTree) -> Condition:
    """Whether the queue counts, and why not."""
    if (problem := tree.problems.get(name)) is not None:
        return Condition(type=_READY, status="False", reason=problem.kind.value, message=problem.detail)
    below = name in tree and tree.node(name).children
    message = "those below it take jobs" if below else "it takes jobs"
    if name in tree:
        message += "".join(_of_no_use(tree.node(name).spec.terms))
    return Condition(type=_READY, status="True", reason="Open", message=message)


def _of_no_use(terms: Mapping[str, Terms]) -> Iterator[str]:
    """Quotas above their limit, which the API server lets through: of a rule on amounts that may be numbers or text it estimates the
    cost by the longest text there could be."""
    for resource, one in sorted(terms.items()):
        if one.quota is not None and one.limit < one.quota < UNLIMITED:
            yield f"; of its quota of {amount(resource, one.quota)} no more than its limit of {value(resource, one.limit)} is of use"


def status(told: _Told, shown: Sequence[Condition], now: str) -> QueueStatus:
    """`shown`: the conditions that it has. One that goes on keeps its time."""
    generation, standing = told.settled.generation, told.standing
    return QueueStatus(
        observed_generation=generation,
        allocated=status_amounts(standing.allocated),
        allocated_non_preemptible=status_amounts(standing.non_preemptible),
        requested=status_amounts(standing.requested),
        fair_share=status_amounts(standing.fair_share),
        pending_jobs=standing.pending_jobs,
        usage=told.usage,
        conditions=[timed(told.condition, shown, generation, now)],
    )
