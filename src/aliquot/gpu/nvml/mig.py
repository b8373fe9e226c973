"""What NVML says of MIG: mode, profiles, placements, and the instances that exist. Reads only."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from aliquot.gpu.driver import (
    ComputeInstance,
    ComputeProfile,
    DriverError,
    Engines,
    GpuInstance,
    InstanceProfile,
    MigState,
    Placement,
    ReturnCode,
)
from aliquot.gpu.nvml.session import Device, Session
from aliquot.gpu.profiles import WITHOUT_MEDIA, BadProfileName, ProfileName, memory_gb

_PROFILE_NUMBERS = range(32)
"""More than any driver knows: a newer one may have profiles that the binding has no name for."""

_ATTRIBUTES = {
    7: {"me"},
    8: {"me"},
    10: {"gfx"},
    11: {"gfx"},
    12: {"gfx"},
    13: {WITHOUT_MEDIA},
    14: {WITHOUT_MEDIA},
    15: {"me.all"},
    16: {"me.all"},
    17: {"gfx"},
}
"""By NVML_GPU_INSTANCE_PROFILE_*, for drivers that print no names."""


def state(session: Session, device: Device) -> MigState:
    try:
        with session.errors(f"{device.gpu.uuid}: MIG mode"):
            current, pending = session.nvml.nvmlDeviceGetMigMode(device.handle)
    except DriverError as error:
        if error.code is ReturnCode.NOT_SUPPORTED:
            return MigState.UNSUPPORTED
        raise
    if current == pending:
        return MigState.ENABLED if current else MigState.DISABLED
    return MigState.PENDING_ENABLE if pending else MigState.PENDING_DISABLE


def is_on(session: Session, device: Device) -> bool:
    return state(session, device) in (MigState.ENABLED, MigState.PENDING_DISABLE)


def profiles(session: Session, device: Device) -> tuple[InstanceProfile, ...]:
    """Empty on older drivers while MIG is off. Compute profiles of those that have been seen to exist."""
    if not device.profiles:
        found = []
        for number, info in _profile_infos(session, device):
            placements = _placements(session, device, info.id)
            if placements:
                found.append(_instance_profile(device, number, info, placements))
        device.profiles = tuple(found)
    return tuple(
        replace(profile, compute_profiles=device.compute_profiles.get(profile.profile_id, ()))
        for profile in device.profiles
    )


def profile(session: Session, device: Device, profile_id: int) -> InstanceProfile:
    for found in profiles(session, device):
        if found.profile_id == profile_id:
            return found
    raise DriverError(ReturnCode.INVALID_ARGUMENT, f"{device.gpu.uuid}: no GPU instance profile {profile_id}")


def instances(session: Session, device: Device) -> tuple[GpuInstance, ...]:
    """By GI id. The mode must be on."""
    nvml = session.nvml
    found = []
    for kind in profiles(session, device):
        count = ctypes.c_uint(0)
        array = (nvml.c_nvmlGpuInstance_t * kind.max_instances)()
        with session.errors(f"{device.gpu.uuid}: GPU instances"):
            nvml.nvmlDeviceGetGpuInstances(device.handle, kind.profile_id, array, ctypes.byref(count))
        found += [instance(session, device, handle) for handle in array[: count.value]]
    return tuple(sorted(found, key=lambda i: i.gi_id))


def instance(session: Session, device: Device, handle: Any) -> GpuInstance:
    nvml = session.nvml
    with session.errors(f"{device.gpu.uuid}: GPU instance"):
        info = nvml.nvmlGpuInstanceGetInfo(handle)
    name = profile(session, device, info.profileId).name
    compute = []
    for kind in compute_profiles(session, device, handle, info.profileId):
        count = ctypes.c_uint(0)
        array = (nvml.c_nvmlComputeInstance_t * kind.max_instances)()
        with session.errors(f"{device.gpu.uuid}: compute instances of GPU instance {info.id}"):
            nvml.nvmlGpuInstanceGetComputeInstances(handle, kind.profile_id, array, ctypes.byref(count))
            infos = [nvml.nvmlComputeInstanceGetInfo_v2(ci) for ci in array[: count.value]]
        compute += [(ci.id, ci.profileId, _part_name(name, kind.compute_slices)) for ci in infos]
    uuids = _uuids(session, device) if compute else {}
    return GpuInstance(
        gi_id=info.id,
        profile_id=info.profileId,
        placement=Placement(info.placement.start, info.placement.size),
        compute_instances=tuple(
            ComputeInstance(ci_id, profile_id, uuids[info.id, ci_id], part)
            for ci_id, profile_id, part in sorted(compute)
            if (info.id, ci_id) in uuids
        ),
    )


def compute_profiles(
    session: Session, device: Device, gi_handle: Any, gi_profile_id: int
) -> tuple[ComputeProfile, ...]:
    """Of an existing GPU instance, remembered for its profile."""
    nvml = session.nvml
    if gi_profile_id not in device.compute_profiles:
        found = []
        for number in _PROFILE_NUMBERS:
            ask = partial(
                nvml.nvmlGpuInstanceGetComputeInstanceProfileInfo,
                gi_handle,
                number,
                nvml.NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED,
            )
            info = _info(session, device, ask)
            if info is not None:
                found.append(
                    ComputeProfile(info.id, info.sliceCount, info.multiprocessorCount, info.instanceCount)
                )
        device.compute_profiles[gi_profile_id] = tuple(found)
    return device.compute_profiles[gi_profile_id]


def filling_profile(session: Session, device: Device, gi_handle: Any, gi_profile_id: int) -> int:
    """The compute profile that fills a GPU instance; of two such, the one with more SMs."""
    known = compute_profiles(session, device, gi_handle, gi_profile_id)
    if not known:
        message = f"{device.gpu.uuid}: the driver lists no compute instance for profile {gi_profile_id}"
        raise DriverError(ReturnCode.NOT_SUPPORTED, message)
    return max(known, key=lambda c: (c.compute_slices, c.multiprocessors or 0)).profile_id


def _profile_infos(session: Session, device: Device) -> Iterator[tuple[int, Any]]:
    """(NVML_GPU_INSTANCE_PROFILE_*, info) of each profile of the board."""
    for number in _PROFILE_NUMBERS:
        ask = partial(session.nvml.nvmlDeviceGetGpuInstanceProfileInfo, device.handle, number)
        info = _info(session, device, ask)
        if info is not None:
            yield number, info


def _info(session: Session, device: Device, ask: Callable[[int], Any]) -> Any | None:
    """`ask` takes the form's version: the newest that this driver knows. None: the board has no such profile."""
    nvml = session.nvml
    with session.errors(f"{device.gpu.uuid}: profiles"):
        for version in (2, 1):
            try:
                return ask(version)
            except nvml.NVMLError_FunctionNotFound:
                continue
            except (nvml.NVMLError_NotSupported, nvml.NVMLError_InvalidArgument):
                break
    return None


def _placements(session: Session, device: Device, profile_id: int) -> tuple[Placement, ...]:
    """Wherever the profile could be, whatever exists. None on older drivers while MIG is off."""
    nvml = session.nvml
    count = ctypes.c_uint(0)
    with session.errors(f"{device.gpu.uuid}: placements of profile {profile_id}"):
        try:
            nvml.nvmlDeviceGetGpuInstancePossiblePlacements(
                device.handle, profile_id, None, ctypes.byref(count)
            )
            array = (nvml.c_nvmlGpuInstancePlacement_t * count.value)()
            nvml.nvmlDeviceGetGpuInstancePossiblePlacements(
                device.handle, profile_id, array, ctypes.byref(count)
            )
        except nvml.NVMLError_NotSupported:
            return ()
    return tuple(sorted((Placement(p.start, p.size) for p in array[: count.value]), key=lambda p: p.start))


def _instance_profile(
    device: Device, number: int, info: Any, placements: tuple[Placement, ...]
) -> InstanceProfile:
    attributes = frozenset(_ATTRIBUTES.get(number, ()))
    name = getattr(info, "name", "").removeprefix("MIG ")
    if name:
        with suppress(BadProfileName):  # a name of a form yet unknown is still its name
            attributes = ProfileName.parse(name).attributes
    elif device.gpu.memory_mib:
        memory = memory_gb(info.memorySizeMB, device.gpu.memory_mib)
        name = str(ProfileName(info.sliceCount, info.sliceCount, memory, attributes))
    return InstanceProfile(
        profile_id=info.id,
        name=name,
        compute_slices=info.sliceCount,
        memory_slots=placements[0].size,
        memory_mib=info.memorySizeMB,
        multiprocessors=info.multiprocessorCount,
        max_instances=info.instanceCount,
        placements=placements,
        compute_profiles=(),
        attributes=attributes,
        engines=Engines(
            info.copyEngineCount, info.decoderCount, info.encoderCount, info.jpegCount, info.ofaCount
        ),
    )


def devices(session: Session, device: Device) -> Iterator[Any]:
    """A handle of each MIG device. The mode must be on."""
    nvml = session.nvml
    with session.errors(f"{device.gpu.uuid}: MIG devices"):
        for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(device.handle)):
            try:
                handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(device.handle, index)
            except (nvml.NVMLError_NotFound, nvml.NVMLError_InvalidArgument):
                continue
            yield handle


def _uuids(session: Session, device: Device) -> dict[tuple[int, int], str]:
    """Of the MIG devices, by GI and CI id."""
    nvml = session.nvml
    found = {}
    for handle in devices(session, device):
        with session.errors(f"{device.gpu.uuid}: MIG devices"):
            ids = (nvml.nvmlDeviceGetGpuInstanceId(handle), nvml.nvmlDeviceGetComputeInstanceId(handle))
            found[ids] = nvml.nvmlDeviceGetUUID(handle)
    return found


def _part_name(profile_name: str, compute_slices: int) -> str:
    """Of a compute instance in a GPU instance of that profile."""
    try:
        whole = ProfileName.parse(profile_name)
    except BadProfileName:
        return profile_name
    return str(replace(whole, compute_slices=compute_slices))
