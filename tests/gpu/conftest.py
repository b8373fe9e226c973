"""Machines for the driver tests: the simulated one, and a fake libnvidia-ml under the real binding.

The fake library is compiled here, and loaded before the binding looks for the real one; it is described by a scene
that is written from the catalogue, so that both machines have the same GPUs under the same UUIDs.
"""

import ctypes
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aliquot.gpu import boards, topology
from aliquot.gpu.driver import (
    DriverError,
    Fabric,
    Gpu,
    InstanceProfile,
    LinkKind,
    MigState,
    ReturnCode,
    TimeSlice,
)
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.nvml import NvmlDriver
from aliquot.gpu.simulated import SimulatedDriver

_NO_INSTANCE = 0xFFFFFFFF

FIGURES = (
    "sm_clock_mhz",
    "memory_clock_mhz",
    "temperature_celsius",
    "memory_temperature_celsius",
    "milliwatts",
    "energy_mj",
    "pcie_replays",
    "busy_percent",
    "memory_busy_percent",
    "encoder_percent",
    "decoder_percent",
    "corrected_rows",
    "uncorrected_rows",
    "row_remap_failed",
    "retired_pages_single_bit",
    "retired_pages_double_bit",
    "retired_pages_pending",
    "uncorrected_errors",
    "row_remap_pending",
    "recovery_action",
)
"""What a GPU of the fake library measures, in its order."""


class SimulatedMachine:
    def __init__(self, gpus: str, *, old_driver: bool = False) -> None:
        self.driver = SimulatedDriver(parse_gpus(gpus), node="n", old_driver=old_driver)

    def start_process(self, device_uuid: str, pid: int, memory_mib: int | None = None) -> None:
        self.driver.start_process(device_uuid, pid=pid, memory_mib=memory_mib)

    def stop_process(self, pid: int) -> None:
        self.driver.stop_process(pid)

    def inject_xid(self, device_uuid: str, xid: int) -> None:
        self.driver.inject_xid(device_uuid, xid)

    def lose_gpu(self, gpu_uuid: str) -> None:
        self.driver.lose_gpu(gpu_uuid)

    def join_fabric(self, fabric: Fabric | None) -> None:
        self.driver.join_fabric(fabric)

    def exclusive(self, gpu_uuid: str) -> bool:
        return self.driver.exclusive(gpu_uuid)

    def time_slice(self, gpu_uuid: str) -> TimeSlice:
        return self.driver.time_slice(gpu_uuid)


class NvmlMachine:
    def __init__(
        self,
        library: ctypes.CDLL,
        folder: Path,
        gpus: str,
        *,
        old_driver: bool = False,
        subsystem_id: int = 0,
    ) -> None:
        self.library = library
        (folder / "scene").write_text(scene(gpus, old_driver=old_driver, subsystem_id=subsystem_id))
        for gpu in SimulatedDriver(parse_gpus(gpus), node="n").gpus():
            device = folder / "sys/bus/pci/devices" / gpu.pci_bus_id.lower()[4:]
            device.mkdir(parents=True, exist_ok=True)
            (device / "numa_node").write_text(f"{gpu.numa_node}\n")
            (device / "class").write_text(f"{gpu.pci_class or 0:#08x}\n")
        assert library.fake_load(str(folder / "scene").encode()) == 0
        self.time_slices: dict[str, TimeSlice] = {}
        """As nvidia-smi was asked to set them."""
        self.driver = NvmlDriver(sysfs=folder / "sys", smi=self._smi)

    def start_process(self, device_uuid: str, pid: int, memory_mib: int | None = None) -> None:
        gpu_uuid, gi_id, ci_id = self._device(device_uuid)
        size = ctypes.c_ulonglong(2**64 - 1 if memory_mib is None else memory_mib << 20)
        assert self.library.fake_process(gpu_uuid.encode(), pid, gi_id, ci_id, size) == 0

    def stop_process(self, pid: int) -> None:
        self.library.fake_end_process(pid)

    def inject_xid(self, device_uuid: str, xid: int) -> None:
        gpu_uuid, gi_id, ci_id = self._device(device_uuid)
        self.library.fake_xid(gpu_uuid.encode(), ctypes.c_ulonglong(xid), gi_id, ci_id)

    def lose_gpu(self, gpu_uuid: str) -> None:
        self.library.fake_lose(gpu_uuid.encode())

    def measure(self, gpu_uuid: str, **figures: int | None) -> None:
        """Those of `FIGURES`; None: the GPU does not tell it."""
        for name, value in figures.items():
            number = ctypes.c_ulonglong(2**64 - 1 if value is None else value)
            self.library.fake_measure(gpu_uuid.encode(), FIGURES.index(name), number)

    def join_fabric(self, fabric: Fabric | None) -> None:
        for gpu in self.driver.gpus():
            if boards.board(gpu.board).nvlink is not None:
                self.report_fabric(gpu.uuid, fabric, state=3 if fabric else 0)

    def report_fabric(self, gpu_uuid: str, fabric: Fabric | None, *, state: int, status: int = 0) -> None:
        """`state`: 0 not supported, 1 not started, 2 in progress, 3 completed, with an NVML code as `status`."""
        cluster = uuid.UUID(fabric.cluster_uuid).bytes if fabric else bytes(16)
        clique = fabric.clique_id if fabric else 0
        self.library.fake_fabric(gpu_uuid.encode(), cluster, clique, state, status)

    def _device(self, device_uuid: str) -> tuple[str, Any, Any]:
        for gpu in self.driver.gpus():
            for instance in self.driver.instances(gpu.uuid):
                for compute in instance.compute_instances:
                    if compute.uuid == device_uuid:
                        return gpu.uuid, instance.gi_id, compute.ci_id
        return device_uuid, ctypes.c_uint(_NO_INSTANCE), ctypes.c_uint(_NO_INSTANCE)

    def exclusive(self, gpu_uuid: str) -> bool:
        return bool(self.library.fake_compute_mode(gpu_uuid.encode()) == 3)

    def time_slice(self, gpu_uuid: str) -> TimeSlice:
        return self.time_slices[gpu_uuid]

    def _smi(self, gpu_uuid: str, command: str, *arguments: str) -> None:
        if command == "compute-policy":
            (length,) = arguments
            self.time_slices[gpu_uuid] = list(TimeSlice)[int(length.removeprefix("--set-timeslice="))]
            return
        assert command == "--gpu-reset"
        code = self.library.fake_reset(gpu_uuid.encode())
        if code:
            raise DriverError(ReturnCode(code), "the fake did not reset")


@pytest.fixture(scope="session")
def fake_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The same for all rooms' tests of a process: the binding stays with the first library that it was given."""
    if not _loaded:
        _loaded.append(_built(tmp_path_factory.mktemp("fake_nvml")))
    return _loaded[0]


_loaded: list[ctypes.CDLL] = []


def _built(directory: Path) -> ctypes.CDLL:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the fake libnvidia-ml with")
    target = directory / "libnvidia-ml.so.1"
    source = Path(__file__).parent / "fake_nvml/fake_nvml.c"
    name = f"-Wl,-soname,{target.name}"
    subprocess.run(
        [compiler, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", name, "-o", target, source], check=True
    )
    # the binding asks for this soname, and the loader gives it the library that already has it
    return ctypes.CDLL(str(target), mode=ctypes.RTLD_GLOBAL)


@pytest.fixture
def nvml_machine(fake_library: ctypes.CDLL, tmp_path: Path) -> Iterator[Callable[..., NvmlMachine]]:
    made: list[NvmlMachine] = []

    def make(gpus: str, *, old_driver: bool = False, subsystem_id: int = 0) -> NvmlMachine:
        machine = NvmlMachine(fake_library, tmp_path, gpus, old_driver=old_driver, subsystem_id=subsystem_id)
        made.append(machine)
        return made[-1]

    yield make
    for machine in made:
        machine.driver.close()
        assert fake_library.fake_sessions() == 0


@pytest.fixture(params=["simulated", "nvml"])
def machine(request: pytest.FixtureRequest) -> Callable[..., SimulatedMachine | NvmlMachine]:
    """Makes a machine with the GPUs of an inventory text, under either driver."""
    if request.param == "simulated":
        return SimulatedMachine
    make: Callable[..., NvmlMachine] = request.getfixturevalue("nvml_machine")
    return make


# --- the scene of the fake library ---

_LEVELS = {LinkKind.SAME_CPU: 40, LinkKind.CROSS_CPU: 50}
_BY_SLICES = {1: 0, 2: 1, 3: 2, 4: 3, 7: 4}
_BY_ATTRIBUTE = {
    ("me", 1): 7,
    ("me", 2): 8,
    ("gfx", 1): 10,
    ("gfx", 2): 11,
    ("gfx", 4): 12,
    ("-me", 1): 13,
    ("-me", 2): 14,
    ("me.all", 1): 15,
    ("me.all", 2): 16,
}


def scene(gpus: str, *, old_driver: bool, subsystem_id: int) -> str:
    simulated = SimulatedDriver(parse_gpus(gpus), node="n")
    lines = ["driver 580.82.07 13000"] + ["old"] * old_driver
    found = simulated.gpus()
    for gpu in found:
        board = boards.board(gpu.board)
        major, minor = gpu.compute_capability
        reset = int(bool(board.mig and board.mig.mode_change_needs_reset))
        lines.append(
            f"gpu {gpu.uuid} {gpu.pci_bus_id} {gpu.pci_device_id:x} {subsystem_id:x} {gpu.memory_mib or 0} "
            f"{major} {minor} {int(gpu.mig is not MigState.UNSUPPORTED)} {int(gpu.mig is MigState.ENABLED)} "
            f"{reset} {gpu.product}"
        )
        lines += _links(gpu, found)
        if gpu.mig is not MigState.UNSUPPORTED:
            for profile in simulated.instance_profiles(gpu.uuid):
                lines += _profile(profile)
    return "\n".join(lines) + "\n"


def _links(gpu: Gpu, gpus: Any) -> list[str]:
    nodes = [boards.board(g.board) for g in gpus]
    lines, number = [], 0
    for peer, kind, lanes in topology.links(nodes, gpu.index):
        if kind is not LinkKind.NVLINK:
            lines.append(f"level {peer} {_LEVELS[kind]}")
        nvlink = nodes[gpu.index].nvlink
        if lanes and nvlink and lanes == nvlink.lanes:  # all of them: through a switch
            lines += [f"link {n} -2" for n in range(lanes)]
        else:
            lines += [f"link {number + n} {peer}" for n in range(lanes)]
            number += lanes
    return lines


def _profile(profile: InstanceProfile) -> list[str]:
    assert profile.engines
    engines = profile.engines
    attribute = next(iter(profile.attributes), "")
    number = _BY_ATTRIBUTE.get((attribute, profile.compute_slices), _BY_SLICES[profile.compute_slices])
    if profile.profile_id == 15:
        number = 9
    figures = [
        number,
        profile.profile_id,
        profile.compute_slices,
        profile.max_instances,
        profile.multiprocessors,
        engines.copy,
        engines.decoder,
        engines.encoder,
        engines.jpeg,
        engines.ofa,
        profile.memory_mib,
        profile.memory_slots,
    ]
    starts = " ".join(str(p.start) for p in profile.placements)
    lines = [f"profile {' '.join(str(f or 0) for f in figures)} {profile.name} {starts}"]
    lines += [
        f"compute {c.profile_id} {c.profile_id} {c.compute_slices} {c.multiprocessors or 0} {c.max_instances}"
        for c in profile.compute_profiles
    ]
    return lines
