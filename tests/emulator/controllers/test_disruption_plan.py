from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.controllers.disruption_plan import asks_for_scale, failed, plan
from aliquot.emulator.controllers.types import (
    BudgetCondition,
    DisruptionBudget,
    DisruptionBudgetSpec,
    DisruptionBudgetStatus,
)
from aliquot.kube.api.core import Pod, PodCondition, PodStatus
from aliquot.kube.api.meta import ObjectMeta, OwnerReference

NOW = 1_767_225_600.0


def budget(disrupted: dict[str, float] | None = None, **spec: Any) -> DisruptionBudget:
    noted = {name: rfc3339(when) for name, when in (disrupted or {}).items()}
    return DisruptionBudget(
        metadata=ObjectMeta(name="b", namespace="ns", generation=3),
        spec=DisruptionBudgetSpec(**spec),
        status=DisruptionBudgetStatus(disrupted_pods=noted or None),
    )


def pod(name: str, *, ready: bool = True, deleted: bool = False, owned: bool = True) -> Pod:
    owner = OwnerReference(api_version="apps/v1", kind="ReplicaSet", name="r", uid="r", controller=True)
    return Pod(
        metadata=ObjectMeta(
            name=name,
            deletion_timestamp=rfc3339(NOW) if deleted else None,
            owner_references=(owner,) if owned else None,
        ),
        status=PodStatus(conditions=(PodCondition(type="Ready", status="True" if ready else "False"),)),
    )


FOUR = [pod(name) for name in "abcd"]


@pytest.mark.parametrize(
    ("found", "held", "scale", "healthy", "desired", "expected", "allowed"),
    [
        (budget(min_available=3), FOUR, 0, 4, 3, 4, 1),
        (budget(min_available=5), FOUR, 0, 4, 5, 4, 0),
        (budget(min_available="50%"), FOUR, 4, 4, 2, 4, 2),
        # Percentages are of the pods that there should be, and round up.
        (budget(min_available="50%"), FOUR, 7, 4, 4, 7, 0),
        (budget(max_unavailable=1), FOUR, 4, 4, 3, 4, 1),
        (budget(max_unavailable=1), FOUR[:3], 4, 3, 3, 4, 0),
        (budget(max_unavailable="10%"), FOUR, 4, 4, 3, 4, 1),
        (budget(max_unavailable="0%"), FOUR, 4, 4, 4, 4, 0),
        (budget(max_unavailable=9), FOUR, 4, 4, 0, 4, 4),
        (budget(max_unavailable=1), [pod("a", ready=False), *FOUR[1:]], 4, 3, 3, 4, 0),
        (budget(max_unavailable=1), [pod("a", deleted=True), *FOUR[1:]], 4, 3, 3, 4, 0),
        (budget(min_available=0), [], 0, 0, 0, 0, 0),
        # Evicted a moment ago, not gone yet.
        (budget({"a": NOW - 5}, max_unavailable=2), FOUR, 4, 3, 2, 4, 1),
        (budget({"a": NOW - 121}, max_unavailable=2), FOUR, 4, 4, 2, 4, 2),
    ],
)
def test_what_is_allowed(
    found: DisruptionBudget,
    held: list[Pod],
    scale: int,
    healthy: int,
    desired: int,
    expected: int,
    allowed: int,
) -> None:
    said = plan(found, held, scale, NOW).status
    names = ("currentHealthy", "desiredHealthy", "expectedPods", "disruptionsAllowed")
    assert [said[name] for name in names] == [healthy, desired, expected, allowed]
    [condition] = said["conditions"]
    assert (condition["status"], condition["reason"]) == (
        ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    )
    assert said["observedGeneration"] == condition["observedGeneration"] == 3


def test_an_eviction_is_noted_until_it_is_seen_or_came_to_nothing() -> None:
    found = budget({"a": NOW - 5, "b": NOW - 121, "c": NOW - 5, "gone": NOW - 5}, max_unavailable=2)
    wanted = plan(found, [pod("a"), pod("b"), pod("c", deleted=True)], 4, NOW)
    assert wanted.status["disruptedPods"] == {"a": rfc3339(NOW - 5)}
    assert [one.metadata.name for one in wanted.undeleted] == ["b"]
    assert wanted.again_s == 116.0


@pytest.mark.parametrize(
    ("found", "held", "reasons"),
    [
        (budget(min_available=1), [], ["NoPods"]),
        (budget(min_available=1), [pod("a", owned=False)], []),
        (budget(max_unavailable=1), [pod("a", owned=False)], ["UnmanagedPods"]),
        (budget(min_available="10%"), [pod("a", owned=False)], ["UnmanagedPods"]),
    ],
)
def test_what_is_told(found: DisruptionBudget, held: list[Pod], reasons: list[str]) -> None:
    assert [notice.reason for notice in plan(found, held, 0, NOW).notices] == reasons


def test_whether_controllers_are_asked() -> None:
    assert not asks_for_scale(budget(min_available=1))
    assert asks_for_scale(budget(min_available="1%"))
    assert asks_for_scale(budget(max_unavailable=1))


def test_nothing_may_go_while_nobody_knows() -> None:
    wanted = failed(budget(max_unavailable=1), "jobs.batch does not implement the scale subresource", NOW)
    assert wanted.status["disruptionsAllowed"] == 0
    assert wanted.status["conditions"][0]["reason"] == "SyncFailed"
    assert wanted.notices[0].reason == "CalculateExpectedPodCountFailed"


def test_the_condition_keeps_its_time_while_it_holds() -> None:
    old = BudgetCondition(type="DisruptionAllowed", status="True", last_transition_time=rfc3339(NOW - 50))
    found = budget(max_unavailable=1)
    found = DisruptionBudget(
        metadata=found.metadata, spec=found.spec, status=DisruptionBudgetStatus(conditions=(old,))
    )
    since = {
        allowed: plan(found, held, 4, NOW).status["conditions"][0]["lastTransitionTime"]
        for allowed, held in ((True, FOUR), (False, FOUR[:3]))
    }
    assert since == {True: rfc3339(NOW - 50), False: rfc3339(NOW)}
