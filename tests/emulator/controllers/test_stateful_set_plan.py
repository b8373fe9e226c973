from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import revision_history, stateful_claims
from aliquot.emulator.controllers.revision_history import POD_LABEL
from aliquot.emulator.controllers.stateful_set_plan import (
    INDEX_LABEL,
    NAME_LABEL,
    Birth,
    Revisions,
    plan,
    pod_of,
)
from aliquot.emulator.controllers.types import (
    ClaimRetention,
    ControllerRevision,
    MetadataOnly,
    Ordinals,
    StatefulSet,
    StatefulSetRollingUpdate,
    StatefulSetSpec,
    StatefulSetStatus,
    StatefulSetStrategy,
)
from aliquot.kube.api.core import Pod, PodCondition, PodStatus
from aliquot.kube.api.meta import ObjectMeta, OwnerReference

NOW = 1_767_225_600.0
OLD, NEW = "web-old", "web-new"
UPDATING = Revisions(OLD, NEW)
SETTLED = Revisions(NEW, NEW)
ON_DELETE = StatefulSetStrategy(type="OnDelete")


def rolling(partition: int = 0, max_unavailable: int | str | None = None) -> StatefulSetStrategy:
    moving = StatefulSetRollingUpdate(partition=partition, max_unavailable=max_unavailable)
    return StatefulSetStrategy(rolling_update=moving)


def stateful_set(replicas: int = 3, *, deleted: bool = False, current: int = 0, **spec: Any) -> StatefulSet:
    return StatefulSet(
        metadata=ObjectMeta(
            name="web",
            namespace="ns",
            uid="set",
            generation=2,
            deletion_timestamp=rfc3339(NOW) if deleted else None,
        ),
        spec=StatefulSetSpec(replicas=replicas, **{"update_strategy": rolling(), **spec}),
        status=StatefulSetStatus(current_replicas=current),
    )


def pod(
    number: int,
    revision: str = NEW,
    *,
    ready: bool = True,
    phase: str = "Running",
    deleted: bool = False,
    since: float = NOW - 100,
    marked: bool = True,
) -> Pod:
    name = f"web-{number}"
    labels = {POD_LABEL: revision} | ({NAME_LABEL: name} if marked else {})
    condition = PodCondition(type="Ready", status="True", last_transition_time=rfc3339(since))
    return Pod(
        metadata=ObjectMeta(
            name=name, uid=name, labels=labels, deletion_timestamp=rfc3339(NOW) if deleted else None
        ),
        status=PodStatus(phase=phase, conditions=(condition,) if ready else ()),
    )


PARALLEL: dict[str, Any] = {"pod_management_policy": "Parallel"}


@pytest.mark.parametrize(
    ("found", "held", "create", "delete"),
    [
        # In order: one at a time, each after those before it are available.
        (stateful_set(), [], [0], []),
        (stateful_set(), [pod(0, ready=False)], [], []),
        (stateful_set(), [pod(0)], [1], []),
        (stateful_set(), [pod(0), pod(2)], [1], []),
        (stateful_set(), [pod(0), pod(1, deleted=True)], [], []),
        (stateful_set(min_ready_seconds=200), [pod(0)], [], []),
        (stateful_set(ordinals=Ordinals(start=5)), [pod(5)], [6], []),
        # A pod that ended is deleted, and made again once it is gone.
        (stateful_set(), [pod(0), pod(1, phase="Failed", ready=False)], [], [1]),
        (stateful_set(), [pod(0), pod(1, phase="Succeeded", ready=False, deleted=True)], [], []),
        # Shrinking: from the top, one at a time, no second one while one is unwell.
        (stateful_set(1), [pod(0), pod(1), pod(2)], [], [2]),
        (stateful_set(1), [pod(0), pod(1), pod(2, deleted=True)], [], []),
        (stateful_set(1), [pod(0), pod(1), pod(2, ready=False)], [], [2]),
        (stateful_set(1), [pod(0), pod(1, ready=False), pod(2, ready=False)], [], []),
        (stateful_set(1), [pod(0, ready=False), pod(1)], [], []),
        (stateful_set(0), [pod(0)], [], [0]),
        (stateful_set(1, ordinals=Ordinals(start=1)), [pod(0), pod(1)], [], [0]),
        # In parallel nobody waits.
        (stateful_set(**PARALLEL), [], [0, 1, 2], []),
        (stateful_set(**PARALLEL), [pod(1, ready=False)], [0, 2], []),
        (stateful_set(1, **PARALLEL), [pod(0, ready=False), pod(1), pod(2)], [], [1, 2]),
        (stateful_set(deleted=True), [pod(0)], [], []),
    ],
)
def test_number_of_pods(found: StatefulSet, held: list[Pod], create: list[int], delete: list[int]) -> None:
    wanted = plan(found, held, SETTLED, NOW)
    assert [birth.ordinal for birth in wanted.create] == create
    assert sorted(one.metadata.name for one in wanted.delete) == [f"web-{number}" for number in delete]


OLD_ONES = [pod(0, OLD), pod(1, OLD), pod(2, OLD)]


@pytest.mark.parametrize(
    ("found", "held", "delete"),
    [
        (stateful_set(), OLD_ONES, [2]),
        (stateful_set(update_strategy=StatefulSetStrategy()), OLD_ONES, [2]),
        (stateful_set(), [pod(0, OLD), pod(1, OLD), pod(2)], [1]),
        (stateful_set(), [pod(0, OLD), pod(1, OLD), pod(2, ready=False)], []),
        (stateful_set(update_strategy=rolling(partition=2)), [pod(0, OLD), pod(1, OLD), pod(2)], []),
        (stateful_set(update_strategy=rolling(partition=1)), OLD_ONES, [2]),
        (stateful_set(update_strategy=ON_DELETE), OLD_ONES, []),
        (stateful_set(update_strategy=rolling(max_unavailable=2)), OLD_ONES, [1, 2]),
        (stateful_set(update_strategy=rolling(max_unavailable="34%")), OLD_ONES, [2]),
        (stateful_set(update_strategy=rolling(max_unavailable="10%")), OLD_ONES, [2]),
        # What is broken anyway goes, whatever the budget says: else a bad update could not be taken back.
        (stateful_set(**PARALLEL), [pod(0, OLD), pod(1, OLD), pod(2, OLD, ready=False)], [2]),
        (stateful_set(**PARALLEL), [pod(0, OLD), pod(1, OLD), pod(2, ready=False)], []),
        (stateful_set(2), OLD_ONES, [2]),
    ],
)
def test_updates(found: StatefulSet, held: list[Pod], delete: list[int]) -> None:
    wanted = plan(found, held, UPDATING, NOW)
    assert sorted(one.metadata.name for one in wanted.delete) == [f"web-{number}" for number in delete]
    assert wanted.create == ()


@pytest.mark.parametrize(
    ("found", "held", "birth"),
    [
        (stateful_set(), [pod(0, OLD)], Birth(1, NEW)),
        # Below the partition, and without one among those not reached yet, the old revision comes again.
        (stateful_set(update_strategy=rolling(partition=2)), [pod(0, OLD)], Birth(1, OLD)),
        (stateful_set(update_strategy=rolling(partition=1)), [pod(0, OLD)], Birth(1, NEW)),
        (stateful_set(current=2, update_strategy=StatefulSetStrategy()), [pod(0, OLD)], Birth(1, OLD)),
        (stateful_set(current=1, update_strategy=StatefulSetStrategy()), [pod(0, OLD)], Birth(1, NEW)),
        (stateful_set(update_strategy=ON_DELETE), [pod(0, OLD)], Birth(1, NEW)),
        (
            stateful_set(ordinals=Ordinals(start=4), update_strategy=rolling(partition=2)),
            [pod(4, OLD)],
            Birth(5, OLD),
        ),
    ],
)
def test_revision_of_a_new_pod(found: StatefulSet, held: list[Pod], birth: Birth) -> None:
    assert plan(found, held, UPDATING, NOW).create == (birth,)


@pytest.mark.parametrize(
    ("found", "held", "expected"),
    [
        (
            stateful_set(),
            [pod(0, OLD), pod(1, OLD), pod(2, ready=False)],
            {"replicas": 3, "readyReplicas": 2, "currentReplicas": 2, "updatedReplicas": 1, "currentRevision": OLD},
        ),
        # All are new and ready: the update is over.
        (
            stateful_set(),
            [pod(0), pod(1), pod(2)],
            {"currentReplicas": 3, "updatedReplicas": 3, "currentRevision": NEW, "updateRevision": NEW},
        ),
        (stateful_set(2), [pod(0), pod(1), pod(2)], {"replicas": 3, "currentRevision": OLD}),
        (
            stateful_set(update_strategy=ON_DELETE),
            [pod(0), pod(1), pod(2)],
            {"currentRevision": OLD, "currentReplicas": None, "updatedReplicas": 3},
        ),
        (
            stateful_set(min_ready_seconds=30),
            [pod(0), pod(1, since=NOW - 10)],
            {"readyReplicas": 2, "availableReplicas": 1},
        ),
    ],
)  # fmt: skip
def test_status(found: StatefulSet, held: list[Pod], expected: dict[str, Any]) -> None:
    written = plan(found, held, UPDATING, NOW).status
    assert expected.items() <= written.items()
    assert written["observedGeneration"] == 2


def test_waits_for_pods_to_prove_themselves() -> None:
    held = [pod(0), pod(1, since=NOW - 10)]
    assert plan(stateful_set(min_ready_seconds=30), held, SETTLED, NOW).again_s == 20.0


def test_a_pod_without_its_marks_gets_them() -> None:
    wanted = plan(stateful_set(1), [pod(0, marked=False)], SETTLED, NOW)
    assert [one.metadata.name for one in wanted.relabel] == ["web-0"]


TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [], "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]},
}  # fmt: skip


def claiming(**policy: str) -> StatefulSet:
    return stateful_set(
        1,
        service_name="peers",
        selector={"matchLabels": {"app": "web"}},
        volume_claim_templates=(
            {"metadata": {"name": "data", "labels": {"x": "y"}}, "spec": {"accessModes": ["ReadWriteOnce"]}},
        ),
        persistent_volume_claim_retention_policy=ClaimRetention(**policy),
    )


def test_a_pod_has_its_name_and_its_claims() -> None:
    made = pod_of(claiming(), TEMPLATE, Birth(4, NEW), {"uid": "set"})
    assert made["metadata"] == {
        "name": "web-4",
        "namespace": "ns",
        "labels": {"app": "web", NAME_LABEL: "web-4", INDEX_LABEL: "4", POD_LABEL: NEW},
        "ownerReferences": [{"uid": "set"}],
    }
    assert (made["spec"]["hostname"], made["spec"]["subdomain"]) == ("web-4", "peers")
    assert made["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-4"}},
        {"name": "tmp", "emptyDir": {}},
    ]


def test_claims() -> None:
    assert stateful_claims.bodies(claiming(), 4) == [
        {
            "metadata": {"name": "data-web-4", "namespace": "ns", "labels": {"x": "y", "app": "web"}},
            "spec": {"accessModes": ["ReadWriteOnce"]},
        }
    ]


def owned_by(*uids: str, controller: bool = False) -> MetadataOnly:
    owners = tuple(
        OwnerReference(api_version="v1", kind="K", name=uid, uid=uid, controller=controller) for uid in uids
    )
    return MetadataOnly(metadata=ObjectMeta(name="data-web-0", owner_references=owners or None))


KEEP = {"when_deleted": "Retain", "when_scaled": "Retain"}
WITH_SET = {"when_deleted": "Delete", "when_scaled": "Retain"}
WITH_SURPLUS = {"when_deleted": "Retain", "when_scaled": "Delete"}
NEVER_KEEP = {"when_deleted": "Delete", "when_scaled": "Delete"}


@pytest.mark.parametrize(
    ("policy", "number", "claim", "owners"),
    [
        (KEEP, 0, owned_by(), None),
        (KEEP, 0, owned_by("set"), []),
        (WITH_SET, 0, owned_by(), ["set"]),
        (WITH_SET, 0, owned_by("set"), None),
        (WITH_SET, 1, owned_by("set", "web-1"), ["set"]),
        (WITH_SURPLUS, 0, owned_by(), None),
        (WITH_SURPLUS, 1, owned_by(), ["web-1"]),
        (WITH_SURPLUS, 0, owned_by("web-0"), []),
        (NEVER_KEEP, 0, owned_by(), ["set"]),
        (NEVER_KEEP, 1, owned_by("set"), ["web-1"]),
        (NEVER_KEEP, 0, owned_by("other"), ["other", "set"]),
        (NEVER_KEEP, 0, owned_by("other", controller=True), None),
    ],
)
def test_who_owns_a_claim(
    policy: dict[str, str], number: int, claim: MetadataOnly, owners: list[str] | None
) -> None:
    found = stateful_claims.owners_due(claiming(**policy), pod(number), claim)
    assert (None if found is None else [owner["uid"] for owner in found]) == owners


def revision(number: int, image: str = "i:1") -> ControllerRevision:
    template = {"spec": {"containers": [{"name": "c", "image": image}]}}
    return ControllerRevision(
        metadata=ObjectMeta(name=f"web-{number}"), revision=number, data=revision_history.data(template)
    )


def test_a_revision_keeps_a_template() -> None:
    assert revision(1).data == {
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i:1"}]}, "$patch": "replace"}}
    }
    assert revision_history.equal(revision(1), revision_history.template_of(revision(2)))
    assert not revision_history.equal(revision(1), revision_history.template_of(revision(2, "i:2")))


def test_history_is_kept_up_to_its_limit() -> None:
    held = [revision(number) for number in (3, 1, 4, 2, 5)]
    dropped = revision_history.surplus(held, {"web-5", "web-1"}, 2)
    assert [one.metadata.name for one in dropped] == ["web-2"]
