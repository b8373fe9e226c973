"""A node, and what is on it, as its upgrade sees them: one row for each thing that is read."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.operator.core.operands import Image, OperandName, shipped
from aliquot.operator.core.policies import Policy, read_stored
from aliquot.operator.core.upgrade.node import GPUPod, UpgradeNode, Validation
from aliquot.operator.upgrading.reading import OnNode, read

IMAGES = shipped(Image("example.com", "aliquot", "1.0"))
GPU = {"nvidia.com/gpu": "1"}
OURS = "aliquot-system"


def policy(**upgrade: Any) -> Policy:
    found = read_stored({"metadata": {"name": "p"}, "spec": {"upgrade": upgrade}}, IMAGES).policy
    assert found is not None
    return found


def pod(
    name: str = "p",
    *,
    namespace: str = "default",
    owner: str = "ReplicaSet",
    limits: Mapping[str, str] = GPU,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> Pod:
    owners = (
        [{"apiVersion": "v1", "kind": owner, "name": "o", "uid": "o", "controller": True}] if owner else []
    )
    body = {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": name,
            "ownerReferences": owners,
            **metadata,
        },
        "spec": {"containers": [{"name": "c", "resources": {"limits": limits}}], **(spec or {})},
        "status": {"phase": "Running", **(status or {})},
    }
    return msgspec.convert(body, Pod)


def operand(
    name: OperandName, *, ready: bool = True, created: str = "2026-01-01T00:00:00Z", **more: Any
) -> Pod:
    labels = {
        "app.kubernetes.io/component": str(name),
        "aliquot.dev/gpu-policy": "p",
        "aliquot.dev/revision": more.pop("revision", "v1"),
    }
    status = {"conditions": [{"type": "Ready", "status": str(ready)}], **more.pop("status", {})}
    return pod(
        str(name), namespace=OURS, owner="DaemonSet", limits={}, labels=labels, status=status,
        creationTimestamp=created, **more,
    )  # fmt: skip


def seen(
    *pods: Pod,
    of: Policy | None = None,
    labels: Mapping[str, str] | None = None,
    checks: tuple[str, str] | None = None,
    refusals: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> UpgradeNode:
    node = msgspec.convert({"metadata": {"name": "n", "labels": labels, "annotations": annotations}}, Node)
    gpu_node = None
    if checks is not None:
        status, since = checks
        condition = {"type": "ChecksPassed", "status": status, "message": "said", "lastTransitionTime": since}
        gpu_node = msgspec.convert(
            {"metadata": {"name": "n"}, "status": {"conditions": [condition]}}, GPUNode
        )
    return read(OnNode(node, pods, gpu_node, OURS, refusals or {}), "v2", of or policy())


@pytest.mark.parametrize(
    ("one", "counts"),
    [
        (pod(), True),
        (pod(limits={"nvidia.com/gpu.shared": "1"}), True),
        (pod(limits={"nvidia.com/mig-1g.10gb": "1"}), True),
        (pod(limits={"class.aliquot.dev/small": "1"}), True),
        (pod(limits={"cpu": "1"}), False),
        (pod(limits={"nvidia.com/nic": "1"}), False),
        (pod(spec={"initContainers": [{"name": "i", "resources": {"limits": GPU}}]}, limits={}), True),
        (pod(status={"phase": "Succeeded"}), False),
        (pod(status={"phase": "Failed"}), False),
        (pod(status={"phase": "Pending"}), True),
        (pod(owner="DaemonSet"), False),
        (pod(annotations={"kubernetes.io/config.mirror": "x"}), False),
        (pod(namespace=OURS, labels={"app.kubernetes.io/component": "validation-workload"}), False),
        (pod(labels={"app.kubernetes.io/component": "driver"}), True),
    ],
)
def test_who_holds_gpus(one: Pod, counts: bool) -> None:
    assert [found.key for found in seen(one).gpu_pods] == ([f"default/{one.metadata.name}"] if counts else [])


@pytest.mark.parametrize(
    ("one", "field", "value"),
    [
        (pod(), "gang", ""),
        (pod(labels={"aliquot.dev/pod-group": "g"}), "gang", "default/aliquot.dev/pod-group/g"),
        (pod(annotations={"aliquot.dev/pod-group": "g"}), "gang", "default/aliquot.dev/pod-group/g"),
        (pod(spec={"schedulingGroup": {"podGroupName": "g"}}), "gang", "default/g"),
        (pod(owner="Job"), "gang", "default/o"),
        (pod(owner="StatefulSet"), "gang", ""),
        (pod(owner=""), "comes_back", False),
        (pod(), "comes_back", True),
        (pod(spec={"volumes": [{"name": "v", "emptyDir": {}}]}), "has_empty_dir", True),
        (pod(spec={"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]}), "has_empty_dir", False),
        (pod(spec={"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}), "has_empty_dir", False),
        (pod(deletionTimestamp="2026-01-01T00:00:00Z"), "is_going", True),
        (pod(annotations={"aliquot.dev/checkpoint-on-request": "true"}), "can_checkpoint", True),
        (pod(), "can_checkpoint", False),
        (pod(annotations={"aliquot.dev/last-checkpoint": "1970-01-01T00:01:00Z"}), "last_checkpoint_s", 60.0),
        (pod(annotations={"aliquot.dev/last-checkpoint": "just now"}), "last_checkpoint_s", None),
        (pod(annotations={"aliquot.dev/checkpoint-requested": "1970-01-01T00:01:00Z"}), "checkpoint_asked_s", 60.0),
        (pod("refused"), "refusal", "budget b"),
        (pod("other"), "refusal", ""),
    ],
)  # fmt: skip
def test_what_is_known_of_a_pod_with_gpus(one: Pod, field: str, value: object) -> None:
    (found,) = seen(one, refusals={"refused": "budget b"}).gpu_pods
    assert getattr(found, field) == value


JOB = pod("job", owner="Job", spec={"restartPolicy": "Never"})
SERVES = pod("serves", labels={"aliquot.dev/pod-group": "g"})
WEB = pod("web", labels={"app": "web"})


@pytest.mark.parametrize(
    ("jobs", "waited_for"),
    [
        (None, []),
        ({}, ["job"]),
        ({"podSelector": "app=web"}, ["web"]),
        ({"podSelector": "app!=web"}, ["job", "serves"]),
    ],
)
def test_who_is_waited_for(jobs: Mapping[str, str] | None, waited_for: list[str]) -> None:
    of = policy(waitForJobs=jobs) if jobs is not None else policy()
    found = seen(JOB, SERVES, WEB, of=of).gpu_pods
    assert [one.key.removeprefix("default/") for one in found if one.is_waited_for] == waited_for


CPU: dict[str, Any] = {"limits": {"cpu": "1"}}


@pytest.mark.parametrize(
    ("drain", "drained"),
    [(None, []), ({}, ["a", "b"]), ({"podSelector": "app=b"}, ["b"])],
)
def test_who_goes_with_the_whole_node(drain: Mapping[str, str] | None, drained: list[str]) -> None:
    pods = (
        pod("a", **CPU),
        pod("b", labels={"app": "b"}, **CPU),
        pod("skipped", labels={"nvidia.com/gpu-driver-upgrade-drain.skip": "true"}, **CPU),
        pod("daemon", owner="DaemonSet", **CPU),
        pod("mirror", annotations={"kubernetes.io/config.mirror": "x"}, **CPU),
        pod("ended", status={"phase": "Succeeded"}, **CPU),
        operand(OperandName.AGENT),
        pod("with-gpu"),
    )
    of = policy(drain=drain) if drain is not None else policy()
    assert [one.key.removeprefix("default/") for one in seen(*pods, of=of).other_pods] == drained


def test_the_driver() -> None:
    waiting = {"containerStatuses": [{"name": "driver", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "no headers"}}}]}  # fmt: skip
    found = seen(operand(OperandName.DRIVER, ready=False, status=waiting)).driver
    assert found is not None
    assert (found.revision, found.ready, found.restarts, found.uid) == ("v1", False, 4, "driver")
    assert found.message == "CrashLoopBackOff: driver: no headers"
    assert seen(pod()).driver is None


@pytest.mark.parametrize(
    ("name", "restarts", "state", "blocked"),
    [
        ("unload-last-driver", 2, {"waiting": {"reason": "CrashLoopBackOff"}}, True),
        ("unload-last-driver", 3, {"terminated": {"exitCode": 1}}, True),
        ("unload-last-driver", 3, {"running": {}}, True),
        ("unload-last-driver", 3, {"terminated": {"exitCode": 0}}, False),
        ("unload-last-driver", 1, {"waiting": {"reason": "CrashLoopBackOff"}}, False),
        ("another", 3, {"waiting": {"reason": "CrashLoopBackOff"}}, False),
    ],
)
def test_a_driver_that_cannot_unload_the_last(
    name: str, restarts: int, state: Mapping[str, Any], blocked: bool
) -> None:
    status = {"initContainerStatuses": [{"name": name, "restartCount": restarts, "state": state}]}
    driver = operand(OperandName.DRIVER, revision="v2", ready=False, status=status)
    assert seen(driver, operand(OperandName.AGENT)).is_outdated is blocked
    assert seen(driver, pod()).is_outdated is blocked
    assert not seen(driver).is_outdated


def test_of_two_drivers_the_one_that_stays() -> None:
    going = operand(OperandName.DRIVER, revision="v1", deletionTimestamp="2026-01-01T00:00:00Z")
    coming = operand(OperandName.DRIVER, revision="v2", ready=False)
    found = seen(going, coming).driver
    assert found is not None
    assert found.revision == "v2"


@pytest.mark.parametrize("name", [name for name in OperandName if name is not OperandName.DRIVER])
def test_operands_that_use_the_driver_are_its_clients(name: OperandName) -> None:
    assert seen(operand(name)).clients_running
    assert not seen(operand(OperandName.DRIVER)).clients_running


EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
LATE_S = 1_767_225_660.0


@pytest.mark.parametrize(
    ("checks", "validator", "labels", "found"),
    [
        (None, None, {}, (Validation.WAITING, 0.0)),
        (("Unknown", LATE), None, {}, (Validation.WAITING, 0.0)),
        (("False", LATE), None, {}, (Validation.FAILED, LATE_S)),
        (("True", LATE), None, {}, (Validation.PASSED, LATE_S)),
        (("True", EARLY), operand(OperandName.VALIDATOR, created=LATE), {}, (Validation.PASSED, float("inf"))),
        (("True", EARLY), operand(OperandName.VALIDATOR, created=LATE, ready=False), {}, (Validation.PASSED, LATE_S - 60)),
        (("True", EARLY), operand(OperandName.VALIDATOR, created=EARLY), {}, (Validation.PASSED, LATE_S - 60)),
        (None, None, {"nvidia.com/gpu.deploy.operator-validator": "false"}, (Validation.PASSED, float("inf"))),
        (None, None, {"nvidia.com/gpu.deploy.device-plugin": "false"}, (Validation.PASSED, float("inf"))),
    ],
)  # fmt: skip
def test_what_the_validator_says(
    checks: tuple[str, str] | None,
    validator: Pod | None,
    labels: Mapping[str, str],
    found: tuple[Validation, float],
) -> None:
    pods = [operand(OperandName.DRIVER), *([validator] if validator is not None else [])]
    node = seen(*pods, checks=checks, labels=labels)
    assert (node.validation, node.validated_s) == found


@pytest.mark.parametrize(
    ("marks", "field", "value"),
    [
        ({"labels": {"nvidia.com/gpu-driver-upgrade.skip": "true"}}, "is_skipped", True),
        ({"labels": {"nvidia.com/gpu-driver-upgrade-state": "drained"}}, "state", None),
        ({"annotations": {"nvidia.com/gpu-driver-upgrade-requested": "true"}}, "is_requested", True),
        ({"annotations": {"aliquot.dev/driver-upgrade-retry": "true"}}, "is_retried", True),
        ({"annotations": {"aliquot.dev/driver-upgrade": "by hand"}}, "memory", None),
        ({"labels": {"nvidia.com/gpu.compute.major": "3", "nvidia.com/gpu.compute.minor": "7"}}, "misfit",
         "driver 595.91.07 does not know its GPUs: 470 is the last branch for Kepler"),
    ],
)  # fmt: skip
def test_what_a_node_says(marks: Mapping[str, Any], field: str, value: object) -> None:
    assert getattr(seen(**marks), field) == value


def test_a_pod_is_what_it_is_without_a_policy() -> None:
    node = msgspec.convert({"metadata": {"name": "n"}}, Node)
    found = read(OnNode(node, (pod(),), None, OURS, {}), "v2", None)
    assert found.gpu_pods == (GPUPod("default/p"),)
    assert found.misfit == ""
