"""A faithful model of NVML for one node: same rules, same refusals, no hardware.

Boards come from the catalogue. Everything is deterministic: the same board in the same place of the same node always
has the same UUID, and the same calls give the same ids. Where real drivers differ among themselves (which half of the
die comes first in instance ids) one of them is modelled. Boards whose placements nobody has published report MIG as
unsupported.

Nothing here waits but `wait_event` with a timeout: on a virtual-time loop, poll it with 0.
"""

import threading
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from aliquot.gpu import boards
from aliquot.gpu.driver import (
    ComputeInstance,
    ComputeProfile,
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
from aliquot.gpu.layout import Geometry, Slice
from aliquot.gpu.profiles import ProfileName
from aliquot.gpu.simulated_telemetry import simulate
from aliquot.gpu.topology import links, numa_node

_NAMESPACE = uuid.UUID("8b1f4f38-7a35-5d0e-9c50-2f2f4b6f3a11")
_XID_FALLEN_OFF_BUS = 79
_VERSION = 1


class _Compute(msgspec.Struct):
    ci_id: int
    profile_id: int
    uuid: str


class _Instance(msgspec.Struct):
    gi_id: int
    profile_id: int
    start: int
    compute: list[_Compute] = []


class _Process(msgspec.Struct):
    pid: int
    gi_id: int | None
    ci_id: int | None
    memory_mib: int | None


class _GpuState(msgspec.Struct):
    board: str
    mig: bool
    wanted_mig: bool
    """Differs from `mig` while a mode waits for a reset."""
    instances: list[_Instance] = []
    processes: list[_Process] = []
    created: int = 0
    """Compute instances ever made here, so that no MIG UUID comes twice."""
    lost: bool = False
    exclusive: bool = False
    time_slice: TimeSlice = TimeSlice.DEFAULT


class _State(msgspec.Struct):
    node: str
    gpus: list[_GpuState]
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
        state_file: Path | None = None,
    ) -> None:
        groups = [(boards.board(group.board), group.mig) for group in gpus for _ in range(group.count)]
        self._boards = [board for board, _ in groups]
        self._uuids = [_gpu_uuid(node, index, board.key) for index, board in enumerate(self._boards)]
        self._state = _State(node, [_GpuState(board.key, mig, mig) for board, mig in groups])
        self._geometries = [_geometry(board.key) for board in self._boards]
        self._measured: dict[str, dict[str, Any]] = {}
        self._old_driver = old_driver
        self._fabric: Fabric | None = None
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
        return DriverVersion(driver="580.82.07", cuda="13.0")

    def gpus(self) -> Sequence[Gpu]:
        return tuple(self._gpu(i) for i, state in enumerate(self._state.gpus) if not state.lost)

    def lost_gpus(self) -> Sequence[LostGpu]:
        return tuple(
            LostGpu(index, uuid, _lost(uuid))
            for index, (uuid, state) in enumerate(zip(self._uuids, self._state.gpus, strict=True))
            if state.lost
        )

    def links(self, gpu_uuid: str) -> Sequence[Link]:
        index = self._index(gpu_uuid)
        found = links(self._boards, index)
        return tuple(
            Link(self._uuids[peer], kind, lanes)
            for peer, kind, lanes in found
            if not self._state.gpus[peer].lost
        )

    def instance_profiles(self, gpu_uuid: str) -> Sequence[InstanceProfile]:
        index = self._index(gpu_uuid)
        mig = self._boards[index].mig
        # One tuple for all GPUs of a board, which can be told by its identity.
        profiles = mig.instance_profiles() if mig is not None else ()
        if not profiles:
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: the board has no MIG")
        return () if self._old_driver and not self._state.gpus[index].mig else profiles

    def possible_placements(self, gpu_uuid: str, profile_id: int) -> Sequence[Placement]:
        index = self._mig_index(gpu_uuid)
        self._profile(index, profile_id)
        return self._geometries[index].free_placements(profile_id, self._slices(index))

    def instances(self, gpu_uuid: str) -> Sequence[GpuInstance]:
        index = self._index(gpu_uuid)
        instances = sorted(self._state.gpus[index].instances, key=lambda i: i.gi_id)
        return tuple(self._gpu_instance(index, instance) for instance in instances)

    def set_mig_mode(self, gpu_uuid: str, enabled: bool) -> MigState:
        index = self._index(gpu_uuid)
        state = self._state.gpus[index]
        mig = self._boards[index].mig
        if mig is None or not self._geometries[index].profiles:
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: the board has no MIG")
        if not enabled and state.instances:
            raise DriverError(ReturnCode.IN_USE, "In use by another client: GPU instances exist")
        if not mig.mode_change_needs_reset and enabled != state.mig and state.processes:
            raise DriverError(ReturnCode.IN_USE, "In use by another client: a process runs on the GPU")
        with self._change():
            state.wanted_mig = enabled
            if not mig.mode_change_needs_reset:
                state.mig = enabled
        return self._mig_state(index)

    def set_exclusive(self, gpu_uuid: str, exclusive: bool) -> None:
        index = self._index(gpu_uuid)
        if self._state.gpus[index].mig:
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: MIG mode is on")
        with self._change():
            self._state.gpus[index].exclusive = exclusive

    def set_time_slice(self, gpu_uuid: str, length: TimeSlice) -> None:
        index = self._index(gpu_uuid)
        if self._boards[index].compute_capability_numbers < (7, 0):
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: time slices before Volta")
        with self._change():
            self._state.gpus[index].time_slice = length

    def exclusive(self, gpu_uuid: str) -> bool:
        """As `set_exclusive` left it; no such thing is asked of a real driver."""
        return self._state.gpus[self._index(gpu_uuid)].exclusive

    def time_slice(self, gpu_uuid: str) -> TimeSlice:
        """As `set_time_slice` left it; no such thing is asked of a real driver."""
        return self._state.gpus[self._index(gpu_uuid)].time_slice

    def reset_gpu(self, gpu_uuid: str) -> None:
        index = self._index(gpu_uuid)
        state = self._state.gpus[index]
        if state.processes:
            raise DriverError(ReturnCode.IN_USE, "In use by another client: a process runs on the GPU")
        with self._change():
            state.instances = []
            state.mig = state.wanted_mig

    def create_gpu_instance(self, gpu_uuid: str, profile_id: int, start: int | None) -> GpuInstance:
        index = self._mig_index(gpu_uuid)
        state = self._state.gpus[index]
        profile = self._profile(index, profile_id)
        if start is not None and start not in (p.start for p in profile.placements):
            raise DriverError(
                ReturnCode.INVALID_ARGUMENT, f"Invalid Argument: {profile.name} has no start {start}"
            )
        existing = self._slices(index)
        free = [p.start for p in self._geometries[index].free_placements(profile_id, existing)]
        if start is None:
            start = next((s for s in self._preferred_starts(index, profile) if s in free), None)
        if start not in free or start is None:
            raise DriverError(
                ReturnCode.INSUFFICIENT_RESOURCES, f"Insufficient Resources: no room for {profile.name}"
            )
        slots = self._geometries[index].memory_slots
        instance = _Instance(
            slots // profile.memory_slots - 1 + start // profile.memory_slots, profile_id, start
        )
        with self._change():
            state.instances.append(instance)
        return self._gpu_instance(index, instance)

    def destroy_gpu_instance(self, gpu_uuid: str, gi_id: int) -> None:
        index = self._mig_index(gpu_uuid)
        instance = self._instance(index, gi_id)
        if instance.compute:
            raise DriverError(
                ReturnCode.IN_USE, f"In use by another client: GPU instance {gi_id} has compute instances"
            )
        with self._change():
            self._state.gpus[index].instances.remove(instance)

    def create_compute_instance(self, gpu_uuid: str, gi_id: int, profile_id: int | None) -> ComputeInstance:
        index = self._mig_index(gpu_uuid)
        state = self._state.gpus[index]
        instance = self._instance(index, gi_id)
        profile = self._profile(index, instance.profile_id)
        wanted = _compute_profile(profile, profile_id)
        used = [_compute_profile(profile, c.profile_id) for c in instance.compute]
        slices_left = profile.compute_slices - sum(c.compute_slices for c in used)
        if wanted.compute_slices > slices_left or used.count(wanted) >= wanted.max_instances:
            raise DriverError(
                ReturnCode.INSUFFICIENT_RESOURCES, "Insufficient Resources: no compute slices left"
            )
        ci_id = min(set(range(len(used) + 1)) - {c.ci_id for c in instance.compute})
        with self._change():
            state.created += 1
            seed = f"{self._uuids[index]}/{gi_id}/{ci_id}/{state.created}"
            made = _Compute(ci_id, wanted.profile_id, f"MIG-{uuid.uuid5(_NAMESPACE, seed)}")
            instance.compute.append(made)
        return _compute_instance(profile, made)

    def destroy_compute_instance(self, gpu_uuid: str, gi_id: int, ci_id: int) -> None:
        index = self._mig_index(gpu_uuid)
        instance = self._instance(index, gi_id)
        compute = next((c for c in instance.compute if c.ci_id == ci_id), None)
        if compute is None:
            raise DriverError(
                ReturnCode.NOT_FOUND, f"Not Found: no compute instance {ci_id} in GPU instance {gi_id}"
            )
        if any((p.gi_id, p.ci_id) == (gi_id, ci_id) for p in self._state.gpus[index].processes):
            raise DriverError(
                ReturnCode.IN_USE, "In use by another client: a process runs in the compute instance"
            )
        with self._change():
            instance.compute.remove(compute)

    def processes(self, gpu_uuid: str) -> Sequence[Process]:
        state = self._state.gpus[self._index(gpu_uuid)]
        return tuple(Process(p.pid, p.gi_id, p.ci_id, p.memory_mib) for p in state.processes)

    def telemetry(self, gpu_uuid: str) -> Telemetry:
        index = self._index(gpu_uuid)
        profiles = self._geometries[index].profiles
        instances = {i.gi_id: profiles[i.profile_id] for i in self._state.gpus[index].instances if i.compute}
        mig = self._state.gpus[index].mig
        found = simulate(self._boards[index], self.processes(gpu_uuid), instances if mig else None)
        return replace(found, **self._measured.get(gpu_uuid, {}))

    def wait_event(self, timeout_s: float) -> XidEvent | None:
        with self._event_came:
            if timeout_s > 0:
                self._event_came.wait_for(lambda: bool(self._events), timeout_s)
            return self._events.popleft() if self._events else None

    # --- what happens to hardware ---

    def start_process(self, device_uuid: str, *, pid: int, memory_mib: int | None = None) -> None:
        """A process begins to use a GPU or a MIG device. A GPU in MIG mode runs nothing itself."""
        index, gi_id, ci_id = self._device(device_uuid)
        if gi_id is None and self._state.gpus[index].mig:
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: the GPU is in MIG mode")
        self._state.gpus[index].processes.append(_Process(pid, gi_id, ci_id, memory_mib))

    def stop_process(self, pid: int) -> None:
        """It lets go of every device. Raises NOT_FOUND where no such process runs."""
        holders = [state for state in self._state.gpus if any(p.pid == pid for p in state.processes)]
        if not holders:
            raise DriverError(ReturnCode.NOT_FOUND, f"Not Found: no process {pid}")
        for state in holders:
            state.processes = [p for p in state.processes if p.pid != pid]

    def inject_xid(self, device_uuid: str, xid: int) -> None:
        """Reports a critical event of a GPU or of one MIG device."""
        index, gi_id, ci_id = self._device(device_uuid)
        self._report(XidEvent(self._uuids[index], xid, gi_id, ci_id))

    def measure(self, gpu_uuid: str, **figures: Any) -> None:
        """From now on the GPU's `Telemetry` has these figures, whatever runs on it."""
        self._index(gpu_uuid)
        self._measured.setdefault(gpu_uuid, {}).update(figures)

    def lose_gpu(self, gpu_uuid: str) -> None:
        """The GPU falls off the bus: XID 79, and GPU_IS_LOST from then on until the node reboots."""
        index = self._index(gpu_uuid)
        with self._change():
            self._state.gpus[index].lost = True
        self._report(XidEvent(gpu_uuid, _XID_FALLEN_OFF_BUS))

    def join_fabric(self, fabric: Fabric | None) -> None:
        """The fabric manager is done: boards with NVLink have joined that domain. None: they have left it."""
        self._fabric = fabric

    def reboot(self) -> None:
        """Processes, instances and unread events are gone, lost GPUs are back.

        MIG mode stays where the board keeps it (Ampere, a pending change then takes effect) and is off elsewhere.
        """
        with self._change():
            for state, board in zip(self._state.gpus, self._boards, strict=True):
                keeps_mode = board.mig is not None and bool(board.mig.mode_change_needs_reset)
                state.mig = state.wanted_mig = state.wanted_mig and keeps_mode
                state.instances = []
                state.processes = []
                state.lost = False
        with self._event_came:
            self._events.clear()

    def save(self) -> str:
        """Modes, instances and losses as JSON. Processes do not outlive the process that simulates them."""
        state = msgspec.structs.replace(
            self._state, gpus=[msgspec.structs.replace(gpu, processes=[]) for gpu in self._state.gpus]
        )
        return msgspec.json.encode(state).decode()

    def restore(self, text: str) -> None:
        """Takes over what `save` wrote. Raises ValueError when it is damaged or of another inventory."""
        try:
            state = msgspec.json.decode(text, type=_State)
        except msgspec.DecodeError as error:
            raise ValueError(
                f"damaged state of the simulated GPUs of '{self._state.node}': {error}"
            ) from None
        mine = (self._state.node, [gpu.board for gpu in self._state.gpus])
        if (state.version, state.node, [gpu.board for gpu in state.gpus]) != (_VERSION, *mine):
            raise ValueError(
                f"this state of simulated GPUs is not that of '{self._state.node}' and its inventory"
            )
        for gpu, geometry in zip(state.gpus, self._geometries, strict=True):
            if not geometry.legal([Slice(i.profile_id, i.start) for i in gpu.instances]):
                raise ValueError(
                    f"damaged state of the simulated GPUs of '{self._state.node}': impossible layout"
                )
        self._state = state

    # --- inside ---

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Around every lasting change. GPUs may be changed from several threads, and they share one file."""
        with self._changing:
            yield
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

    def _index(self, gpu_uuid: str) -> int:
        if gpu_uuid not in self._uuids:
            raise DriverError(ReturnCode.NOT_FOUND, f"Not Found: no GPU {gpu_uuid}")
        index = self._uuids.index(gpu_uuid)
        if self._state.gpus[index].lost:
            raise _lost(gpu_uuid)
        return index

    def _mig_index(self, gpu_uuid: str) -> int:
        index = self._index(gpu_uuid)
        if not self._state.gpus[index].mig:
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: MIG mode is off")
        return index

    def _device(self, device_uuid: str) -> tuple[int, int | None, int | None]:
        for index, state in enumerate(self._state.gpus):
            for instance in state.instances:
                for compute in instance.compute:
                    if compute.uuid == device_uuid:
                        return self._index(self._uuids[index]), instance.gi_id, compute.ci_id
        return self._index(device_uuid), None, None

    def _profile(self, index: int, profile_id: int) -> InstanceProfile:
        profile = self._geometries[index].profiles.get(profile_id)
        if profile is None:
            raise DriverError(
                ReturnCode.INVALID_ARGUMENT, f"Invalid Argument: no GPU instance profile {profile_id}"
            )
        return profile

    def _instance(self, index: int, gi_id: int) -> _Instance:
        for instance in self._state.gpus[index].instances:
            if instance.gi_id == gi_id:
                return instance
        raise DriverError(ReturnCode.NOT_FOUND, f"Not Found: no GPU instance {gi_id}")

    def _slices(self, index: int) -> list[Slice]:
        return [Slice(i.profile_id, i.start) for i in self._state.gpus[index].instances]

    def _preferred_starts(self, index: int, profile: InstanceProfile) -> list[int]:
        """The driver's own choice: where the fewest placements of any profile are blocked, then the lowest.

        Found to agree with the captures at hand: 1g at 6, 4, 5, 0, ...; 2g at 4, 0, 2; 3g at 4, 0.
        """
        geometry = self._geometries[index]

        def blocked(start: int) -> int:
            taken = geometry.occupancy([Slice(profile.profile_id, start)])
            return sum(1 for other in geometry.placements if geometry.occupancy([other]) & taken)

        return sorted((p.start for p in profile.placements), key=lambda start: (blocked(start), start))

    def _mig_state(self, index: int) -> MigState:
        state = self._state.gpus[index]
        if not self._geometries[index].profiles:
            return MigState.UNSUPPORTED
        if state.mig == state.wanted_mig:
            return MigState.ENABLED if state.mig else MigState.DISABLED
        return MigState.PENDING_ENABLE if state.wanted_mig else MigState.PENDING_DISABLE

    def _gpu(self, index: int) -> Gpu:
        board = self._boards[index]
        return Gpu(
            uuid=self._uuids[index],
            index=index,
            minor=index,
            product=board.product,
            board=board.key,
            memory_mib=board.memory_mib,
            architecture=board.architecture,
            compute_capability=board.compute_capability_numbers,
            pci_bus_id=f"00000000:{0x10 + 7 * index:02X}:00.0",
            pci_device_id=board.pci_device_id,
            pci_subsystem_id=None,
            pci_class=board.pci_class_number,
            numa_node=numa_node(len(self._boards), index),
            mig=self._mig_state(index),
            fabric=self._fabric if board.nvlink is not None else None,
        )

    def _gpu_instance(self, index: int, instance: _Instance) -> GpuInstance:
        profile = self._profile(index, instance.profile_id)
        return GpuInstance(
            gi_id=instance.gi_id,
            profile_id=instance.profile_id,
            placement=Placement(instance.start, profile.memory_slots),
            compute_instances=tuple(
                _compute_instance(profile, c) for c in sorted(instance.compute, key=lambda c: c.ci_id)
            ),
        )


def _lost(gpu_uuid: str) -> DriverError:
    return DriverError(ReturnCode.GPU_IS_LOST, f"{gpu_uuid}: GPU is lost")


def _gpu_uuid(node: str, index: int, board: str) -> str:
    """Another board in the same slot is another GPU."""
    return f"GPU-{uuid.uuid5(_NAMESPACE, f'{node}/{index}/{board}')}"


@cache
def _geometry(key: str) -> Geometry:
    """One for all GPUs of a board: fleets have thousands."""
    mig = boards.board(key).mig
    return Geometry(mig.instance_profiles() if mig else ())


def _compute_profile(profile: InstanceProfile, profile_id: int | None) -> ComputeProfile:
    """None: the one that fills the instance."""
    for compute in profile.compute_profiles:
        if compute.profile_id == profile_id:
            return compute
        if profile_id is None and compute.compute_slices == profile.compute_slices:
            return compute
    raise DriverError(
        ReturnCode.INVALID_ARGUMENT, f"Invalid Argument: {profile.name} has no compute profile {profile_id}"
    )


def _compute_instance(profile: InstanceProfile, compute: _Compute) -> ComputeInstance:
    whole = ProfileName.parse(profile.name)
    slices = _compute_profile(profile, compute.profile_id).compute_slices
    name = ProfileName(slices, whole.gpu_slices, whole.memory_gb, whole.attributes)
    return ComputeInstance(compute.ci_id, compute.profile_id, compute.uuid, str(name))
