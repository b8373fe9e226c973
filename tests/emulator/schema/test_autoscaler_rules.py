"""HorizontalPodAutoscalers are judged and defaulted as Kubernetes 1.36.2 does."""

from typing import Any

import pytest

from tests.emulator.schema.objects import Json, schema, texts

HPA = schema("HorizontalPodAutoscaler", "autoscaling", "v2")
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
VALUE = {"type": "Value", "value": "1"}
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}
SOURCES = '"ContainerResource", "External", "Object", "Pods", "Resource"'
ONE_SOURCE = "must populate information for the given metric source"


def hpa(**spec: Any) -> Json:
    whole = {"scaleTargetRef": TARGET, "minReplicas": 1, "maxReplicas": 3, **spec}
    obj = {"apiVersion": "autoscaling/v2", "metadata": {"name": "h", "namespace": "ns"}, "spec": whole}
    return HPA.default(HPA.decode(obj)[0])


def metric(kind: str, field: str, **source: Any) -> Json:
    return {"metrics": [{"type": kind, field: source}]}


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({}, []),
        ({"metrics": [CPU]}, []),
        ({"maxReplicas": 0}, ["spec.maxReplicas: Required value: must be set and greater than 0", "*"]),
        (
            {"maxReplicas": -1},
            ["spec.maxReplicas: Invalid value: -1: must be greater than or equal to 1", "*"],
        ),
        ({"minReplicas": 0}, ["spec.minReplicas: Invalid value: 0: must be greater than or equal to 1", "*"]),
        (
            {"scaleTargetRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}},
            ['spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group'],
        ),
        ({"scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": "r"}}, []),
        (
            {"scaleTargetRef": {**TARGET, "name": ".."}},
            ["spec.scaleTargetRef.name: Invalid value: \"..\": may not be '..'"],
        ),
        (
            {"metrics": [{"type": "Bad"}]},
            [f'spec.metrics[0].type: Unsupported value: "Bad": supported values: {SOURCES}'] * 2,
        ),
        ({"metrics": [{"type": "Resource"}]}, [f"spec.metrics[0].resource: Required value: {ONE_SOURCE}"]),
        (
            {"metrics": [{**CPU, "pods": {"metric": {"name": "x"}, "target": VALUE}}]},
            [
                "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
                "spec.metrics[0].pods: Forbidden: must populate the given metric source only",
            ],
        ),
        (
            metric(
                "Object", "object", target={"type": "Value"}, metric={"name": "m"}, describedObject=TARGET
            ),
            [
                "spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue"
            ],
        ),
        (
            metric("External", "external", metric={"name": "m"}, target={**VALUE, "averageValue": "-1"}),
            [
                'spec.metrics[0].external.target.averageValue: Invalid value: "-1": must be positive',
                "spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target",
            ],
        ),
        (
            metric("ContainerResource", "containerResource", name="cpu", container="A_", target=VALUE),
            ["spec.metrics[0].containerResource.container: Invalid value: *", "*"],
        ),
        (
            {"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 1801}]}}},
            [
                "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
                "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
            ],
        ),
        (
            {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601, "selectPolicy": "Most"}}},
            [
                "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
                'spec.behavior.scaleDown.selectPolicy: Unsupported value: "Most": supported values: "Disabled", "Max", "Min"',
            ],
        ),
    ],
)
def test_what_is_wrong_is_told(spec: Json, problems: list[str]) -> None:
    found = texts(HPA.validate(hpa(**spec)))
    assert len(found) == len(problems)
    for said, wanted in zip(found, problems, strict=True):
        assert said.startswith(wanted.removesuffix("*")) if wanted.endswith("*") else said == wanted


def test_a_behavior_is_filled_up_in_both_directions() -> None:
    behavior = hpa(behavior={"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}})[
        "spec"
    ]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert [policy["type"] for policy in behavior["scaleUp"]["policies"]] == ["Pods", "Percent"]
    assert behavior["scaleDown"] == {
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
    }


def test_a_target_that_stays_is_not_asked_for_its_group() -> None:
    old = hpa(scaleTargetRef={"apiVersion": "v1", "kind": "Pod", "name": "p"})
    assert HPA.validate_update(hpa(scaleTargetRef=old["spec"]["scaleTargetRef"], maxReplicas=9), old) == []
    changed = hpa(scaleTargetRef={"apiVersion": "v1", "kind": "Node", "name": "p"})
    assert texts(HPA.validate_update(changed, old)) == [
        'spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group'
    ]
