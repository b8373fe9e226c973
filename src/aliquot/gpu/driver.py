"""The driver interface: what Aliquot asks of NVML, and nothing more.

Two implementations: `nvml.NvmlDriver` (the real one) and `simulated.SimulatedDriver` (a faithful model of it).
Calls block, as NVML's do; shells run them off the event loop, one writer per GPU at a time. GPUs are named by
UUID, profiles by the id the board reports (the number `nvidia-smi mig -cgi` takes), never by name: names change
with the driver.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from typing import Protocol


class ReturnCode(IntEnum):
    """NVML's own error numbers (nvmlReturn_t), those that Aliquot tells apart."""

    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    INSUFFICIENT_SIZE = 7
    TIMEOUT = 10
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    IN_USE = 19
    INSUFFICIENT_RESOURCES = 23
    UNKNOWN = 999


class DriverError(Exception):
    """An NVML call failed. `code` is NVML's number; other numbers than ReturnCode's become UNKNOWN."""

    def __init__(self, code: ReturnCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class MigState(Enum):
    """Current MIG mode, with the mode that waits for a reset where the board needs one."""

    UNSUPPORTED = "unsupported"
    DISABLED = "disabled"
    ENABLED = "enabled"
    PENDING_ENABLE = "pending-enable"
    PENDING_DISABLE = "pending-disable"


class TimeSlice(StrEnum):
    """How long a process has the GPU before the next has its turn; the driver knows the milliseconds."""

    DEFAULT = "default"
    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"


class RecoveryAction(StrEnum):
    """What the driver asks for, so that a GPU is sound again."""

    NONE = "none"
    GPU_RESET = "gpu-reset"
    NODE_REBOOT = "node-reboot"
    DRAIN_P2P = "drain-p2p"
    DRAIN_AND_RESET = "drain-and-reset"
    RECOVER_IMEX_DOMAIN = "recover-imex-domain"
    BUS_RESET = "bus-reset"
    SYSTEM_REBOOT = "system-reboot"


class LinkKind(Enum):
    """How two GPUs reach each other, best first; scores as in go-gpuallocator are the reader's business."""

    NVLINK = "NVLink"
    SAME_BOARD = "SameBoard"
    SINGLE_SWITCH = "SingleSwitch"
    MULTI_SWITCH = "MultiSwitch"
    HOST_BRIDGE = "HostBridge"
    SAME_CPU = "SameCPU"
    CROSS_CPU = "CrossCPU"


@dataclass(frozen=True, slots=True)
class DriverVersion:
    driver: str
    """`580.82.07`"""
    cuda: str
    """`13.0`"""


@dataclass(frozen=True, slots=True)
class Link:
    peer_uuid: str
    kind: LinkKind
    lanes: int
    """Number of NVLinks between the two; 0 for PCIe kinds."""


@dataclass(frozen=True, slots=True)
class Fabric:
    """The NVLink domain that a GPU has joined: GPUs of other nodes with the same two reach it by NVLink."""

    cluster_uuid: str
    clique_id: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One physical GPU."""

    uuid: str
    index: int
    minor: int
    product: str
    board: str
    """Key in the board catalogue, found by PCI device id, then product; empty when unknown."""
    memory_mib: int | None
    architecture: str
    """Lower case: `ampere`, `hopper`, ..."""
    compute_capability: tuple[int, int]
    pci_bus_id: str
    pci_device_id: int | None
    """0xDDDDVVVV: device, then vendor 10DE, as NVML reports it."""
    pci_subsystem_id: int | None
    """0xSSSSVVVV: which of the boards with this chip it is, then who built it; None when unknown."""
    pci_class: int | None
    """As sysfs has it: 0x030200 is a 3D controller, 0x030000 a VGA controller; None when unknown."""
    numa_node: int | None
    mig: MigState
    fabric: Fabric | None = None
    """None where there is no such domain, and until the fabric manager is done."""


@dataclass(frozen=True, slots=True)
class LostGpu:
    """A GPU that the machine has and the driver cannot reach."""

    index: int
    uuid: str
    """Empty where this process never saw it alive."""
    error: DriverError


@dataclass(frozen=True, slots=True)
class Placement:
    """A run of memory slots."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class ComputeProfile:
    """A compute instance that fits a GPU instance."""

    profile_id: int
    compute_slices: int
    multiprocessors: int | None
    max_instances: int


@dataclass(frozen=True, slots=True)
class Engines:
    """Fixed-function engines of an instance; None where unknown."""

    copy: int | None
    decoder: int | None
    encoder: int | None
    jpeg: int | None
    ofa: int | None


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """A GPU instance profile as the board reports it. Unknown figures are None, never zero."""

    profile_id: int
    name: str
    """As this driver prints it: `1g.10gb`, `1g.10gb+me`, ..."""
    compute_slices: int
    memory_slots: int
    memory_mib: int | None
    multiprocessors: int | None
    max_instances: int
    placements: tuple[Placement, ...]
    compute_profiles: tuple[ComputeProfile, ...]
    """Empty where they are not known: NVML tells them of existing instances only."""
    attributes: frozenset[str] = frozenset()
    """`me`, `me.all`, `gfx`, `-me`"""
    engines: Engines | None = None


@dataclass(frozen=True, slots=True)
class ComputeInstance:
    ci_id: int
    profile_id: int
    uuid: str
    """Of the MIG device: `MIG-...`"""
    name: str
    """Of the MIG device: `1g.10gb`; `1c.2g.20gb` for a part of its GPU instance."""


@dataclass(frozen=True, slots=True)
class GpuInstance:
    gi_id: int
    profile_id: int
    placement: Placement
    compute_instances: tuple[ComputeInstance, ...]


@dataclass(frozen=True, slots=True)
class XidEvent:
    """A critical event. `gi_id` and `ci_id` are None when it concerns the whole GPU."""

    gpu_uuid: str
    xid: int
    gi_id: int | None = None
    ci_id: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a GPU or of one of its instances, at one moment."""

    used_mib: int
    free_mib: int
    reserved_mib: int | None
    """What the driver keeps for itself; None where old drivers count it as used."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a GPU measures of itself. None: the board or its driver does not tell, or not in MIG mode."""

    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    temperature_celsius: int | None = None
    memory_temperature_celsius: int | None = None
    power_watts: float | None = None
    energy_mj: int | None = None
    """Millijoules since the driver was loaded."""
    pcie_replays: int | None = None
    busy_percent: int | None = None
    """Of the time, with any kernel running; says nothing of how much of the GPU it filled."""
    memory_busy_percent: int | None = None
    """Of the time, with memory being read or written."""
    encoder_percent: int | None = None
    decoder_percent: int | None = None
    memory: Memory | None = None
    instance_memory: Mapping[int, Memory] = field(default_factory=dict)
    """By GI id, of GPU instances that have a MIG device."""
    corrected_rows: int | None = None
    """Rows of memory that were replaced after errors that could be corrected."""
    uncorrected_rows: int | None = None
    row_remap_pending: bool | None = None
    """A row is to be replaced at the next reset."""
    row_remap_failed: bool | None = None
    retired_pages_single_bit: int | None = None
    """Boards before Ampere retire pages instead of replacing rows."""
    retired_pages_double_bit: int | None = None
    retired_pages_pending: bool | None = None
    uncorrected_errors: int | None = None
    """Errors of memory that ECC could not correct, since the last reset."""
    recovery_action: RecoveryAction | None = None
    """Drivers since R570 tell it."""


class Driver(Protocol):
    """Every method raises DriverError; UUIDs that do not exist give NOT_FOUND, a dead GPU GPU_IS_LOST."""

    def version(self) -> DriverVersion: ...

    def gpus(self) -> Sequence[Gpu]:
        """All GPUs by index. A GPU that has fallen off the bus is left out, the others stay listed."""
        ...

    def lost_gpus(self) -> Sequence[LostGpu]:
        """Those that `gpus` leaves out, by index. Who may not see a GPU is not told of it."""
        ...

    def links(self, gpu_uuid: str) -> Sequence[Link]:
        """To every other GPU of the node: the NVLinks between the two as one, and the PCIe path."""
        ...

    def instance_profiles(self, gpu_uuid: str) -> Sequence[InstanceProfile]:
        """NOT_SUPPORTED on a board without MIG. Old drivers report none while MIG mode is off."""
        ...

    def possible_placements(self, gpu_uuid: str, profile_id: int) -> Sequence[Placement]:
        """Free now. NOT_SUPPORTED when MIG is off."""
        ...

    def instances(self, gpu_uuid: str) -> Sequence[GpuInstance]:
        """By GI id; empty when MIG is off."""
        ...

    def set_mig_mode(self, gpu_uuid: str, enabled: bool) -> MigState:
        """The state reached: PENDING_* where the board needs a reset for it. IN_USE when disabling while an
        instance exists and, on boards that switch at once, while a process runs on the GPU. NOT_SUPPORTED on a
        board without MIG."""
        ...

    def set_exclusive(self, gpu_uuid: str, exclusive: bool) -> None:
        """Whether one process alone may use the GPU (compute mode EXCLUSIVE_PROCESS), or any number (DEFAULT).
        NOT_SUPPORTED where MIG is on."""
        ...

    def set_time_slice(self, gpu_uuid: str, length: TimeSlice) -> None:
        """NOT_SUPPORTED before Volta."""
        ...

    def reset_gpu(self, gpu_uuid: str) -> None:
        """Applies a pending mode; destroys all instances. IN_USE while a process runs on it, NOT_SUPPORTED where it
        cannot be reset. Handles and the NVML session do not survive it, so nothing else may be under way."""
        ...

    def create_gpu_instance(self, gpu_uuid: str, profile_id: int, start: int | None) -> GpuInstance:
        """`start` None: the driver chooses. INSUFFICIENT_RESOURCES when the slots or engines are taken,
        INVALID_ARGUMENT for a start the profile does not have, NOT_SUPPORTED when MIG is off."""
        ...

    def destroy_gpu_instance(self, gpu_uuid: str, gi_id: int) -> None:
        """IN_USE while it holds compute instances or a process runs in it."""
        ...

    def create_compute_instance(self, gpu_uuid: str, gi_id: int, profile_id: int | None) -> ComputeInstance:
        """`profile_id` None: the one that fills the instance. INSUFFICIENT_RESOURCES when it has not enough
        slices left."""
        ...

    def destroy_compute_instance(self, gpu_uuid: str, gi_id: int, ci_id: int) -> None:
        """IN_USE while a process runs in it."""
        ...

    def processes(self, gpu_uuid: str) -> Sequence["Process"]:
        """Compute processes on the GPU and its instances."""
        ...

    def telemetry(self, gpu_uuid: str) -> Telemetry:
        """What the GPU measures now; one figure that cannot be had leaves the others standing."""
        ...

    def wait_event(self, timeout_s: float) -> XidEvent | None:
        """The next critical event, None when `timeout_s` passes without one. Blocks all that time; with 0 it
        only looks."""
        ...


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    gi_id: int | None
    ci_id: int | None
    memory_mib: int | None
