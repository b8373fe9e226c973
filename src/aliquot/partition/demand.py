"""From the name of a resource to the ways to provide it on a board: slices by profile, GPUClasses by their spec."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.profiles import RESOURCE_PREFIX, resource_name
from aliquot.kube.api.gpuclass import CLASS_PREFIX, GPUClassSpec, Way
from aliquot.partition.mechanism import Needs, ways_on
from aliquot.partition.ways import GpuWay, SliceWay, WayOn

_MIG_PREFIX = RESOURCE_PREFIX + "mig-"

Classes: TypeAlias = Mapping[str, GPUClassSpec]
"""By name."""


def could_be_made(resource: str) -> bool:
    """Whether it is a name of something that can be made, on whatever board."""
    return resource.startswith((_MIG_PREFIX, CLASS_PREFIX))


def ways(
    resource: str, classes: Classes, board: str, profiles: Sequence[InstanceProfile], memory_mib: int | None
) -> tuple[WayOn, ...]:
    """The ways to provide `resource` on a GPU of a board that reports these profiles, in order; empty: none."""
    if resource.startswith(_MIG_PREFIX):
        return tuple(SliceWay(profile) for profile in profiles if resource_name(profile.name) == resource)
    spec = classes.get(resource.removeprefix(CLASS_PREFIX)) if resource.startswith(CLASS_PREFIX) else None
    if spec is None or (spec.boards and board not in spec.boards):
        return ()
    if spec.ways:
        return tuple(found for way in spec.ways for found in _on_board(way, profiles))
    return ways_on(Needs.of(spec), profiles, memory_mib)


def _on_board(way: Way, profiles: Sequence[InstanceProfile]) -> tuple[WayOn, ...]:
    if way.mig is not None:
        return tuple(SliceWay(profile) for profile in profiles if profile.name == way.mig.profile)
    return (GpuWay(way.sharing, way.replicas),)
