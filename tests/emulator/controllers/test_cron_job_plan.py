from typing import Any

import pytest

from aliquot.clock import parse_rfc3339, rfc3339
from aliquot.emulator.controllers.cron_job_plan import (
    SCHEDULED_AT,
    job_name,
    job_of,
    last_due,
    plan,
    started,
)
from aliquot.emulator.controllers.types import (
    ActiveJob,
    CronJob,
    CronJobSpec,
    CronJobStatus,
    Job,
    JobStatus,
    WorkloadCondition,
)
from aliquot.emulator.kinds import cron_schedule
from aliquot.kube.api.meta import ObjectMeta

HOUR = parse_rfc3339("2026-01-01T10:00:00Z")


def cron_job(
    *,
    created: float = HOUR - 100,
    last: float | None = None,
    active: tuple[str, ...] = (),
    success: float | None = None,
    deleted: bool = False,
    **spec: Any,
) -> CronJob:
    """Hourly, unless told otherwise."""
    return CronJob(
        metadata=ObjectMeta(
            name="c",
            namespace="ns",
            uid="c",
            creation_timestamp=rfc3339(created),
            deletion_timestamp=rfc3339(HOUR) if deleted else None,
        ),
        spec=CronJobSpec(**{"schedule": "0 * * * *", **spec}),
        status=CronJobStatus(
            active=tuple(ActiveJob(name=name, uid=name) for name in active) or None,
            last_schedule_time=rfc3339(last) if last is not None else None,
            last_successful_time=rfc3339(success) if success is not None else None,
        ),
    )


def job(name: str, ending: str = "", *, began: float = HOUR - 500, ended: float = HOUR - 50) -> Job:
    condition = WorkloadCondition(type=ending, status="True", last_transition_time=rfc3339(ended))
    return Job(
        metadata=ObjectMeta(name=name, namespace="ns", uid=name),
        status=JobStatus(
            start_time=rfc3339(began),
            completion_time=rfc3339(ended) if ending == "Complete" else None,
            conditions=(condition,) if ending else None,
        ),
    )


@pytest.mark.parametrize(
    ("found", "now", "start", "reasons"),
    [
        (cron_job(), HOUR - 1, None, []),
        (cron_job(), HOUR, HOUR, []),
        (cron_job(), HOUR + 5, HOUR, []),
        (cron_job(last=HOUR), HOUR + 5, None, []),
        (cron_job(suspend=True), HOUR, None, []),
        (cron_job(deleted=True), HOUR, None, []),
        # Of those missed the last is made up for.
        (cron_job(created=HOUR - 5 * 3600), HOUR + 5, HOUR, []),
        (cron_job(created=HOUR - 102 * 3600), HOUR + 5, HOUR, ["TooManyMissedTimes"]),
        (cron_job(created=HOUR - 300 * 3600, starting_deadline_seconds=7200), HOUR + 5, HOUR, []),
        # Within the deadline it is made up for; later it does not count as missed.
        (cron_job(starting_deadline_seconds=10), HOUR + 5, HOUR, []),
        (cron_job(starting_deadline_seconds=10), HOUR + 15, None, []),
        (cron_job(active=("j",)), HOUR, HOUR, []),
        (cron_job(active=("j",), concurrency_policy="Forbid"), HOUR, None, ["JobAlreadyActive"]),
        (cron_job(active=("j",), concurrency_policy="Replace"), HOUR, HOUR, []),
        # It has begun already, and this is not known for sure only because the status is behind.
        (cron_job(active=(f"c-{int(HOUR) // 60}",)), HOUR, None, []),
        (cron_job(schedule="? ? ?"), HOUR, None, ["UnparseableSchedule"]),
        (cron_job(time_zone="Moon/Base"), HOUR, None, ["UnknownTimeZone"]),
        (cron_job(schedule="0 11 * * *", time_zone="Europe/Paris"), HOUR, HOUR, []),
    ],
)  # fmt: skip
def test_starting(found: CronJob, now: float, start: float | None, reasons: list[str]) -> None:
    listed = [job(active.name) for active in found.status.active or ()]
    wanted = plan(found, listed, (), now)
    assert wanted.start == start
    assert [notice.reason for notice in wanted.notices] == reasons


def test_the_next_look_is_just_after_the_next_start() -> None:
    assert plan(cron_job(), [], (), HOUR + 60).again_s == pytest.approx(3540.1)
    assert plan(cron_job(suspend=True), [], (), HOUR).again_s is None
    assert plan(cron_job(schedule="0 0 30 2 1"), [], (), HOUR).again_s is not None


def test_replacing() -> None:
    wanted = plan(cron_job(active=("a", "b"), concurrency_policy="Replace"), [job("a"), job("b")], (), HOUR)
    assert [found.name for found in wanted.replace] == ["a", "b"]
    assert wanted.status.active is None


@pytest.mark.parametrize(
    ("found", "jobs", "missing", "active", "success", "reasons"),
    [
        (cron_job(active=("a",)), [job("a")], (), ["a"], None, []),
        (cron_job(active=("a",)), [job("a", "Complete")], (), [], HOUR - 50, ["SawCompletedJob"]),
        (cron_job(active=("a",)), [job("a", "Failed")], (), [], None, ["SawCompletedJob"]),
        (cron_job(), [job("a", "Complete")], (), [], HOUR - 50, []),
        (cron_job(success=HOUR - 9), [job("a", "Complete")], (), [], HOUR - 9, []),
        (cron_job(), [job("a")], (), [], None, ["UnexpectedJob"]),
        (cron_job(active=("a", "b")), [job("b")], ("a",), ["b"], None, ["MissingJob"]),
        # Made just now, and not in the cache yet.
        (cron_job(active=("a",)), [], (), ["a"], None, []),
    ],
)
def test_taking_stock(
    found: CronJob,
    jobs: list[Job],
    missing: tuple[str, ...],
    active: list[str],
    success: float | None,
    reasons: list[str],
) -> None:
    wanted = plan(found, jobs, missing, HOUR - 1)
    assert [one.name for one in wanted.status.active or ()] == active
    assert wanted.status.last_successful_time == (rfc3339(success) if success is not None else None)
    assert [notice.reason for notice in wanted.notices] == reasons


def test_history_is_kept_up_to_its_limits() -> None:
    jobs = [job(f"s{number}", "Complete", began=HOUR - number) for number in range(5)]
    jobs += [job(f"f{number}", "Failed", began=HOUR - number) for number in range(3)]
    found = cron_job()
    trimmed = [one.metadata.name for one in plan(found, [*jobs, job("r")], (), HOUR - 1).trim]
    assert trimmed == ["s4", "s3", "f2", "f1"]
    forever = replace_spec(found, successful_jobs_history_limit=None, failed_jobs_history_limit=0)
    assert [one.metadata.name for one in plan(forever, jobs, (), HOUR - 1).trim] == ["f2", "f1", "f0"]


def replace_spec(found: CronJob, **spec: Any) -> CronJob:
    return CronJob(metadata=found.metadata, spec=CronJobSpec(schedule=found.spec.schedule, **spec))


@pytest.mark.parametrize(
    ("schedule", "earliest", "now", "due", "missed"),
    [
        ("0 * * * *", HOUR - 100, HOUR - 1, None, 0),
        ("0 * * * *", HOUR - 100, HOUR, HOUR, 1),
        ("0 * * * *", HOUR - 7300, HOUR + 10, HOUR, 3),
        ("0 * * * *", HOUR - 365 * 86400, HOUR + 10, HOUR, 365 * 24),
        # Unequal intervals: the number is a guess, the start is not.
        ("0 9,10 * * 1-5", HOUR - 30 * 86400, HOUR, HOUR, 698),
        ("@every 90s", HOUR, HOUR + 400, HOUR + 360, 4),
    ],
)
def test_what_was_missed(schedule: str, earliest: float, now: float, due: float | None, missed: int) -> None:
    assert last_due(cron_schedule.parse(schedule), earliest, now) == (due, missed)


def test_the_job_of_a_start() -> None:
    template = {
        "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {"template": {}},
    }
    found = cron_job(job_template=template, time_zone="Europe/Paris")
    made = job_of(found, HOUR)
    assert made["metadata"]["name"] == job_name(found, HOUR) == "c-29454360"
    assert made["metadata"]["labels"] == {"a": "b"}
    assert made["metadata"]["annotations"] == {"c": "d", SCHEDULED_AT: "2026-01-01T11:00:00+01:00"}
    assert made["spec"] == {"template": {}}
    plain = job_of(cron_job(job_template=template), HOUR)
    assert plain["metadata"]["annotations"][SCHEDULED_AT] == "2026-01-01T10:00:00Z"


def test_a_start_is_noted_once() -> None:
    once = started(CronJobStatus(), HOUR, job("c-1"))
    assert once.last_schedule_time == rfc3339(HOUR)
    assert started(once, HOUR, job("c-1")) == once
