from typing import Any

import pytest

from aliquot.emulator.controllers.autoscaler_plan import Plan, plan, unmeasured, unreachable
from aliquot.emulator.controllers.types import AutoscalerSpec, HorizontalPodAutoscaler
from aliquot.emulator.kinds.autoscalers import DEFAULT_METRIC
from aliquot.kube.api.meta import ObjectMeta

NOW = 1_767_225_600.0


def autoscaler(least: int = 2, most: int = 5, *metrics: dict[str, Any]) -> HorizontalPodAutoscaler:
    spec = AutoscalerSpec(min_replicas=least, max_replicas=most, metrics=metrics or (DEFAULT_METRIC,))
    return HorizontalPodAutoscaler(metadata=ObjectMeta(name="h", namespace="ns"), spec=spec)


def conditions(found: Plan) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in found.status["conditions"]}


@pytest.mark.parametrize(
    ("wanted", "resize", "active"),
    [
        (3, None, ("False", "FailedGetResourceMetric")),
        (2, None, ("False", "FailedGetResourceMetric")),
        (1, 2, None),
        (9, 5, None),
        (0, None, ("False", "ScalingDisabled")),
    ],
)
def test_limits_hold_without_metrics(wanted: int, resize: int | None, active: tuple[str, str] | None) -> None:
    found = plan(autoscaler(), wanted, wanted, NOW)
    assert found.resize == resize
    assert conditions(found).get("ScalingActive") == active
    assert conditions(found)["AbleToScale"] == (
        "True",
        "SucceededGetScale" if resize is None else "SucceededRescale",
    )
    assert ("lastScaleTime" in found.status) == (resize is not None)


@pytest.mark.parametrize(
    ("metric", "reason", "words"),
    [
        (DEFAULT_METRIC, "FailedGetResourceMetric", "failed to get cpu utilization"),
        (
            {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1"}}},
            "FailedGetResourceMetric",
            "failed to get memory usage",
        ),
        ({"type": "Pods", "pods": {"metric": {"name": "qps"}}}, "FailedGetPodsMetric", "qps"),
        ({"type": "External", "external": {"metric": {"name": "q"}}}, "FailedGetExternalMetric", "external metrics"),
    ],
)  # fmt: skip
def test_why_nothing_moves(metric: dict[str, Any], reason: str, words: str) -> None:
    found = unmeasured(metric)
    assert found[0] == reason
    assert words in found[1]
    assert plan(autoscaler(1, 5, metric), 3, 3, NOW).notices[0].reason == reason


def test_a_target_without_a_scale() -> None:
    found = unreachable(autoscaler(), "jobs.batch does not have one", NOW)
    assert conditions(found) == {"AbleToScale": ("False", "FailedGetScale")}
    assert found.notices[0].reason == "FailedGetScale"
