"""What to do about a CronJob, from the CronJob, its Jobs and the time. Pure.

A Job is named for the minute that it is due, so that the same start cannot happen twice. Of several starts that were
missed only the last is made up for.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import conditions, job_plan, ownership, pods
from aliquot.emulator.controllers.notices import Notice
from aliquot.emulator.controllers.types import ActiveJob, CronJob, CronJobStatus, Job
from aliquot.emulator.kinds import cron_schedule
from aliquot.emulator.kinds.cron_schedule import Schedule, ScheduleError
from aliquot.kube.resources import CRONJOBS

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
TOO_MANY_MISSED = 100
# Later than the next start, never a moment too early.
_MARGIN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`status` is the status as it is before `start`."""

    status: CronJobStatus
    trim: tuple[Job, ...] = ()
    """Ended Jobs beyond the history that is kept."""
    replace: tuple[ActiveJob, ...] = ()
    """To be deleted before the start."""
    start: float | None = None
    """The time that was scheduled, Unix seconds."""
    again_s: float | None = None
    notices: tuple[Notice, ...] = field(default=())


def plan(cron_job: CronJob, jobs: Sequence[Job], missing: Collection[str], now: float) -> Plan:
    """`missing` are uids of active Jobs that are no more."""
    return _Planner(cron_job, jobs, missing, now).plan()


class _Planner:
    def __init__(self, cron_job: CronJob, jobs: Sequence[Job], missing: Collection[str], now: float) -> None:
        self.cron_job, self.spec, self.now = cron_job, cron_job.spec, now
        self.jobs, self.missing = jobs, missing
        self.notices: list[Notice] = []
        self.active = list(cron_job.status.active or ())
        self.last_success = cron_job.status.last_successful_time
        self.replace: tuple[ActiveJob, ...] = ()

    def plan(self) -> Plan:
        self._take_stock()
        trim = self._trim()
        start: float | None = None
        again_s: float | None = None
        if self.cron_job.metadata.deletion_timestamp is None and not self.spec.suspend:
            schedule = self._schedule()
            if schedule is not None:
                start = self._due(schedule)
                again_s = self._next_s(schedule)
        status = CronJobStatus(
            active=tuple(self.active) or None,
            last_schedule_time=self.cron_job.status.last_schedule_time,
            last_successful_time=self.last_success,
        )
        return Plan(
            status=status,
            trim=trim,
            replace=self.replace,
            start=start,
            again_s=again_s,
            notices=tuple(self.notices),
        )

    def _take_stock(self) -> None:
        known = {active.uid for active in self.active}
        for job in self.jobs:
            listed, ended = job.metadata.uid in known, _ending(job)
            if not listed and not ended:
                name = job.metadata.name
                self._tell(
                    True, "UnexpectedJob", f"Saw a job that the controller did not create or forgot: {name}"
                )
            elif listed and ended:
                self._forget(job.metadata.uid)
                message = f"Saw completed job: {job.metadata.name}, condition: {ended}"
                self._tell(False, "SawCompletedJob", message)
            if ended == "Complete" and pods.seconds(job.status.completion_time) > pods.seconds(
                self.last_success
            ):
                self.last_success = job.status.completion_time
        for active in tuple(self.active):
            if active.uid in self.missing:
                self._tell(False, "MissingJob", f"Active job went missing: {active.name}")
                self._forget(active.uid)

    def _trim(self) -> tuple[Job, ...]:
        doomed: list[Job] = []
        for kind, limit in (
            ("Complete", self.spec.successful_jobs_history_limit),
            ("Failed", self.spec.failed_jobs_history_limit),
        ):
            if limit is not None:
                ended = sorted((job for job in self.jobs if _ending(job) == kind), key=_began)
                doomed += ended[: max(0, len(ended) - limit)]
        return tuple(doomed)

    def _schedule(self) -> Schedule | None:
        if self.spec.time_zone is not None:
            try:
                cron_schedule.time_zone(self.spec.time_zone)
            except ScheduleError as error:
                self._tell(True, "UnknownTimeZone", f'invalid timeZone: "{self.spec.time_zone}": {error}')
                return None
        try:
            return cron_schedule.parse(self.spec.schedule, self.spec.time_zone)
        except ScheduleError as error:
            self._tell(True, "UnparseableSchedule", f'unparseable schedule: "{self.spec.schedule}" : {error}')
            return None

    def _due(self, schedule: Schedule) -> float | None:
        """The start to make now, None when there is none to make."""
        due, missed = last_due(schedule, self._earliest(), self.now)
        if missed > TOO_MANY_MISSED:
            message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self._tell(True, "TooManyMissedTimes", message)
        if due is None:
            return None
        deadline_s = self.spec.starting_deadline_seconds
        if deadline_s is not None and due + deadline_s < self.now:
            when = datetime.fromtimestamp(due, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
            self._tell(True, "MissSchedule", f"Missed scheduled time to start a job: {when}")
            return None
        listed = any(active.name == job_name(self.cron_job, due) for active in self.active)
        if listed or pods.seconds(self.cron_job.status.last_schedule_time) == due:
            return None
        if self.spec.concurrency_policy == "Forbid" and self.active:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._tell(False, "JobAlreadyActive", message)
            return None
        if self.spec.concurrency_policy == "Replace":
            self.replace, self.active = tuple(self.active), []
        return due

    def _earliest(self) -> float:
        """From when on starts count."""
        status, metadata = self.cron_job.status, self.cron_job.metadata
        since = pods.seconds(status.last_schedule_time or metadata.creation_timestamp)
        deadline_s = self.spec.starting_deadline_seconds
        return since if deadline_s is None else max(since, self.now - deadline_s)

    def _next_s(self, schedule: Schedule) -> float | None:
        following = schedule.next(self.now)
        return following + _MARGIN_S - self.now if following is not None else None

    def _forget(self, uid: str) -> None:
        self.active = [active for active in self.active if active.uid != uid]

    def _tell(self, warning: bool, reason: str, message: str) -> None:
        self.notices.append(Notice(warning, reason, message))


def last_due(schedule: Schedule, earliest: float, now: float) -> tuple[float | None, int]:
    """The last start after `earliest` that is due by `now`, and about how many there were.

    Their number is worked out from the first two: to walk through years of missed minutes would take as long.
    """
    first = schedule.next(earliest)
    if first is None or first > now:
        return None, 0
    second = schedule.next(first)
    if second is None or second > now:
        return first, 1
    interval_s = max(1.0, second - first)
    missed = int((now - first) // interval_s) + 1
    # Back by one interval more, so that the schedule itself finds the start from there.
    found: float | None = None
    coming = schedule.next(first + (missed - 2) * interval_s)
    while coming is not None and coming <= now:
        found, coming = coming, schedule.next(coming)
    return found if found is not None else first, missed


def started(status: CronJobStatus, due: float, job: Job) -> CronJobStatus:
    """The status once the Job has been made."""
    reference = ActiveJob(
        api_version="batch/v1",
        kind="Job",
        name=job.metadata.name,
        namespace=job.metadata.namespace,
        uid=job.metadata.uid,
        resource_version=job.metadata.resource_version,
    )
    active = [found for found in status.active or () if found.uid != reference.uid]
    return msgspec.structs.replace(status, active=(*active, reference), last_schedule_time=rfc3339(due))


def job_name(cron_job: CronJob, due: float) -> str:
    return f"{cron_job.metadata.name}-{int(due) // 60}"


def job_of(cron_job: CronJob, due: float) -> dict[str, Any]:
    """The Job to create for a start."""
    template = cron_job.spec.job_template
    wanted = template.get("metadata") or {}
    zone = cron_schedule.time_zone(cron_job.spec.time_zone) if cron_job.spec.time_zone else UTC
    stamp = datetime.fromtimestamp(due, zone).isoformat().replace("+00:00", "Z")
    labels = {"labels": wanted["labels"]} if wanted.get("labels") else {}
    return {
        "metadata": {
            **labels,
            "name": job_name(cron_job, due),
            "namespace": cron_job.metadata.namespace,
            "annotations": {**(wanted.get("annotations") or {}), SCHEDULED_AT: stamp},
            "ownerReferences": [ownership.reference(CRONJOBS, cron_job)],
        },
        "spec": template.get("spec") or {},
    }


def _ending(job: Job) -> str:
    """`Complete` or `Failed`, empty while it runs."""
    found = (kind for kind in ("Complete", "Failed") if conditions.is_true(job.status.conditions, kind))
    return next(found, "") if job_plan.is_finished(job) else ""


def _began(job: Job) -> tuple[float, str]:
    return pods.seconds(job.status.start_time), job.metadata.name
