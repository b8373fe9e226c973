"""One simulated GPU: its modes, instances and processes, and what NVML would refuse. See `simulated`."""

import uuid
from functools import cache

import msgspec

from aliquot.gpu import boards
from aliquot.gpu.boards import Board
from aliquot.gpu.driver import (
    ComputeInstance,
    ComputeProfile,
    DriverError,
    Fabric,
    Gpu,
    GpuInstance,
    InstanceProfile,
    MigState,
    Placement,
    Process,
    ReturnCode,
    TimeSlice,
)
from aliquot.gpu.layout import Geometry, Slice
from aliquot.gpu.profiles import ProfileName

_NAMESPACE = uuid.UUID("8b1f4f38-7a35-5d0e-9c50-2f2f4b6f3a11")


class ComputeState(msgspec.Struct):
    ci_id: int
    profile_id: int
    uuid: str


class InstanceState(msgspec.Struct):
    gi_id: int
    profile_id: int
    start: int
    compute: list[ComputeState] = []


class ProcessState(msgspec.Struct):
    pid: int
    gi_id: int | None
    ci_id: int | None
    memory_mib: int | None


class GpuState(msgspec.Struct):
    board: str
    mig: bool
    wanted_mig: bool
    """Differs from `mig` while a mode waits for a reset."""
    instances: list[InstanceState] = []
    processes: list[ProcessState] = []
    created: int = 0
    """Compute instances ever made here, so that no MIG UUID comes twice."""
    lost: bool = False
    exclusive: bool = False
    time_slice: TimeSlice = TimeSlice.DEFAULT


class SimulatedGpu:
    """Methods named as those of `Driver` do as they do, and raise as they raise. `state` may be exchanged."""

    def __init__(self, board: Board, node: str, index: int, numa_node: int | None, *, mig: bool) -> None:
        self.board = board
        self.index = index
        self.uuid = _gpu_uuid(node, index, board.key)
        self.geometry = _geometry(board.key)
        self.state = GpuState(board.key, mig, mig)
        self._numa_node = numa_node

    def described(self, fabric: Fabric | None) -> Gpu:
        board = self.board
        return Gpu(
            uuid=self.uuid,
            index=self.index,
            minor=self.index,
            product=board.product,
            board=board.key,
            memory_mib=board.memory_mib,
            architecture=board.architecture,
            compute_capability=board.compute_capability_numbers,
            pci_bus_id=f"00000000:{0x10 + 7 * self.index:02X}:00.0",
            pci_device_id=board.pci_device_id,
            pci_subsystem_id=None,
            pci_class=board.pci_class_number,
            numa_node=self._numa_node,
            mig=self.mig_state,
            fabric=fabric if board.nvlink is not None else None,
        )

    def check_is_there(self) -> None:
        if self.state.lost:
            raise self.loss

    @property
    def loss(self) -> DriverError:
        return DriverError(ReturnCode.GPU_IS_LOST, f"{self.uuid}: GPU is lost")

    # --- modes ---

    @property
    def mig_state(self) -> MigState:
        if not self.geometry.profiles:
            return MigState.UNSUPPORTED
        if self.state.mig == self.state.wanted_mig:
            return MigState.ENABLED if self.state.mig else MigState.DISABLED
        return MigState.PENDING_ENABLE if self.state.wanted_mig else MigState.PENDING_DISABLE

    def set_mig_mode(self, enabled: bool) -> None:
        state, mig = self.state, self.board.mig
        if mig is None or not self.geometry.profiles:
            raise _no_mig()
        if not enabled and state.instances:
            raise DriverError(ReturnCode.IN_USE, "In use by another client: GPU instances exist")
        if not mig.mode_change_needs_reset and enabled != state.mig:
            self._check_idle()
        state.wanted_mig = enabled
        if not mig.mode_change_needs_reset:
            state.mig = enabled

    def set_exclusive(self, exclusive: bool) -> None:
        if self.state.mig:
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: MIG mode is on")
        self.state.exclusive = exclusive

    def set_time_slice(self, length: TimeSlice) -> None:
        if self.board.compute_capability_numbers < (7, 0):
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: time slices before Volta")
        self.state.time_slice = length

    def reset(self) -> None:
        self._check_idle()
        self.state.instances = []
        self.state.mig = self.state.wanted_mig

    def unload(self) -> None:
        """MIG mode stays where the board keeps it (Ampere, a pending change then takes effect) and is off elsewhere."""
        state, mig = self.state, self.board.mig
        keeps_mode = mig is not None and bool(mig.mode_change_needs_reset)
        state.mig = state.wanted_mig = state.wanted_mig and keeps_mode
        state.instances = []
        state.processes = []
        state.exclusive = False
        state.time_slice = TimeSlice.DEFAULT

    def reboot(self) -> None:
        self.unload()
        self.state.lost = False

    def _check_idle(self) -> None:
        if self.state.processes:
            raise DriverError(ReturnCode.IN_USE, "In use by another client: a process runs on the GPU")

    # --- instances ---

    def instance_profiles(self) -> tuple[InstanceProfile, ...]:
        # One tuple for all GPUs of a board, which can be told by its identity.
        profiles = self.board.mig.instance_profiles() if self.board.mig is not None else ()
        if not profiles:
            raise _no_mig()
        return profiles

    def possible_placements(self, profile_id: int) -> tuple[Placement, ...]:
        self._check_mig()
        self._profile(profile_id)
        return tuple(self.geometry.free_placements(profile_id, self._slices()))

    def instances(self) -> tuple[GpuInstance, ...]:
        return tuple(map(self._described, sorted(self.state.instances, key=lambda i: i.gi_id)))

    def create_gpu_instance(self, profile_id: int, start: int | None) -> GpuInstance:
        self._check_mig()
        profile = self._profile(profile_id)
        if start is not None and start not in (p.start for p in profile.placements):
            raise DriverError(
                ReturnCode.INVALID_ARGUMENT, f"Invalid Argument: {profile.name} has no start {start}"
            )
        free = [p.start for p in self.geometry.free_placements(profile_id, self._slices())]
        if start is None:
            start = next((s for s in self._preferred_starts(profile) if s in free), None)
        if start not in free or start is None:
            raise DriverError(
                ReturnCode.INSUFFICIENT_RESOURCES, f"Insufficient Resources: no room for {profile.name}"
            )
        gi_id = self.geometry.memory_slots // profile.memory_slots - 1 + start // profile.memory_slots
        made = InstanceState(gi_id, profile_id, start)
        self.state.instances.append(made)
        return self._described(made)

    def destroy_gpu_instance(self, gi_id: int) -> None:
        self._check_mig()
        instance = self._instance(gi_id)
        if instance.compute:
            raise DriverError(
                ReturnCode.IN_USE, f"In use by another client: GPU instance {gi_id} has compute instances"
            )
        self.state.instances.remove(instance)

    def create_compute_instance(self, gi_id: int, profile_id: int | None) -> ComputeInstance:
        self._check_mig()
        instance = self._instance(gi_id)
        profile = self._profile(instance.profile_id)
        wanted = _compute_profile(profile, profile_id)
        used = [_compute_profile(profile, c.profile_id) for c in instance.compute]
        slices_left = profile.compute_slices - sum(c.compute_slices for c in used)
        if wanted.compute_slices > slices_left or used.count(wanted) >= wanted.max_instances:
            raise DriverError(
                ReturnCode.INSUFFICIENT_RESOURCES, "Insufficient Resources: no compute slices left"
            )
        ci_id = min(set(range(len(used) + 1)) - {c.ci_id for c in instance.compute})
        self.state.created += 1
        seed = f"{self.uuid}/{gi_id}/{ci_id}/{self.state.created}"
        made = ComputeState(ci_id, wanted.profile_id, f"MIG-{uuid.uuid5(_NAMESPACE, seed)}")
        instance.compute.append(made)
        return _compute_instance(profile, made)

    def destroy_compute_instance(self, gi_id: int, ci_id: int) -> None:
        self._check_mig()
        instance = self._instance(gi_id)
        compute = next((c for c in instance.compute if c.ci_id == ci_id), None)
        if compute is None:
            raise DriverError(
                ReturnCode.NOT_FOUND, f"Not Found: no compute instance {ci_id} in GPU instance {gi_id}"
            )
        if any((p.gi_id, p.ci_id) == (gi_id, ci_id) for p in self.state.processes):
            raise DriverError(
                ReturnCode.IN_USE, "In use by another client: a process runs in the compute instance"
            )
        instance.compute.remove(compute)

    def compute_instance_of(self, mig_uuid: str) -> tuple[int, int] | None:
        """GPU instance and compute instance of a MIG device; None: it is not of this GPU."""
        return next(
            (
                (instance.gi_id, compute.ci_id)
                for instance in self.state.instances
                for compute in instance.compute
                if compute.uuid == mig_uuid
            ),
            None,
        )

    def _check_mig(self) -> None:
        if not self.state.mig:
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: MIG mode is off")

    def _profile(self, profile_id: int) -> InstanceProfile:
        profile = self.geometry.profiles.get(profile_id)
        if profile is None:
            raise DriverError(
                ReturnCode.INVALID_ARGUMENT, f"Invalid Argument: no GPU instance profile {profile_id}"
            )
        return profile

    def _instance(self, gi_id: int) -> InstanceState:
        for instance in self.state.instances:
            if instance.gi_id == gi_id:
                return instance
        raise DriverError(ReturnCode.NOT_FOUND, f"Not Found: no GPU instance {gi_id}")

    def _slices(self) -> list[Slice]:
        return [Slice(i.profile_id, i.start) for i in self.state.instances]

    def _preferred_starts(self, profile: InstanceProfile) -> list[int]:
        """The driver's own choice: where the fewest placements of any profile are blocked, then the lowest.

        Found to agree with the captures at hand: 1g at 6, 4, 5, 0, ...; 2g at 4, 0, 2; 3g at 4, 0.
        """
        geometry = self.geometry

        def blocked(start: int) -> int:
            taken = geometry.occupancy([Slice(profile.profile_id, start)])
            return sum(1 for other in geometry.placements if geometry.occupancy([other]) & taken)

        return sorted((p.start for p in profile.placements), key=lambda start: (blocked(start), start))

    def _described(self, instance: InstanceState) -> GpuInstance:
        profile = self._profile(instance.profile_id)
        return GpuInstance(
            gi_id=instance.gi_id,
            profile_id=instance.profile_id,
            placement=Placement(instance.start, profile.memory_slots),
            compute_instances=tuple(
                _compute_instance(profile, c) for c in sorted(instance.compute, key=lambda c: c.ci_id)
            ),
        )

    # --- processes ---

    def processes(self) -> tuple[Process, ...]:
        return tuple(Process(p.pid, p.gi_id, p.ci_id, p.memory_mib) for p in self.state.processes)

    def start_process(self, pid: int, part: tuple[int, int] | None, memory_mib: int | None) -> None:
        """`part`: GPU instance and compute instance. A GPU in MIG mode runs nothing itself."""
        if part is None and self.state.mig:
            raise DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: the GPU is in MIG mode")
        gi_id, ci_id = part or (None, None)
        self.state.processes.append(ProcessState(pid, gi_id, ci_id, memory_mib))


def _no_mig() -> DriverError:
    return DriverError(ReturnCode.NOT_SUPPORTED, "Not Supported: the board has no MIG")


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


def _compute_instance(profile: InstanceProfile, compute: ComputeState) -> ComputeInstance:
    whole = ProfileName.parse(profile.name)
    slices = _compute_profile(profile, compute.profile_id).compute_slices
    name = ProfileName(slices, whole.gpu_slices, whole.memory_gb, whole.attributes)
    return ComputeInstance(compute.ci_id, compute.profile_id, compute.uuid, str(name))
