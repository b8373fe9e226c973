"""What a machine of EC2 is as an emulated node: its size and GPUs by its instance type, its software by its AMI."""

import random
import re
import secrets
from dataclasses import dataclass

from aliquot.cli.cluster import EmulatedNode
from aliquot.clock import SystemClock
from aliquot.eks.fake.fleet import Machine
from aliquot.eks.versions import amis, drivers
from aliquot.eks.versions.minor import Minor
from aliquot.emulator.kubelet import machine as emulated
from aliquot.emulator.kubelet.checkpoint import MemoryCheckpoints
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.gpu.driver import DriverVersion
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.kubeletapi.sockets import MemorySockets

_KUBELET = re.compile(r"(1\.\d+\.\d+)-\d{8}", re.ASCII)
"""Of a release of Amazon Linux; Bottlerocket's are its own."""
_WITH_GPU_SOFTWARE = "AL2023_x86_64_NVIDIA"
"""The AMI type whose releases are known; others of their day have the same kernel and containerd."""
_NO_DRIVER = DriverVersion(driver="", cuda="")


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
        driver=SimulatedDriver(
            boards, node=machine.name, version=driver(machine.ami_type, machine.minor, machine.release)
        ),
        runtime=SimulatedRuntime(checkpoints, clock=SystemClock(), rng=random.Random(secrets.randbits(64))),
        plugin_sockets=MemorySockets(),
        pod_resources_sockets=MemorySockets(),
        checkpoints=checkpoints,
    )


def contents(ami_type: str, minor: str, release: str) -> amis.Contents | None:
    """What is in an AMI. Of a release before the table, as of its first; None: there is none of this minor."""
    of = Minor.parse(minor)
    if (found := amis.of_release(ami_type, of, release)) is not None:
        return found
    of_minor = amis.releases(ami_type, of)
    return of_minor[0] if of_minor else amis.newest(ami_type, of)


def driver(ami_type: str, minor: str, release: str) -> DriverVersion:
    """NVIDIA's, as the AMI brings it; of a driver whose branch alone is known, the first of it that came with a toolkit."""
    found = contents(ami_type, minor, release)
    cuda = drivers.newest_toolkit(found.driver) if found is not None else None
    if found is None or cuda is None:
        return _NO_DRIVER
    full = found.driver if len(found.driver) > 1 else drivers.came_with(cuda) or found.driver
    return DriverVersion(driver=drivers.text(full), cuda=f"{cuda[0]}.{cuda[1]}")


def _described(machine: Machine, size: InstanceType, *, region: str, pod_network: str) -> emulated.Machine:
    patch = None if amis.is_bottlerocket(machine.ami_type) else _KUBELET.fullmatch(machine.release)
    known = contents(machine.ami_type, machine.minor, machine.release) or contents(
        _WITH_GPU_SOFTWARE, machine.minor, machine.release
    )
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
        version=f"v{patch[1] if patch else f'{machine.minor}.0'}-eks-fake",
        kernel_version=f"{(known.kernel if known else '') or '6.1'}.0-eks-fake",
        os_image=_os_image(machine),
        container_runtime=f"containerd://{(known.containerd if known else '') or '2.1'}.0",
    )


def _of_a_group(machine: Machine) -> dict[str, str]:
    return {
        "eks.amazonaws.com/nodegroup": machine.nodegroup,
        "node.kubernetes.io/instance-type": machine.instance_type,
    }


def _os_image(machine: Machine) -> str:
    if amis.is_bottlerocket(machine.ami_type):
        variant = "-nvidia" if "NVIDIA" in machine.ami_type else ""
        return f"Bottlerocket OS {machine.release.partition('-')[0]} (aws-k8s-{machine.minor}{variant})"
    if machine.ami_type.startswith("AL2_"):
        return "Amazon Linux 2"
    return f"Amazon Linux 2023.9.{machine.release.partition('-')[2]}"
