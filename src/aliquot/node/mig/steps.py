"""The steps that change a GPU: its MIG mode, and those that `aliquot.gpu.layout` plans within it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from aliquot.gpu import layout


@dataclass(frozen=True, slots=True)
class SetMode:
    """Switch MIG mode, with the reset that some boards need for it."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class ApplyPendingMode:
    """Reset the GPU, which is idle, so that the mode that waits takes effect."""


Step: TypeAlias = SetMode | ApplyPendingMode | layout.Step

_NO_NAMES: Mapping[int, str] = MappingProxyType({})


def describe(step: Step, names: Mapping[int, str] = _NO_NAMES) -> str:
    """`names`: of profiles, by their ids."""
    match step:
        case SetMode(enabled):
            return "switching MIG on" if enabled else "switching MIG off"
        case ApplyPendingMode():
            return "resetting the GPU for its pending MIG mode"
        case layout.DestroyCompute(gi_id, ci_id):
            return f"destroying compute instance {ci_id} of GPU instance {gi_id}"
        case layout.DestroyInstance(gi_id):
            return f"destroying GPU instance {gi_id}"
        case layout.CreateInstance(slice_):
            name = names.get(slice_.profile_id, f"profile {slice_.profile_id}")
            return f"creating {name} at slot {slice_.start}"
        case layout.CreateCompute(start, _, slices):
            part = f"of {slices} slice{'s' if slices > 1 else ''} " if slices is not None else ""
            return f"creating a compute instance {part}in the GPU instance at slot {start}"
