"""A cluster over virtual time, with the scheduler's core in it: jobs come, start, end, and are evicted for others.

Whatever ends at a moment ends before anybody comes, and all of that before the core decides. A pass in which nothing can have
changed is left out: no room came free, and those that came are like others that found none. Who is evicted is gone at once,
loses what it has done, and waits again under new names, as its controller would have it.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import TypeAlias

from msgspec import structs

from aliquot.scheduler.core.cycle import Blocked, Decision
from aliquot.scheduler.core.fragmentation import WHOLE_MILLI
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.queues.history import LOOK_S
from aliquot.scheduler.core.queues.terms import GPU
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.simulation.timed.gauges import Gauges, Reading

Member: TypeAlias = tuple[PodRequest, str]
"""A pod and its leaf."""

_AGAIN = "+"
"""In no pod's name: what is behind it is the number of its evictions."""
_LOOK_FOR_ROOM_S = 60.0
"""While somebody waits whose room others may have to run a minimum for."""


@dataclass(frozen=True, slots=True)
class VirtualJob:
    spec: JobSpec
    members: tuple[Member, ...]
    submit_s: float
    runtime_s: float
    """What it takes, if it is left to run; inf: it never ends."""
    total_gpus: float
    queue: str
    """By which it is reported."""

    @property
    def name(self) -> str:
        return self.spec.key


@dataclass(slots=True)
class Fate:
    """What became of a job."""

    job: VirtualJob
    was_there: bool = False
    """It ran at the beginning."""
    start_s: float | None = None
    """The first time."""
    end_s: float | None = None
    wait_s: float = 0.0
    """Until it had a place, every time."""
    evictions: int = 0
    lost_gpu_s: float = 0.0
    """Work that was lost by them."""
    promised_s: float | None = None
    """The first start that it was promised."""
    stopped: bool = False
    placed_s: float = 0.0
    """The last time that it had a place, or lost it."""

    @property
    def slip_s(self) -> float:
        """How much later than promised it started."""
        if self.promised_s is None or self.start_s is None:
            return 0.0
        return max(0.0, self.start_s - self.promised_s)


@dataclass(slots=True)
class Played:
    gpus: float
    """Of the cluster."""
    large_gpus: float
    """From so many on a job counts as large: a whole node."""
    began_s: float = 0.0
    until_s: float = 0.0
    """Figures of use are of the time between these."""
    fates: list[Fate] = field(default_factory=list)
    """In the order of submission, of those that the cluster could ever hold."""
    too_large: int = 0
    used: list[tuple[float, float]] = field(default_factory=list)
    """GPUs in use from that moment on."""
    readings: list[Reading] = field(default_factory=list)
    events: int = 0
    """Jobs that came, began and ended."""
    took_s: float = 0.0


@dataclass(slots=True)
class _Run:
    """A job that is in the cluster."""

    fate: Fate
    spec: JobSpec
    """Under the name that it has by now."""
    members: dict[str, Member]
    placed: set[str] = field(default_factory=set)
    ends_s: float = inf
    """When it ends, as long as it has its place."""
    kind: tuple[object, ...] = ()
    """Jobs of which one finds no room where another found none."""


class VirtualCluster:
    """`case`: the cluster at the beginning; each pass is a run of it. Without guards in it nobody is evicted. `running`: jobs
    that are in it already, and when they end."""

    def __init__(
        self,
        case: Case,
        played: Played,
        *,
        gauges: Gauges | None = None,
        running: Iterable[tuple[Fate, float]] = (),
        waiting: Iterable[Fate] = (),
        stops_overdue: bool = False,
    ) -> None:
        self._case = case
        self._snapshot, self._pending, self._backfill = case.snapshot, case.pending, case.backfill
        self._evicts = case.guards is not None
        self._waits_for_minimum = self._evicts and any(
            one.preempt_min_runtime_s or one.reclaim_min_runtime_s for one in case.pending.accounts.specs
        )
        self._stops_overdue = stops_overdue
        self._gauges = gauges
        self._listed = frozenset(case.snapshot.pods)
        """Device lists may name them: they are told to have ended, or their devices would stay taken."""
        self.played = played
        self._ends: list[tuple[float, str]] = []
        self._runs: dict[str, _Run] = {}
        self._used = 0.0
        self._full_for: set[tuple[object, ...]] = set()
        """Kinds of jobs that found no room in the last pass, none having come free since."""
        self._decide_again = False
        self._look_again_s = inf
        self._history_s = case.now_s
        """When what queues have had is looked at next."""
        for fate in waiting:
            self._runs[fate.job.name] = self._run(fate)
            self._decide_again = True
        for fate, ends_s in running:
            run = self._runs[fate.job.name] = self._run(fate)
            run.placed = {key for key in run.members if key in case.snapshot.pods}
            self._used += self._gpus(run.placed, run)
            self._begin(run, ends_s)

    def play(self, comes: Sequence[Fate], horizon_s: float = inf) -> None:
        """Until nothing runs that ends and nothing that waits can start, or until the horizon. `comes`: by submission."""
        ends, following = self._ends, 0
        now_s = self._case.now_s
        if self._decide_again:
            self._decide(now_s)
            self._note(now_s)
        while True:
            now_s = min(
                comes[following].job.submit_s if following < len(comes) else inf,
                ends[0][0] if ends else inf,
                self._backfill.look_again_s if self._backfill is not None else inf,
                self._look_again_s,
            )
            if now_s == inf or now_s > horizon_s:
                break
            self._decide_again = self._look_again_s <= now_s or (
                self._backfill is not None and self._backfill.look_again_s <= now_s
            )
            while ends and ends[0][0] <= now_s:
                self._end(heapq.heappop(ends), now_s)
            while following < len(comes) and comes[following].job.submit_s <= now_s:
                self._submit(comes[following])
                following += 1
            if self._decide_again and len(self._pending):
                self._decide(now_s)
            self._note(now_s)

    def _note(self, now_s: float) -> None:
        used = self.played.used
        if not used or used[-1][1] != self._used:
            used.append((now_s, self._used))
        if self._gauges is not None and (reading := self._gauges.read(now_s)) is not None:
            self.played.readings.append(reading)

    def _run(self, fate: Fate) -> _Run:
        spec = fate.job.spec
        shapes = tuple(pod.shape.signature for pod, _ in fate.job.members)
        by_priority = (spec.priority, spec.preemptible, spec.evicts) if self._evicts else ()
        members = {pod.key: (pod, leaf) for pod, leaf in fate.job.members}
        return _Run(fate, spec, members, kind=(spec.queue, spec.root, shapes, by_priority))

    def _submit(self, fate: Fate) -> None:
        self.played.events += 1
        run = self._runs[fate.job.name] = self._run(fate)
        fate.placed_s = fate.job.submit_s
        for pod, leaf in run.members.values():
            self._pending.put(pod, run.spec, leaf)
        if run.kind not in self._full_for:
            self._decide_again = True

    def _gpus(self, keys: Iterable[str], run: _Run) -> float:
        """What these of its pods hold."""
        counted = self._pending.accounts.counted
        return sum(counted(run.members[key][0].shape).get(GPU, 0) for key in keys) / WHOLE_MILLI

    def _begin(self, run: _Run, ends_s: float) -> None:
        run.ends_s = ends_s
        if ends_s < inf:
            heapq.heappush(self._ends, (ends_s, run.spec.key))

    def _end(self, end: tuple[float, str], now_s: float) -> None:
        ends_s, name = end
        run = self._runs.get(name)
        if run is None or run.ends_s != ends_s:
            # It was evicted meanwhile.
            return
        del self._runs[name]
        self.played.events += 1
        run.fate.end_s = now_s
        self._used -= self._gpus(run.placed, run)
        for key in run.members:
            self._gone(key, now_s)
        self._decide_again = True

    def _gone(self, key: str, now_s: float) -> None:
        node = self._snapshot.pods[key].node if key in self._snapshot.pods else ""
        if key in self._listed and node:
            self._snapshot.end_pod(key, node)
        elif key not in self._listed:
            self._snapshot.remove_pod(key)
        self._pending.discard(key)
        if self._backfill is not None:
            self._backfill.ended(key, now_s)

    def _decide(self, now_s: float) -> None:
        history = self._pending.accounts.history
        if history is not None:
            history.advance(now_s)
            if now_s >= self._history_s:
                self._history_s = now_s + LOOK_S
                history.look()
        outcome = structs.replace(self._case, now_s=now_s, steady_s=now_s).run()
        # Those who go lose their place before anybody has it.
        for decision in outcome.decisions:
            for run in self._victims(decision):
                self._evict(run, {pod.key for pod in decision.after} & run.placed, now_s)
        for decision in outcome.decisions:
            self._start(decision, now_s)
        for promise in outcome.promises:
            fate = self._runs[promise.job.key].fate
            if fate.promised_s is None:
                fate.promised_s = promise.start_s
        if outcome.more or any(decision.after for decision in outcome.decisions):
            # Who lost a place may have another one at once.
            self._decide_at(now_s)
            return
        for_room = [one for one in outcome.blocked if one.shortfall.reason is None]
        self._remember_full(for_room)
        self._look_again_s = now_s + _LOOK_FOR_ROOM_S if for_room and self._waits_for_minimum else inf

    def _decide_at(self, now_s: float) -> None:
        self._full_for.clear()
        self._look_again_s = now_s

    def _remember_full(self, blocked: Iterable[Blocked]) -> None:
        self._full_for.clear()
        if self._backfill is None or len(self._backfill.promises) >= self._backfill.most:
            self._full_for.update(self._runs[one.job.key].kind for one in blocked)

    def _victims(self, decision: Decision) -> list[_Run]:
        jobs = [self._pending.job_of(pod.key) for pod in decision.after]
        names = dict.fromkeys(job.spec.key for job in jobs if job is not None)
        return [self._runs[name] for name in names if name in self._runs]

    def _evict(self, run: _Run, keys: set[str], now_s: float) -> None:
        fate = run.fate
        fate.evictions += 1
        self.played.events += 1
        whole = keys >= run.placed
        if whole:
            fate.lost_gpu_s += self._gpus(keys, run) * (now_s - fate.placed_s)
            fate.placed_s, run.ends_s = now_s, inf
        self._used -= self._gpus(keys, run)
        again = [run.members.pop(key) for key in sorted(keys)]
        for key in keys:
            self._gone(key, now_s)
        run.placed -= keys
        if run.spec.root is None:
            del self._runs[run.spec.key]
        for pod, leaf in again:
            anew = replace(pod, key=f"{first_name(pod.key)}{_AGAIN}{fate.evictions}")
            if run.spec.root is None:
                run.spec = structs.replace(run.spec, key=anew.key)
                self._runs[anew.key] = run
            run.members[anew.key] = anew, leaf
            self._pending.put(anew, run.spec, leaf)

    def _start(self, decision: Decision, now_s: float) -> None:
        run = self._runs.get(decision.job.key)
        if run is None or not decision.binds:
            return
        if self._evicts:
            for bind in decision.binds:
                # Whom nobody saw there is not evicted.
                seen = structs.replace(bind.placed, assumed=False, since_s=now_s)
                self._snapshot.set_pod(seen)
        begins = not run.placed
        placed = [bind.pod.key for bind in decision.binds]
        run.placed.update(placed)
        self._used += self._gpus(placed, run)
        if not begins:
            return
        fate, job = run.fate, run.fate.job
        self.played.events += 1
        fate.wait_s += now_s - fate.placed_s
        fate.placed_s = now_s
        fate.start_s = now_s if fate.start_s is None else fate.start_s
        lasts_s, estimate_s = job.runtime_s, job.spec.max_runtime_s
        fate.stopped = self._stops_overdue and estimate_s is not None and estimate_s < lasts_s
        self._begin(run, now_s + (estimate_s if fate.stopped and estimate_s is not None else lasts_s))


def first_name(key: str) -> str:
    return key.partition(_AGAIN)[0]
