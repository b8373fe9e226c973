"""The status kubelet writes: phases, container states, conditions and their times."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.kubelet.admission import Rejection
from aliquot.emulator.kubelet.pod_plan import Backoff, Situation, plan
from aliquot.emulator.kubelet.pod_status import (
    DeviceHealth,
    Place,
    Unhealthy,
    as_patch,
    rejected_status,
    running_status,
)
from aliquot.emulator.kubelet.runtimes.base import ContainerRecord
from tests.emulator.kubelet.conftest import BOOT, pod, run

NOW = 1000.0
PLACE = Place(host_ip="192.0.2.1", pod_ip="10.0.0.7", runtime="simulated", started_at=900.0)

ONE = "containers: [{name: main, image: 'image:1'}]"
INIT = "initContainers: [{name: i1}], containers: [{name: main}]"


def status_of(
    spec: str,
    *runs: ContainerRecord,
    previous: Sequence[Mapping[str, Any]] = (),
    backoffs: Mapping[str, Backoff] | None = None,
    verdict: Unhealthy | None = None,
    kill_at: float | None = None,
    devices: DeviceHealth | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    by_name: dict[str, list[ContainerRecord]] = {}
    for record in runs:
        by_name.setdefault(record.name, []).append(record)
    subject = pod(spec, **metadata)
    situation = Situation(
        spec=subject.spec,
        label="p_ns(uid-p)",
        runs=by_name,
        boot_id=BOOT,
        now=NOW,
        backoffs=backoffs or {},
        kill_at=kill_at,
    )
    return running_status(
        subject, situation, plan(situation), PLACE, previous, verdict=verdict, devices=devices
    )


def summary(status: Mapping[str, Any]) -> dict[str, str]:
    """Condition type to status and reason."""
    return {
        condition["type"]: f"{condition['status']} {condition.get('reason', '')}".strip()
        for condition in status["conditions"]
    }


@pytest.mark.parametrize(
    ("spec", "runs", "phase"),
    [
        (ONE, (), "Pending"),
        (ONE, (run(),), "Running"),
        (ONE, (run(code=1),), "Running"),
        ("containers: [{name: main}, {name: other}]", (run(),), "Pending"),
        (INIT, (run("i1"),), "Pending"),
        (INIT, (run("i1", code=0), run()), "Running"),
        (f"{ONE}, restartPolicy: Never", (run(code=0),), "Succeeded"),
        (f"{ONE}, restartPolicy: Never", (run(code=1),), "Failed"),
    ],
)
def test_phase(spec: str, runs: Sequence[ContainerRecord], phase: str) -> None:
    assert status_of(spec, *runs)["phase"] == phase


def test_a_running_container() -> None:
    (container,) = status_of(ONE, run(attempt=2, start=950.0))["containerStatuses"]
    digest = container.pop("imageID")
    assert digest.startswith("image:1@sha256:")
    assert container == {
        "name": "main",
        "image": "image:1",
        "containerID": "simulated://main-2",
        "ready": True,
        "started": True,
        "restartCount": 2,
        "state": {"running": {"startedAt": rfc3339(950)}},
        "lastState": {},
    }


def test_a_container_that_never_ran() -> None:
    (container,) = status_of(ONE)["containerStatuses"]
    assert container == {
        "name": "main",
        "image": "image:1",
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": "ContainerCreating"}},
        "lastState": {},
    }


def test_a_container_in_backoff_shows_how_it_ended() -> None:
    ended = run(code=3, attempt=1, start=990.0, end=995.0)
    status = status_of(ONE, ended, backoffs={"main": Backoff(10.0, 990.0)})
    (container,) = status["containerStatuses"]
    assert container["state"] == {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 10s restarting failed container=main pod=p_ns(uid-p)",
        }
    }
    assert container["lastState"] == {
        "terminated": {
            "exitCode": 3,
            "reason": "Error",
            "startedAt": rfc3339(990),
            "finishedAt": rfc3339(995),
            "containerID": "simulated://main-1",
        }
    }
    assert (container["restartCount"], container["ready"], status["phase"]) == (1, False, "Running")


def test_a_restarted_container_shows_its_last_end() -> None:
    (container,) = status_of(ONE, run(code=3), run(attempt=1, start=20.0))["containerStatuses"]
    assert container["lastState"]["terminated"]["exitCode"] == 3
    assert "running" in container["state"]


def test_containers_are_listed_by_name_and_init_containers_in_their_order() -> None:
    spec = "initContainers: [{name: z}, {name: y}], containers: [{name: b}, {name: a}]"
    status = status_of(spec)
    assert [c["name"] for c in status["containerStatuses"]] == ["a", "b"]
    assert [c["name"] for c in status["initContainerStatuses"]] == ["z", "y"]


@pytest.mark.parametrize(
    ("runs", "ready", "started"),
    [
        ((), False, False),
        ((run("i1"),), False, False),
        ((run("i1", code=0),), True, False),
        ((run("i1", code=1),), False, False),
    ],
)
def test_an_init_container_is_ready_when_it_has_passed(
    runs: Sequence[ContainerRecord], ready: bool, started: bool
) -> None:
    (container,) = status_of(INIT, *runs)["initContainerStatuses"]
    assert (container["ready"], container["started"]) == (ready, started)


@pytest.mark.parametrize(
    ("spec", "runs", "conditions"),
    [
        (
            ONE,
            (),
            {
                "PodReadyToStartContainers": "True",
                "Initialized": "True",
                "Ready": "False ContainersNotReady",
                "ContainersReady": "False ContainersNotReady",
            },
        ),
        (
            ONE,
            (run(),),
            {
                "PodReadyToStartContainers": "True",
                "Initialized": "True",
                "Ready": "True",
                "ContainersReady": "True",
            },
        ),
        (
            INIT,
            (run("i1"),),
            {
                "PodReadyToStartContainers": "True",
                "Initialized": "False ContainersNotInitialized",
                "Ready": "False ContainersNotReady",
                "ContainersReady": "False ContainersNotReady",
            },
        ),
        (
            f"{ONE}, restartPolicy: Never",
            (run(code=0),),
            {
                "PodReadyToStartContainers": "False",
                "Initialized": "True PodCompleted",
                "Ready": "False PodCompleted",
                "ContainersReady": "False PodCompleted",
            },
        ),
        (
            f"{ONE}, restartPolicy: Never",
            (run(code=1),),
            {
                "PodReadyToStartContainers": "False",
                "Initialized": "True",
                "Ready": "False PodFailed",
                "ContainersReady": "False PodFailed",
            },
        ),
    ],
    ids=["starting", "running", "initialising", "succeeded", "failed"],
)
def test_conditions(spec: str, runs: Sequence[ContainerRecord], conditions: dict[str, str]) -> None:
    assert summary(status_of(spec, *runs)) == conditions


def test_conditions_name_the_containers_that_keep_the_pod() -> None:
    spec = "initContainers: [{name: i1}, {name: i2}], containers: [{name: b}, {name: a}]"
    messages = {c["type"]: c.get("message") for c in status_of(spec, run("i1", code=0))["conditions"]}
    assert messages["Initialized"] == "containers with incomplete status: [i2]"
    assert messages["Ready"] == "containers with unready status: [a b]"


def test_a_condition_that_stays_keeps_its_time() -> None:
    earlier = rfc3339(500)
    previous = [
        {"type": "Initialized", "status": "True", "lastTransitionTime": earlier},
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": earlier},
    ]
    times = {
        c["type"]: c["lastTransitionTime"] for c in status_of(ONE, run(), previous=previous)["conditions"]
    }
    assert times["Initialized"] == earlier
    assert times["Ready"] == rfc3339(NOW)


def test_conditions_of_others_are_not_written() -> None:
    previous = [{"type": "PodScheduled", "status": "True"}]
    assert "PodScheduled" not in summary(status_of(ONE, run(), previous=previous))


def test_where_the_pod_is_and_since_when() -> None:
    status = status_of(ONE, run(), generation=4)
    assert {
        name: status[name] for name in ("hostIP", "hostIPs", "podIP", "podIPs", "startTime", "qosClass")
    } == {
        "hostIP": "192.0.2.1",
        "hostIPs": [{"ip": "192.0.2.1"}],
        "podIP": "10.0.0.7",
        "podIPs": [{"ip": "10.0.0.7"}],
        "startTime": rfc3339(900),
        "qosClass": "BestEffort",
    }
    assert status["observedGeneration"] == 4


def test_a_verdict_is_the_pods_reason() -> None:
    verdict = Unhealthy("DeadlineExceeded", "too long")
    status = status_of(ONE, run(code=143), verdict=verdict, kill_at=NOW)
    assert (status["phase"], status["reason"], status["message"]) == (
        "Failed",
        "DeadlineExceeded",
        "too long",
    )


@pytest.mark.parametrize(
    ("before", "start"), [({}, NOW), ({"startTime": rfc3339(900)}, 900.0)], ids=["new", "ran before"]
)
def test_the_status_of_a_rejected_pod(before: dict[str, Any], start: float) -> None:
    assert rejected_status(pod(ONE, status=before), Rejection("OutOfcpu", "no cpu"), NOW) == {
        "phase": "Failed",
        "reason": "OutOfcpu",
        "message": "Pod was rejected: no cpu",
        "qosClass": "BestEffort",
        "startTime": rfc3339(start),
        "conditions": [],
        "hostIP": None,
        "hostIPs": None,
        "podIP": None,
        "podIPs": None,
        "initContainerStatuses": None,
        "containerStatuses": None,
    }


def test_a_rejected_pod_keeps_the_conditions_of_others_alone() -> None:
    previous = [
        {"type": kind, "status": "True"}
        for kind in ("PodScheduled", "Ready", "DisruptionTarget", "my.org/gate")
    ]
    status = rejected_status(pod(ONE), Rejection("OutOfcpu", "no cpu"), NOW)
    assert as_patch(status, previous)["conditions"] == [
        {"$patch": "delete", "type": "PodScheduled"},
        {"$patch": "delete", "type": "Ready"},
    ]


def test_devices_are_shown_with_their_health() -> None:
    devices = {"main": {"nvidia.com/gpu": {"GPU-1": "Healthy", "GPU-2": "Unknown"}}}
    (container,) = status_of(ONE, run(), devices=devices)["containerStatuses"]
    assert container["allocatedResourcesStatus"] == [
        {
            "name": "nvidia.com/gpu",
            "resources": [
                {"resourceID": "GPU-1", "health": "Healthy"},
                {"resourceID": "GPU-2", "health": "Unknown"},
            ],
        }
    ]


def test_a_patch_takes_back_what_a_condition_no_longer_has() -> None:
    previous = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "[main]"}]
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert as_patch(status, previous) == {
        "phase": "Running",
        "conditions": [{"reason": None, "message": None, "type": "Ready", "status": "True"}],
    }
