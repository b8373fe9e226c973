import json
from typing import Any

import pytest

from aliquot.emulator.kinds.autoscalers import V1, V2, converted
from aliquot.emulator.tables.autoscalers import target_text
from tests.emulator.api import Api

CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
}
MEMORY = {
    "type": "Resource",
    "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
}


def autoscaler(api_version: str = V2, **spec: Any) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "apiVersion": api_version,
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "annotations": {"a": "b"}},
        "spec": {"scaleTargetRef": target, "maxReplicas": 5, **spec},
    }


def test_the_percentage_of_v1_is_a_metric_of_v2() -> None:
    old = autoscaler(V1, targetCPUUtilizationPercentage=60)
    assert converted(old, V2) == autoscaler(metrics=[CPU])
    assert converted(autoscaler(metrics=[CPU]), V1) == old


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"metrics": [CPU]},
        {"metrics": [MEMORY]},
        {"metrics": [CPU, MEMORY], "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}},
    ],
)
def test_nothing_is_lost_on_the_way_there_and_back(spec: dict[str, Any]) -> None:
    whole = {
        **autoscaler(**spec),
        "status": {"conditions": [{"type": "ScalingActive"}], "currentMetrics": None, "desiredReplicas": 1},
    }
    there = converted(whole, V1)
    assert "metrics" not in there["spec"]
    assert "conditions" not in there["status"]
    assert converted(there, V2) == whole


async def test_the_status_always_counts_replicas(api: Api) -> None:
    path = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"
    made = await api.ok("POST", path.format("v1"), autoscaler(V1))
    assert made["status"] == {"currentReplicas": 0, "desiredReplicas": 0}
    shown = await api.ok("GET", path.format("v2") + "/h")
    assert shown["status"] == {"currentMetrics": None, "desiredReplicas": 0}


@pytest.mark.parametrize(
    ("more", "percentage"),
    [
        ({}, 80),
        ({"targetCPUUtilizationPercentage": 50}, 50),
        ({"annotations": {"autoscaling.alpha.kubernetes.io/metrics": json.dumps([MEMORY])}}, None),
    ],
)
async def test_who_asks_v1_for_nothing_gets_a_share_of_cpu(
    api: Api, more: dict[str, Any], percentage: int | None
) -> None:
    annotations = more.pop("annotations", {})
    asked = autoscaler(V1, **more)
    asked["metadata"]["annotations"] = annotations
    path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
    made = await api.ok("POST", path, asked)
    assert made["spec"].get("targetCPUUtilizationPercentage") == percentage


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (CPU, "cpu: <unknown>/60%"),
        (MEMORY, "memory: <unknown>/1Gi"),
        ({"type": "Pods", "pods": {"target": {"averageValue": "10"}}}, "<unknown>/10"),
        ({"type": "External", "external": {"target": {"averageValue": "10"}}}, "<unknown>/10 (avg)"),
        ({"type": "Object", "object": {"target": {"value": "10"}}}, "<unknown>/10"),
    ],
)
def test_targets_that_nobody_measures(metric: dict[str, Any], text: str) -> None:
    assert target_text(metric) == text
