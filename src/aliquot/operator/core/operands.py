"""The pieces of node software, in the order in which a node gets them, and what they are unless a policy says otherwise."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aliquot.kube.api.gpupolicy import Driver


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


_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])"
    r"(?::[0-9]+)?"
)
_NAME = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_REPOSITORY = re.compile(rf"(?:{_HOST}|{_PART})(?:/{_PART})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64}", re.ASCII)
_MANAGER = Image("nvcr.io/nvidia/cloud-native", "k8s-driver-manager", "v0.12.0")
_LONGEST = 255
"""Of a repository and a name together."""


def image_problem(image: Image) -> tuple[str, str]:
    """(the field of a policy, what is wrong with it), of an image that no container runtime would take: as they all have it, from
    Docker's `reference`. Empty: nothing is."""
    if image.repository and not _REPOSITORY.fullmatch(image.repository):
        return (
            "repository",
            f"{image.repository!r} is no place of images: write it as registry.example.com/team",
        )
    if not _NAME.fullmatch(image.name):
        return (
            "image",
            f"{image.name!r} is no name of an image: small letters and digits, and . _ - / between them",
        )
    if len(image.repository) + len(image.name) >= _LONGEST:
        return (
            "image",
            f"{image.name!r} is too long: with its repository it has {_LONGEST} characters at most",
        )
    if not _TAG.fullmatch(image.version):
        return "version", f"{image.version!r} is no tag, and no digest (sha256:...)"
    return "", ""


def parse_image(text: str) -> Image:
    """`registry.example/team/name:tag`, or with a digest after `@`. Raises ValueError."""
    whole, at, digest = text.partition("@")
    repository, _, last = whole.rpartition("/")
    name, _, tag = last.partition(":")
    version = digest if at else tag
    if not name or not version:
        raise ValueError(f"{text!r} is no image with a tag or a digest: write repository/name:tag")
    image = Image(repository, name, version)
    if wrong := image_problem(image)[1]:
        raise ValueError(wrong)
    return image


def shipped(ours: Image) -> Mapping[OperandName, Image]:
    """NVIDIA's images as of their operator v26.7, and `ours` where we have one."""
    return {
        OperandName.DRIVER: Image("nvcr.io/nvidia", "driver", "595.91.07"),
        OperandName.TOOLKIT: Image("nvcr.io/nvidia/k8s", "container-toolkit", "v1.20.0"),
        OperandName.AGENT: ours,
        OperandName.EXPORTER: Image("nvcr.io/nvidia/k8s", "dcgm-exporter", "4.6.0-4.8.3-distroless"),
        OperandName.VALIDATOR: ours,
    }


def manager_image(spec: Driver) -> Image:
    """Of what unloads the last driver."""
    given = spec.manager
    return Image(
        given.repository or _MANAGER.repository,
        given.image or _MANAGER.name,
        given.version or _MANAGER.version,
    )
