"""One NVML session: opened once (that is slow, and each counts as a client of the GPUs), handles kept.

What cannot change on a GPU is read when it is first seen; everything else is asked afresh by the callers.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aliquot.gpu import boards
from aliquot.gpu.driver import (
    ComputeProfile,
    DriverError,
    Gpu,
    InstanceProfile,
    LostGpu,
    MigState,
    ReturnCode,
)

MIB = 1024 * 1024

_OTHER_NUMBERS = {
    13: ReturnCode.NOT_SUPPORTED,  # function not found: an older driver
    28: ReturnCode.NOT_FOUND,  # GPU not found
}


OF_ONE_GPU = frozenset({ReturnCode.GPU_IS_LOST, ReturnCode.RESET_REQUIRED, ReturnCode.UNKNOWN})
"""What is wrong with one GPU, and must not hide the others. UNKNOWN: such as a broken InfoROM or interrupt."""


def return_code(number: int) -> ReturnCode:
    if number in ReturnCode.__members__.values():
        return ReturnCode(number)
    return _OTHER_NUMBERS.get(number, ReturnCode.UNKNOWN)


@dataclass(slots=True)
class Device:
    """A GPU's handle and what cannot change on it. `gpu.mig` is not kept up to date here."""

    handle: Any
    gpu: Gpu
    profiles: tuple[InstanceProfile, ...] = ()
    """Empty until the driver tells them."""
    compute_profiles: dict[int, tuple[ComputeProfile, ...]] = field(default_factory=dict)
    """By GPU instance profile, of those that have been seen to exist."""


class Session:
    """`nvml` is the binding; its calls belong inside `errors`."""

    def __init__(self, sysfs: Path) -> None:
        import pynvml

        self.nvml: Any = pynvml
        self._sysfs = sysfs
        self._lock = threading.Lock()
        self._devices: dict[str, Device] = {}
        self._seen: dict[str, int] = {}
        """UUID -> index, of every GPU that has ever answered."""
        self._mute: dict[int, DriverError] = {}
        """By index, why a GPU has no handle."""
        self.open()

    def open(self) -> None:
        with self.errors("NVML cannot be opened"):
            self.nvml.nvmlInit()

    def close(self) -> None:
        self.forget()
        with self.errors("NVML session"):
            self.nvml.nvmlShutdown()

    @contextmanager
    def errors(self, subject: str) -> Iterator[None]:
        """NVML's errors as DriverError, one line that names the subject."""
        try:
            yield
        except self.nvml.NVMLError as error:
            raise DriverError(return_code(error.value), f"{subject}: {error}") from error

    def forget(self, gpu_uuid: str | None = None) -> None:
        """A handle is void after a change of the GPU's mode, all of them are after the session."""
        with self._lock:
            if gpu_uuid is None:
                self._devices.clear()
            else:
                self._devices.pop(gpu_uuid, None)

    def devices(self) -> list[Device]:
        """Every GPU that has answered once, by index; lost ones among them fail when they are asked."""
        with self._lock:
            self._find()
            return sorted(self._devices.values(), key=lambda device: device.gpu.index)

    def mute(self) -> list[LostGpu]:
        """Those that do not even give a handle; look for `devices` first."""
        with self._lock:
            uuids = {index: uuid for uuid, index in self._seen.items() if uuid not in self._devices}
            return [LostGpu(index, uuids.get(index, ""), error) for index, error in self._mute.items()]

    def device(self, gpu_uuid: str) -> Device:
        with self._lock:
            if gpu_uuid not in self._devices:
                self._find()
            if gpu_uuid not in self._devices:
                lost = gpu_uuid in self._seen
                code = ReturnCode.GPU_IS_LOST if lost else ReturnCode.NOT_FOUND
                raise DriverError(code, f"{gpu_uuid}: {'GPU is lost' if lost else 'no such GPU'}")
            return self._devices[gpu_uuid]

    def memory_mib(self, handle: Any) -> int | None:
        """None on boards that share the machine's memory. Also the way to learn that a GPU is lost."""
        try:
            with self.errors("memory"):
                return int(self.nvml.nvmlDeviceGetMemoryInfo(handle).total) // MIB
        except DriverError as error:
            if error.code is ReturnCode.NOT_SUPPORTED:
                return None
            raise

    def _find(self) -> None:
        nvml = self.nvml
        with self.errors("listing GPUs"):
            count = nvml.nvmlDeviceGetCount()
        self._mute = {}
        for index in range(count):
            try:
                with self.errors(f"GPU {index}"):
                    handle = nvml.nvmlDeviceGetHandleByIndex(index)
                    uuid = nvml.nvmlDeviceGetUUID(handle)
                    if uuid not in self._devices:
                        self._devices[uuid] = Device(handle, self._read(handle, index, uuid))
                        self._seen[uuid] = index
            except DriverError as error:
                if error.code in OF_ONE_GPU:
                    self._mute[index] = error
                elif error.code is not ReturnCode.NO_PERMISSION:
                    raise

    def _read(self, handle: Any, index: int, uuid: str) -> Gpu:
        nvml = self.nvml
        pci = nvml.nvmlDeviceGetPciInfo_v3(handle)
        product = nvml.nvmlDeviceGetName(handle)
        capability = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        return Gpu(
            uuid=uuid,
            index=index,
            minor=nvml.nvmlDeviceGetMinorNumber(handle),
            product=product,
            board=boards.identify(pci.pciDeviceId, product),
            memory_mib=self.memory_mib(handle),
            architecture=architecture(*capability),
            compute_capability=capability,
            pci_bus_id=pci.busId,
            pci_device_id=pci.pciDeviceId,
            pci_subsystem_id=pci.pciSubSystemId or None,
            pci_class=self._pci_attribute(pci.busId, "class"),
            numa_node=self._numa_node(pci.busId),
            mig=MigState.UNSUPPORTED,
        )

    def _numa_node(self, bus_id: str) -> int | None:
        node = self._pci_attribute(bus_id, "numa_node")
        return node if node is not None and node >= 0 else None

    def _pci_attribute(self, bus_id: str, name: str) -> int | None:
        # NVML writes eight digits for the PCI domain, the kernel four
        path = self._sysfs / "bus/pci/devices" / bus_id.lower()[-12:] / name
        try:
            return int(path.read_text(), base=0)
        except (OSError, ValueError):
            return None


def architecture(major: int, minor: int) -> str:
    """The family of a compute capability, as NVIDIA's feature discovery names it; empty when unknown."""
    if (major, minor) == (7, 5):
        return "turing"
    if (major, minor) == (8, 9):
        return "ada-lovelace"
    families = {
        5: "maxwell",
        6: "pascal",
        7: "volta",
        8: "ampere",
        9: "hopper",
        10: "blackwell",
        11: "blackwell",
        12: "blackwell",
        13: "rubin",
    }
    return families.get(major, "")
