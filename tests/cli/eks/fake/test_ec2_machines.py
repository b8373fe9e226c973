"""What instance types and AMIs make of a node."""

import pytest

from aliquot.cli.eks.fake.ec2_machines import driver, emulate, instance_type
from aliquot.eks.fake.fleet import Machine
from aliquot.gpu import boards


def machine(ami_type: str, minor: str, release: str, type_: str = "p5.48xlarge") -> Machine:
    return Machine(
        name="gpu-0",
        instance_id="i-1",
        cluster="prod",
        nodegroup="gpu",
        zone="eu-west-1a",
        instance_type=type_,
        ami_type=ami_type,
        minor=minor,
        release=release,
        labels={"team": "ml"},
        taints=(("nvidia.com/gpu", "", "NoSchedule"),),
    )


@pytest.mark.parametrize(
    ("name", "cpus", "gpus"),
    [("p5.48xlarge", 192, 8), ("g5.xlarge", 4, 1), ("m7i.4xlarge", 16, 0), ("odd", 2, 0)],
)
def test_sizes(name: str, cpus: int, gpus: int) -> None:
    found = instance_type(name)
    assert (found.cpus, found.gpus) == (cpus, gpus)
    if found.board:
        assert boards.board(found.board)


@pytest.mark.parametrize(
    ("ami_type", "minor", "release", "version", "os_image", "runtime", "branch"),
    [
        ("AL2023_x86_64_NVIDIA", "1.31", "1.31.14-20260701", "v1.31.14-eks-fake", "Amazon Linux 2023", "2.2", "580"),
        ("AL2023_x86_64_NVIDIA", "1.31", "1.31.2-20241201", "v1.31.2-eks-fake", "Amazon Linux 2023", "1.7", "560"),
        ("AL2023_x86_64_NVIDIA", "1.34", "1.34.1-20251020", "v1.34.1-eks-fake", "Amazon Linux 2023", "2.1", "570"),
        ("AL2_x86_64_GPU", "1.32", "1.32.9-20251101", "v1.32.9-eks-fake", "Amazon Linux 2", "1.7", "570"),
        ("BOTTLEROCKET_x86_64_NVIDIA", "1.33", "1.51.0-47438798", "v1.33.0-eks-fake", "Bottlerocket OS 1.51.0 (aws-k8s-1.33-nvidia)", "2.1", "570.26"),
    ],
)  # fmt: skip
async def test_software_is_the_ami_s(
    ami_type: str, minor: str, release: str, version: str, os_image: str, runtime: str, branch: str
) -> None:
    made = emulate(machine(ami_type, minor, release), region="eu-west-1", pod_network="10.0.0.0/24")
    info = made.machine.node_info("simulated://1", "boot")
    assert info["kubeletVersion"] == version
    assert info["osImage"].startswith(os_image)
    assert info["containerRuntimeVersion"].startswith(f"containerd://{runtime}")
    assert made.driver.version().driver.startswith(branch)
    assert len(made.driver.gpus()) == 8


async def test_labels_and_taints_are_the_group_s() -> None:
    made = emulate(
        machine("AL2023_ARM_64_STANDARD", "1.33", "", "m7g.large"),
        region="eu-west-1",
        pod_network="10.0.0.0/24",
    )
    labels = made.machine.all_labels()
    assert (labels["eks.amazonaws.com/nodegroup"], labels["team"]) == ("gpu", "ml")
    assert (labels["topology.kubernetes.io/zone"], labels["kubernetes.io/arch"]) == ("eu-west-1a", "arm64")
    assert made.machine.taints == ({"key": "nvidia.com/gpu", "value": "", "effect": "NoSchedule"},)
    assert made.driver.gpus() == ()


async def test_an_old_release_has_an_old_driver_and_one_after_the_table_the_newest() -> None:
    found = [driver("AL2023_x86_64_NVIDIA", "1.32", f"1.32.0-{day}") for day in (20241220, 20261001)]
    assert [(one.driver.partition(".")[0], one.cuda) for one in found] == [("560", "12.6"), ("580", "13.0")]
    assert driver("AL2023_x86_64_STANDARD", "1.32", "1.32.0-20261001").driver == ""
