"""What runs on GPU nodes beside the work: each row is what the cluster has, and what is found."""

from typing import Any

import pytest

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks import gpu_stack
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.versions import gpu_stack as table
from aliquot.eks.versions.minor import Minor
from tests.eks.preflight.estates import estate, group, nodes, workloads

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO


def workload(image: str, name: str = "w", volumes: tuple[str, ...] = ()) -> dict[str, Any]:
    mounts = [{"name": f"v{number}", "hostPath": {"path": path}} for number, path in enumerate(volumes)]
    spec = {"containers": [{"name": "c", "image": image}], "volumes": mounts}
    return {"metadata": {"name": name, "namespace": "gpu"}, "spec": {"template": {"spec": spec}}}


def node(runtime: str = "containerd://2.1.4", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "n1", "labels": {"eks.amazonaws.com/nodegroup": "gpu", **labels}},
        "status": {"nodeInfo": {"containerRuntimeVersion": runtime}},
    }


def judged(
    to: str, *, ami_type: str = "AL2023_x86_64_NVIDIA", there: Any = (), **objects: Any
) -> list[Finding | Unchecked]:
    read = Objects(nodes=nodes(*(there or (node(),))), **objects)
    found = list(
        gpu_stack.judge(estate(nodegroups=(group("gpu", ami_type=ami_type),), objects=read), Minor.parse(to))
    )
    assert all(one.why and "\n" not in one.why for one in found)
    return found


def short(found: list[Finding | Unchecked]) -> list[Severity | str]:
    return ["unchecked" if isinstance(one, Unchecked) else one.severity for one in found]


@pytest.mark.parametrize(
    ("image", "to", "found", "says"),
    [
        ("nvcr.io/nvidia/gpu-operator:v25.3.0", "1.32", [], ""),
        ("nvcr.io/nvidia/gpu-operator:v25.3.0", "1.33", [WARN], "bring it to 25.3.1"),
        ("nvcr.io/nvidia/gpu-operator:v24.9.2", "1.32", [WARN], "tried by its makers up to 1.31"),
        ("nvcr.io/nvidia/gpu-operator:v26.3.2", "1.36", [], ""),
        ("nvcr.io/nvidia/gpu-operator:v26.7.0", "1.37", [WARN], "try it elsewhere first"),
        ("nvcr.io/nvidia/gpu-operator:v26.11.0", "1.37", [], ""),
        ("nvcr.io/nvidia/gpu-operator:v1.11.1", "1.32", [WARN], "older than all that is known"),
        ("nvcr.io/nvidia/gpu-operator:latest", "1.32", ["unchecked"], "'latest' does not say it"),
        ("nvcr.io/nvidia/gpu-operator@sha256:00", "1.32", ["unchecked"], "by digest alone"),
        ("nvcr.io/nvidia/k8s-device-plugin:v0.17.1", "1.32", [], ""),
        ("nvcr.io/nvidia/k8s-device-plugin:v0.17.1-ubi9", "1.33", [INFO], "bring it to 0.17.2"),
        ("nvcr.io/nvidia/k8s-dra-driver-gpu:v25.3.0", "1.33", [], ""),
        ("nvcr.io/nvidia/k8s-dra-driver-gpu:v25.3.0", "1.34", [WARN], "bring it to 25.8.0"),
        ("nvcr.io/nvidia/k8s-dra-driver-gpu:v25.3.0", "1.38", [BLOCK], "the API that it uses ends"),
        ("registry:5000/team/aliquot:0.1.0", "1.37", [], ""),
        ("registry:5000/team/aliquot:0.1.0", "1.38", [WARN], "up to 1.37"),
        ("registry.k8s.io/pause:3.10", "1.38", [], ""),
    ],
)
def test_versions(image: str, to: str, found: list[Any], says: str) -> None:
    for kind in ("Deployment", "DaemonSet"):
        judgement = judged(to, workloads={kind: workloads(workload(image))})
        assert short(judgement) == found
        told = "" if not judgement else f"{judgement[0].why} {getattr(judgement[0], 'fix', '')}"
        assert says in told


def test_each_component_is_told_once_and_olm_knows_its_version() -> None:
    csv = {"metadata": {"name": "gpu-operator-certified.v24.9.1", "namespace": "operators"}}
    by_digest = workload("nvcr.io/nvidia/gpu-operator@sha256:00")
    there = {"Deployment": workloads(by_digest, by_digest)}
    (found,) = judged("1.32", workloads=there, things={"ClusterServiceVersion.operators.coreos.com": (csv,)})
    assert isinstance(found, Finding)
    assert found.what == "ClusterServiceVersion operators/gpu-operator-certified.v24.9.1"
    (found,) = judged("1.32", workloads=there)
    assert isinstance(found, Unchecked)


def policy(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": spec}


OFF: dict[str, Any] = {"enabled": False}
UPGRADES = {"upgradePolicy": {"autoUpgrade": True}}


@pytest.mark.parametrize(
    ("kind", "one", "labels", "ami_type", "found"),
    [
        ("ClusterPolicy.nvidia.com", policy(driver=OFF), {}, "AL2023_x86_64_NVIDIA", []),
        ("ClusterPolicy.nvidia.com", policy(driver={**OFF, **UPGRADES}), {}, "AL2023_x86_64_NVIDIA", []),
        ("ClusterPolicy.nvidia.com", policy(driver={}), {}, "AL2023_x86_64_NVIDIA", [BLOCK]),
        ("ClusterPolicy.nvidia.com", policy(), {}, "BOTTLEROCKET_x86_64_NVIDIA", [BLOCK]),
        ("ClusterPolicy.nvidia.com", policy(driver=UPGRADES), {}, "AL2023_x86_64_NVIDIA", [BLOCK, WARN]),
        (
            "ClusterPolicy.nvidia.com",
            policy(),
            {"nvidia.com/gpu.deploy.driver": "pre-installed"},
            "AL2023_x86_64_NVIDIA",
            [WARN],
        ),
        ("ClusterPolicy.nvidia.com", policy(driver=UPGRADES), {}, "CUSTOM", [WARN]),
        ("ClusterPolicy.nvidia.com", policy(), {}, "CUSTOM", []),
        ("NVIDIADriver.nvidia.com", policy(), {}, "AL2023_x86_64_NVIDIA", [BLOCK]),
        ("NVIDIADriver.nvidia.com", policy(**UPGRADES), {}, "CUSTOM", [WARN]),
        ("GPUPolicy.aliquot.dev", policy(driver={"preinstalled": True}), {}, "AL2023_x86_64_NVIDIA", []),
        ("GPUPolicy.aliquot.dev", policy(driver=OFF), {}, "AL2023_x86_64_NVIDIA", []),
        ("GPUPolicy.aliquot.dev", policy(), {}, "AL2023_x86_64_NVIDIA", [BLOCK, WARN]),
        ("GPUPolicy.aliquot.dev", policy(upgrade={"auto": False}), {}, "AL2023_x86_64_NVIDIA", [BLOCK]),
        (
            "GPUPolicy.aliquot.dev",
            policy(upgrade={"auto": False}),
            {"nvidia.com/gpu.deploy.driver": "pre-installed"},
            "AL2023_x86_64_NVIDIA",
            [BLOCK],
        ),
    ],
)
def test_drivers_that_an_operator_brings(
    kind: str, one: dict[str, Any], labels: dict[str, str], ami_type: str, found: list[Any]
) -> None:
    judgement = judged("1.32", ami_type=ami_type, there=(node(**labels),), things={kind: (one,)})
    assert short(judgement) == found


@pytest.mark.parametrize(
    ("version", "toolkit", "to", "found"),
    [
        ("v24.9.2", {}, "1.31", [WARN]),
        ("v24.9.2", OFF, "1.31", []),
        ("v25.3.0", {}, "1.31", [WARN]),
        ("v26.3.0", {}, "1.31", []),
    ],
)
def test_the_operators_toolkit_against_the_containerd_that_comes(
    version: str, toolkit: dict[str, Any], to: str, found: list[Any]
) -> None:
    """The AMIs of AL2023 have containerd 2.2 by now."""
    operator = workloads(workload(f"nvcr.io/nvidia/gpu-operator:{version}"))
    things = {"ClusterPolicy.nvidia.com": (policy(driver=OFF, toolkit=toolkit),)}
    judgement = judged(to, workloads={"Deployment": operator}, things=things)
    assert short(judgement) == found
    assert not found or "toolkit.enabled: false" in getattr(judgement[0], "fix", "")


@pytest.mark.parametrize(
    ("image", "path", "runtime", "ami_type", "found"),
    [
        ("team/mirror:1", "/etc/containerd/certs.d", "containerd://1.7.27", "AL2023_x86_64_NVIDIA", [WARN]),
        ("team/mirror:1", "/etc/containerd/certs.d", "containerd://2.1.4", "AL2023_x86_64_NVIDIA", []),
        ("team/mirror:1", "/var/log", "containerd://1.7.27", "AL2023_x86_64_NVIDIA", []),
        ("team/mirror:1", "/etc/containerd", "containerd://1.7.27", "AL2023_x86_64_STANDARD", []),
        (
            "nvcr.io/nvidia/k8s/container-toolkit:v1.17.8",
            "/etc/containerd",
            "containerd://1.7.27",
            "AL2023_x86_64_NVIDIA",
            [],
        ),
    ],
)
def test_whoever_writes_containerds_configuration(
    image: str, path: str, runtime: str, ami_type: str, found: list[Any]
) -> None:
    daemons = {"DaemonSet": workloads(workload(image, volumes=(path,)))}
    assert short(judged("1.32", ami_type=ami_type, there=(node(runtime),), workloads=daemons)) == found


def test_the_table_goes_up() -> None:
    for component in table.shipped():
        versions = [table.numbers(row.since) for row in component.rows]
        assert versions == sorted(set(versions))
        newest = [row.newest for row in component.rows]
        assert newest == sorted(newest)
