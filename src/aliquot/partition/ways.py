"""The ways to give a container part of a GPU, or all of it, as they are on one board."""

from dataclasses import dataclass
from typing import TypeAlias

from aliquot.gpu.driver import InstanceProfile
from aliquot.kube.api.gpunode import Sharing

_WORDS = {Sharing.MPS: "MPS share", Sharing.TIME_SLICING: "time slice"}


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
        name = _WORDS.get(self.sharing)
        return f"{name}, 1 of {self.replicas}" if name else "whole GPU"


WayOn: TypeAlias = SliceWay | GpuWay
