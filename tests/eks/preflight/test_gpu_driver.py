"""The driver of GPU groups: each row is a group, what runs on it, and what is found."""

from typing import Any

import pytest

from aliquot.eks.estate.estate import InstanceType, Nodegroup, Recommended, Template
from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks import gpu_driver
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.versions.minor import Minor
from tests.eks.preflight.estates import M131, M132, estate, group, nodes, pods, workloads

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO
OLD, NEW = "1.31.7-20250620", "1.31.14-20260610"
"""Drivers 570.158.01 and 580.159.03."""


def gpus(**more: Any) -> Nodegroup:
    return group(
        **{
            "ami_type": "AL2023_x86_64_NVIDIA",
            "release": NEW,
            "instance_types": ("p5.48xlarge",),
            "labels": {"pool": "train"},
            **more,
        }
    )


def node(name: str = "n1", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"eks.amazonaws.com/nodegroup": "gpu", **labels}},
        "status": {"capacity": {"nvidia.com/gpu": "8"}},
    }


def job(image: str, name: str = "train-0", on: str = "n1", **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": image, "resources": {"limits": {"nvidia.com/gpu": "8"}}}
    return {
        "metadata": {"name": name, "namespace": "ml", "annotations": spec.pop("annotations", {})},
        "spec": {"nodeName": on, "containers": [container], **spec},
        "status": {"phase": "Running" if on else "Pending"},
    }


CUDA_13, CUDA_12 = "pytorch/pytorch:2.9.0-cuda13.0-cudnn9", "pytorch/pytorch:2.6.0-cuda12.6-cudnn9"
NVIDIA_13, UNKNOWN = "nvidia/cuda:13.0.1-base-ubuntu24.04", "team/train:7"


def judged(one: Nodegroup, objects: Objects, to: Minor = M132, **more: Any) -> list[Finding | Unchecked]:
    found = list(gpu_driver.judge(estate(nodegroups=(one,), objects=objects, **more), to))
    for finding in found:
        assert finding.why
        assert isinstance(finding, Unchecked) or finding.fix
        assert "\n" not in finding.why
    return found


def short(found: list[Finding | Unchecked]) -> list[Severity | str]:
    return ["unchecked" if isinstance(one, Unchecked) else one.severity for one in found]


def running(*images: str, **labels: str) -> Objects:
    return Objects(
        nodes=nodes(node(**labels)),
        pods=pods(*(job(image, f"train-{number}") for number, image in enumerate(images))),
    )


FULL = "nvidia.com/cuda.driver-version.full"
PARTS = {
    "nvidia.com/cuda.driver.major": "560",
    "nvidia.com/cuda.driver.minor": "35",
    "nvidia.com/cuda.driver.rev": "03",
}


@pytest.mark.parametrize(
    ("release", "objects", "found", "says"),
    [
        (NEW, running(CUDA_13), [], ""),
        (NEW, running(UNKNOWN), [], ""),
        (OLD, running(CUDA_12), [], ""),
        (OLD, running(CUDA_13), [BLOCK], "does not start today: it needs 580.65.06 or later"),
        (OLD, running(CUDA_13, CUDA_13), [BLOCK], "release 1.31.7-20250620 of its AMI"),
        (OLD, running(CUDA_13, CUDA_12), [BLOCK], "CUDA 13.0"),
        (OLD, running(NVIDIA_13), [], ""),
        (OLD, running(UNKNOWN), ["unchecked"], "aliquot.dev/cuda"),
        (OLD, Objects(), [], ""),
        # What nodes say counts more than the table.
        (OLD, running(CUDA_13, **{FULL: "580.95.05"}), [], ""),
        (NEW, running(CUDA_13, **PARTS), [BLOCK], "driver 560.35.03 (as node n1 says)"),
        (NEW, running(NVIDIA_13, **PARTS), [BLOCK], "560.35.03"),
        ("1.31.0-20200101", running(CUDA_13), ["unchecked"], "nothing is known of release"),
    ],
)
def test_cuda_of_pods(release: str, objects: Objects, found: list[Any], says: str) -> None:
    judgement = judged(gpus(release=release), objects)
    assert short(judgement) == found
    assert not found or says in judgement[0].why


def test_a_device_plugin_on_a_node_without_gpus_makes_none_of_it() -> None:
    told = node()
    told["status"]["capacity"]["nvidia.com/gpu"] = "0"
    plain = group(ami_type="AL2023_x86_64_STANDARD", release="1.31.0-20261001", instance_types=("m5.large",))
    assert judged(plain, Objects(nodes=nodes(told))) == []


def test_it_says_who_and_what_to_do() -> None:
    (found,) = judged(gpus(release=OLD), running(CUDA_13, CUDA_13, CUDA_12))
    assert isinstance(found, Finding)
    assert (found.what, found.where) == ("node group gpu", "pod ml/train-0 and 1 more")
    assert "release 1.31.13-20251108 or later first" in found.fix
    assert found.minor is None


def test_the_agent_of_aliquot_knows_the_driver() -> None:
    there = running(CUDA_13)
    told = {"metadata": {"name": "n1"}, "status": {"driverVersion": "550.54.14"}}
    there = Objects(nodes=there.nodes, pods=there.pods, things={"GPUNode": (told,)})
    assert short(judged(gpus(), there)) == [BLOCK]


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"nodeSelector": {"pool": "train"}}, [BLOCK]),
        ({"nodeSelector": {"eks.amazonaws.com/nodegroup": "gpu"}}, [BLOCK]),
        ({"nodeSelector": {"pool": "serve"}}, []),
        ({}, []),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["train"]}]}
                            ]
                        }
                    }
                }
            },
            [BLOCK],
        ),
    ],
)
def test_pods_that_wait_for_the_group_count_too(spec: dict[str, Any], found: list[Any]) -> None:
    waiting = Objects(pods=pods(job(CUDA_13, on="", **spec)))
    assert short(judged(gpus(release=OLD), waiting)) == found
    template = {"metadata": {"name": "train", "namespace": "ml"}, "spec": {}}
    of_job = job(CUDA_13, on="", **spec)
    of_job["spec"].pop("nodeName")
    suspended = {**template, "spec": {"suspend": True, "template": {"spec": of_job["spec"]}}}
    assert short(judged(gpus(release=OLD), Objects(jobs=workloads(suspended)))) == found
    scaled = {**template, "spec": {"replicas": 0, "template": {"spec": of_job["spec"]}}}
    objects = Objects(workloads={"Deployment": workloads(scaled)})
    assert short(judged(gpus(release=OLD), objects)) == found


def test_pods_that_are_over_or_have_no_gpus_do_not_count() -> None:
    over = job(CUDA_13)
    over["status"]["phase"] = "Succeeded"
    plain = job(CUDA_13, "web")
    plain["spec"]["containers"][0]["resources"] = {}
    objects = Objects(nodes=nodes(node()), pods=pods(over, plain))
    assert judged(gpus(release=OLD), objects) == []


@pytest.mark.parametrize(
    ("instance", "release", "to", "found", "says"),
    [
        ("p5.48xlarge", NEW, "1.32", [], ""),
        ("p3.2xlarge", NEW, "1.32", [], ""),
        ("p6-b200.48xlarge", NEW, "1.32", [], ""),
        ("p6-b300.48xlarge", OLD, "1.32", [BLOCK], "it has driver 570.158.01"),
        ("p6-b200.48xlarge", "1.31.5-20250410", "1.32", [BLOCK], "needs 570.133.20 or later"),
        ("g7.2xlarge", NEW, "1.32", [BLOCK], "needs 595 or later"),
        ("p2.xlarge", NEW, "1.32", [BLOCK], "470 is the last branch for the K80"),
        ("m7i.large", NEW, "1.32", [], ""),
    ],
)
def test_gpus_of_the_instances(instance: str, release: str, to: str, found: list[Any], says: str) -> None:
    judgement = judged(gpus(instance_types=(instance,), release=release), Objects(), Minor.parse(to))
    assert short(judgement) == found
    assert not found or says in judgement[0].why


def test_what_only_the_new_release_breaks_is_told_at_its_hop() -> None:
    """An AMI of 1.31 with a driver that no AMI of EKS for 1.32 has."""
    there = Objects(nodes=nodes(node(**{FULL: "595.71.05"})), pods=pods(job(CUDA_13)))
    one = gpus(instance_types=("g7.2xlarge",))
    found = judged(one, there)
    assert short(found) == [BLOCK, WARN]
    assert [finding.minor for finding in found if isinstance(finding, Finding)] == [M132, M132]
    assert "would get driver 580.159.03" in found[0].why
    assert "would go back" in found[1].why


def test_a_release_later_than_the_table_is_not_said_to_go_back() -> None:
    there = Objects(nodes=nodes(node(**{FULL: "595.71.05"})), pods=pods(job(CUDA_13)))
    assert judged(gpus(release="1.31.15-20261015"), there) == []


@pytest.mark.parametrize(
    ("image", "instance", "found", "says"),
    [
        (CUDA_13, "p3.2xlarge", [BLOCK], "has no code for the V100"),
        (CUDA_12, "p3.2xlarge", [], ""),
        (CUDA_12, "p6-b200.48xlarge", [WARN], "begins with CUDA 12.8"),
        ("team/x:cu128", "p6-b200.48xlarge", [], ""),
    ],
)
def test_cuda_against_the_gpu_itself(image: str, instance: str, found: list[Any], says: str) -> None:
    judgement = judged(gpus(instance_types=(instance,)), running(image))
    assert short(judgement) == found
    assert not found or says in judgement[0].why


@pytest.mark.parametrize(
    ("ami_type", "capacity", "found"),
    [
        ("AL2023_x86_64_STANDARD", {}, [BLOCK]),
        ("AL2023_x86_64_STANDARD", {"nvidia.com/gpu": "8"}, [WARN, "unchecked"]),
        # The plugin is gone, and kubelet still tells of what it had.
        ("AL2023_x86_64_STANDARD", {"nvidia.com/gpu": "0"}, [BLOCK]),
        ("BOTTLEROCKET_x86_64", {}, [BLOCK]),
        ("AL2023_x86_64_NVIDIA", {}, []),
        ("CUSTOM", {"nvidia.com/gpu": "8"}, ["unchecked"]),
    ],
)
def test_kinds_of_ami(ami_type: str, capacity: dict[str, str], found: list[Any]) -> None:
    one = node()
    one["status"]["capacity"] = capacity
    assert short(judged(gpus(ami_type=ami_type), Objects(nodes=nodes(one)))) == found


def test_an_ami_of_ones_own_is_known_today_by_its_nodes_and_not_tomorrow() -> None:
    found = judged(gpus(ami_type="CUSTOM", release="ami-1"), running(CUDA_13, **{FULL: "570.195.03"}))
    assert short(found) == ["unchecked", BLOCK]
    assert isinstance(found[0], Unchecked)
    assert "will have" in found[0].what


def recommended(release: str) -> dict[str, Any]:
    return {"recommended": (Recommended(ami_type="AL2023_x86_64_NVIDIA", minor=M132, release=release),)}


@pytest.mark.parametrize(
    ("release", "image", "found", "says"),
    [
        ("1.32.7-20250807", CUDA_13, [WARN, BLOCK], "would not start any more"),
        ("1.32.7-20250807", CUDA_12, [WARN], "would go back"),
        ("1.32.9-20251002", NVIDIA_13, [WARN, WARN], "forward compatibility package"),
        ("1.32.13-20260610", CUDA_13, [], ""),
        # Of one that nobody knows, it is taken that it follows those that are known.
        ("1.32.99-20270101", CUDA_13, [], ""),
        ("what", CUDA_13, [], ""),
    ],
)
def test_the_release_that_aws_recommends_counts(
    release: str, image: str, found: list[Any], says: str
) -> None:
    judgement = judged(gpus(), running(image), **recommended(release))
    assert short(judgement) == found
    assert not found or says in judgement[-1].why
    assert not found or f"release {release}, which AWS recommends for 1.32" in judgement[-1].why


def test_gpus_that_came_after_the_table_are_not_checked() -> None:
    new = InstanceType(name="p9.48xlarge", gpus=8, gpu="R200", gpu_maker="NVIDIA")
    found = judged(gpus(instance_types=("p9.48xlarge",)), Objects(), instance_types=(new,))
    assert [one.what for one in found] == ["the GPUs of node group gpu (p9.48xlarge: R200)"]
    radeon = InstanceType(name="g4ad.xlarge", gpus=1, gpu="Radeon Pro V520", gpu_maker="AMD")
    assert judged(group(instance_types=("g4ad.xlarge",)), Objects(), instance_types=(radeon,)) == []


def test_minor_version_compatibility_is_told() -> None:
    found = judged(gpus(), running("team/x:cuda13.1"))
    assert short(found) == [INFO]
    assert "came with driver 590.44.01" in found[0].why


def test_a_cuda_that_came_after_the_table_is_not_checked() -> None:
    assert short(judged(gpus(), running("team/x:cuda14.0"))) == ["unchecked"]


def test_the_launch_template_may_name_the_instances() -> None:
    template = Template(id="lt-1", version="1", instance_type="p6-b300.48xlarge")
    one = gpus(instance_types=(), template="lt-1", template_version="1", release=OLD)
    assert short(judged(one, Objects(), templates=(template,))) == [BLOCK]


def test_nodes_of_no_group_are_looked_at_as_they_are() -> None:
    lone = node()
    lone["metadata"]["labels"] = {FULL: "570.195.03"}
    objects = Objects(nodes=nodes(lone), pods=pods(job(CUDA_13)))
    found = list(gpu_driver.judge(estate(nodegroups=(), objects=objects), M132))
    assert [(one.what, isinstance(one, Finding)) for one in found] == [("nodes of no group", True)]


def test_groups_without_gpus_are_left_alone() -> None:
    assert judged(group(release=OLD, minor=M131), Objects(nodes=nodes({"metadata": {"name": "n"}}))) == []


def test_nodes_of_no_group_of_which_nothing_is_known() -> None:
    lone = node()
    lone["metadata"]["labels"] = {}
    for there, found in ((pods(), []), (pods(job(CUDA_12)), ["the driver of nodes of no group"])):
        objects = Objects(nodes=nodes(lone), pods=there)
        judgement = gpu_driver.judge(estate(nodegroups=(), objects=objects), M132)
        assert [one.what for one in judgement] == found
