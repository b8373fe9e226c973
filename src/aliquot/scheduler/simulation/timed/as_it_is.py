"""Hours of a cluster as it was recorded: who runs ends when that is expected, who waits starts, and nobody else comes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

from msgspec import structs

from aliquot.scheduler.core.backfill.stage import Backfill
from aliquot.scheduler.core.backfill.timetable import LEAST_MORE_S, Run
from aliquot.scheduler.core.fragmentation import WHOLE_MILLI
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pending import Job
from aliquot.scheduler.core.pod import PlacedPod, PodRequest
from aliquot.scheduler.core.queues.terms import GPU
from aliquot.scheduler.core.queues.tree import DEFAULT
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import Recording
from aliquot.scheduler.recording.restoring import restored
from aliquot.scheduler.simulation.timed.gauges import READINGS, Gauges
from aliquot.scheduler.simulation.timed.virtual_cluster import (
    Fate,
    Member,
    Played,
    VirtualCluster,
    VirtualJob,
    first_name,
)


@dataclass(frozen=True, slots=True)
class Horizon:
    lasts_s: float
    unknown_s: float = inf
    """How long jobs run of which nobody says anything; inf: on and on. The scheduler is not told."""


def play(recording: Recording, horizon: Horizon, timer: Callable[[], float]) -> Played:
    """`timer` gives seconds. Raises OtherPolicies and Unreadable, as `restored`."""
    case = _quiet(restored(recording))
    jobs = list(case.pending.jobs.values())
    gpus = {name: amounts.get(GPU, 0) / WHOLE_MILLI for name, amounts in recording.offered.items()}
    until_s = case.now_s + horizon.lasts_s
    played = Played(sum(gpus.values()), max(gpus.values(), default=0.0), case.now_s, until_s)
    runs = {run.spec.key: run for run in case.backfill.timetable.runs} if case.backfill is not None else {}
    running: list[tuple[Fate, float]] = []
    waiting: list[Fate] = []
    for job in jobs:
        fate, ends_s = _fate(job, case, runs.get(job.spec.key), horizon)
        played.fates.append(fate)
        if fate.was_there:
            running.append((fate, ends_s))
        else:
            waiting.append(fate)
    shapes = [pod.shape for fate in played.fates for pod, _ in fate.job.members]
    gauges = Gauges(case.snapshot, case.pending.accounts, shapes, every_s=horizon.lasts_s / READINGS)
    cluster = VirtualCluster(case, played, gauges=gauges, running=running, waiting=waiting)
    began = timer()
    cluster.play((), until_s)
    played.took_s = timer() - began
    return played


def unknown(played: Played) -> int:
    """Jobs that never end, as far as anybody says."""
    return sum(fate.job.runtime_s == inf for fate in played.fates)


def _quiet(case: Case) -> Case:
    """With all that was on its way there: what was decided is seen, and who was leaving has left."""
    for pod in list(case.snapshot.pods.values()):
        if pod.terminating:
            _left(case, pod)
        elif pod.assumed:
            case.snapshot.set_pod(structs.replace(pod, assumed=False, since_s=case.now_s))
    for job in list(case.pending.jobs.values()):
        for key in list(job.leaving):
            case.pending.discard(key)
    for stand_in in case.landings.kept.values() if case.landings is not None else ():
        case.snapshot.remove_pod(stand_in.pod.key)
        case.pending.discard(stand_in.pod.key)
    if case.backfill is not None:
        case.backfill.estimate = _by_first_name(case.backfill)
    return structs.replace(
        case, limit=None, guards=_guards_by_first_name(case.guards or Guards()), staleness=None, landings=None
    )


def _left(case: Case, pod: PlacedPod) -> None:
    case.snapshot.end_pod(pod.key, pod.node)
    case.pending.discard(pod.key)
    if case.backfill is not None:
        case.backfill.ended(pod.key, case.now_s)


def _by_first_name(backfill: Backfill) -> Callable[[JobSpec], float | None]:
    """Who was evicted is known by another name since, and runs no shorter for it."""
    estimate = backfill.estimate

    def estimated(spec: JobSpec) -> float | None:
        return estimate(structs.replace(spec, key=first_name(spec.key)))

    return estimated


def _guards_by_first_name(guards: Guards) -> Guards:
    """Budgets allow as many disruptions in each pass as they did at first: who was evicted is soon replaced."""
    return Guards(
        lambda pod: guards.kept(first_name(pod)),
        lambda pod: guards.budgets_of(first_name(pod)),
        guards.allowed,
    )


def _fate(job: Job, case: Case, run: Run | None, horizon: Horizon) -> tuple[Fate, float]:
    """And when it ends, of a job that runs."""
    members = tuple(_members(job, case))
    counted = case.pending.accounts.counted
    gpus = sum(counted(pod.shape).get(GPU, 0) for pod, _ in members) / WHOLE_MILLI
    runtime_s = _runtime_s(job.spec, case, run, horizon)
    one = VirtualJob(job.spec, members, case.now_s, runtime_s, gpus, job.spec.queue or DEFAULT)
    fate = Fate(one, was_there=bool(job.placed), placed_s=case.now_s)
    if not fate.was_there:
        return fate, inf
    pods = (case.snapshot.pods.get(key) for key in job.placed)
    began_s = min((pod.since_s for pod in pods if pod is not None), default=case.now_s)
    fate.start_s = fate.placed_s = min(began_s, case.now_s)
    late_s = case.now_s - (fate.placed_s + runtime_s)
    ends_s = fate.placed_s + runtime_s if late_s < 0 else case.now_s + max(LEAST_MORE_S, late_s)
    return fate, ends_s


def _members(job: Job, case: Case) -> Iterable[Member]:
    for leaf, pods in job.waiting.items():
        for pod in pods.values():
            yield pod, leaf
    for key, leaf in job.placed.items():
        entry, placed = case.pending.accounts.entry(key), case.snapshot.pods.get(key)
        if entry is not None and placed is not None:
            spec = job.spec
            yield (
                PodRequest(key, placed.uid, entry.shape, spec.priority, spec.created_s, placed.kin),
                leaf,
            )


def _runtime_s(spec: JobSpec, case: Case, run: Run | None, horizon: Horizon) -> float:
    """As it says itself, else as was expected when it started, else as others like it ran."""
    if spec.max_runtime_s is not None:
        return spec.max_runtime_s
    if run is not None and run.promised_end_s < inf:
        return run.promised_end_s - run.started_s
    expected_s = case.backfill.estimate(spec) if case.backfill is not None else None
    return horizon.unknown_s if expected_s is None else expected_s
