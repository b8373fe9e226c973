"""What each field of NVIDIA's comes to, and that none of them goes unsaid."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aliquot.installation.clusterpolicy.reading import NotAPolicy, Translation, translate

Json = dict[str, Any]

FULL: Json = yaml.safe_load((Path(__file__).parent / "full.yaml").read_text())
OF_A_DRAIN = "spec.driver.upgradePolicy.drain."
SILENT = {
    # What they belong to is off as long as they are alone.
    *(f"{OF_A_DRAIN}{name}" for name in ("force", "podSelector", "deleteEmptyDir")),
    "spec.driver.upgradePolicy.waitForCompletion.timeoutSeconds",
    "spec.sandboxWorkloads.defaultWorkload",
    "spec.sandboxWorkloads.mode",
    # True of both.
    "spec.driver.enabled",
    "spec.toolkit.enabled",
    "spec.devicePlugin.enabled",
    "spec.dcgmExporter.enabled",
    "spec.psa.enabled",
    # Without a license there is nothing to be told how to get it.
    "spec.driver.licensingConfig.nlsEnabled",
    "spec.driver.rdma.useHostMofed",
    "spec.driver.manager.imagePullPolicy",
}


def translated(spec: Json, kind: str = "ClusterPolicy") -> Translation:
    version = {"ClusterPolicy": "nvidia.com/v1", "NVIDIADriver": "nvidia.com/v1alpha1"}[kind]
    document = {"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    return translate(yaml.safe_dump(document), source="file")


def nested(path: str, value: Any) -> Any:
    for step in reversed(path.split(".")[1:]):
        value = {step: value}
    return value


ROWS: list[tuple[str, Any, Json]] = [
    ("spec.driver.enabled", False, {"driver": {"enabled": False}}),
    ("spec.driver.version", "580.95.05", {"driver": {"version": "580.95.05"}}),
    ("spec.driver.repository", "r.example.com/x", {"driver": {"repository": "r.example.com/x"}}),
    ("spec.driver.image", "d", {"driver": {"image": "d"}}),
    ("spec.driver.imagePullPolicy", "Always", {"driver": {"imagePullPolicy": "Always"}}),
    ("spec.driver.imagePullPolicy", "IfNotPresent", {}),
    ("spec.driver.imagePullSecrets", ["s"], {"pods": {"imagePullSecrets": ["s"]}}),
    ("spec.driver.usePrecompiled", True, {"driver": {"usePrecompiled": True}}),
    ("spec.driver.usePrecompiled", False, {}),
    ("spec.driver.kernelModuleType", "auto", {}),
    ("spec.driver.kernelModuleType", "proprietary", {"driver": {"kernelModuleType": "proprietary"}}),
    ("spec.driver.useOpenKernelModules", True, {"driver": {"kernelModuleType": "open"}}),
    ("spec.driver.manager.version", "v9", {"driver": {"manager": {"version": "v9"}}}),
    ("spec.driver.env", [{"name": "A", "value": "b"}], {"driver": {"env": [{"name": "A", "value": "b"}]}}),
    ("spec.driver.upgradePolicy.autoUpgrade", False, {"upgrade": {"auto": False}}),
    ("spec.driver.upgradePolicy.autoUpgrade", True, {}),
    ("spec.driver.upgradePolicy.maxParallelUpgrades", 0, {"upgrade": {"maxParallel": 0}}),
    ("spec.driver.upgradePolicy.maxUnavailable", 3, {"upgrade": {"maxUnavailable": 3}}),
    (
        "spec.driver.upgradePolicy.podDeletion.timeoutSeconds",
        600,
        {"upgrade": {"eviction": {"timeout": "10m"}}},
    ),
    ("spec.driver.upgradePolicy.gpuPodDeletion.force", True, {"upgrade": {"eviction": {"force": True}}}),
    ("spec.driver.upgradePolicy.drain.enable", True, {"upgrade": {"drain": {}}}),
    ("spec.driver.upgradePolicy.drain.enable", False, {}),
    (
        "spec.driver.upgradePolicy.waitForCompletion.podSelector",
        "job=x",
        {"upgrade": {"waitForJobs": {"podSelector": "job=x"}}},
    ),
    ("spec.toolkit.version", "v1", {"toolkit": {"version": "v1"}}),
    ("spec.toolkit.enabled", False, {"toolkit": {"enabled": False}}),
    ("spec.toolkit.installDir", "/usr/local/nvidia", {}),
    ("spec.dcgmExporter.serviceMonitor.enabled", True, {"exporter": {"serviceMonitor": True}}),
    ("spec.dcgmExporter.args", ["-c"], {"exporter": {"args": ["-c"]}}),
    ("spec.mig.strategy", "single", {"agent": {"env": [{"name": "MIG_STRATEGY", "value": "single"}]}}),
    ("spec.devicePlugin.config.default", "shared", {"agent": {"args": ["--config-default", "shared"]}}),
    ("spec.devicePlugin.mps.root", "/run/nvidia/mps", {}),
    (
        "spec.validator.plugin.env",
        [{"name": "WITH_WORKLOAD", "value": "false"}],
        {"validator": {"workload": False}},
    ),
    ("spec.daemonsets.labels", {"a": "b"}, {"pods": {"labels": {"a": "b"}}}),
    ("spec.daemonsets.priorityClassName", "system-node-critical", {}),
    (
        "spec.daemonsets.tolerations",
        [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        {},
    ),
    ("spec.hostPaths.driverInstallDir", "/opt/d", {"hostPaths": {"driverInstallDir": "/opt/d"}}),
    ("spec.hostPaths.kubeletRootDir", "/var/lib/kubelet", {}),
    ("spec.operator.runtimeClass", "nvidia", {}),
    ("spec.operator.defaultRuntime", "containerd", {}),
]


@pytest.mark.parametrize(("path", "value", "spec"), ROWS, ids=[f"{path}={value}" for path, value, _ in ROWS])
def test_fields(path: str, value: Any, spec: Json) -> None:
    found = translated(nested(path, value))
    assert found.policies[0]["spec"] == spec
    assert not [note for note in found.notes if note.startswith("lost:")]


def test_all_of_it() -> None:
    found = translate((Path(__file__).parent / "full.yaml").read_text(), source="full.yaml")
    assert found.policies[0]["spec"]["upgrade"] == {
        "auto": False,
        "maxParallel": 4,
        "maxUnavailable": "10%",
        "waitForJobs": {"podSelector": "job=train", "timeout": "2h"},
        "eviction": {"force": True, "deleteEmptyDir": True, "timeout": "10m"},
        "drain": {"force": True, "deleteEmptyDir": True, "timeout": "24h", "podSelector": "a=b"},
    }
    secrets = found.policies[0]["spec"]["pods"]["imagePullSecrets"]
    assert secrets == ["one", "two", "three", "four", "five", "seven", "six", "eight"]
    lost = [note for note in found.notes if note.startswith("lost:")]
    assert len(lost) > 50
    assert not [note for note in lost if note.endswith("not a field that is known here")]
    assert not [note for note in found.notes if note.startswith("wrong:")]


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(f"{path}.{name}", one)
    else:
        yield path, value


LEAVES = list(leaves("spec", FULL["spec"]))


@pytest.mark.parametrize(("path", "value"), LEAVES, ids=[path for path, _ in LEAVES])
def test_no_field_goes_unsaid(path: str, value: Any) -> None:
    found = translated(nested(path, copy.deepcopy(value)))
    says_something = bool(found.policies[0]["spec"] or found.notes)
    assert says_something is (path not in SILENT)


@pytest.mark.parametrize("path", ["spec.drivr.version", "spec.driver.newField", "spec.newBlock.enabled"])
def test_what_nobody_knows_is_told(path: str) -> None:
    (note,) = translated(nested(path, "x")).notes
    assert note == f"lost: ClusterPolicy a: {path}: x: not a field that is known here"


def test_what_is_off_is_left_out_whole() -> None:
    found = translated({"gds": {"enabled": False, "version": "2"}, "vgpuManager": {"enabled": True}})
    assert found.notes == (
        "note: ClusterPolicy a: spec.vgpuManager: left out: it is of sandbox workloads, which are off",
        "note: ClusterPolicy a: spec.gds: left out: it is off",
    )


def test_drivers_of_node_pools_become_policies_of_their_own() -> None:
    text = yaml.safe_dump_all(
        [
            {
                "apiVersion": "nvidia.com/v1",
                "kind": "ClusterPolicy",
                "metadata": {"name": "cluster-policy"},
                "spec": {
                    "driver": {"useNvidiaDriverCRD": True, "version": "1.2.3"},
                    "mig": {"strategy": "mixed"},
                },
            },
            {
                "apiVersion": "nvidia.com/v1alpha1",
                "kind": "NVIDIADriver",
                "metadata": {"name": "old"},
                "spec": {
                    "driverType": "gpu",
                    "default": False,
                    "version": "570.1.2",
                    "nodeSelector": {"pool": "old"},
                    "tolerations": [{"key": "a", "operator": "Exists"}],
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "b", "operator": "In", "values": ["c"]}]}
                            ]
                        }
                    },
                },
            },
            {
                "apiVersion": "nvidia.com/v1alpha1",
                "kind": "NVIDIADriver",
                "metadata": {"name": "vgpu"},
                "spec": {"driverType": "vgpu", "gds": {"enabled": True}},
            },
        ]
    )
    found = translate(text, source="file")
    agent = {"env": [{"name": "MIG_STRATEGY", "value": "mixed"}]}
    assert [policy["spec"] for policy in found.policies] == [
        {
            "agent": agent,
            "driver": {"version": "570.1.2"},
            "pods": {"tolerations": [{"key": "a", "operator": "Exists"}]},
            "nodeSelector": {
                "matchLabels": {"pool": "old"},
                "matchExpressions": [{"key": "b", "operator": "In", "values": ["c"]}],
            },
        },
        {"agent": agent},
    ]
    assert found.notes == (
        "lost: NVIDIADriver vgpu: spec.driverType: vgpu: vGPU drivers are not served",
        "lost: NVIDIADriver vgpu: spec.gds.enabled: true: GPUDirect Storage (nvidia-fs) is not brought: "
        "it has to be on the nodes",
    )


def test_what_the_operator_would_refuse_is_told_at_once() -> None:
    found = translated({"driver": {"enabled": False}})
    assert any(
        note.startswith("wrong: GPUPolicy a: spec.driver.enabled: toolkit needs the driver")
        for note in found.notes
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "neither a ClusterPolicy"),
        ("a: [", "file:2"),
        (
            "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: a}\nspec: {driver: {version: 5}}",
            "spec.driver.version: 5 is not text",
        ),
    ],
)
def test_files_that_are_none(text: str, said: str) -> None:
    with pytest.raises(NotAPolicy, match=said):
        translate(text, source="file")
