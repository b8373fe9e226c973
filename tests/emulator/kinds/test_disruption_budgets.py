from typing import Any

import pytest

from aliquot.emulator.kinds.disruption_budgets import Verdict, guarding, spent, verdict
from aliquot.emulator.registry import Registry
from aliquot.emulator.statuses import StatusError

NOW = 1_767_225_600.0
VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."


def pod(phase: str = "Running", *, ready: bool = True, deleted: bool = False) -> dict[str, Any]:
    metadata = {"name": "p", "labels": {"app": "a"}} | ({"deletionTimestamp": "x"} if deleted else {})
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "status": {"phase": phase, "conditions": conditions}}


def budget(name: str = "b", *, generation: int = 1, policy: str = "", **status: Any) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"app": "a"}}}
    if policy:
        spec["unhealthyPodEvictionPolicy"] = policy  # type: ignore[assignment]
    said = {"observedGeneration": 1, "disruptionsAllowed": 1, "desiredHealthy": 2, "currentHealthy": 3}
    return {
        "metadata": {"name": name, "generation": generation},
        "spec": spec,
        "status": said | status,
    }


SPENDS, FREE, FREE_AS_SEEN = Verdict(spend="b"), Verdict(), Verdict(as_seen=True)
SHORT: dict[str, Any] = {"currentHealthy": 1, "disruptionsAllowed": 0}


@pytest.mark.parametrize(
    ("found", "budgets", "expected"),
    [
        (pod(), [], FREE),
        (pod(), [budget()], SPENDS),
        (pod("Succeeded"), [budget(), budget("c")], FREE),
        (pod("Failed"), [budget()], FREE),
        (pod("Pending"), [budget()], FREE_AS_SEEN),
        (pod(deleted=True), [budget()], FREE),
        # A pod that is not well does not count anyway, unless the budget is not met without it.
        (pod(ready=False), [budget()], FREE_AS_SEEN),
        (pod(ready=False), [budget(**SHORT)], SPENDS),
        (pod(ready=False), [budget(desiredHealthy=0)], SPENDS),
        (pod(ready=False), [budget(policy="AlwaysAllow", **SHORT)], FREE_AS_SEEN),
        (pod(), [budget(policy="AlwaysAllow", **SHORT)], SPENDS),
    ],
)
def test_what_an_eviction_costs(
    found: dict[str, Any], budgets: list[dict[str, Any]], expected: Verdict
) -> None:
    assert verdict(found, budgets) == expected


def test_several_budgets_are_too_many() -> None:
    with pytest.raises(StatusError) as caught:
        verdict(pod(), [budget(), budget("c")])
    assert caught.value.status["code"] == 500
    assert caught.value.status["message"] == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({"matchLabels": {"app": "a"}}, {"app": "a"}, True),
        ({"matchLabels": {"app": "a"}}, {"app": "b"}, False),
        ({}, {"app": "b"}, True),
        (None, {"app": "b"}, False),
        ({}, None, False),
    ],
)
def test_which_budgets_guard_a_pod(
    selector: dict[str, Any] | None, labels: dict[str, str] | None, expected: bool
) -> None:
    found = {"metadata": {"name": "b"}, "spec": {"selector": selector}}
    assert bool(guarding({"metadata": {"labels": labels}}, [found])) == expected


SERVED = Registry().find("policy", "v1", "poddisruptionbudgets")


def test_an_eviction_is_taken_off_at_once() -> None:
    assert SERVED is not None
    once = spent(SERVED, budget(disruptionsAllowed=2), "p", NOW)["status"]
    assert once["disruptionsAllowed"] == 1
    assert once["disruptedPods"] == {"p": "2026-01-01T00:00:00Z"}
    assert "conditions" not in once
    twice = spent(SERVED, {**budget(), "status": once}, "q", NOW)["status"]
    assert twice["disruptionsAllowed"] == 0
    assert sorted(twice["disruptedPods"]) == ["p", "q"]
    [condition] = twice["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "InsufficientPods")


@pytest.mark.parametrize(
    ("found", "code", "message", "cause"),
    [
        (budget(**SHORT), 429, VIOLATED, "The disruption budget b needs 2 healthy pods and has 1 currently"),
        (budget(generation=2), 429, VIOLATED, "The disruption budget b is still being processed by the server."),
        (
            budget(
                disruptionsAllowed=0,
                conditions=[{"type": "DisruptionAllowed", "reason": "SyncFailed", "message": "no scale"}],
            ),
            429,
            VIOLATED,
            "The disruption budget b does not allow evicting pods currently because it failed sync: no scale",
        ),
        (budget(disruptionsAllowed=-1), 403, "pdb disruptions allowed is negative", None),
        (
            budget(disruptedPods={str(number): "" for number in range(2001)}),
            403,
            "DisruptedPods map too big",
            None,
        ),
    ],
)  # fmt: skip
def test_refusals(found: dict[str, Any], code: int, message: str, cause: str | None) -> None:
    assert SERVED is not None
    with pytest.raises(StatusError) as caught:
        spent(SERVED, found, "p", NOW)
    status = caught.value.status
    assert status["code"] == code
    assert message in status["message"]
    if cause is not None:
        assert status["details"]["causes"] == [{"reason": "DisruptionBudget", "message": cause}]
        assert status["reason"] == "TooManyRequests"
