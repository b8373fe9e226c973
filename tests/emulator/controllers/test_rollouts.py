from typing import Any

import msgspec
import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import deployment_status, revisions, rollouts
from aliquot.emulator.controllers.rollouts import Limits
from aliquot.emulator.controllers.types import (
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    RollingUpdate,
    UpdateStrategy,
    WorkloadCondition,
)
from aliquot.kube.api.meta import ObjectMeta

NOW = 1_767_225_600.0


def template(image: str = "i:1") -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "m", "image": image}]}}


def deployment(
    replicas: int = 4,
    *,
    surge: int | str | None = None,
    unavailable: int | str | None = None,
    recreate: bool = False,
    paused: bool = False,
    status: DeploymentStatus = DeploymentStatus(),  # noqa: B008 - frozen
    **annotations: str,
) -> Deployment:
    strategy = UpdateStrategy(
        type="Recreate" if recreate else "RollingUpdate",
        rolling_update=RollingUpdate(max_surge=surge, max_unavailable=unavailable),
    )
    return Deployment(
        metadata=ObjectMeta(name="web", namespace="ns", uid="d", generation=2, annotations=annotations),
        spec=DeploymentSpec(
            replicas=replicas,
            strategy=strategy,
            paused=paused,
            template=template(),
            selector={"matchLabels": {"app": "web"}},
        ),
        status=status,
    )


def sized(
    name: str,
    size: int,
    available: int | None = None,
    *,
    desired: int = 4,
    maximum: int = 5,
    age: float = 0.0,
    image: str = "i:0",
    annotations: dict[str, str] | None = None,
) -> ReplicaSet:
    noted = {revisions.DESIRED: str(desired), revisions.MAXIMUM: str(maximum), **(annotations or {})}
    there = size if available is None else available
    return ReplicaSet(
        metadata=ObjectMeta(
            name=name, uid=name, creation_timestamp=rfc3339(NOW - age), annotations=noted, generation=1
        ),
        spec=ReplicaSetSpec(replicas=size, template=template(image)),
        status=ReplicaSetStatus(
            replicas=size, ready_replicas=there, available_replicas=there, observed_generation=1
        ),
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (deployment(4), Limits(1, 1)),
        (deployment(10), Limits(3, 2)),
        (deployment(1), Limits(1, 0)),
        (deployment(10, surge="50%", unavailable=0), Limits(5, 0)),
        (deployment(10, surge=0, unavailable="5%"), Limits(0, 1)),
        (deployment(2, surge=0, unavailable=5), Limits(0, 2)),
        (deployment(3, recreate=True), Limits(0, 0)),
    ],
)
def test_limits(found: Deployment, expected: Limits) -> None:
    assert rollouts.limits(found) == expected


@pytest.mark.parametrize(
    ("found", "new", "old", "expected"),
    [
        # A first rollout has all its room at once.
        (deployment(4), sized("new", 0), [], {"new": 4}),
        (deployment(4), sized("new", 4), [], {}),
        # Grow by the surge, then shrink by what is available beyond the least.
        (deployment(4), sized("new", 0), [sized("old", 4)], {"new": 1}),
        (deployment(4), sized("new", 1, 0), [sized("old", 4)], {"old": 3}),
        (deployment(4), sized("new", 1, 1), [sized("old", 3)], {"new": 2}),
        (deployment(4), sized("new", 2, 2), [sized("old", 3)], {"old": 1}),
        (deployment(4), sized("new", 4, 4), [sized("old", 1)], {"old": 0}),
        # No surge: shrink first.
        (deployment(4, surge=0, unavailable=1), sized("new", 0), [sized("old", 4)], {"old": 3}),
        (deployment(4, surge=0, unavailable=1), sized("new", 1, 0), [sized("old", 3)], {}),
        # What does not work goes first, and costs no availability.
        (deployment(4, surge=1, unavailable=0), sized("new", 1, 1), [sized("old", 4, 1)], {"old": 3}),
        (
            deployment(4, surge=1, unavailable=1),
            sized("new", 1, 1),
            [sized("older", 2, 0, age=20), sized("old", 2, 2, age=10)],
            {"older": 0},
        ),
        # Too many: shrink to what is asked for.
        (deployment(4), sized("new", 6, desired=4), [], {"new": 4}),
    ],
)
def test_rolling_update(
    found: Deployment, new: ReplicaSet, old: list[ReplicaSet], expected: dict[str, int]
) -> None:
    assert rollouts.wanted_sizes(found, new, old, old_pods_remain=False) == expected


@pytest.mark.parametrize(
    ("new", "old", "remain", "expected"),
    [
        (sized("new", 0), [sized("old", 4)], True, {"old": 0}),
        (sized("new", 0), [sized("old", 0)], True, {}),
        (sized("new", 0), [sized("old", 0)], False, {"new": 4}),
    ],
)
def test_recreate_ends_the_old_before_the_new_begins(
    new: ReplicaSet, old: list[ReplicaSet], remain: bool, expected: dict[str, int]
) -> None:
    found = deployment(4, recreate=True)
    assert rollouts.wanted_sizes(found, new, old, old_pods_remain=remain) == expected


@pytest.mark.parametrize(
    ("found", "new", "old", "expected"),
    [
        (deployment(6), sized("new", 4), [], {"new": 6}),
        (deployment(0), sized("new", 4), [], {"new": 0}),
        # In the middle of a rollout the change is shared out.
        (
            deployment(20, surge=2, unavailable=0),
            sized("new", 6, desired=10, maximum=12),
            [sized("old", 6, desired=10, maximum=12, age=10)],
            {"new": 11, "old": 11},
        ),
        (
            deployment(5, surge=1, unavailable=0),
            sized("new", 3, desired=10, maximum=11),
            [sized("old", 8, desired=10, maximum=11, age=10)],
            {"new": 2, "old": 4},
        ),
        (deployment(0), sized("new", 2), [sized("old", 2, age=10)], {"new": 0, "old": 0}),
    ],
)
def test_change_of_replicas(
    found: Deployment, new: ReplicaSet, old: list[ReplicaSet], expected: dict[str, int]
) -> None:
    assert rollouts.wanted_sizes(found, new, old, old_pods_remain=False) == expected


def test_a_paused_deployment_is_resized_and_not_rolled() -> None:
    found = deployment(6, paused=True)
    assert rollouts.wanted_sizes(found, sized("new", 0), [sized("old", 4)], old_pods_remain=False) == {
        "old": 6
    }
    assert rollouts.wanted_sizes(found, sized("new", 0), [sized("old", 6)], old_pods_remain=False) == {}


def test_template_hash_is_stable_and_has_no_vowels() -> None:
    one = revisions.template_hash(template(), 0)
    assert one == revisions.template_hash(template(), 0)
    assert one != revisions.template_hash(template(), 1)
    assert one != revisions.template_hash(template("i:2"), 0)
    assert set(one) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_the_current_replica_set_has_the_template_whatever_its_hash() -> None:
    body = revisions.new_replica_set(deployment(), [], 4, 5)
    labelled = ReplicaSet(
        metadata=ObjectMeta(name="x"), spec=ReplicaSetSpec(template=body["spec"]["template"])
    )
    assert revisions.current(deployment(), [sized("old", 1), labelled]) is labelled
    assert revisions.current(deployment(), [sized("old", 1)]) is None


def test_new_replica_set() -> None:
    old = sized("old", 4, annotations={revisions.REVISION: "6"})
    body = revisions.new_replica_set(deployment(4, note="x"), [old], 1, 5)
    digest = body["metadata"]["labels"][revisions.HASH_LABEL]
    assert body["metadata"]["name"] == f"web-{digest}"
    assert body["metadata"]["annotations"] == {
        "note": "x",
        revisions.REVISION: "7",
        revisions.DESIRED: "4",
        revisions.MAXIMUM: "5",
    }
    assert body["spec"]["selector"]["matchLabels"] == {"app": "web", revisions.HASH_LABEL: digest}
    assert body["spec"]["template"]["metadata"]["labels"] == {"app": "web", revisions.HASH_LABEL: digest}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({revisions.REVISION: "4"}, {}),
        ({}, {revisions.REVISION: "4"}),
        ({revisions.REVISION: "1"}, {revisions.REVISION: "4", revisions.REVISION_HISTORY: "1"}),
        (
            {revisions.REVISION: "2", revisions.REVISION_HISTORY: "1"},
            {revisions.REVISION: "4", revisions.REVISION_HISTORY: "1,2"},
        ),
    ],
)
def test_a_template_that_is_used_again_moves_to_the_end(
    annotations: dict[str, str], expected: dict[str, str]
) -> None:
    old = [sized("old", 0, annotations={revisions.REVISION: "3"})]
    assert revisions.annotations_due(deployment(), sized("new", 1, annotations=annotations), old) == expected


def test_history_beyond_its_limit() -> None:
    old = [sized(f"r{number}", 0, annotations={revisions.REVISION: str(number)}) for number in (3, 1, 2)]
    busy = sized("busy", 1, annotations={revisions.REVISION: "0"})
    found = Deployment(metadata=ObjectMeta(name="web"), spec=DeploymentSpec(revision_history_limit=2))
    assert [one.metadata.name for one in revisions.surplus(found, [*old, busy])] == ["r1", "r2"]


def condition(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    found = next(one for one in status["conditions"] if one["type"] == kind)
    return found["status"], found["reason"], found.get("message", "")


def test_status_of_a_new_deployment() -> None:
    written, again_s = deployment_status.status(deployment(4), [], None, "web-x", NOW)
    assert condition(written, "Progressing") == (
        "True",
        "NewReplicaSetCreated",
        'Created new replica set "web-x"',
    )
    assert condition(written, "Available")[:2] == ("False", "MinimumReplicasUnavailable")
    assert again_s == 601.0


def test_status_of_a_complete_deployment() -> None:
    new = sized("web-x", 4)
    written, again_s = deployment_status.status(deployment(4), [new], new, "", NOW)
    assert condition(written, "Progressing") == (
        "True",
        "NewReplicaSetAvailable",
        'ReplicaSet "web-x" has successfully progressed.',
    )
    assert condition(written, "Available")[:2] == ("True", "MinimumReplicasAvailable")
    assert {"replicas": 4, "updatedReplicas": 4, "unavailableReplicas": None}.items() <= written.items()
    assert again_s is None


def test_a_deployment_counts_the_pods_that_are_going_of_all_its_replica_sets() -> None:
    new = sized("new", 4)
    parting = [
        msgspec.structs.replace(
            found, status=msgspec.structs.replace(found.status, terminating_replicas=count)
        )
        for found, count in ((sized("old", 0), 2), (sized("older", 0), 1))
    ]
    written, _ = deployment_status.status(deployment(4), [new, *parting], new, "", NOW)
    assert written["terminatingReplicas"] == 3
    assert deployment_status.status(deployment(4), [new], new, "", NOW)[0]["terminatingReplicas"] == 0


def progressing(reason: str, since: float, status: str = "True") -> DeploymentStatus:
    stamp = rfc3339(since)
    found = WorkloadCondition(
        type="Progressing", status=status, reason=reason, last_update_time=stamp, last_transition_time=stamp
    )
    return DeploymentStatus(replicas=4, updated_replicas=4, conditions=(found,))


@pytest.mark.parametrize(
    ("reason", "since", "expected"),
    [
        ("ReplicaSetUpdated", NOW - 599, "ReplicaSetUpdated"),
        ("ReplicaSetUpdated", NOW - 600, "ProgressDeadlineExceeded"),
        ("NewReplicaSetAvailable", NOW - 6000, "NewReplicaSetAvailable"),
    ],
)
def test_progress_deadline(reason: str, since: float, expected: str) -> None:
    new = sized("web-x", 4, 0)
    written, _ = deployment_status.status(
        deployment(4, status=progressing(reason, since)), [new], new, "", NOW
    )
    assert condition(written, "Progressing")[1] == expected


def test_paused_and_resumed() -> None:
    new = sized("web-x", 4, 0)
    paused = deployment(4, paused=True, status=progressing("ReplicaSetUpdated", NOW - 6000))
    written, again_s = deployment_status.status(paused, [new], new, "", NOW)
    assert condition(written, "Progressing")[:2] == ("Unknown", "DeploymentPaused")
    assert again_s is None
    resumed = deployment(4, status=progressing("DeploymentPaused", NOW - 6000, "Unknown"))
    written, _ = deployment_status.status(resumed, [new], new, "", NOW)
    assert condition(written, "Progressing")[:2] == ("Unknown", "DeploymentResumed")
