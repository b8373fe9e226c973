"""When each job that waits is likely to start, for people: an estimate that binds nobody.

All room of a kind counts as one pool, from which what runs returns its part when it is expected to end. Those that were
promised a start have it; the others take their turn, each as early as it fits without delaying those before it, and not before
the first of those who run ends: nobody would wait who had room now. What is lost from then on because free GPUs are on different
nodes is not in it, nor who comes later: so it is rather too early than too late.
"""

from bisect import bisect_left
from dataclasses import dataclass
from heapq import merge
from math import inf

from aliquot.scheduler.core.backfill.stage import Backfill
from aliquot.scheduler.core.backfill.words import duration
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.terms import together
from aliquot.scheduler.core.snapshot import Snapshot

_MOST_STEPS = 256
"""So many moments at which room comes free are told apart: ends close to each other count as the last of them."""


@dataclass(frozen=True, slots=True)
class Prediction:
    start_s: float | None
    """None: it does not fit before somebody ends of whom nothing is known."""
    promised: bool = False
    """It will not be later, as far as others end as expected."""

    def told(self, now_s: float) -> str:
        if self.start_s is None:
            return "when it starts cannot be said: it needs room of others of whom nothing is known how long they run"
        wait = duration(self.start_s - now_s)
        return f"starts in {wait} at the latest" if self.promised else f"starts in about {wait}"


def predicted(
    snapshot: Snapshot, pending: Pending, backfill: Backfill, now_s: float, *, most: int = 200
) -> dict[str, Prediction]:
    """By job, the first `most` of the line. Jobs that are refused are not in it; those that wait for members or for their
    queue's limit are taken as if they did not. In time proportional to nodes, and to the jobs and steps looked at."""
    waiting = [
        job
        for rank in merge(*pending.lines.values())
        if (job := pending.jobs[rank[-1]]).refusal is None and job.lacks()
    ]
    wanted = {job.spec.key: _asked(job) for job in waiting[:most]}
    resources = {resource for amounts in wanted.values() for resource in amounts}
    pool = _Pool(snapshot, backfill, resources, now_s)
    found: dict[str, Prediction] = {}
    for key, promise in backfill.promises.items():
        if key in wanted:
            pool.take(wanted[key], promise.start_s, promise.end_s)
            found[key] = Prediction(promise.start_s, promised=True)
    for job in waiting[:most]:
        key = job.spec.key
        if key in found:
            continue
        runtime_s = backfill.estimate(job.spec)
        lasts_s = inf if runtime_s is None else runtime_s
        start_s = pool.earliest(wanted[key], lasts_s)
        if start_s is not None:
            pool.take(wanted[key], start_s, start_s + lasts_s)
        found[key] = Prediction(start_s)
    return found


def _asked(job: Job) -> Amounts:
    total: Amounts = {}
    for leaf, count in (job.lacks() or {}).items():
        for pod in job.first(leaf, count):
            total = together(total, pod.shape.request)
    return total


class _Pool:
    """What is free of each resource, from each moment to the next one."""

    def __init__(self, snapshot: Snapshot, backfill: Backfill, resources: set[str], now_s: float) -> None:
        nodes = [node for node in snapshot.nodes.values() if not node.facts.unschedulable]
        free = {r: sum(max(0, node.available(r)) for node in nodes) for r in resources}
        ends = [(end_s, key) for end_s, key in backfill.timetable.ends if end_s > now_s]
        each = -(-len(ends) // _MOST_STEPS) if ends else 1
        self._times = [now_s]
        self._free: list[dict[str, int]] = [free]
        for first in range(0, len(ends), each):
            together_s = ends[min(first + each, len(ends)) - 1][0]
            free = dict(free)
            for _, key in ends[first : first + each]:
                pod = snapshot.pods.get(key)
                for resource, amount in (pod.request if pod is not None else {}).items():
                    if resource in free:
                        free[resource] += amount
            if together_s == self._times[-1]:
                self._free[-1] = free
            else:
                self._times.append(together_s)
                self._free.append(free)

    def earliest(self, amounts: Amounts, lasts_s: float) -> float | None:
        """Of one who waits, whatever all that is free now comes to: it is in pieces."""
        start: int | None = None
        for number, free in enumerate(self._free[1:], 1):
            if start is not None and self._times[number] >= self._times[start] + lasts_s:
                break
            if any(free.get(resource, 0) < amount for resource, amount in amounts.items()):
                start = None
            elif start is None:
                start = number
        return None if start is None else self._times[start]

    def take(self, amounts: Amounts, start_s: float, end_s: float) -> None:
        first = self._step(start_s)
        last = self._step(end_s) if end_s < inf else len(self._times)
        for free in self._free[first:last]:
            for resource, amount in amounts.items():
                free[resource] = free.get(resource, 0) - amount

    def _step(self, moment_s: float) -> int:
        """The one that begins then; it is made where there is none."""
        number = bisect_left(self._times, moment_s)
        if number == len(self._times) or self._times[number] != moment_s:
            if number == 0:
                return 0
            self._times.insert(number, moment_s)
            self._free.insert(number, dict(self._free[number - 1]))
        return number
