from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import index_failures, indexes
from aliquot.emulator.controllers.index_failures import Failures
from aliquot.emulator.controllers.job_plan import TRACKING, Birth, Plan, plan
from aliquot.emulator.controllers.job_policies import Action, judge, success
from aliquot.emulator.controllers.jobs import pod_of
from aliquot.emulator.controllers.types import Job, JobSpec, JobStatus
from aliquot.kube.api.core import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
    PodCondition,
    PodStatus,
)
from aliquot.kube.api.meta import ObjectMeta

NOW = 1_767_225_600.0


def pod(
    name: str = "p",
    phase: str = "Failed",
    *,
    index: int | None = None,
    failures: int = 0,
    exit_code: int = 1,
    init_exit_code: int | None = None,
    condition: str = "",
    ended: float = NOW - 10_000,
    pinned: bool = True,
) -> Pod:
    def status(container: str, code: int) -> ContainerStatus:
        terminated = ContainerStateTerminated(exit_code=code, finished_at=rfc3339(ended))
        state = ContainerState(terminated=terminated if phase in ("Failed", "Succeeded") else None)
        return ContainerStatus(name=container, state=state)

    annotations = {} if index is None else {indexes.LABEL: str(index), index_failures.COUNT: str(failures)}
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="ns",
            uid=name,
            annotations=annotations,
            finalizers=(TRACKING,) if pinned else None,
        ),
        status=PodStatus(
            phase=phase,
            conditions=(PodCondition(type=condition, status="True"),) if condition else None,
            container_statuses=(status("main", exit_code if phase == "Failed" else 0),),
            init_container_statuses=(status("first", init_exit_code),)
            if init_exit_code is not None
            else None,
        ),
    )


def policy(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"rules": list(rules)}


def on_exit(action: str, operator: str, *values: int, name: str | None = None) -> dict[str, Any]:
    named = {"containerName": name} if name else {}
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values), **named}}


def on_condition(action: str, kind: str) -> dict[str, Any]:
    return {"action": action, "onPodConditions": [{"type": kind, "status": "True"}]}


@pytest.mark.parametrize(
    ("rules", "found", "action"),
    [
        ([], pod(), Action.COUNT),
        ([on_exit("FailJob", "In", 42)], pod(exit_code=42), Action.FAIL_JOB),
        ([on_exit("FailJob", "In", 42)], pod(exit_code=1), Action.COUNT),
        ([on_exit("FailJob", "NotIn", 1)], pod(exit_code=1), Action.COUNT),
        ([on_exit("FailJob", "NotIn", 1)], pod(exit_code=2), Action.FAIL_JOB),
        # A container that did well has no part in it.
        ([on_exit("FailJob", "NotIn", 1)], pod(exit_code=0), Action.COUNT),
        ([on_exit("Ignore", "In", 3)], pod(init_exit_code=3), Action.IGNORE),
        ([on_exit("Ignore", "In", 3, name="main")], pod(init_exit_code=3), Action.COUNT),
        ([on_condition("Ignore", "DisruptionTarget")], pod(condition="DisruptionTarget"), Action.IGNORE),
        ([on_condition("Ignore", "DisruptionTarget")], pod(condition="Other"), Action.COUNT),
        # The first rule that matches.
        ([on_exit("Count", "In", 1), on_exit("FailJob", "In", 1)], pod(exit_code=1), Action.COUNT),
    ],
)  # fmt: skip
def test_what_a_failure_means(rules: list[dict[str, Any]], found: Pod, action: Action) -> None:
    assert judge(policy(*rules), found).action == action


def test_the_message_of_a_job_that_fails() -> None:
    rules = policy(on_condition("Ignore", "X"), on_exit("FailJob", "In", 42))
    assert judge(rules, pod(exit_code=42)).message == (
        "Container main for pod ns/p failed with exit code 42 matching FailJob rule at index 1"
    )
    disrupted = judge(policy(on_condition("FailJob", "DisruptionTarget")), pod(condition="DisruptionTarget"))
    assert disrupted.message == "Pod ns/p has condition DisruptionTarget matching FailJob rule at index 0"


@pytest.mark.parametrize(
    ("rules", "done", "why"),
    [
        ([{"succeededCount": 2}], {0, 5}, "Matched rules at index 0"),
        ([{"succeededCount": 2}], {0}, ""),
        ([{"succeededIndexes": "0-2"}], {0, 1, 2, 3}, "Matched rules at index 0"),
        ([{"succeededIndexes": "0-2"}], {0, 1, 3}, ""),
        ([{"succeededIndexes": "0-2", "succeededCount": 1}], {2}, "Matched rules at index 0"),
        ([{"succeededIndexes": "0-2", "succeededCount": 1}], {3}, ""),
        ([{"succeededIndexes": "9"}, {"succeededCount": 1}], {3}, "Matched rules at index 1"),
        ([], {0}, ""),
    ],
)
def test_when_a_job_is_a_success(rules: list[dict[str, Any]], done: set[int], why: str) -> None:
    assert success(policy(*rules), done) == why


# ---- the whole plan ----------------------------------------------------------------------------------------


def job(status: JobStatus | None = None, **spec: Any) -> Job:
    started = status or JobStatus(start_time=rfc3339(NOW - 20_000))
    return Job(metadata=ObjectMeta(name="j", namespace="ns", uid="j"), spec=JobSpec(**spec), status=started)


def indexed(status: JobStatus | None = None, **spec: Any) -> Job:
    wanted = {"completion_mode": "Indexed", "completions": 3, "parallelism": 3, "backoff_limit": 2**31 - 1}
    return job(status, **{**wanted, **spec})


def ending(found: Plan) -> list[tuple[str, str]]:
    return [(one["type"], one.get("reason", "")) for one in found.status["conditions"] or ()]


def test_an_ignored_failure_is_let_go_and_not_counted() -> None:
    rules = policy(on_condition("Ignore", "DisruptionTarget"))
    found = job(completions=1, backoff_limit=0, pod_failure_policy=rules, pod_replacement_policy="Failed")
    wanted = plan(found, [pod(condition="DisruptionTarget")], NOW)
    assert wanted.status["uncountedTerminatedPods"] == {"succeeded": None, "failed": None}
    assert [one.metadata.name for one in wanted.unpin] == ["p"]
    assert wanted.create == (Birth(),)
    assert ending(wanted) == []


def test_one_failure_may_end_the_job() -> None:
    rules = policy(on_exit("FailJob", "In", 42))
    found = job(completions=2, parallelism=2, pod_failure_policy=rules)
    wanted = plan(found, [pod(exit_code=42), pod("q", "Running")], NOW)
    assert ending(wanted) == [("FailureTarget", "PodFailurePolicy")]
    assert [one.metadata.name for one in wanted.delete] == ["q"]


def test_success_may_come_before_everything_is_done() -> None:
    found = indexed(success_policy=policy({"succeededIndexes": "1"}))
    held = [pod("a", "Running", index=0), pod("b", "Succeeded", index=1), pod("c", "Running", index=2)]
    wanted = plan(found, held, NOW)
    assert ending(wanted) == [("SuccessCriteriaMet", "SuccessPolicy")]
    assert sorted(one.metadata.name for one in wanted.delete) == ["a", "c"]
    assert (wanted.status["succeeded"], wanted.status["completedIndexes"]) == (1, "1")


def test_a_failed_pod_stays_until_the_next_carries_its_number_on() -> None:
    found = indexed(backoff_limit_per_index=2)
    running = [pod("a", "Running", index=0), pod("b", "Running", index=1)]
    first = plan(found, [*running, pod("c", index=2, failures=1)], NOW)
    assert first.create == (Birth(2, Failures(2, 0)),)
    assert first.unpin == ()
    then = plan(
        found, [*running, pod("c", index=2, failures=1), pod("d", "Running", index=2, failures=2)], NOW
    )
    assert [one.metadata.name for one in then.unpin] == ["c"]
    assert then.status["uncountedTerminatedPods"]["failed"] == ["c"]


def test_each_index_waits_for_its_own_failures() -> None:
    found = indexed(backoff_limit_per_index=5)
    held = [pod("a", index=0, failures=2, ended=NOW - 30), pod("b", index=1, ended=NOW - 11)]
    wanted = plan(found, held, NOW)
    assert wanted.create == (Birth(1, Failures(1, 0)), Birth(2, Failures()))
    assert wanted.again_s == 10.0


def test_ignored_failures_count_for_the_wait_alone() -> None:
    rules = policy(on_exit("Ignore", "In", 9))
    found = indexed(backoff_limit_per_index=0, pod_failure_policy=rules, parallelism=1)
    wanted = plan(found, [pod("a", index=0, exit_code=9)], NOW)
    assert wanted.create == (Birth(0, Failures(0, 1)),)
    assert wanted.status["failedIndexes"] == ""


@pytest.mark.parametrize(
    ("found", "held", "failed", "expected"),
    [
        (indexed(backoff_limit_per_index=1), [pod("a", index=0, failures=1)], "0", []),
        (indexed(backoff_limit_per_index=1), [pod("a", index=0, failures=0)], "", []),
        (
            indexed(
                backoff_limit_per_index=9,
                pod_failure_policy=policy(on_exit("FailIndex", "In", 7)),
            ),
            [pod("a", index=2, exit_code=7)],
            "2",
            [],
        ),
        (
            indexed(backoff_limit_per_index=0, max_failed_indexes=0),
            [pod("a", index=0)],
            "0",
            [("FailureTarget", "MaxFailedIndexesExceeded")],
        ),
        (
            indexed(
                JobStatus(start_time=rfc3339(NOW - 9), failed_indexes="1", completed_indexes="0"),
                backoff_limit_per_index=0,
            ),
            [pod("a", index=2)],
            "1,2",
            [("FailureTarget", "FailedIndexes")],
        ),
    ],
)
def test_indexes_that_fail(found: Job, held: list[Pod], failed: str, expected: list[tuple[str, str]]) -> None:
    wanted = plan(found, held, NOW)
    assert (wanted.status["failedIndexes"] or "") == failed
    assert ending(wanted) == expected


def test_what_is_done_twice_or_not_wanted_goes() -> None:
    found = indexed(completions=2, parallelism=2)
    held = [
        pod("a", "Running", index=0),
        pod("b", "Running", index=0),
        pod("c", "Running", index=2),
        pod("d", "Running"),
    ]
    wanted = plan(found, held, NOW)
    assert sorted(one.metadata.name for one in wanted.delete) == ["b", "c", "d"]


def test_a_pod_carries_the_failures_of_its_index() -> None:
    template: dict[str, Any] = {"spec": {"containers": []}}
    made = pod_of(indexed(template=template), Birth(1, Failures(3, 1)))
    assert made["metadata"]["annotations"] == {
        indexes.LABEL: "1",
        index_failures.COUNT: "3",
        index_failures.IGNORED_COUNT: "1",
    }
    assert index_failures.COUNT not in pod_of(indexed(template=template), Birth(1))["metadata"]["annotations"]
