"""The part of a cycle that keeps promises, and makes them.

`Backfill` is kept from cycle to cycle; a `Stage` is one pass. A promise stays until its job starts, or is gone; it is replaced
by an earlier one, or when its time has come and it cannot be kept.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from math import inf

from aliquot.scheduler.core.attempts import Bind, Fitting, Names, Shortfall
from aliquot.scheduler.core.backfill.earliest import earliest
from aliquot.scheduler.core.backfill.promises import Promise, can_be_kept
from aliquot.scheduler.core.backfill.runtimes import Estimate, stated
from aliquot.scheduler.core.backfill.timetable import Timetable
from aliquot.scheduler.core.backfill.words import duration
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import PodShape
from aliquot.scheduler.core.queues.line import Rank
from aliquot.scheduler.core.reasons import Kind, Reason

_MOST_LOOKED_AT = 512
"""Of jobs that are alike, so many are asked whether they are short enough to go in front."""
_MOST_MOVED = 4
"""So many promises are looked at in a pass, in turn, whether they can be had earlier; and so many give way to one before them that
is late."""

_MOST_TRIED = 8
"""So many times a job that others are evicted for is placed elsewhere, for the sake of promises."""


class Style(StrEnum):
    STRICT = "strict"
    """Nobody goes in front of a job that is blocked for want of room."""
    EASY = "easy"
    """The first that is blocked is promised a start. It is the one that would be served next, of all queues, as soon as
    something comes free: it alone can starve, since whoever is behind it becomes the first in time. One for each queue would
    bind room for jobs whose turn it is not."""
    CONSERVATIVE = "conservative"
    """So are those behind it."""


class Backfill:
    def __init__(self, style: Style = Style.EASY, *, estimate: Estimate = stated, most: int = 50) -> None:
        """`most`: how many have a promise at one time, with the conservative style."""
        self.style = style
        self.estimate = estimate
        self.most = {Style.STRICT: 0, Style.EASY: 1, Style.CONSERVATIVE: most}[style]
        self.timetable = Timetable()
        self.promises: dict[str, Promise] = {}
        """By job."""
        self.may_be_earlier = False
        """Room is free sooner than was expected since promises were last looked at. Set it when nodes come, or are open again."""
        self.to_look_at: list[str] = []
        """Jobs with promises that are not looked at again yet."""

    def started(self, spec: JobSpec, pods: Sequence[str], at_s: float) -> None:
        """Pods that run already; those that a cycle decides on it knows."""
        self.timetable.started(spec, pods, at_s, self.estimate(spec))

    def ended(self, pod: str, now_s: float) -> None:
        """Or is gone, or was not started after all."""
        if self.timetable.ended(pod) > now_s:
            self.may_be_earlier = True

    @property
    def look_again_s(self) -> float:
        """When the next promise is due."""
        return min((promise.start_s for promise in self.promises.values()), default=inf)


class Stage:
    def __init__(self, backfill: Backfill, fitting: Fitting, pending: Pending, now_s: float) -> None:
        self._backfill = backfill
        self._timetable = backfill.timetable
        self._fitting = fitting
        self._session = fitting.session
        self._pending = pending
        self._now_s = now_s
        self._before = dict(backfill.promises)
        self._started: list[str] = []
        self._first_blocked: JobSpec | None = None
        self._in_front_of: Promise | None = None
        """Of the last job that was not let in front, whose promise it was for; if shorter ones are let."""
        self._gave_way: list[Promise] = []
        """That gave way to the job that was admitted last."""

    def begin(self) -> list[Promise]:
        """Promises that are due."""
        backfill = self._backfill
        self._timetable.advance(self._now_s)
        for key in self._before:
            job = self._pending.jobs.get(key)
            if job is None or not job.waiting or job.refusal is not None:
                del backfill.promises[key]
                backfill.may_be_earlier = True
        nodes = self._session.snapshot.nodes
        for promise in self._in_turn():
            if self._stands(promise) and not all(name in nodes for name in promise.by_node):
                self.renew(self._pending.jobs[promise.job.key])
        if backfill.may_be_earlier and not backfill.to_look_at:
            backfill.may_be_earlier = False
            backfill.to_look_at = [one.job.key for one in self._in_turn()]
        looked_at, backfill.to_look_at = backfill.to_look_at[:_MOST_MOVED], backfill.to_look_at[_MOST_MOVED:]
        for key in looked_at:
            due = backfill.promises.get(key)
            if due is not None and due.start_s > self._now_s:
                self._promise(self._pending.jobs[key], before_s=due.start_s)
                if backfill.promises[key] is not due:
                    # What it would have had later is free for others.
                    backfill.may_be_earlier = True
        return [promise for promise in self._in_turn() if promise.start_s <= self._now_s]

    def _in_turn(self) -> list[Promise]:
        return sorted(
            self._backfill.promises.values(), key=lambda promise: (promise.start_s, promise.job.key)
        )

    def renew(self, job: Job) -> None:
        """Its promise cannot be kept: another one, as early as can be. The next that were to start later do not keep it from that,
        and are promised anew after it."""
        promises = self._backfill.promises
        failed = promises.pop(job.spec.key)
        behind = [promise for promise in self._in_turn() if promise.start_s >= failed.start_s][:_MOST_MOVED]
        for promise in behind:
            del promises[promise.job.key]
        self._promise(job)
        for promise in behind:
            self._promise(self._pending.jobs[promise.job.key])

    def _stands(self, promise: Promise) -> bool:
        return self._backfill.promises.get(promise.job.key) is promise

    def drop(self, promise: Promise) -> None:
        """It is not for want of room that the job does not start."""
        self._backfill.promises.pop(promise.job.key, None)
        self._backfill.may_be_earlier = True

    def kept(self, job: Job, promise: Promise) -> Sequence[Bind] | None:
        """A promise that is due: its pods where they were to be, else where others will do. None: it could not be kept, and
        there is another one."""
        if not self._stands(promise):
            return None
        session = self._session
        mark = session.checkpoint()
        found: list[Bind] = []
        root = job.spec.root
        for bind in promise.binds:
            pod = job.waiting.get(bind.leaf, {}).get(bind.pod.key)
            gpus: set[str] | None = None
            if root is not None and root.wishes_gpus_together:
                # Those that are together were found for all of its pods at once.
                gpus = {choice.gpu for choice in bind.placed.devices} or None
            again = self._fitting.place(pod, (bind.placed.node,), gpus) if pod is not None else None
            if again is None:
                break
            found.append(Bind(again.pod, again.placed, bind.leaf))
        else:
            return found
        session.undo(mark)
        elsewhere = self._fitting.place_job(job, job.lacks() or {})
        if not isinstance(elsewhere, Shortfall):
            admitted = self.admit(job, elsewhere, mark)
            if not isinstance(admitted, Shortfall):
                return admitted
        self.renew(job)
        return None

    @property
    def closed(self) -> Reason | None:
        """Why nobody is served any more."""
        first = self._first_blocked
        if first is None or self._backfill.style is not Style.STRICT:
            return None
        return Reason(Kind.RESERVED, f"{first.key} is before it in the line, and waits for room")

    def admit(
        self,
        job: Job,
        binds: Sequence[Bind],
        mark: int,
        *,
        on: Callable[[Names], Sequence[Bind] | Shortfall] | None = None,
        gives_way: Callable[[JobSpec], bool] = lambda other: False,
    ) -> Sequence[Bind] | Shortfall:
        """What has been placed in the session since `mark`, elsewhere if need be; or it is taken back, because somebody could
        not start as promised. `on`: how it is placed on some nodes alone, where others are evicted for it. `gives_way`: whose
        promises do not count."""
        self._in_front_of = None
        self._gave_way = []
        end_s = self._end_s(job)
        promises: list[Promise] = []
        for promise in self._backfill.promises.values():
            if promise.start_s < end_s and promise.job.key != job.spec.key:
                (self._gave_way if gives_way(promise.job) else promises).append(promise)
        if not promises or not binds:
            return binds
        lacks = Counter(bind.leaf for bind in binds)
        shape = binds[0].pod.shape
        closed: set[str] = set()
        tried = 0
        while broken := self._broken({bind.placed.node for bind in binds}, promises):
            self._session.undo(mark)
            if not closed and on is None:
                names = {name for promise in promises for name in promise.by_node}
                closed |= self._broken(names, promises, besides=shape).keys()
            closed |= broken.keys()
            left = [name for name in self._session.snapshot.nodes if name not in closed]
            tried += 1
            found: Sequence[Bind] | Shortfall
            if on is None:
                found = self._fitting.place_job(job, lacks, within=left)
            else:
                # Whether there is room beside a promise depends on who goes: each node is tried.
                found = on(dict.fromkeys(left)) if tried <= _MOST_TRIED else Shortfall(shape)
            if isinstance(found, Shortfall):
                last = max(broken.values(), key=lambda promise: promise.start_s)
                self._in_front_of = last
                return Shortfall(shape, needed=len(binds), reason=self._kept_for(last))
            binds = found
        return binds

    def is_kept(self, names: set[str], job: Job) -> bool:
        """Whether what others than the job were promised can be kept on these nodes, whatever runs there now runs on."""
        promises = self._backfill.promises.values()
        return not self._broken(names, [one for one in promises if one.job.key != job.spec.key])

    def _broken(
        self, names: set[str], promises: Sequence[Promise], besides: PodShape | None = None
    ) -> dict[str, Promise]:
        """Nodes that could not keep what was promised, with the last such promise."""
        found: dict[str, Promise] = {}
        for promise in promises:
            for name in promise.by_node.keys() & names:
                others = [other for other in promises if other is not promise and name in other.by_node]
                if not can_be_kept(
                    promise,
                    name,
                    others,
                    self._session.snapshot,
                    self._timetable,
                    self._fitting.rankings,
                    besides,
                ):
                    found[name] = max(promise, found.get(name, promise), key=lambda one: one.start_s)
        return found

    def _kept_for(self, promise: Promise) -> Reason:
        # Told to all who are alike, however long each of them runs.
        wait = duration(promise.start_s - self._now_s)
        return Reason(
            Kind.RESERVED,
            f"the room that is left is kept for {promise.job.key}, which is to start in {wait}; only what says with maxRuntime that "
            "it ends before goes in front",
        )

    def blocked(self, job: Job, shortfall: Shortfall) -> None:
        """It found no room, or none that is not promised to somebody."""
        if not _for_want_of_room(shortfall):
            return
        self._first_blocked = self._first_blocked or job.spec
        if job.spec.key not in self._backfill.promises and self._may_promise:
            self._promise(job)

    @property
    def _may_promise(self) -> bool:
        return len(self._backfill.promises) < self._backfill.most

    def behind(self, line: Sequence[Rank], position: int, shortfall: Shortfall) -> int | None:
        """Who of the line is asked after a job in it that was blocked, by position; None: nobody."""
        if self._may_promise and self._backfill.style is Style.CONSERVATIVE and _for_want_of_room(shortfall):
            return position + 1 if position + 1 < len(line) else None
        promise, self._in_front_of = self._in_front_of, None
        if promise is None:
            return None
        most_s = promise.start_s - self._now_s
        jobs, estimate = self._pending.jobs, self._backfill.estimate
        for later in range(position + 1, min(len(line), position + _MOST_LOOKED_AT)):
            runtime_s = estimate(jobs[line[later][-1]].spec)
            if runtime_s is not None and runtime_s <= most_s:
                return later
        return None

    def decided(self, job: Job, binds: Sequence[Bind]) -> None:
        keys = [bind.pod.key for bind in binds]
        self._timetable.started(job.spec, keys, self._now_s, self._backfill.estimate(job.spec))
        self._started += keys
        promise = self._backfill.promises.pop(job.spec.key, None)
        if promise is not None and promise.start_s > self._now_s:
            self._backfill.may_be_earlier = True
        gave_way, self._gave_way = self._gave_way, []
        nodes = {bind.placed.node for bind in binds}
        for one in gave_way:
            if self._stands(one) and self._broken(nodes, [one]):
                self.renew(self._pending.jobs[one.job.key])

    def take_back(self) -> None:
        for key in self._started:
            self._timetable.ended(key)
        self._backfill.promises = self._before

    def _promise(self, job: Job, before_s: float = inf) -> None:
        lacks = job.lacks()
        if not lacks:
            return
        promise = earliest(
            self._fitting,
            job,
            lacks,
            self._timetable,
            self._backfill.promises.values(),
            now_s=self._now_s,
            runtime_s=self._backfill.estimate(job.spec),
            before_s=before_s,
        )
        if promise is not None:
            self._backfill.promises[job.spec.key] = promise

    def _end_s(self, job: Job) -> float:
        end_s = self._timetable.job_end_s(job.spec.key)
        if end_s is not None:
            return end_s
        runtime_s = self._backfill.estimate(job.spec)
        return inf if runtime_s is None else self._now_s + runtime_s


def _for_want_of_room(shortfall: Shortfall) -> bool:
    return shortfall.reason is None or shortfall.reason.kind is Kind.RESERVED
