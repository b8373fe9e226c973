"""What is made of the pods on a node."""

from typing import Any

import msgspec
import pytest

from aliquot.kube.api.core import Pod
from aliquot.operator.core.operands import POLICY_LABEL, OperandName
from aliquot.operator.core.pods import operand_pods, read
from aliquot.operator.core.progress import OperandPod
from aliquot.operator.core.rendering.pods import OPERAND_LABEL, REVISION_LABEL

OURS = {OPERAND_LABEL: "driver", POLICY_LABEL: "p", REVISION_LABEL: "new"}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def pod(
    status: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
    *,
    namespace: str = "here",
    going: bool = False,
) -> Pod:
    metadata: dict[str, Any] = {"name": "x", "namespace": namespace, "labels": {**OURS, **(labels or {})}}
    if going:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return msgspec.convert({"metadata": metadata, "status": status or {}}, Pod)


def waits(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"name": "c", "state": {"waiting": {"reason": reason, "message": message}}, **more}


ENDED = {"terminated": {"exitCode": 3, "message": "one\nno such device\n"}}
CASES: dict[str, tuple[dict[str, Any], OperandPod]] = {
    "nothing is known": ({}, OperandPod(False)),
    "it is ready": (READY, OperandPod(True)),
    "it starts": ({"containerStatuses": [waits("ContainerCreating")]}, OperandPod(False)),
    "no image": (
        {"containerStatuses": [waits("ImagePullBackOff", "not found")]},
        OperandPod(False, reason="ImagePullBackOff", message="c: not found"),
    ),
    "its first container fails": (
        {"initContainerStatuses": [waits("CrashLoopBackOff", restartCount=2, lastState=ENDED)], "containerStatuses": [waits("PodInitializing")]},
        OperandPod(False, reason="CrashLoopBackOff", message="c: it ended with code 3, 2 times: no such device"),
    ),
    "it ends again and again": (
        {"containerStatuses": [waits("CrashLoopBackOff", "back-off 20s restarting failed container", restartCount=2, lastState=ENDED)]},
        OperandPod(False, reason="CrashLoopBackOff", message="c: it ended with code 3, 2 times: no such device"),
    ),
    "it runs again": (
        {"containerStatuses": [{"name": "c", "state": {"running": {}}, "restartCount": 2, "lastState": ENDED}]},
        OperandPod(False, reason="Starting", message="c: it ended with code 3, 2 times: no such device; it was started again"),
    ),
    "it fits nowhere": (
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"}]},
        OperandPod(False, reason="Unschedulable", message="no cpu"),
    ),
    "it was evicted": (
        {"phase": "Failed", "reason": "Evicted", "message": "disk"},
        OperandPod(False, reason="Evicted", message="disk"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("status", "is_read"), CASES.values(), ids=CASES)
def test_how_it_is(status: dict[str, Any], is_read: OperandPod) -> None:
    assert read(pod(status), "new") == is_read


def test_made_from_what_was_before() -> None:
    assert read(pod(READY), "newer").is_current is False
    assert read(pod(READY), "").is_current is True


NEW = OperandPod(False)
OLD = OperandPod(True, is_current=False, is_going=True)


@pytest.mark.parametrize(
    ("pods", "found"),
    [
        ([], None),
        ([pod()], NEW),
        ([pod(READY, {REVISION_LABEL: "old"}, going=True), pod()], NEW),
        ([pod(), pod(READY, {REVISION_LABEL: "old"}, going=True)], NEW),
        ([pod(READY, {REVISION_LABEL: "old"}, going=True)], OLD),
        ([pod(namespace="elsewhere")], None),
        ([pod(labels={POLICY_LABEL: "q"})], None),
        ([pod(labels={OPERAND_LABEL: "validation-workload"})], None),
    ],
)
def test_which_counts(pods: list[Pod], found: OperandPod | None) -> None:
    seen = operand_pods(pods, "p", "here", {OperandName.DRIVER: "new"})
    assert seen == ({OperandName.DRIVER: found} if found is not None else {})
