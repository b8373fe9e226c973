"""What a node reports: its labels, what it offers, and its devices one by one where its GPUNode lists them.

Immutable; a change makes new facts. What pods take of it is in `node`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import combinations
from typing import TypeAlias

from aliquot.kube.api.gpunode import Sharing
from aliquot.partition.demand import Classes
from aliquot.partition.gpus import GpuFacts
from aliquot.scheduler.core.matching import Taint
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.topology import GpuLevel

DeviceId: TypeAlias = tuple[str, int]
"""GPU UUID and start slot, -1 for the whole GPU. Not the MIG UUID: a slice may have to be cut yet."""

_WHOLE = -1

MODEL_LABEL = "nvidia.com/gpu.product"
"""Of a node: the model of its GPUs."""


def device_id(gpu: str, start: int | None) -> DeviceId:
    return gpu, _WHOLE if start is None else start


class Withheld(StrEnum):
    """Why nobody is given a device, in words that follow a number."""

    UNHEALTHY = "unhealthy"
    TO_BE_CUT = "to be cut otherwise"
    """GPUNode.spec wants something else in its place."""
    NOT_ADVERTISED = "not advertised"
    """Kubelet would not allocate it now."""
    OUTDATED = "not what the GPUClass asks for"
    """It bears the name of a GPUClass that was changed, or is gone: kubelet would allocate it, and nobody is sent for it."""
    BEING_MADE = "being made"
    """For a pod that waits for it."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """One allocatable thing: a whole GPU (`start` None) or a slice of one."""

    resource: str
    gpu: str
    profile: str = ""
    start: int | None = None
    size: int = 1
    """Memory slots; tells a GPU that is mostly used from one that is not."""
    withheld: Withheld | None = None
    """None: whoever asks for it may be sent for it."""
    holders: tuple[str, ...] = ()
    """Pods that kubelet has given it to, as `namespace/name`; a pod that holds several shares as often as that."""
    shares: int = 0
    """How many containers may have one at the same time; 0: it is one container's alone."""
    sharing: Sharing = Sharing.NONE
    one_per_container: bool = False
    """Whether a container that asks for several shares is refused."""
    # Kept, as every decision asks for them many times:
    id: DeviceId = field(init=False, repr=False, compare=False)
    _open: int = field(init=False, repr=False, compare=False)
    """How often it is given to anybody."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", device_id(self.gpu, self.start))
        object.__setattr__(self, "_open", self.capacity if self.usable else 0)

    @property
    def usable(self) -> bool:
        return self.withheld is None

    @property
    def offered(self) -> bool:
        """Whether kubelet would allocate it now."""
        return self.withheld in (None, Withheld.OUTDATED)

    @property
    def capacity(self) -> int:
        """How often it can be asked for."""
        return self.shares or 1

    @property
    def most_per_container(self) -> int:
        return 1 if self.one_per_container else self.capacity

    def free(self, holders: int) -> int:
        """What is left of it when it is held that often."""
        return self._open - holders if holders < self._open else 0


class Devices:
    """The devices that a node lists, indexed once. Compared by content; never changed."""

    def __init__(
        self,
        devices: Iterable[DeviceState] = (),
        links: Mapping[tuple[str, str], int] | None = None,
        domains: Mapping[GpuLevel, Sequence[frozenset[str]]] | None = None,
    ):
        self.all: tuple[DeviceState, ...] = tuple(devices)
        self.links: Mapping[tuple[str, str], int] = links or {}
        """How well two GPUs reach each other, higher is better, by their UUIDs in both orders."""
        self.domains: Mapping[GpuLevel, Sequence[frozenset[str]]] = domains or {}
        """UUIDs of the GPUs that are together, of each level; a GPU of which it is not known is in none."""
        self.numa: Sequence[frozenset[str]] = self.domains.get(GpuLevel.NUMA, ())
        by_resource: dict[str, list[DeviceState]] = {}
        by_holder: dict[str, list[DeviceState]] = {}
        for device in self.all:
            by_resource.setdefault(device.resource, []).append(device)
            for holder in device.holders:
                by_holder.setdefault(holder, []).append(device)
        # At once, not when they are first asked for: every decision on the node asks for all of them.
        self.by_id: Mapping[DeviceId, DeviceState] = {device.id: device for device in self.all}
        self.by_resource: Mapping[str, tuple[DeviceState, ...]] = _frozen(by_resource)
        self.by_holder: Mapping[str, tuple[DeviceState, ...]] = _frozen(by_holder)
        self.usable: Mapping[str, tuple[DeviceState, ...]] = {
            resource: tuple([device for device in here if device.usable])
            for resource, here in by_resource.items()
        }
        """By resource, those that are not withheld, in use or not."""
        self.totals: Mapping[str, int] = {
            resource: sum([device.capacity for device in here]) for resource, here in by_resource.items()
        }
        """By resource, how often its devices can be asked for; in use or not, ready or not."""
        self.shared = frozenset([device.resource for device in self.all if device.shares])
        """Resources of which some devices are shared."""
        self.largest_first = tuple(sorted(by_resource, key=lambda r: (-by_resource[r][0].size, r)))
        """Resources, by the size of their devices."""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Devices)
            and self.all == other.all
            and self.links == other.links
            and self.domains == other.domains
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Devices({self.all!r}, {dict(self.links)!r}, {dict(self.domains)!r})"

    @cached_property
    def by_gpu(self) -> Mapping[str, tuple[DeviceState, ...]]:
        found: dict[str, list[DeviceState]] = {}
        for device in self.all:
            found.setdefault(device.gpu, []).append(device)
        return _frozen(found)

    @cached_property
    def evenly_linked(self) -> bool:
        """Whether any two of its GPUs reach each other as well as any others, as far as is told."""
        return not self.links or len({self.links.get(pair, 0) for pair in combinations(self.gpus, 2)}) < 2

    @cached_property
    def gpus(self) -> tuple[str, ...]:
        """UUIDs in the order listed."""
        return tuple(dict.fromkeys(device.gpu for device in self.all))


def _frozen(found: Mapping[str, Iterable[DeviceState]]) -> Mapping[str, tuple[DeviceState, ...]]:
    return {key: tuple(devices) for key, devices in found.items()}


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """`allocatable` leaves out the resources that `devices` lists one by one."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    allocatable: Amounts = field(default_factory=dict)
    devices: Devices = field(default_factory=Devices)
    gpus: tuple[GpuFacts, ...] = ()
    """Those of which devices can be made."""
    classes: Classes = field(default_factory=dict)
    packs_shares: bool = False
    """Onto the device that is used the most, not the least."""
    packs_slices: bool = True
    """Onto the GPU that is used the most, not the least."""

    makes_devices: bool = field(init=False, repr=False, compare=False)
    """Whether anything on it becomes something else as pods need it. Kept, as whoever looks at all nodes asks for it."""

    def __post_init__(self) -> None:
        makes = bool(self.classes) or any(gpu.may_cut for gpu in self.gpus)
        object.__setattr__(self, "makes_devices", makes)
