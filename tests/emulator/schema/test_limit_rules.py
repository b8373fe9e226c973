from typing import Any

import pytest

from tests.emulator.schema.objects import schema, texts


def ranges(*limits: dict[str, Any]) -> dict[str, Any]:
    known = schema("LimitRange")
    return known.default({"metadata": {"name": "x", "namespace": "ns"}, "spec": {"limits": list(limits)}})


@pytest.mark.parametrize(
    ("said", "limit", "asked"),
    [
        ({"max": {"cpu": "2"}}, {"cpu": "2"}, {"cpu": "2"}),
        ({"default": {"cpu": "1"}, "max": {"cpu": "2"}}, {"cpu": "1"}, {"cpu": "1"}),
        ({"min": {"cpu": "1"}}, None, {"cpu": "1"}),
        ({"min": {"cpu": "1"}, "max": {"cpu": "2"}}, {"cpu": "2"}, {"cpu": "2"}),
        ({"default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}}, {"cpu": "1"}, {"cpu": "100m"}),
    ],
)
def test_limits_of_containers_stand_for_those_left_out(
    said: dict[str, Any], limit: dict[str, str] | None, asked: dict[str, str]
) -> None:
    [item] = ranges({"type": "Container", **said})["spec"]["limits"]
    assert (item.get("default"), item.get("defaultRequest")) == (limit, asked)


@pytest.mark.parametrize(
    ("limits", "problems"),
    [
        ({"type": "Container", "max": {"cpu": "1"}}, []),
        ({"type": "Container", "max": {"nvidia.com/gpu": "1"}}, []),
        ({"type": "Odd"}, ['spec.limits[0].type: Invalid value: "Odd": must be a standard limit type or fully qualified']),
        ({"type": "Pod", "default": {"cpu": "1"}}, ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"]),
        ({"type": "Pod", "max": {"storage": "1"}}, ['spec.limits[0].max[storage]: Invalid value: "storage": must be a standard resource for containers']),
        ({"type": "PersistentVolumeClaim"}, ["spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"]),
        ({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}, []),
        ({"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}}, ['spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1']),
        ({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}}, ['spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than default limit value 1']),
        ({"type": "Pod", "maxLimitRequestRatio": {"cpu": "500m"}}, ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1']),
        ({"type": "Pod", "maxLimitRequestRatio": {"cpu": "3"}, "min": {"cpu": "1"}, "max": {"cpu": "2"}}, ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000']),
    ],
)  # fmt: skip
def test_limit_ranges(limits: dict[str, Any], problems: list[str]) -> None:
    assert texts(schema("LimitRange").validate(ranges(limits))) == problems


def quota(**spec: Any) -> dict[str, Any]:
    return schema("ResourceQuota").default({"metadata": {"name": "q", "namespace": "ns"}, "spec": spec})


PRIORITY = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"hard": {"pods": "1", "count/deployments.apps": "2", "requests.nvidia.com/gpu": "4"}}, []),
        ({"hard": {"gold.storageclass.storage.k8s.io/requests.storage": "1Gi", "requests.hugepages-2Mi": "4Mi"}}, []),
        ({"hard": {"pods": "1500m"}}, ['spec.hard[pods]: Invalid value: "1500m": must be an integer']),
        ({"hard": {"pods": "-1"}}, ['spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0']),
        ({"hard": {"storage": "1"}}, ['spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota']),
        ({"hard": {"pods": "1"}, "scopes": ["BestEffort"]}, []),
        ({"hard": {"cpu": "1"}, "scopes": ["BestEffort"]}, ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource']),
        ({"hard": {"pods": "1"}, "scopes": ["Odd"]}, ['spec.scopes: Invalid value: ["Odd"]: unsupported scope']),
        ({"hard": {"pods": "1"}, "scopes": ["Terminating", "NotTerminating"]}, ['spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes']),
        ({"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [PRIORITY]}}, []),
        ({"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [{**PRIORITY, "values": []}]}}, ["spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"]),
        ({"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [{**PRIORITY, "operator": "Is"}]}}, ['spec.scopeSelector.matchExpressions.operator: Invalid value: "Is": not a valid selector operator']),
    ],
)  # fmt: skip
def test_quotas(spec: dict[str, Any], problems: list[str]) -> None:
    assert texts(schema("ResourceQuota").validate(quota(**spec))) == problems


def test_a_quota_keeps_its_scopes_and_may_change_its_amounts() -> None:
    old = quota(hard={"pods": "1"}, scopes=["BestEffort"])
    known = schema("ResourceQuota")
    assert known.validate_update(quota(hard={"pods": "2"}, scopes=["BestEffort"]), old) == []
    assert texts(known.validate_update(quota(hard={"pods": "1"}), old)) == [
        "spec.scopes: Invalid value: []: field is immutable"
    ]
