"""The simulated GPUs of one node, and virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aliquot.clock import VirtualTimeLoop
from aliquot.gpu.driver import Driver, Gpu, GpuInstance, InstanceProfile
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.layout import Slice
from aliquot.gpu.simulated import SimulatedDriver

T = TypeVar("T")


NODE = "gpu-0"


def virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


async def directly(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


def machine(text: str) -> SimulatedDriver:
    """`h100-80gb:2,a100-40gb:1:mig`"""
    return SimulatedDriver(parse_gpus(text), node=NODE)


def cut(driver: Driver, gpu: Gpu, *slices: tuple[str, int]) -> list[GpuInstance]:
    """Make filled instances by profile name and start."""
    profiles = {profile.name: profile for profile in driver.instance_profiles(gpu.uuid)}
    for name, start in slices:
        made = driver.create_gpu_instance(gpu.uuid, profiles[name].profile_id, start)
        driver.create_compute_instance(gpu.uuid, made.gi_id, full(profiles[name]))
    return list(driver.instances(gpu.uuid))


def full(profile: InstanceProfile) -> int:
    return next(c.profile_id for c in profile.compute_profiles if c.compute_slices == profile.compute_slices)


def placed(driver: Driver, gpu: Gpu) -> set[tuple[str, int]]:
    """(profile name, start) of every instance of a GPU."""
    names = {profile.profile_id: profile.name for profile in driver.instance_profiles(gpu.uuid)}
    return {(names[i.profile_id], i.placement.start) for i in driver.instances(gpu.uuid)}


def slices_of(driver: Driver, gpu: Gpu) -> list[Slice]:
    return [Slice(i.profile_id, i.placement.start) for i in driver.instances(gpu.uuid)]
