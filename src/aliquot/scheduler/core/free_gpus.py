"""What of a node is free, in the terms of a worth: whole GPUs, parts of GPUs, CPU and memory.

A part of a GPU is counted in thousandths: of its memory slots where it is cut, of its shares where it is shared. A GPU that
may be cut anew is as free as nobody has anything of it, whatever is cut there now. Of a node without a GPUNode whole GPUs
alone are known; its slices and shares count as nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aliquot.gpu.layout import geometry_of
from aliquot.gpu.profiles import GPU_RESOURCE
from aliquot.partition.gpus import GpuFacts
from aliquot.scheduler.core.facts import MODEL_LABEL, DeviceState, NodeFacts, device_id
from aliquot.scheduler.core.fragmentation import WHOLE_MILLI
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts, DeviceChoice

MIB = 1 << 20


class Free(NamedTuple):
    """What is free. Nodes where it is equal are worth the same."""

    cpu_milli: int
    memory_mib: int
    whole: int
    """GPUs."""
    parts: tuple[int, ...]
    """Milli left of each GPU that is begun, sorted."""
    model: str
    idle: bool = False
    """Whether all is free that ever is of its GPUs."""

    @property
    def gpu_milli(self) -> tuple[int, ...]:
        return (*(WHOLE_MILLI,) * self.whole, *self.parts)

    def without(self, cpu_milli: int, memory_mib: int, whole: int) -> "Free":
        return Free(
            max(0, self.cpu_milli - cpu_milli),
            max(0, self.memory_mib - memory_mib),
            max(0, self.whole - whole),
            self.parts,
            self.model,
        )


@dataclass(frozen=True, slots=True)
class DividedGpu:
    """Of which there are slices or shares, or could be."""

    slots: int
    devices: tuple[DeviceState, ...]
    may_cut: bool

    @property
    def most_milli(self) -> float:
        """What is free of it when nobody has anything of it."""
        if self.may_cut:
            return WHOLE_MILLI - sum(self.milli(one) for one in self.devices if not one.usable)
        return sum(self.milli(one) for one in self.devices if one.usable)

    def milli(self, device: DeviceState) -> float:
        return WHOLE_MILLI if device.start is None else WHOLE_MILLI * device.size / self.slots


class Layout:
    """What a node has of GPUs, whoever uses it: read once for all states of a node."""

    def __init__(self, facts: NodeFacts) -> None:
        listed = facts.devices
        self.model = facts.labels.get(MODEL_LABEL, "")
        self.totals: Mapping[str, int] = {
            resource: len(devices)
            for resource, devices in listed.by_resource.items()
            if all(one.start is None and not one.shares for one in devices)
        }
        """Of resources that are whole GPUs, each of them."""
        if not listed.all and (counted := facts.allocatable.get(GPU_RESOURCE)):
            self.totals = {GPU_RESOURCE: counted}
        self.divided: Mapping[str, DividedGpu] = {}
        """By UUID."""
        if facts.gpus or len(self.totals) < len(listed.by_resource):
            self.divided = _divided(facts, self.totals)
        self.gpus = sum(self.totals.values()) + len(self.divided)
        withheld = sum(count - len(listed.usable.get(r, range(count))) for r, count in self.totals.items())
        self._whole_at_most = sum(self.totals.values()) - withheld
        self.alike = self._alike(facts)
        """Where all GPUs are shared alike: all there is to say of them but how much is free."""
        self._most = {uuid: gpu.most_milli for uuid, gpu in self.divided.items()}
        self._each = {
            device.id: (uuid, device.capacity, gpu.milli(device) / device.capacity)
            for uuid, gpu in self.divided.items()
            for device in gpu.devices
            if device.usable
        }
        """Of devices on GPUs that are divided: the GPU, how often it can be had, and how much of the GPU that is each time."""

    def _alike(self, facts: NodeFacts) -> tuple[object, ...] | None:
        if self.totals:
            return None
        gpus = self.divided.values()
        kinds = {(one.resource, one.shares, one.one_per_container) for gpu in gpus for one in gpu.devices}
        if len(kinds) != 1 or any(gpu.may_cut or len(gpu.devices) != 1 for gpu in gpus):
            return None
        return (*kinds.pop(), facts.packs_shares)

    def free(self, node: NodeState) -> Free:
        left = node.available(MEMORY) // MIB
        return self._free(node, max(0, node.available(CPU)), max(0, left), self._whole(node), ())

    def free_after(self, node: NodeState, request: Amounts, choices: Sequence[DeviceChoice]) -> Free:
        """Once a pod with this request is there besides, on these devices of GPUs that are divided."""
        cpu_milli = node.available(CPU) - request.get(CPU, 0)
        memory = node.available(MEMORY) - request.get(MEMORY, 0)
        whole = self._whole(node) - sum(request.get(resource, 0) for resource in self.totals)
        return self._free(node, max(0, cpu_milli), max(0, memory // MIB), max(0, whole), choices)

    def _whole(self, node: NodeState) -> int:
        whole = 0
        for resource in self.totals:
            whole += max(0, node.available(resource))
        return whole

    def _free(
        self, node: NodeState, cpu_milli: int, memory_mib: int, whole: int, choices: Sequence[DeviceChoice]
    ) -> Free:
        if not self.divided:
            return Free(cpu_milli, memory_mib, whole, (), self.model, whole == self._whole_at_most)
        left = dict(self._most)
        each = self._each
        for id_, holders in node.held.items():
            if id_ in each:
                uuid, capacity, milli = each[id_]
                left[uuid] -= milli * min(capacity, len(holders))
        for choice in choices:
            if choice.gpu in left:
                uuid, capacity, milli = each[device_id(choice.gpu, choice.start)]
                left[uuid] -= milli * (choice.shares or capacity)
        idle = whole == self._whole_at_most and left == self._most
        parts = sorted([min(WHOLE_MILLI, int(milli + 0.5)) for milli in left.values()])
        whole += parts.count(WHOLE_MILLI)
        begun = tuple([milli for milli in parts if 0 < milli < WHOLE_MILLI])
        return Free(cpu_milli, memory_mib, whole, begun, self.model, idle)


def _divided(facts: NodeFacts, whole: Collection[str]) -> Mapping[str, DividedGpu]:
    """`whole`: resources that are whole GPUs."""
    may_be_cut = {gpu.uuid: gpu for gpu in facts.gpus}
    found = {}
    for uuid in dict.fromkeys((*facts.devices.gpus, *may_be_cut)):
        here, gpu = facts.devices.by_gpu.get(uuid, ()), may_be_cut.get(uuid)
        may_cut = gpu is not None and gpu.may_cut
        if any(one.resource not in whole for one in here) or (not here and may_cut):
            found[uuid] = DividedGpu(slots(gpu, here), here, may_cut)
    return found


def slots(gpu: GpuFacts | None, devices: Sequence[DeviceState]) -> int:
    """Memory slots of a GPU: of the profiles that it is known to take, else up to the last slice that there is."""
    if gpu is not None and gpu.profiles:
        return geometry_of(gpu.profiles).memory_slots
    return max((one.start + one.size for one in devices if one.start is not None), default=1)
