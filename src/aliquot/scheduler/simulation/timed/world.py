"""A cluster over virtual time, with the scheduler's core in it.

Whatever ends at a moment ends before anybody comes, and all of that before the core decides. A pass in which nothing can have
changed is left out: no room came free, and those that came are like others that found none.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.backfill.stage import Backfill, Style
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PODS, Amounts, ContainerKind, ContainerRequest, PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.simulation.timed.workload import TracedJob

DEVICE = "nvidia.com/gpu"
_MOST_PODS = 110
"""Of a node: kubelet's default."""


@dataclass(frozen=True, slots=True)
class Setting:
    nodes: int
    gpus_per_node: int = 8
    backfill: Style | None = None
    queues: Sequence[QueueSpec] = ()
    """None: jobs stand in one line, whatever queue the trace has for them."""
    stops_overdue: bool = False
    """Jobs are stopped once they have run for as long as was estimated."""

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_per_node


@dataclass(slots=True)
class Fate:
    """What became of a job."""

    job: TracedJob
    start_s: float | None = None
    end_s: float | None = None
    promised_s: float | None = None
    """The first start that it was promised."""
    stopped: bool = False

    @property
    def wait_s(self) -> float:
        assert self.start_s is not None
        return self.start_s - self.job.submit_s

    @property
    def slip_s(self) -> float:
        """How much later than promised it started."""
        if self.promised_s is None or self.start_s is None:
            return 0.0
        return max(0.0, self.start_s - self.promised_s)


@dataclass(slots=True)
class Played:
    setting: Setting
    fates: list[Fate] = field(default_factory=list)
    """In the order of submission, of those that the cluster could ever hold."""
    too_large: int = 0
    used: list[tuple[float, int]] = field(default_factory=list)
    """GPUs in use from that moment on."""
    events: int = 0
    """Jobs that came, began and ended."""
    took_s: float = 0.0


def play(jobs: Iterable[TracedJob], setting: Setting, timer: Callable[[], float]) -> Played:
    """From the first submission until nothing runs and nothing that waits can start. `timer` gives seconds."""
    world = _World(jobs, setting)
    began = timer()
    world.run()
    world.played.took_s = timer() - began
    return world.played


class _World:
    def __init__(self, jobs: Iterable[TracedJob], setting: Setting) -> None:
        policies = Policies()
        accounts = Accounts(setting.queues, _counted)
        self._snapshot = Snapshot()
        self._pending = Pending(policies.order, accounts)
        self._rankings = Rankings(policies)
        self._backfill = Backfill(setting.backfill) if setting.backfill is not None else None
        self._stops_overdue = setting.stops_overdue
        self._shapes: dict[int, PodShape] = {}
        self.played = Played(setting)
        for number in range(setting.nodes):
            facts = NodeFacts(
                f"node-{number:05}", allocatable={DEVICE: setting.gpus_per_node, PODS: _MOST_PODS}
            )
            self._snapshot.set_facts(facts)
            accounts.offer(facts.name, {GPU: 1000 * setting.gpus_per_node})
        per_node = setting.gpus_per_node
        for job in sorted(jobs, key=lambda one: one.submit_s):
            fits = job.gpus <= per_node and (
                not job.gpus or job.pods <= setting.nodes * (per_node // job.gpus)
            )
            if fits:
                self.played.fates.append(Fate(job))
            else:
                self.played.too_large += 1
        self._fates = {fate.job.name: fate for fate in self.played.fates}
        self._ends: list[tuple[float, str, tuple[str, ...]]] = []
        """Of what runs: when, which job, and its pods."""
        self._used = 0
        self._full_for: set[tuple[str, int, int]] = set()
        """Kinds of jobs that found no room in the last pass, none having come free since."""
        self._decide_again = False

    def run(self) -> None:
        fates = self.played.fates
        ends, next_fate = self._ends, 0
        while True:
            now_s = min(
                fates[next_fate].job.submit_s if next_fate < len(fates) else float("inf"),
                ends[0][0] if ends else float("inf"),
                self._backfill.look_again_s if self._backfill is not None else float("inf"),
            )
            if now_s == float("inf"):
                break
            self._decide_again = self._backfill is not None and self._backfill.look_again_s <= now_s
            while ends and ends[0][0] <= now_s:
                self._end(heapq.heappop(ends), now_s)
            while next_fate < len(fates) and fates[next_fate].job.submit_s <= now_s:
                self._submit(fates[next_fate].job)
                next_fate += 1
            if self._decide_again and len(self._pending):
                self._decide(now_s)
            if not self.played.used or self.played.used[-1][1] != self._used:
                self.played.used.append((now_s, self._used))

    def _submit(self, job: TracedJob) -> None:
        self.played.events += 1
        shape = self._shapes.get(job.gpus)
        if shape is None:
            shape = self._shapes[job.gpus] = _shape(job.gpus)
        spec = JobSpec(
            job.name,
            Group(minimum=job.pods) if job.pods > 1 else None,
            queue=job.queue if self.played.setting.queues else "",
            priority=job.priority,
            created_s=job.submit_s,
            max_runtime_s=job.estimate_s,
        )
        if job.pods == 1:
            self._pending.put(PodRequest(job.name, job.name, shape, job.priority, job.submit_s), spec)
        else:
            for number in range(job.pods):
                key = f"{job.name}/{number}"
                self._pending.put(PodRequest(key, key, shape, job.priority, job.submit_s), spec)
        if _kind(job) not in self._full_for:
            self._decide_again = True

    def _end(self, end: tuple[float, str, tuple[str, ...]], now_s: float) -> None:
        _, name, pods = end
        self.played.events += 1
        fate = self._fates[name]
        fate.end_s = now_s
        self._used -= fate.job.total_gpus
        for pod in pods:
            self._snapshot.remove_pod(pod)
            self._pending.discard(pod)
            if self._backfill is not None:
                self._backfill.ended(pod, now_s)
        self._decide_again = True

    def _decide(self, now_s: float) -> None:
        outcome = cycle.run(
            self._snapshot, self._pending, self._rankings, backfill=self._backfill, now_s=now_s
        )
        for decision in outcome.decisions:
            fate = self._fates[decision.job.key]
            job = fate.job
            fate.start_s = now_s
            lasts_s = job.runtime_s
            if self._stops_overdue and job.estimate_s is not None and job.estimate_s < lasts_s:
                lasts_s, fate.stopped = job.estimate_s, True
            self._used += job.total_gpus
            self.played.events += 1
            pods = tuple(bind.pod.key for bind in decision.binds)
            heapq.heappush(self._ends, (now_s + lasts_s, job.name, pods))
        for promise in outcome.promises:
            fate = self._fates[promise.job.key]
            if fate.promised_s is None:
                fate.promised_s = promise.start_s
        self._full_for.clear()
        if self._backfill is None or len(self._backfill.promises) >= self._backfill.most:
            self._full_for.update(
                _kind(self._fates[blocked.job.key].job)
                for blocked in outcome.blocked
                if blocked.shortfall.reason is None
            )


def _kind(job: TracedJob) -> tuple[str, int, int]:
    return job.queue, job.pods, job.gpus


def _shape(gpus: int) -> PodShape:
    request: Amounts = {DEVICE: gpus, PODS: 1} if gpus else {PODS: 1}
    asked: Amounts = {DEVICE: gpus} if gpus else {}
    return PodShape(f"{gpus} GPUs", (ContainerRequest("main", ContainerKind.APP, asked),), request)


def _counted(shape: PodShape) -> Amounts:
    gpus = shape.request.get(DEVICE, 0)
    return {GPU: 1000 * gpus} if gpus else {}
