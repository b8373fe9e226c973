from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import indexes, job_plan
from aliquot.emulator.controllers.finished_jobs import expires_in_s
from aliquot.emulator.controllers.job_plan import TRACKING, Birth, Plan, plan
from aliquot.emulator.controllers.jobs import pod_of
from aliquot.emulator.controllers.types import Job, JobSpec, JobStatus, UncountedPods, WorkloadCondition
from aliquot.kube.api.core import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
    PodStatus,
)
from aliquot.kube.api.meta import ObjectMeta

NOW = 1_767_225_600.0
STARTED = rfc3339(NOW - 100)


def job(status: JobStatus = JobStatus(start_time=STARTED), **spec: Any) -> Job:  # noqa: B008 - frozen
    return Job(metadata=ObjectMeta(name="j", namespace="ns", uid="j"), spec=JobSpec(**spec), status=status)


def pod(
    name: str,
    phase: str = "Running",
    *,
    pinned: bool = True,
    deleted: bool = False,
    index: int | None = None,
    ended: float = NOW - 1000,
    restarts: int = 0,
) -> Pod:
    terminated = ContainerStateTerminated(finished_at=rfc3339(ended))
    state = ContainerState(terminated=terminated) if phase in ("Succeeded", "Failed") else ContainerState()
    return Pod(
        metadata=ObjectMeta(
            name=name,
            uid=name,
            finalizers=(TRACKING,) if pinned else None,
            deletion_timestamp=rfc3339(NOW) if deleted else None,
            annotations={indexes.LABEL: str(index)} if index is not None else None,
        ),
        status=PodStatus(
            phase=phase,
            container_statuses=(ContainerStatus(name="m", state=state, restart_count=restarts),),
        ),
    )


def conditions(found: Plan) -> list[tuple[str, str]]:
    return [(one["type"], one.get("reason", "")) for one in found.status["conditions"] or ()]


@pytest.mark.parametrize(
    ("found", "held", "create", "delete"),
    [
        (job(), [], 1, []),
        (job(completions=3, parallelism=2), [], 2, []),
        (job(completions=3, parallelism=2), [pod("a")], 1, []),
        (job(completions=3, parallelism=2), [pod("a"), pod("b")], 0, []),
        (job(completions=3, parallelism=5), [pod("a", "Succeeded")], 2, []),
        (job(completions=3, parallelism=1), [pod("a"), pod("b")], 0, ["a"]),
        (job(completions=3, parallelism=0), [pod("a")], 0, ["a"]),
        (job(completions=1, parallelism=0), [], 0, []),
        # A failed pod is replaced, once its backoff is over.
        (job(completions=1), [pod("a", "Failed")], 1, []),
        (job(completions=1), [pod("a", "Failed", ended=NOW - 3)], 0, []),
        # One on its way out is replaced at once, unless it is to be waited for.
        (job(completions=1, pod_replacement_policy="Failed"), [pod("a", deleted=True)], 0, []),
        # A work queue: once one has succeeded, no more are begun.
        (job(parallelism=3), [pod("a", "Succeeded"), pod("b")], 0, []),
        (job(suspend=True, completions=2), [pod("a")], 0, ["a"]),
    ],
)
def test_staffing(found: Job, held: list[Pod], create: int, delete: list[str]) -> None:
    wanted = plan(found, held, NOW)
    assert (len(wanted.create), [one.metadata.name for one in wanted.delete]) == (create, delete)


def test_whom_it_takes_away_by_itself_is_not_counted() -> None:
    suspended = plan(job(suspend=True, completions=2), [pod("a")], NOW)
    assert [one.metadata.name for one in suspended.unpin] == ["a"]
    fewer = plan(job(completions=3, parallelism=1), [pod("a"), pod("b")], NOW)
    assert [one.metadata.name for one in fewer.unpin] == ["a"]
    ended = plan(job(backoff_limit=0, completions=2), [pod("a", "Failed"), pod("b")], NOW)
    assert [one.metadata.name for one in ended.delete] == ["b"]
    assert [one.metadata.name for one in ended.unpin] == ["a"]


def test_backoff_doubles_with_each_failure_since_the_last_success() -> None:
    failures = [pod(f"f{number}", "Failed", ended=NOW - number) for number in range(3)]
    assert job_plan.backoff_s([], NOW) == 0
    assert job_plan.backoff_s(failures[:1], NOW) == 10.0
    assert job_plan.backoff_s(failures, NOW) == 40.0
    assert job_plan.backoff_s([*failures, pod("s", "Succeeded", ended=NOW + 1)], NOW) == 0
    assert job_plan.backoff_s([pod(f"f{number}", "Failed", ended=NOW) for number in range(20)], NOW) == 600.0


NONE = {"succeeded": None, "failed": None}


def test_counting_is_two_steps() -> None:
    held = [pod("a", "Succeeded"), pod("b", "Failed"), pod("c")]
    first = plan(job(completions=5, parallelism=3), held, NOW)
    assert first.status["uncountedTerminatedPods"] == {"succeeded": ["a"], "failed": ["b"]}
    assert (first.status["succeeded"], first.status["failed"], first.status["active"]) == (None, None, 1)
    assert [one.metadata.name for one in first.unpin] == ["a", "b"]

    waiting = JobStatus(
        start_time=STARTED, uncounted_terminated_pods=UncountedPods(succeeded=("a",), failed=("b",))
    )
    half = [pod("a", "Succeeded", pinned=False), pod("b", "Failed"), pod("c")]
    second = plan(job(waiting, completions=5, parallelism=3), half, NOW)
    assert second.status["uncountedTerminatedPods"] == {"succeeded": None, "failed": ["b"]}
    assert second.status["succeeded"] == 1
    assert [one.metadata.name for one in second.unpin] == ["b"]

    third = plan(job(waiting, completions=5, parallelism=3), [pod("c")], NOW)
    assert (third.status["succeeded"], third.status["failed"]) == (1, 1)
    assert third.status["uncountedTerminatedPods"] == NONE


def test_a_pod_on_its_way_out_has_failed() -> None:
    found = plan(job(completions=1), [pod("a", deleted=True)], NOW)
    assert found.status["uncountedTerminatedPods"] == {"succeeded": None, "failed": ["a"]}
    waited_for = plan(job(completions=1, pod_replacement_policy="Failed"), [pod("a", deleted=True)], NOW)
    assert waited_for.status["uncountedTerminatedPods"] == NONE
    assert waited_for.status["terminating"] == 1


COUNTED = JobStatus(start_time=STARTED, succeeded=1)


@pytest.mark.parametrize(
    ("found", "held", "expected"),
    [
        (job(completions=1), [pod("a", "Succeeded")], [("SuccessCriteriaMet", "CompletionsReached")]),
        (
            job(COUNTED, completions=1),
            [],
            [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")],
        ),
        (job(COUNTED), [pod("a")], []),
        (
            job(COUNTED),
            [],
            [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")],
        ),
        (
            job(backoff_limit=1, completions=3),
            [pod("a", "Failed"), pod("b", "Failed"), pod("c")],
            [("FailureTarget", "BackoffLimitExceeded")],
        ),
        (job(backoff_limit=2, completions=3), [pod("a", "Failed"), pod("b", "Failed")], []),
        (
            job(backoff_limit=3, completions=1, template={"spec": {"restartPolicy": "OnFailure"}}),
            [pod("a", restarts=3)],
            [("FailureTarget", "BackoffLimitExceeded")],
        ),
        (
            job(completions=1, active_deadline_seconds=100),
            [pod("a")],
            [("FailureTarget", "DeadlineExceeded")],
        ),
        (
            job(completions=1, parallelism=0, active_deadline_seconds=100),
            [],
            [("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")],
        ),
        (job(completions=1, active_deadline_seconds=101), [pod("a")], []),
    ],
)
def test_how_a_job_ends(found: Job, held: list[Pod], expected: list[tuple[str, str]]) -> None:
    assert conditions(plan(found, held, NOW)) == expected


def test_an_ending_job_sends_its_pods_away_and_makes_none() -> None:
    found = plan(job(completions=2, parallelism=2, backoff_limit=0), [pod("a", "Failed"), pod("b")], NOW)
    assert [one.metadata.name for one in found.delete] == ["b"]
    assert found.create == ()


def test_deadline_is_waited_for() -> None:
    assert plan(job(completions=1, active_deadline_seconds=130), [pod("a")], NOW).again_s == 30.0


def test_completion_time_and_events() -> None:
    found = plan(job(COUNTED, completions=1), [], NOW)
    assert found.status["completionTime"] == rfc3339(NOW)
    assert [(one.warning, one.reason) for one in found.notices] == [(False, "Completed")]
    failed = plan(job(completions=1, parallelism=0, active_deadline_seconds=1), [], NOW)
    assert failed.status["completionTime"] is None
    assert [(one.warning, one.reason) for one in failed.notices] == [(True, "DeadlineExceeded")]


def test_suspension_stops_the_clock() -> None:
    suspended = plan(job(suspend=True, active_deadline_seconds=10), [pod("a")], NOW)
    assert suspended.status["startTime"] is None
    assert conditions(suspended) == [("Suspended", "JobSuspended")]
    before = JobStatus(
        conditions=(WorkloadCondition(type="Suspended", status="True", reason="JobSuspended"),)
    )
    resumed = plan(job(before, active_deadline_seconds=10), [], NOW)
    assert resumed.status["startTime"] == rfc3339(NOW)
    assert conditions(resumed) == [("Suspended", "JobResumed")]
    assert len(resumed.create) == 1


@pytest.mark.parametrize(
    ("text", "found"), [("", set()), ("0", {0}), ("0,2-4,7", {0, 2, 3, 4, 7}), ("0,1", {0, 1})]
)
def test_indexes(text: str, found: set[int]) -> None:
    assert indexes.parse(text) == found
    assert indexes.format_indexes(found) == text


def test_indexed_pods_take_the_free_indexes() -> None:
    before = JobStatus(start_time=STARTED, completed_indexes="0", succeeded=1)
    found = job(before, completions=4, parallelism=3, completion_mode="Indexed")
    held = [pod("a", "Succeeded", index=0, pinned=False), pod("b", index=1), pod("c", "Failed", index=2)]
    wanted = plan(found, held, NOW)
    assert wanted.create == (Birth(2), Birth(3))
    assert wanted.status["completedIndexes"] == "0"


def test_an_indexed_job_is_complete_when_every_index_is() -> None:
    before = JobStatus(start_time=STARTED, completed_indexes="0,1", succeeded=2)
    found = job(before, completions=2, completion_mode="Indexed")
    assert ("Complete", "CompletionsReached") in conditions(plan(found, [], NOW))


def test_an_indexed_pod_knows_its_index() -> None:
    template = {"spec": {"containers": [{"name": "m", "env": [{"name": "A"}]}]}}
    body = pod_of(job(template=template, completion_mode="Indexed"), Birth(3))
    assert body["metadata"]["generateName"] == "j-3-"
    assert body["metadata"]["labels"][indexes.LABEL] == "3"
    assert body["spec"]["hostname"] == "j-3"
    assert [one["name"] for one in body["spec"]["containers"][0]["env"]] == ["A", "JOB_COMPLETION_INDEX"]


def finished(seconds_ago: float) -> JobStatus:
    stamp = rfc3339(NOW - seconds_ago)
    return JobStatus(
        conditions=(WorkloadCondition(type="Failed", status="True", last_transition_time=stamp),)
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (job(ttl_seconds_after_finished=0), None),
        (job(finished(5)), None),
        (job(finished(5), ttl_seconds_after_finished=0), -5.0),
        (job(finished(5), ttl_seconds_after_finished=30), 25.0),
    ],
)
def test_time_to_live_of_a_finished_job(found: Job, expected: float | None) -> None:
    assert expires_in_s(found, NOW) == expected
