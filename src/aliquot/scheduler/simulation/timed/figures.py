"""What a played workload comes to: waits, slowdown, allocation, fairness, promises."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from aliquot.scheduler.simulation.timed.world import Fate, Played

_LEAST_RUNTIME_S = 10.0
"""Bounded slowdown (Feitelson et al., 1997): jobs of no time at all do not count for more."""
_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Spread:
    mean: float
    p50: float
    p90: float
    p99: float
    most: float


def spread(values: Iterable[float]) -> Spread | None:
    """None of nothing."""
    found = sorted(values)
    if not found:
        return None
    p50, p90, p99 = (percentile(found, part) for part in (0.5, 0.9, 0.99))
    return Spread(fmean(found), p50, p90, p99, found[-1])


def percentile(ordered: Sequence[float], part: float) -> float:
    """The smallest that is at least as large as so many of them."""
    return ordered[max(0, -(-int(part * 1000) * len(ordered) // 1000) - 1)]


@dataclass(frozen=True, slots=True)
class OfQueue:
    """One queue, or all."""

    jobs: int
    waits: Spread | None
    """Seconds from submission to start."""
    slowdown: float | None
    """The mean of (wait + run time) / run time, of which at least 10 s count."""
    gpu_hours: float


@dataclass(frozen=True, slots=True)
class Figures:
    of_all: OfQueue
    by_queue: dict[str, OfQueue]
    large: Spread | None
    """Waits of jobs that ask for a whole node or more: those that smaller ones pass."""
    completion: Spread | None
    """Seconds from submission to end."""
    allocated: float
    """Of the GPUs, on average from the first submission to the last."""
    fairness: float | None
    """Jain's index of the queues' mean slowdown: 1 where all are served alike, 1/n where one alone bears it. None: there are
    not several queues."""
    makespan_s: float
    unstarted: int
    stopped: int
    too_large: int
    promised: int
    """Jobs that were promised a start at some time."""
    slips: Spread | None
    """Seconds later than first promised, of those that were late."""
    late: int
    events_per_s: float


def figures(played: Played) -> Figures:
    fates = played.fates
    ended = [fate for fate in fates if fate.end_s is not None]
    slips = [fate.slip_s for fate in ended if fate.slip_s > _ROUNDING_S]
    queues = sorted({fate.job.queue for fate in fates})
    by_queue = {name: _of(fate for fate in ended if fate.job.queue == name) for name in queues}
    first_s = fates[0].job.submit_s if fates else 0.0
    last_s = fates[-1].job.submit_s if fates else 0.0
    whole = played.setting.gpus_per_node
    return Figures(
        of_all=_of(ended),
        by_queue=by_queue,
        large=spread(fate.wait_s for fate in ended if fate.job.total_gpus >= whole),
        completion=spread(_until(fate) - fate.job.submit_s for fate in ended),
        allocated=_allocated(played, first_s, last_s),
        fairness=jain([one.slowdown for one in by_queue.values() if one.slowdown is not None]),
        makespan_s=max((_until(fate) for fate in ended), default=first_s) - first_s,
        unstarted=sum(fate.start_s is None for fate in fates),
        stopped=sum(fate.stopped for fate in fates),
        too_large=played.too_large,
        promised=sum(fate.promised_s is not None for fate in fates),
        slips=spread(slips),
        late=len(slips),
        events_per_s=played.events / played.took_s if played.took_s else 0.0,
    )


def jain(values: Sequence[float]) -> float | None:
    if len(values) < 2 or not any(values):
        return None
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def _of(fates: Iterable[Fate]) -> OfQueue:
    found = list(fates)
    slow = [max(1.0, (fate.wait_s + _ran(fate)) / max(_ran(fate), _LEAST_RUNTIME_S)) for fate in found]
    return OfQueue(
        jobs=len(found),
        waits=spread(fate.wait_s for fate in found),
        slowdown=fmean(slow) if slow else None,
        gpu_hours=sum(fate.job.total_gpus * _ran(fate) for fate in found) / 3600,
    )


def _until(fate: Fate) -> float:
    assert fate.end_s is not None
    return fate.end_s


def _ran(fate: Fate) -> float:
    assert fate.start_s is not None
    return _until(fate) - fate.start_s


def _allocated(played: Played, first_s: float, last_s: float) -> float:
    """Between two moments; after the last submission there is no more to choose from."""
    if last_s <= first_s or not played.setting.gpus:
        return 0.0
    total = 0.0
    for number, (since_s, used) in enumerate(played.used):
        until_s = played.used[number + 1][0] if number + 1 < len(played.used) else last_s
        total += used * max(0.0, min(until_s, last_s) - max(since_s, first_s))
    return total / (last_s - first_s) / played.setting.gpus
