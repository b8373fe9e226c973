"""The ways to give a container part of a GPU, or all of it, as they are on one board."""

from dataclasses import dataclass
from typing import TypeAlias

from aliquot.gpu.driver import InstanceProfile
from aliquot.kube.api.gpunode import Sharing

_WORDS = {Sharing.NONE: "whole GPU", Sharing.MPS: "MPS share", Sharing.TIME_SLICING: "time slice"}


def in_words(sharing: Sharing) -> str:
    return _WORDS[sharing]


@dataclass(frozen=True, slots=True)
class SliceWay:
    profile: InstanceProfile

    def __str__(self) -> str:
        return f"MIG slice {self.profile.name}"


@dataclass(frozen=True, slots=True)
class GpuWay:
    """A GPU, or one of its `replicas` shares."""

    sharing: Sharing = Sharing.NONE
    replicas: int = 1

    def __str__(self) -> str:
        name = in_words(self.sharing)
        return name if self.sharing is Sharing.NONE else f"{name}, 1 of {self.replicas}"


WayOn: TypeAlias = SliceWay | GpuWay
