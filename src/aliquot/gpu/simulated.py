"""A faithful model of NVML for one node: same rules, same refusals, no hardware.

Boards come from the catalogue. Everything is deterministic: the same board in the same place of the same node always
has the same UUID, and the same calls give the same ids. Where real drivers differ among themselves (which half of the
die comes first in instance ids) one of them is modelled. Boards whose placements nobody has published report MIG as
unsupported.

Nothing here waits but `wait_event` with a timeout: on a virtual-time loop, poll it with 0.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from aliquot.gpu import boards, topology
from aliquot.gpu.driver import (
    ComputeInstance,
    DriverError,
    DriverVersion,
    Fabric,
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
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.layout import Slice
from aliquot.gpu.simulated_gpu import GpuState, SimulatedGpu
from aliquot.gpu.simulated_telemetry import simulate

_XID_FALLEN_OFF_BUS = 79
_VERSION = 1
_DRIVER = DriverVersion(driver="580.82.07", cuda="13.0")


class _Saved(msgspec.Struct):
    node: str
    gpus: list[GpuState]
    version: int = _VERSION


class SimulatedDriver:
    """`aliquot.gpu.driver.Driver` for the GPUs of one emulated node, and the levers to trouble it.

    `old_driver`: report no profiles while MIG mode is off, as releases before R550 do. `state_file`: keep
    instances and modes there from the start on, and begin from it, so that a new process finds what the last
    one left, as it would on hardware. Raises ValueError when that file belongs to another inventory.
    """

    def __init__(
        self,
        gpus: Sequence[InventoryGpus],
        *,
        node: str,
        old_driver: bool = False,
        fabric: Fabric | None = None,
        state_file: Path | None = None,
        version: DriverVersion = _DRIVER,
    ) -> None:
        groups = [(boards.board(group.board), group.mig) for group in gpus for _ in range(group.count)]
        self._node = node
        self._gpus = [
            SimulatedGpu(board, node, index, topology.numa_node(len(groups), index), mig=mig)
            for index, (board, mig) in enumerate(groups)
        ]
        self._by_uuid = {gpu.uuid: gpu for gpu in self._gpus}
        self._measured: dict[str, dict[str, Any]] = {}
        self._old_driver = old_driver
        self._version = version
        self._fabric = fabric
        self._events: deque[XidEvent] = deque()
        self._event_came = threading.Condition()
        self._changing = threading.Lock()
        # Each write puts another file into the place of the old one: of the real one, where the path is a link.
        self._state_file = state_file.resolve() if state_file is not None else None
        if state_file is not None and state_file.exists():
            self.restore(state_file.read_text())
        else:
            self._keep()

    # --- what Driver promises ---

    def version(self) -> DriverVersion:
        return self._version

    def gpus(self) -> Sequence[Gpu]:
        return tuple(gpu.described(self._fabric) for gpu in self._gpus if not gpu.state.lost)

    def lost_gpus(self) -> Sequence[LostGpu]:
        return tuple(LostGpu(gpu.index, gpu.uuid, gpu.loss) for gpu in self._gpus if gpu.state.lost)

    def links(self, gpu_uuid: str) -> Sequence[Link]:
        found = topology.links([gpu.board for gpu in self._gpus], self._at(gpu_uuid).index)
        peers = ((self._gpus[peer], kind, lanes) for peer, kind, lanes in found)
        return tuple(Link(peer.uuid, kind, lanes) for peer, kind, lanes in peers if not peer.state.lost)

    def instance_profiles(self, gpu_uuid: str) -> Sequence[InstanceProfile]:
        gpu = self._at(gpu_uuid)
        profiles = gpu.instance_profiles()
        return () if self._old_driver and not gpu.state.mig else profiles

    def possible_placements(self, gpu_uuid: str, profile_id: int) -> Sequence[Placement]:
        return self._at(gpu_uuid).possible_placements(profile_id)

    def instances(self, gpu_uuid: str) -> Sequence[GpuInstance]:
        return self._at(gpu_uuid).instances()

    def set_mig_mode(self, gpu_uuid: str, enabled: bool) -> MigState:
        with self._change(gpu_uuid) as gpu:
            gpu.set_mig_mode(enabled)
        return gpu.mig_state

    def set_exclusive(self, gpu_uuid: str, exclusive: bool) -> None:
        with self._change(gpu_uuid) as gpu:
            gpu.set_exclusive(exclusive)

    def set_time_slice(self, gpu_uuid: str, length: TimeSlice) -> None:
        with self._change(gpu_uuid) as gpu:
            gpu.set_time_slice(length)

    def exclusive(self, gpu_uuid: str) -> bool:
        """As `set_exclusive` left it; no such thing is asked of a real driver."""
        return self._at(gpu_uuid).state.exclusive

    def time_slice(self, gpu_uuid: str) -> TimeSlice:
        """As `set_time_slice` left it; no such thing is asked of a real driver."""
        return self._at(gpu_uuid).state.time_slice

    def reset_gpu(self, gpu_uuid: str) -> None:
        with self._change(gpu_uuid) as gpu:
            gpu.reset()

    def create_gpu_instance(self, gpu_uuid: str, profile_id: int, start: int | None) -> GpuInstance:
        with self._change(gpu_uuid) as gpu:
            return gpu.create_gpu_instance(profile_id, start)

    def destroy_gpu_instance(self, gpu_uuid: str, gi_id: int) -> None:
        with self._change(gpu_uuid) as gpu:
            gpu.destroy_gpu_instance(gi_id)

    def create_compute_instance(self, gpu_uuid: str, gi_id: int, profile_id: int | None) -> ComputeInstance:
        with self._change(gpu_uuid) as gpu:
            return gpu.create_compute_instance(gi_id, profile_id)

    def destroy_compute_instance(self, gpu_uuid: str, gi_id: int, ci_id: int) -> None:
        with self._change(gpu_uuid) as gpu:
            gpu.destroy_compute_instance(gi_id, ci_id)

    def processes(self, gpu_uuid: str) -> Sequence[Process]:
        return self._at(gpu_uuid).processes()

    def telemetry(self, gpu_uuid: str) -> Telemetry:
        gpu = self._at(gpu_uuid)
        profiles = gpu.geometry.profiles
        instances = {i.gi_id: profiles[i.profile_id] for i in gpu.state.instances if i.compute}
        found = simulate(gpu.board, gpu.processes(), instances if gpu.state.mig else None)
        return replace(found, **self._measured.get(gpu_uuid, {}))

    def wait_event(self, timeout_s: float) -> XidEvent | None:
        with self._event_came:
            if timeout_s > 0:
                self._event_came.wait_for(lambda: bool(self._events), timeout_s)
            return self._events.popleft() if self._events else None

    # --- what happens to hardware ---

    def start_process(self, device_uuid: str, *, pid: int, memory_mib: int | None = None) -> None:
        """A process begins to use a GPU or a MIG device. A GPU in MIG mode runs nothing itself."""
        gpu, part = self._device(device_uuid)
        gpu.start_process(pid, part, memory_mib)

    def stop_process(self, pid: int) -> None:
        """It lets go of every device. Raises NOT_FOUND where no such process runs."""
        holders = [gpu.state for gpu in self._gpus if any(p.pid == pid for p in gpu.state.processes)]
        if not holders:
            raise DriverError(ReturnCode.NOT_FOUND, f"Not Found: no process {pid}")
        for state in holders:
            state.processes = [p for p in state.processes if p.pid != pid]

    def inject_xid(self, device_uuid: str, xid: int) -> None:
        """Reports a critical event of a GPU or of one MIG device."""
        gpu, part = self._device(device_uuid)
        self._report(XidEvent(gpu.uuid, xid, *(part or (None, None))))

    def measure(self, gpu_uuid: str, **figures: Any) -> None:
        """From now on the GPU's `Telemetry` has these figures, whatever runs on it."""
        self._at(gpu_uuid)
        self._measured.setdefault(gpu_uuid, {}).update(figures)

    def lose_gpu(self, gpu_uuid: str) -> None:
        """The GPU falls off the bus: XID 79, and GPU_IS_LOST from then on until the node reboots."""
        with self._change(gpu_uuid) as gpu:
            gpu.state.lost = True
        self._report(XidEvent(gpu_uuid, _XID_FALLEN_OFF_BUS))

    def join_fabric(self, fabric: Fabric | None) -> None:
        """The fabric manager is done: boards with NVLink have joined that domain. None: they have left it."""
        self._fabric = fabric

    def unload(self) -> None:
        """The driver is taken away: instances and unread events are gone, and MIG mode where the board does not keep it."""
        with self._changing:
            for gpu in self._gpus:
                gpu.unload()
            self._keep()
        with self._event_came:
            self._events.clear()

    def reboot(self) -> None:
        """Processes, instances and unread events are gone, lost GPUs are back."""
        with self._changing:
            for gpu in self._gpus:
                gpu.reboot()
            self._keep()
        with self._event_came:
            self._events.clear()

    def save(self) -> str:
        """Modes, instances and losses as JSON. Processes do not outlive the process that simulates them."""
        states = [msgspec.structs.replace(gpu.state, processes=[]) for gpu in self._gpus]
        return msgspec.json.encode(_Saved(self._node, states)).decode()

    def restore(self, text: str) -> None:
        """Takes over what `save` wrote. Raises ValueError when it is damaged or of another inventory."""
        damaged = f"damaged state of the simulated GPUs of '{self._node}'"
        try:
            saved = msgspec.json.decode(text, type=_Saved)
        except msgspec.DecodeError as error:
            raise ValueError(f"{damaged}: {error}") from None
        mine = (_VERSION, self._node, [gpu.board.key for gpu in self._gpus])
        if (saved.version, saved.node, [state.board for state in saved.gpus]) != mine:
            raise ValueError(f"this state of simulated GPUs is not that of '{self._node}' and its inventory")
        for gpu, state in zip(self._gpus, saved.gpus, strict=True):
            if not gpu.geometry.legal([Slice(i.profile_id, i.start) for i in state.instances]):
                raise ValueError(f"{damaged}: impossible layout")
        for gpu, state in zip(self._gpus, saved.gpus, strict=True):
            gpu.state = state

    # --- inside ---

    @contextmanager
    def _change(self, gpu_uuid: str) -> Iterator[SimulatedGpu]:
        """Around every lasting change; one that is refused changes nothing. GPUs may be changed from several threads, and
        they share one file."""
        with self._changing:
            yield self._at(gpu_uuid)
            self._keep()

    def _keep(self) -> None:
        if self._state_file is not None:
            partial = self._state_file.with_suffix(".partial")
            partial.write_text(self.save())
            partial.replace(self._state_file)

    def _report(self, event: XidEvent) -> None:
        with self._event_came:
            self._events.append(event)
            self._event_came.notify_all()

    def _at(self, gpu_uuid: str) -> SimulatedGpu:
        gpu = self._by_uuid.get(gpu_uuid)
        if gpu is None:
            raise DriverError(ReturnCode.NOT_FOUND, f"Not Found: no GPU {gpu_uuid}")
        gpu.check_is_there()
        return gpu

    def _device(self, device_uuid: str) -> tuple[SimulatedGpu, tuple[int, int] | None]:
        """The GPU, and where it is a MIG device, which GPU instance and compute instance of it."""
        for gpu in self._gpus:
            if part := gpu.compute_instance_of(device_uuid):
                gpu.check_is_there()
                return gpu, part
        return self._at(device_uuid), None
