from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import pods
from aliquot.emulator.controllers.replica_sets import BURST, plan, status
from aliquot.emulator.controllers.types import (
    ReplicaSet,
    ReplicaSetSpec,
    ReplicationController,
    WorkloadCondition,
)
from aliquot.kube.api.core import ContainerStatus, Pod, PodCondition, PodSpec, PodStatus
from aliquot.kube.api.meta import ObjectMeta

NOW = 1_767_225_600.0


def pod(
    name: str,
    *,
    phase: str = "Running",
    ready: float | None = NOW - 100,
    node: str = "n1",
    deleted: bool = False,
    cost: str = "",
    restarts: int = 0,
    created: float = NOW - 200,
    labels: dict[str, str] | None = None,
) -> Pod:
    conditions = (
        (PodCondition(type="Ready", status="True", last_transition_time=rfc3339(ready)),)
        if ready is not None
        else ()
    )
    return Pod(
        metadata=ObjectMeta(
            name=name,
            uid=name,
            creation_timestamp=rfc3339(created),
            deletion_timestamp=rfc3339(NOW) if deleted else None,
            annotations={pods.DELETION_COST: cost} if cost else None,
            labels=labels,
        ),
        spec=PodSpec(node_name=node),
        status=PodStatus(
            phase=phase,
            conditions=conditions,
            container_statuses=(ContainerStatus(name="main", restart_count=restarts),),
        ),
    )


def replica_set(replicas: int, *, min_ready_seconds: int = 0, deleted: bool = False) -> ReplicaSet:
    return ReplicaSet(
        metadata=ObjectMeta(name="rs", generation=3, deletion_timestamp=rfc3339(NOW) if deleted else None),
        spec=ReplicaSetSpec(
            replicas=replicas,
            min_ready_seconds=min_ready_seconds,
            template={"metadata": {"labels": {"app": "web"}}},
        ),
    )


@pytest.mark.parametrize(
    ("replicas", "held", "create", "delete"),
    [
        (2, [], 2, []),
        (2, [pod("a"), pod("b")], 0, []),
        (2, [pod("a"), pod("b", phase="Failed")], 1, []),
        (2, [pod("a"), pod("b", phase="Succeeded")], 1, []),
        (2, [pod("a"), pod("b", deleted=True)], 1, []),
        (1, [pod("a"), pod("b", ready=None)], 0, ["b"]),
        (0, [pod("a"), pod("b", phase="Failed")], 0, ["a"]),
        (BURST + 7, [], BURST, []),
    ],
)
def test_number_of_pods(replicas: int, held: list[Pod], create: int, delete: list[str]) -> None:
    wanted = plan(replica_set(replicas), held, dict)
    assert (wanted.create, [found.metadata.name for found in wanted.delete]) == (create, delete)


def test_a_deleted_replica_set_does_nothing() -> None:
    assert plan(replica_set(3, deleted=True), [], dict).create == 0


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (pod("z", node=""), pod("a")),
        (pod("z", phase="Pending"), pod("a")),
        (pod("z", ready=None), pod("a")),
        (pod("z", cost="-1"), pod("a")),
        (pod("z", node="crowded"), pod("a")),
        (pod("z", ready=NOW - 5), pod("a", ready=NOW - 50)),
        (pod("z", restarts=2), pod("a")),
        (pod("z", created=NOW - 10), pod("a")),
        (pod("a"), pod("z")),
    ],
)
def test_whose_loss_costs_least_goes_first(first: Pod, then: Pod) -> None:
    ordered = pods.in_order_of_deletion([then, first], {"crowded": 2, "n1": 1})
    assert [found.metadata.name for found in ordered] == [first.metadata.name, then.metadata.name]


@pytest.mark.parametrize(
    ("min_ready_seconds", "held", "expected", "again_s"),
    [
        (0, [], {"replicas": 0, "readyReplicas": None, "availableReplicas": None}, None),
        (
            0,
            [pod("a"), pod("b", ready=None)],
            {"replicas": 2, "readyReplicas": 1, "availableReplicas": 1},
            None,
        ),
        (
            30,
            [pod("a", ready=NOW - 10)],
            {"replicas": 1, "readyReplicas": 1, "availableReplicas": None},
            20.0,
        ),
        (30, [pod("a", ready=NOW - 40)], {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}, None),
        (0, [pod("a", labels={"app": "web", "x": "y"})], {"fullyLabeledReplicas": 1}, None),
        (0, [pod("a", labels={"app": "db"})], {"fullyLabeledReplicas": None}, None),
    ],
)
def test_status(
    min_ready_seconds: int, held: list[Pod], expected: dict[str, Any], again_s: float | None
) -> None:
    written, wait_s = status(replica_set(2, min_ready_seconds=min_ready_seconds), held, NOW, None)
    assert expected.items() <= written.items()
    assert written["observedGeneration"] == 3
    assert wait_s == again_s


GOING = [pod("a"), pod("b", deleted=True), pod("c", deleted=True), pod("d", deleted=True, phase="Failed")]


def test_those_that_are_going_and_have_not_ended_are_counted() -> None:
    assert status(replica_set(1), GOING, NOW, None)[0]["terminatingReplicas"] == 2
    assert status(replica_set(1), GOING[:1], NOW, None)[0]["terminatingReplicas"] == 0


def test_a_replication_controller_does_not_count_them() -> None:
    elder = ReplicationController(metadata=ObjectMeta(name="rc", generation=3))
    assert "terminatingReplicas" not in status(elder, GOING, NOW, None)[0]


def test_failure_is_a_condition() -> None:
    failure = WorkloadCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message="no")
    written, _ = status(replica_set(2), [], NOW, failure)
    assert written["conditions"] == [
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate",
            "message": "no",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ]
