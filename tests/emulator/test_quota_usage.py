from typing import Any

import pytest

from aliquot.emulator.quota import usage

GPU = {"requests": {"nvidia.com/gpu": "2", "cpu": "1"}, "limits": {"nvidia.com/gpu": "2"}}


def pod(*resources: dict[str, Any], phase: str = "Pending", **spec: Any) -> dict[str, Any]:
    containers = [{"name": f"c{place}", "resources": one} for place, one in enumerate(resources)]
    return {"spec": {"containers": containers, **spec}, "status": {"phase": phase}}


def service(kind: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"type": kind, "ports": [{"port": 1}, {"port": 2, "nodePort": 30001}], **spec}}


def claim(size: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"resources": {"requests": {"storage": size}}, **spec}}


ONE_POD = {"count/pods": "1", "pods": "1"}
ONE_SERVICE = {"count/services": "1", "services": "1"}
ONE_CLAIM = {"count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1"}
DEVICES = "count/resourceclaims.resource.k8s.io"


@pytest.mark.parametrize(
    ("storage", "obj", "counted"),
    [
        ("pods", pod({}), ONE_POD),
        ("pods", pod(GPU, GPU), {**ONE_POD, "cpu": "2", "requests.cpu": "2", "requests.nvidia.com/gpu": "4"}),
        ("pods", pod(GPU, phase="Succeeded"), {"count/pods": "1"}),
        ("pods", pod({"limits": {"memory": "1Gi"}}), {**ONE_POD, "limits.memory": "1Gi"}),
        ("pods", pod({"requests": {"hugepages-2Mi": "4Mi"}}), {**ONE_POD, "hugepages-2Mi": "4Mi", "requests.hugepages-2Mi": "4Mi"}),
        ("services", service("ClusterIP"), {**ONE_SERVICE, "services.nodeports": "0", "services.loadbalancers": "0"}),
        ("services", service("NodePort"), {**ONE_SERVICE, "services.nodeports": "2", "services.loadbalancers": "0"}),
        ("services", service("LoadBalancer"), {**ONE_SERVICE, "services.nodeports": "2", "services.loadbalancers": "1"}),
        ("services", service("LoadBalancer", allocateLoadBalancerNodePorts=False), {**ONE_SERVICE, "services.nodeports": "1", "services.loadbalancers": "1"}),
        ("persistentvolumeclaims", claim("1Gi"), {**ONE_CLAIM, "requests.storage": "1Gi"}),
        ("persistentvolumeclaims", claim("1Gi", storageClassName="fast"), {
            **ONE_CLAIM, "requests.storage": "1Gi",
            "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
            "fast.storageclass.storage.k8s.io/requests.storage": "1Gi",
        }),
        ("persistentvolumeclaims", {**claim("1Gi"), "status": {"allocatedResources": {"storage": "2Gi"}}}, {**ONE_CLAIM, "requests.storage": "2Gi"}),
        ("configmaps", {}, {"count/configmaps": "1", "configmaps": "1"}),
        ("deployments.apps", {}, {"count/deployments.apps": "1"}),
        ("resourceclaims.resource.k8s.io", {"spec": {"devices": {"requests": [
            {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
            {"name": "b", "exactly": {"deviceClassName": "gpu", "allocationMode": "All"}},
            {"name": "c", "firstAvailable": [
                {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 3},
                {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1},
                {"deviceClassName": "mig", "allocationMode": "ExactCount", "count": 4},
            ]},
        ]}}}, {DEVICES: "1", "gpu.deviceclass.resource.k8s.io/devices": "37", "mig.deviceclass.resource.k8s.io/devices": "4"}),
    ],
)  # fmt: skip
def test_what_an_object_counts_for(storage: str, obj: dict[str, Any], counted: dict[str, str]) -> None:
    assert usage.usage(storage, obj) == counted


@pytest.mark.parametrize(
    ("name", "storage"),
    [
        ("pods", "pods"),
        ("count/pods", "pods"),
        ("requests.nvidia.com/gpu", "pods"),
        ("nvidia.com/gpu", None),
        ("limits.memory", "pods"),
        ("requests.hugepages-1Gi", "pods"),
        ("services.nodeports", "services"),
        ("count/jobs.batch", "jobs.batch"),
        ("count/events", None),
        ("secrets", "secrets"),
        ("requests.storage", "persistentvolumeclaims"),
        ("gold.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims"),
        ("gpu.deviceclass.resource.k8s.io/devices", "resourceclaims.resource.k8s.io"),
    ],
)
def test_what_counts_for_a_resource(name: str, storage: str | None) -> None:
    assert usage.tracked([name]) == ({storage} if storage else set())


def scoped(*scopes: str, **term: Any) -> dict[str, Any]:
    return {"spec": {"scopes": list(scopes), "scopeSelector": {"matchExpressions": [term] if term else []}}}


def priority(operator: str, *values: str) -> dict[str, Any]:
    return scoped(scopeName="PriorityClass", operator=operator, values=list(values))


ELSEWHERE = {"topologyKey": "t", "namespaces": ["other"]}
BEYOND = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [ELSEWHERE]}}
BEYOND_PREFERRED = {
    "podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": ELSEWHERE}]
    }
}


@pytest.mark.parametrize(
    ("quota", "obj", "covered"),
    [
        (scoped(), pod({}), True),
        (scoped("Terminating"), pod({}, activeDeadlineSeconds=5), True),
        (scoped("Terminating"), pod({}), False),
        (scoped("NotTerminating"), pod({}), True),
        (scoped("BestEffort"), pod({}), True),
        (scoped("BestEffort"), pod(GPU), False),
        (scoped("NotBestEffort"), pod(GPU), True),
        (scoped("NotBestEffort", "Terminating"), pod(GPU), False),
        (priority("Exists"), pod({}), False),
        (priority("Exists"), pod({}, priorityClassName="high"), True),
        (priority("In", "high"), pod({}, priorityClassName="high"), True),
        (priority("In", "high"), pod({}, priorityClassName="low"), False),
        (priority("In", "high"), pod({}), False),
        (priority("NotIn", "high"), pod({}, priorityClassName="low"), True),
        (priority("DoesNotExist"), pod({}), True),
        (scoped("CrossNamespacePodAffinity"), pod({}), False),
        (scoped("CrossNamespacePodAffinity"), pod({}, affinity=BEYOND), True),
        (scoped("CrossNamespacePodAffinity"), pod({}, affinity=BEYOND_PREFERRED), True),
    ],
)
def test_which_pods_a_quota_covers(quota: dict[str, Any], obj: dict[str, Any], covered: bool) -> None:
    assert usage.covers(quota, "pods", obj) is covered
    # Scopes of pods cover nothing else.
    assert usage.covers(quota, "configmaps", {}) is (quota == scoped())


def test_a_quota_of_cpu_or_memory_wants_it_said_for_every_container() -> None:
    wanted = pod(GPU, {"limits": {"memory": "1"}}, initContainers=[{"name": "init"}])
    assert usage.unsaid(["requests.cpu", "limits.memory", "pods"], wanted) == (
        "must specify limits.memory for: c0,init; requests.cpu for: c1,init"
    )
    assert usage.unsaid(["requests.nvidia.com/gpu", "requests.ephemeral-storage"], wanted) == ""
