"""NvmlDriver: the promises of `aliquot.gpu.driver.Driver`, kept by NVML."""

import ctypes
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aliquot.gpu.driver import (
    ComputeInstance,
    DriverError,
    DriverVersion,
    Gpu,
    GpuInstance,
    InstanceProfile,
    Link,
    LostGpu,
    MigState,
    Placement,
    Process,
    ReturnCode,
    Telemetry,
    TimeSlice,
    XidEvent,
)
from aliquot.gpu.layout import Geometry, Slice
from aliquot.gpu.nvml import fabric, links, mig, telemetry
from aliquot.gpu.nvml.nvidia_smi import nvidia_smi
from aliquot.gpu.nvml.session import MIB, OF_ONE_GPU, Device, Session, return_code

_NO_INSTANCE = 0xFFFFFFFF
_WAIT_PIECE_S = 0.2
"""A wait for events gives way this often to whoever must close the session."""


class NvmlDriver:
    """Raises DriverError with the cause when there is no driver.

    `sysfs`: where NUMA nodes are read. `smi`: runs nvidia-smi for what NVML cannot do itself.
    """

    def __init__(self, *, sysfs: Path = Path("/sys"), smi: Callable[..., None] = nvidia_smi) -> None:
        self._session = Session(sysfs)
        self._nvml = self._session.nvml
        self._smi = smi
        self._event_lock = threading.Lock()
        self._events: Any = None
        self._changing_modes = 0
        self._modes_rest = threading.Event()
        """Set while no mode is being changed."""
        self._modes_rest.set()

    def close(self) -> None:
        """Ends the session. The object is of no use afterwards."""
        self._end_events()
        self._session.close()

    # --- what the node has ---

    def version(self) -> DriverVersion:
        with self._session.errors("driver version"):
            driver = self._nvml.nvmlSystemGetDriverVersion()
            cuda = self._nvml.nvmlSystemGetCudaDriverVersion_v2()
        return DriverVersion(driver, f"{cuda // 1000}.{cuda % 1000 // 10}")

    def gpus(self) -> Sequence[Gpu]:
        return tuple(found for found in self._roll_call() if isinstance(found, Gpu))

    def lost_gpus(self) -> Sequence[LostGpu]:
        silent = [found for found in self._roll_call() if isinstance(found, LostGpu)]
        by_index = {lost.index: lost for lost in (*self._session.mute(), *silent)}
        return tuple(by_index[index] for index in sorted(by_index))

    def links(self, gpu_uuid: str) -> Sequence[Link]:
        return links.links(self._session, self._device(gpu_uuid))

    def processes(self, gpu_uuid: str) -> Sequence[Process]:
        device = self._device(gpu_uuid)
        with self._session.errors(gpu_uuid):
            found = self._nvml.nvmlDeviceGetComputeRunningProcesses_v3(device.handle)
        return tuple(
            Process(
                pid=p.pid,
                gi_id=_instance_id(p.gpuInstanceId),
                ci_id=_instance_id(p.computeInstanceId),
                memory_mib=None if p.usedGpuMemory is None else p.usedGpuMemory // MIB,
            )
            for p in found
        )

    def telemetry(self, gpu_uuid: str) -> Telemetry:
        return telemetry.read(self._session, self._device(gpu_uuid))

    def wait_event(self, timeout_s: float) -> XidEvent | None:
        end = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, end - time.monotonic())
            self._modes_rest.wait(min(left_s, _WAIT_PIECE_S))
            with self._event_lock:
                event = None if self._changing_modes else self._wait(min(left_s, _WAIT_PIECE_S))
            if event is not None or left_s == 0:
                return event

    # --- MIG ---

    def instance_profiles(self, gpu_uuid: str) -> Sequence[InstanceProfile]:
        device = self._device(gpu_uuid)
        if mig.state(self._session, device) is MigState.UNSUPPORTED:
            raise DriverError(ReturnCode.NOT_SUPPORTED, f"{gpu_uuid}: the board has no MIG")
        return mig.profiles(self._session, device)

    def possible_placements(self, gpu_uuid: str, profile_id: int) -> Sequence[Placement]:
        device = self._mig_device(gpu_uuid)
        mig.profile(self._session, device, profile_id)
        existing = [Slice(i.profile_id, i.placement.start) for i in mig.instances(self._session, device)]
        return Geometry(mig.profiles(self._session, device)).free_placements(profile_id, existing)

    def instances(self, gpu_uuid: str) -> Sequence[GpuInstance]:
        device = self._device(gpu_uuid)
        return mig.instances(self._session, device) if mig.is_on(self._session, device) else ()

    def set_mig_mode(self, gpu_uuid: str, enabled: bool) -> MigState:
        device = self._device(gpu_uuid)
        if not enabled and self.instances(gpu_uuid):
            raise DriverError(ReturnCode.IN_USE, f"{gpu_uuid}: GPU instances exist")
        with self._without_events():
            try:
                with self._session.errors(gpu_uuid):
                    activation = self._nvml.nvmlDeviceSetMigMode(device.handle, int(enabled))
            finally:
                self._session.forget(gpu_uuid)
        reached = mig.state(self._session, self._device(gpu_uuid))
        if reached not in (
            (MigState.ENABLED, MigState.PENDING_ENABLE)
            if enabled
            else (MigState.DISABLED, MigState.PENDING_DISABLE)
        ):
            cause = self._nvml.NVMLError(activation)
            raise DriverError(return_code(activation), f"{gpu_uuid}: MIG mode was not changed: {cause}")
        return reached

    def set_exclusive(self, gpu_uuid: str, exclusive: bool) -> None:
        device = self._device(gpu_uuid)
        nvml = self._nvml
        mode = nvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS if exclusive else nvml.NVML_COMPUTEMODE_DEFAULT
        with self._session.errors(f"{gpu_uuid}: compute mode"):
            nvml.nvmlDeviceSetComputeMode(device.handle, mode)

    def set_time_slice(self, gpu_uuid: str, length: TimeSlice) -> None:
        self._device(gpu_uuid)
        number = list(TimeSlice).index(length)
        self._smi(gpu_uuid, "compute-policy", f"--set-timeslice={number}")

    def reset_gpu(self, gpu_uuid: str) -> None:
        if self.processes(gpu_uuid):
            raise DriverError(ReturnCode.IN_USE, f"{gpu_uuid}: a process runs on it")
        # an open session is a client of the GPU and would be in the way of its reset
        self.close()
        try:
            self._smi(gpu_uuid, "--gpu-reset")
        finally:
            self._session.open()

    def create_gpu_instance(self, gpu_uuid: str, profile_id: int, start: int | None) -> GpuInstance:
        device = self._mig_device(gpu_uuid)
        profile = mig.profile(self._session, device, profile_id)
        with self._session.errors(f"{gpu_uuid}: {profile.name}"):
            if start is None:
                handle = self._nvml.nvmlDeviceCreateGpuInstance(device.handle, profile_id)
            else:
                if start not in (p.start for p in profile.placements):
                    message = f"{gpu_uuid}: {profile.name} has no start {start}"
                    raise DriverError(ReturnCode.INVALID_ARGUMENT, message)
                placement = self._nvml.c_nvmlGpuInstancePlacement_t(start, profile.memory_slots)
                handle = self._nvml.nvmlDeviceCreateGpuInstanceWithPlacement(
                    device.handle, profile_id, ctypes.byref(placement)
                )
        return mig.instance(self._session, device, handle)

    def destroy_gpu_instance(self, gpu_uuid: str, gi_id: int) -> None:
        device = self._mig_device(gpu_uuid)
        with self._session.errors(f"{gpu_uuid}: GPU instance {gi_id}"):
            handle = self._nvml.nvmlDeviceGetGpuInstanceById(device.handle, gi_id)
            self._nvml.nvmlGpuInstanceDestroy(handle)

    def create_compute_instance(self, gpu_uuid: str, gi_id: int, profile_id: int | None) -> ComputeInstance:
        device = self._mig_device(gpu_uuid)
        with self._session.errors(f"{gpu_uuid}: GPU instance {gi_id}"):
            gi_handle = self._nvml.nvmlDeviceGetGpuInstanceById(device.handle, gi_id)
            if profile_id is None:
                gi_profile_id = self._nvml.nvmlGpuInstanceGetInfo(gi_handle).profileId
                profile_id = mig.filling_profile(self._session, device, gi_handle, gi_profile_id)
            handle = self._nvml.nvmlGpuInstanceCreateComputeInstance(gi_handle, profile_id)
            ci_id = self._nvml.nvmlComputeInstanceGetInfo_v2(handle).id
        made = mig.instance(self._session, device, gi_handle).compute_instances
        for compute in made:
            if compute.ci_id == ci_id:
                return compute
        raise DriverError(
            ReturnCode.NOT_FOUND, f"{gpu_uuid}: compute instance {ci_id} was made but has no MIG device"
        )

    def destroy_compute_instance(self, gpu_uuid: str, gi_id: int, ci_id: int) -> None:
        device = self._mig_device(gpu_uuid)
        with self._session.errors(f"{gpu_uuid}: compute instance {ci_id} of GPU instance {gi_id}"):
            gi_handle = self._nvml.nvmlDeviceGetGpuInstanceById(device.handle, gi_id)
            handle = self._nvml.nvmlGpuInstanceGetComputeInstanceById(gi_handle, ci_id)
            self._nvml.nvmlComputeInstanceDestroy(handle)

    # --- inside ---

    def _roll_call(self) -> Iterator[Gpu | LostGpu]:
        """Of those that once answered, by index."""
        for device in self._session.devices():
            gpu = device.gpu
            try:
                self._session.memory_mib(device.handle)
                state, joined = mig.state(self._session, device), fabric.joined(self._session, device)
                yield replace(gpu, mig=state, fabric=joined)
            except DriverError as error:
                if error.code not in OF_ONE_GPU:
                    raise
                yield LostGpu(gpu.index, gpu.uuid, error)

    def _device(self, gpu_uuid: str) -> Device:
        device = self._session.device(gpu_uuid)
        self._session.memory_mib(device.handle)
        return device

    def _mig_device(self, gpu_uuid: str) -> Device:
        device = self._device(gpu_uuid)
        if not mig.is_on(self._session, device):
            raise DriverError(ReturnCode.NOT_SUPPORTED, f"{gpu_uuid}: MIG mode is off")
        return device

    def _wait(self, timeout_s: float) -> XidEvent | None:
        nvml = self._nvml
        if self._events is None:
            self._events = self._register_events()
        with self._session.errors("waiting for events"):
            try:
                event = nvml.nvmlEventSetWait_v2(self._events, round(timeout_s * 1000))
                uuid = nvml.nvmlDeviceGetUUID(event.device)
            except nvml.NVMLError_Timeout:
                return None
            except nvml.NVMLError:
                # a lost GPU spoils the whole set; the next call makes one of those that still answer
                nvml.nvmlEventSetFree(self._events)
                self._events = None
                raise
        gi_id, ci_id = _instance_id(event.gpuInstanceId), _instance_id(event.computeInstanceId)
        return XidEvent(uuid, int(event.eventData), gi_id, ci_id)

    def _register_events(self) -> Any:
        nvml = self._nvml
        with self._session.errors("registering for events"):
            events = nvml.nvmlEventSetCreate()
        for gpu in self.gpus():
            try:
                handle = self._session.device(gpu.uuid).handle
                with self._session.errors(gpu.uuid):
                    nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
            except DriverError as error:
                # boards without XID events, and such as are lost by now
                if error.code is not ReturnCode.NOT_SUPPORTED and error.code not in OF_ONE_GPU:
                    raise
        return events

    @contextmanager
    def _without_events(self) -> Iterator[None]:
        """Who is registered for events of a GPU is in the way of its change of mode. Several may be changed at once."""
        with self._event_lock:
            self._changing_modes += 1
            self._modes_rest.clear()
            self._free_events()
        try:
            yield
        finally:
            with self._event_lock:
                self._changing_modes -= 1
                if not self._changing_modes:
                    self._modes_rest.set()

    def _end_events(self) -> None:
        with self._event_lock:
            self._free_events()

    def _free_events(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            with self._session.errors("waiting for events"):
                self._nvml.nvmlEventSetFree(events)


def _instance_id(number: int) -> int | None:
    return None if number == _NO_INSTANCE else int(number)
