"""What a machine of EC2 is as an emulated node: its size and GPUs by its instance type, its software by its AMI."""

import random
import re
import secrets
from dataclasses import dataclass

from aliquot.cli.cluster import EmulatedNode
from aliquot.clock import SystemClock
from aliquot.eks.fake.fleet import Machine
from aliquot.emulator.kubelet import machine as emulated
from aliquot.emulator.kubelet.checkpoint import MemoryCheckpoints
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.gpu.driver import DriverVersion
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.kubeletapi.sockets import MemorySockets

_AMI_DATE = re.compile(r"^(1\.\d+\.\d+)-(\d{8})$")
_NEWEST = "20991231"
_DRIVERS = (
    ("20250401", DriverVersion(driver="560.35.05", cuda="12.6")),
    ("20250701", DriverVersion(driver="570.133.20", cuda="12.8")),
    ("20250801", DriverVersion(driver="575.57.08", cuda="12.9")),
    ("20251101", DriverVersion(driver="570.172.08", cuda="12.8")),
    (_NEWEST, DriverVersion(driver="580.159.03", cuda="13.0")),
)
"""Of releases before a day: AL2023's changelog has about these; other families are taken for it."""
_AL2_DRIVER = DriverVersion(driver="570.172.08", cuda="12.8")
_KERNELS = ((32, "6.1.158"), (35, "6.12.55"), (99, "6.18.2"))
"""Up to a minor."""


@dataclass(frozen=True, slots=True)
class InstanceType:
    cpus: int
    memory_gib: int
    board: str = ""
    gpus: int = 0


_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64}
_TYPES = {
    "g4dn.xlarge": InstanceType(4, 16, "t4", 1),
    "g4dn.12xlarge": InstanceType(48, 192, "t4", 4),
    "g5.xlarge": InstanceType(4, 16, "a10", 1),
    "g5.12xlarge": InstanceType(48, 192, "a10", 4),
    "g5.48xlarge": InstanceType(192, 768, "a10", 8),
    "g6.xlarge": InstanceType(4, 16, "l4", 1),
    "g6.12xlarge": InstanceType(48, 192, "l4", 4),
    "g6.48xlarge": InstanceType(192, 768, "l4", 8),
    "g6e.xlarge": InstanceType(4, 32, "l40s", 1),
    "g6e.12xlarge": InstanceType(48, 384, "l40s", 4),
    "g6e.48xlarge": InstanceType(192, 1536, "l40s", 8),
    "p3dn.24xlarge": InstanceType(96, 768, "v100-32gb", 8),
    "p4d.24xlarge": InstanceType(96, 1152, "a100-40gb", 8),
    "p4de.24xlarge": InstanceType(96, 1152, "a100-80gb", 8),
    "p5.4xlarge": InstanceType(16, 256, "h100-80gb", 1),
    "p5.48xlarge": InstanceType(192, 2048, "h100-80gb", 8),
    "p5e.48xlarge": InstanceType(192, 2048, "h200-141gb", 8),
    "p5en.48xlarge": InstanceType(192, 2048, "h200-141gb", 8),
    "p6-b200.48xlarge": InstanceType(192, 2048, "b200-180gb", 8),
}
"""Those with GPUs that are known here. An A10G counts as the A10 that it nearly is."""


def instance_type(name: str) -> InstanceType:
    """One that is not in the table is taken for a machine without GPUs, as large as its name says."""
    if name in _TYPES:
        return _TYPES[name]
    cpus = _SIZES.get(name.partition(".")[2], 2)
    return InstanceType(cpus, 4 * cpus)


def emulate(machine: Machine, *, region: str, pod_network: str) -> EmulatedNode:
    size = instance_type(machine.instance_type)
    checkpoints = MemoryCheckpoints()
    boards = (InventoryGpus(size.board, size.gpus),) if size.gpus else ()
    return EmulatedNode(
        machine=_described(machine, size, region=region, pod_network=pod_network),
        driver=SimulatedDriver(boards, node=machine.name, version=driver(machine.ami_type, machine.release)),
        runtime=SimulatedRuntime(checkpoints, clock=SystemClock(), rng=random.Random(secrets.randbits(64))),
        plugin_sockets=MemorySockets(),
        pod_resources_sockets=MemorySockets(),
        checkpoints=checkpoints,
    )


def driver(ami_type: str, release: str) -> DriverVersion:
    """NVIDIA's, as the AMI brings it."""
    if ami_type.startswith("AL2_"):
        return _AL2_DRIVER
    _, day = _dated(ami_type, release)
    return next(version for until, version in _DRIVERS if day < until)


def _described(machine: Machine, size: InstanceType, *, region: str, pod_network: str) -> emulated.Machine:
    patch, day = _dated(machine.ami_type, machine.release)
    minor = int(machine.minor.partition(".")[2])
    arm = "ARM_64" in machine.ami_type
    return emulated.Machine(
        machine.name,
        labels={
            **({} if machine.profile else _of_a_group(machine)),
            "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": machine.zone,
            **machine.labels,
        },
        taints=tuple({"key": key, "value": value, "effect": effect} for key, value, effect in machine.taints),
        pod_cidr=pod_network,
        cpu=str(size.cpus),
        memory=f"{size.memory_gib}Gi",
        ephemeral_storage="100Gi",
        arch="arm64" if arm else "amd64",
        version=f"v{patch or f'{machine.minor}.0'}-eks-fake",
        kernel_version=next(kernel for last, kernel in _KERNELS if minor <= last),
        os_image=_os_image(machine, day),
        container_runtime=_containerd(machine.ami_type, minor, day),
    )


def _of_a_group(machine: Machine) -> dict[str, str]:
    return {
        "eks.amazonaws.com/nodegroup": machine.nodegroup,
        "node.kubernetes.io/instance-type": machine.instance_type,
    }


def _dated(ami_type: str, release: str) -> tuple[str, str]:
    """(patch version, day) of one of Amazon Linux; that of Bottlerocket tells neither, and counts as new."""
    found = None if ami_type.startswith("BOTTLEROCKET") else _AMI_DATE.match(release)
    return (found[1], found[2]) if found else ("", "20261001")


def _os_image(machine: Machine, day: str) -> str:
    if machine.ami_type.startswith("BOTTLEROCKET"):
        variant = "-nvidia" if "NVIDIA" in machine.ami_type else ""
        return f"Bottlerocket OS {machine.release.partition('-')[0]} (aws-k8s-{machine.minor}{variant})"
    return "Amazon Linux 2" if machine.ami_type.startswith("AL2_") else f"Amazon Linux 2023.9.{day}"


def _containerd(ami_type: str, minor: int, day: str) -> str:
    if ami_type.startswith("AL2_"):
        return "containerd://1.7.29"
    return (
        "containerd://2.2.4" if day >= "20260101" else f"containerd://{'2.1.5' if minor >= 34 else '1.7.29'}"
    )
