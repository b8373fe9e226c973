from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import evictions, nodes, pod_garbage
from aliquot.emulator.controllers.event_ttl import EventSeries, EventTimes, last_seen
from aliquot.emulator.controllers.kinds import Crd, CrdNames, CrdSpec, CrdStatus, CrdVersion, built_in, custom
from aliquot.emulator.controllers.namespaces import remaining_conditions
from aliquot.emulator.controllers.types import MetadataOnly, WorkloadCondition
from aliquot.kube.api.core import (
    Node,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    Pod,
    PodSpec,
    PodStatus,
    Taint,
    Toleration,
)
from aliquot.kube.api.meta import ObjectMeta

NOW = 1_767_225_600.0


def node(
    ready: str | None = "True", *, taints: tuple[Taint, ...] = (), cordoned: bool = False, **more: str
) -> Node:
    conditions = [NodeCondition(type=kind, status=status) for kind, status in more.items()]
    if ready is not None:
        conditions.append(NodeCondition(type="Ready", status=ready))
    return Node(
        metadata=ObjectMeta(name="n", creation_timestamp=rfc3339(NOW - 300)),
        spec=NodeSpec(taints=taints, unschedulable=cordoned),
        status=NodeStatus(conditions=tuple(conditions)),
    )


def keys(taints: tuple[Taint, ...] | None) -> list[tuple[str, str]] | None:
    return None if taints is None else [(taint.key, taint.effect) for taint in taints]


GPU = Taint(key="gpu", effect="NoSchedule")
UNREACHABLE = (
    Taint(key=nodes.UNREACHABLE, effect="NoSchedule"),
    Taint(key=nodes.UNREACHABLE, effect="NoExecute"),
)


@pytest.mark.parametrize(
    ("found", "silent_s", "changed", "taints", "again_s"),
    [
        (node(), 0.0, [], None, 40.0),
        (node(), 39.0, [], None, 1.0),
        (node(), 40.0, ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"], None, None),
        (node(None), 59.0, [], None, 1.0),
        (node(None), 60.0, ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"], None, None),
        (
            node("Unknown", MemoryPressure="Unknown", DiskPressure="Unknown", PIDPressure="Unknown"),
            90.0,
            [],
            [(nodes.UNREACHABLE, "NoSchedule"), (nodes.UNREACHABLE, "NoExecute")],
            None,
        ),
        (node("False"), 0.0, [], [(nodes.NOT_READY, "NoSchedule"), (nodes.NOT_READY, "NoExecute")], 40.0),
        (node("True", taints=UNREACHABLE), 0.0, [], [], 40.0),
        (node("True", taints=(GPU, *UNREACHABLE)), 0.0, [], [("gpu", "NoSchedule")], 40.0),
        (node("Unknown", taints=UNREACHABLE), 0.0, [], None, 40.0),
        (node(cordoned=True), 0.0, [], [(nodes.UNSCHEDULABLE, "NoSchedule")], 40.0),
        (node(DiskPressure="True"), 0.0, [], [("node.kubernetes.io/disk-pressure", "NoSchedule")], 40.0),
    ],
)
def test_judging_a_node(
    found: Node,
    silent_s: float,
    changed: list[str],
    taints: list[tuple[str, str]] | None,
    again_s: float | None,
) -> None:
    verdict = nodes.judge(found, silent_s, NOW)
    assert [one["type"] for one in verdict.conditions] == changed
    assert keys(verdict.taints) == taints
    assert verdict.again_s == again_s


@pytest.mark.parametrize(
    ("ready", "reason"), [("True", "NodeStatusUnknown"), (None, "NodeStatusNeverUpdated")]
)
def test_why_a_node_is_unknown(ready: str | None, reason: str) -> None:
    assert nodes.judge(node(ready), 100.0, NOW).conditions[0]["reason"] == reason


EXECUTE = Taint(key="k", value="v", effect="NoExecute")


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        (Toleration(operator="Exists"), True),
        (Toleration(key="k", operator="Exists"), True),
        (Toleration(key="k", operator="Exists", effect="NoExecute"), True),
        (Toleration(key="k", operator="Exists", effect="NoSchedule"), False),
        (Toleration(key="k", value="v"), True),
        (Toleration(key="k", value="w"), False),
        (Toleration(key="j", operator="Exists"), False),
    ],
)
def test_tolerations(toleration: Toleration, expected: bool) -> None:
    assert evictions.tolerates(toleration, EXECUTE) is expected


@pytest.mark.parametrize(
    ("seconds", "since", "expected"),
    [
        ((), NOW, 0.0),
        ((None,), NOW, None),
        ((300,), NOW - 100, 200.0),
        ((300, 50), NOW - 100, -50.0),
        ((None, 300), NOW - 100, 200.0),
    ],
)
def test_patience_with_a_taint(seconds: tuple[int | None, ...], since: float, expected: float | None) -> None:
    tolerations = tuple(Toleration(key="k", operator="Exists", toleration_seconds=limit) for limit in seconds)
    pod = Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(tolerations=tolerations))
    assert evictions.leaves_in_s(pod, {EXECUTE: since}, NOW) == expected


def test_no_taint_no_eviction() -> None:
    assert evictions.leaves_in_s(Pod(metadata=ObjectMeta(name="p")), {}, NOW) is None


def placed(name: str, on: str, phase: str = "Running", *, deleted: bool = False) -> Pod:
    return Pod(
        metadata=ObjectMeta(
            name=name, namespace="ns", uid=name, deletion_timestamp=rfc3339(NOW) if deleted else None
        ),
        spec=PodSpec(node_name=on),
        status=PodStatus(phase=phase),
    )


@pytest.mark.parametrize(
    ("pod", "missing_s", "expected"),
    [
        (placed("a", "there"), 0.0, None),
        (placed("a", "gone"), 39.0, None),
        (placed("a", "gone"), 40.0, True),
        (placed("a", "gone", "Succeeded"), 40.0, False),
        (placed("a", "", "Pending"), 0.0, None),
        (placed("a", "", "Pending", deleted=True), 0.0, False),
    ],
)
def test_pods_that_nobody_else_removes(pod: Pod, missing_s: float, expected: bool | None) -> None:
    removals = pod_garbage.judge([pod], {"there"}, {"gone": NOW - missing_s}, NOW)
    assert [one.lost for one in removals] == ([] if expected is None else [expected])


def test_too_many_ended_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_garbage, "MOST_ENDED", 2)
    ended = [placed(name, "there", "Succeeded") for name in ("c", "a", "b")]
    removals = pod_garbage.judge([*ended, placed("r", "there")], {"there"}, {}, NOW)
    assert [one.pod.metadata.name for one in removals] == ["a"]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (EventTimes(metadata=ObjectMeta(creation_timestamp=rfc3339(5))), 5),
        (EventTimes(metadata=ObjectMeta(creation_timestamp=rfc3339(5)), last_timestamp=rfc3339(9)), 9),
        (
            EventTimes(
                metadata=ObjectMeta(), series=EventSeries(last_observed_time="1970-01-01T00:00:11.5Z")
            ),
            11.5,
        ),
    ],
)
def test_when_an_event_was_last_seen(event: EventTimes, expected: float) -> None:
    assert last_seen(event) == expected


def crd(established: bool, *versions: tuple[str, bool]) -> Crd:
    status = WorkloadCondition(type="Established", status="True" if established else "False")
    return Crd(
        metadata=ObjectMeta(name="w"),
        spec=CrdSpec(
            group="example.com",
            scope="Cluster",
            names=CrdNames(plural="widgets", kind="Widget"),
            versions=tuple(CrdVersion(name=name, served=served) for name, served in versions),
        ),
        status=CrdStatus(conditions=(status,)),
    )


def test_custom_kinds() -> None:
    found = custom(crd(True, ("v1beta1", True), ("v1", True), ("v2", False)))
    assert found is not None
    assert (found.version, found.namespaced) == ("v1", False)
    assert custom(crd(False, ("v1", True))) is None
    assert custom(crd(True, ("v1", False))) is None


def test_built_in_kinds_are_those_that_can_be_listed_and_deleted() -> None:
    names = [found.name for found in built_in()]
    assert "pods" in names
    assert "events" in names
    assert "events.events.k8s.io" not in names
    assert "subjectaccessreviews.authorization.k8s.io" not in names


def said(left: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.message) for one in remaining_conditions((), left, NOW)}


def test_what_a_terminating_namespace_says() -> None:
    pod = MetadataOnly(metadata=ObjectMeta(name="p", finalizers=("x/y",)))
    found = said({"pods": [pod], "jobs.batch": [pod, pod]})
    assert found["NamespaceContentRemaining"] == (
        "True",
        "Some resources are remaining: pods. has 1 resource instances, jobs.batch has 2 resource instances",
    )
    assert found["NamespaceFinalizersRemaining"] == (
        "True",
        "Some content in the namespace has finalizers remaining: x/y in 3 resource instances",
    )
    assert said({})["NamespaceContentRemaining"] == ("False", "All content successfully removed")
