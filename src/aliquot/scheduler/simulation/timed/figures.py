"""What a played workload comes to: waits, slowdown, allocation, fairness, promises."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from aliquot.scheduler.simulation.timed.gauges import Reading
from aliquot.scheduler.simulation.timed.virtual_cluster import Fate, Played

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
    """Seconds without a place, of those that got one: from submission to start, and after every eviction."""
    slowdown: float | None
    """The mean of time until the end / run time, of which at least 10 s count."""
    gpu_hours: float
    """Of work that was not lost."""
    evictions: int
    unstarted: int
    held: float | None = None
    """GPUs on average; None: no queues are declared."""
    due: float | None = None
    """What it was due by the fair division of the moment, on average."""
    owed: float | None = None
    """How much less than it was due it had, on average over time; what it had beyond it at other times does not count."""


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
    fragmented: float | None
    """Of the GPUs, on average: free, and of no use where they are to the pods of the workload."""
    fairness: float | None
    """Jain's index of the queues' mean slowdown: 1 where all are served alike, 1/n where one alone bears it. None: there are
    not several queues."""
    user_fairness: float | None
    """As `fairness`, of users. None: there are not several, or the trace does not name them."""
    share_error: float | None
    """Of the GPUs, on average: what the queue that was owed most was owed."""
    evictions: int
    """Jobs that lost their place, or pods beyond their minimum, each time."""
    lost_gpu_hours: float
    """Work that was lost by them."""
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
    fates = [fate for fate in played.fates if not fate.was_there or fate.evictions]
    ended = [fate for fate in fates if fate.end_s is not None]
    slips = [fate.slip_s for fate in ended if fate.slip_s > _ROUNDING_S]
    queues = sorted({fate.job.queue for fate in fates})
    standing = _standing(played.readings, played.until_s)
    by_queue = {
        name: _of([fate for fate in fates if fate.job.queue == name], standing.get(name)) for name in queues
    }
    started = [fate for fate in fates if fate.start_s is not None]
    return Figures(
        of_all=_of(fates),
        by_queue=by_queue,
        large=spread(fate.wait_s for fate in started if fate.job.total_gpus >= played.large_gpus),
        completion=spread(_until(fate) - fate.job.submit_s for fate in ended),
        allocated=_allocated(played),
        fragmented=_fragmented(played),
        fairness=jain([one.slowdown for one in by_queue.values() if one.slowdown is not None]),
        user_fairness=_user_fairness(fates),
        share_error=_share_error(played, standing),
        evictions=sum(fate.evictions for fate in played.fates),
        lost_gpu_hours=sum(fate.lost_gpu_s for fate in played.fates) / 3600,
        makespan_s=max((_until(fate) for fate in ended), default=played.began_s) - played.began_s,
        unstarted=sum(fate.start_s is None for fate in fates),
        stopped=sum(fate.stopped for fate in fates),
        too_large=played.too_large,
        promised=sum(fate.promised_s is not None for fate in fates),
        slips=spread(slips),
        late=len(slips),
        events_per_s=played.events / played.took_s if played.took_s else 0.0,
    )


def _user_fairness(fates: Iterable[Fate]) -> float | None:
    by_user: dict[str, list[Fate]] = {}
    for fate in fates:
        if fate.job.spec.user:
            by_user.setdefault(fate.job.spec.user, []).append(fate)
    slowdowns = (_of(one).slowdown for one in by_user.values())
    return jain([one for one in slowdowns if one is not None])


def jain(values: Sequence[float]) -> float | None:
    if len(values) < 2 or not any(values):
        return None
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


@dataclass(frozen=True, slots=True)
class _Standing:
    """Of a queue, in GPUs on average."""

    held: float
    due: float
    owed: float


def _of(fates: Sequence[Fate], standing: _Standing | None = None) -> OfQueue:
    ended = [fate for fate in fates if fate.end_s is not None]
    slow = [max(1.0, _lasted(fate) / max(_ran(fate), _LEAST_RUNTIME_S)) for fate in ended]
    return OfQueue(
        jobs=len(fates),
        waits=spread(fate.wait_s for fate in fates if fate.start_s is not None),
        slowdown=fmean(slow) if slow else None,
        gpu_hours=sum(fate.job.total_gpus * _ran(fate) for fate in ended) / 3600,
        evictions=sum(fate.evictions for fate in fates),
        unstarted=sum(fate.start_s is None for fate in fates),
        held=standing.held if standing is not None else None,
        due=standing.due if standing is not None else None,
        owed=standing.owed if standing is not None else None,
    )


def _until(fate: Fate) -> float:
    assert fate.end_s is not None
    return fate.end_s


def _lasted(fate: Fate) -> float:
    return _until(fate) - fate.job.submit_s


def _ran(fate: Fate) -> float:
    """The last time: what it did before was lost."""
    return _until(fate) - fate.placed_s


def _allocated(played: Played) -> float:
    first_s, last_s = played.began_s, played.until_s
    if last_s <= first_s or not played.gpus:
        return 0.0
    total = 0.0
    for number, (since_s, used) in enumerate(played.used):
        until_s = played.used[number + 1][0] if number + 1 < len(played.used) else last_s
        total += used * max(0.0, min(until_s, last_s) - max(since_s, first_s))
    return total / (last_s - first_s) / played.gpus


def _fragmented(played: Played) -> float | None:
    lasting = list(_lasting(played.readings, played.until_s))
    total_s = sum(lasts_s for _, lasts_s in lasting)
    if not total_s or not played.gpus:
        return None
    return sum(one.fragmented * lasts_s for one, lasts_s in lasting) / total_s / played.gpus


def _standing(readings: Sequence[Reading], until_s: float) -> dict[str, _Standing]:
    lasting = list(_lasting(readings, until_s))
    total_s = sum(lasts_s for _, lasts_s in lasting)
    if not total_s:
        return {}
    found = {}
    for name in lasting[0][0].queues:
        queue = [(one.queues[name], lasts_s / total_s) for one, lasts_s in lasting]
        found[name] = _Standing(
            held=sum(one.held * part for one, part in queue),
            due=sum(one.due * part for one, part in queue),
            owed=sum(max(0.0, one.due - one.held) * part for one, part in queue),
        )
    return found


def _share_error(played: Played, standing: Mapping[str, _Standing]) -> float | None:
    if not standing or not played.gpus:
        return None
    return max(one.owed for one in standing.values()) / played.gpus


def _lasting(readings: Sequence[Reading], until_s: float) -> Iterator[tuple[Reading, float]]:
    """Each with how long it holds."""
    for number, one in enumerate(readings):
        next_s = readings[number + 1].at_s if number + 1 < len(readings) else until_s
        if (lasts_s := min(next_s, until_s) - one.at_s) > 0:
            yield one, lasts_s
