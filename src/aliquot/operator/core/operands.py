"""The pieces of node software, in the order in which a node gets them, and what they are unless a policy says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class OperandName(StrEnum):
    """Each waits for the one before it, but for the last two: they go together."""

    DRIVER = "driver"
    TOOLKIT = "toolkit"
    AGENT = "agent"
    EXPORTER = "exporter"
    VALIDATOR = "validator"


POLICY_LABEL = "aliquot.dev/gpu-policy"
"""On a node: the policy whose software it has."""
PRESENT_LABEL = "nvidia.com/gpu.present"
ALL_LABEL = "nvidia.com/gpu.deploy.operands"
"""`false`, by a user: none of them."""
DEPLOY_LABELS: Mapping[OperandName, str] = {
    OperandName.DRIVER: "nvidia.com/gpu.deploy.driver",
    OperandName.TOOLKIT: "nvidia.com/gpu.deploy.container-toolkit",
    OperandName.AGENT: "nvidia.com/gpu.deploy.device-plugin",
    OperandName.EXPORTER: "nvidia.com/gpu.deploy.dcgm-exporter",
    OperandName.VALIDATOR: "nvidia.com/gpu.deploy.operator-validator",
}
"""Upstream's. `true`: the operand's DaemonSet selects the node; `false`, by a user, stays."""
PAUSED = "paused-for-driver-upgrade"
"""The value that upstream's driver manager gives while a driver is exchanged."""


@dataclass(frozen=True, slots=True)
class Image:
    repository: str
    name: str
    version: str
    """A tag, or a digest that begins with `sha256:`."""

    def __str__(self) -> str:
        joint = "@" if self.version.startswith("sha256:") else ":"
        return (
            f"{self.repository}/{self.name}{joint}{self.version}"
            if self.repository
            else f"{self.name}{joint}{self.version}"
        )


def parse_image(text: str) -> Image:
    """`registry.example/team/name:tag`, or with a digest after `@`. Raises ValueError."""
    whole, at, digest = text.partition("@")
    repository, _, last = whole.rpartition("/")
    name, _, tag = last.partition(":")
    version = digest if at else tag
    if not name or not version:
        raise ValueError(f"{text!r} is no image with a tag or a digest: write repository/name:tag")
    return Image(repository, name, version)


def shipped(ours: Image) -> Mapping[OperandName, Image]:
    """NVIDIA's images as of their operator v26.7, and `ours` where we have one."""
    return {
        OperandName.DRIVER: Image("nvcr.io/nvidia", "driver", "595.91.07"),
        OperandName.TOOLKIT: Image("nvcr.io/nvidia/k8s", "container-toolkit", "v1.20.0"),
        OperandName.AGENT: ours,
        OperandName.EXPORTER: Image("nvcr.io/nvidia/k8s", "dcgm-exporter", "4.6.0-4.8.3-distroless"),
        OperandName.VALIDATOR: ours,
    }
