"""Which GPUs kubelet hands out, or handed out, for another device plugin. Pure but for the memory of what it saw.

Kubelet counts by resource name: it does not know that a GPU under one name is the GPU, or part of it, under another.
"""

from collections.abc import Collection, Mapping, Sequence

from aliquot.kube.api.gpunode import HELD_OTHERWISE, OTHER_DEVICE_PLUGIN
from aliquot.node.advertise import Device, device_of
from aliquot.node.pod_resources import Allocations, Holding
from aliquot.node.status import Note

PATIENCE_S = 10.0
"""For kubelet to drop what an earlier agent, or this one, offered otherwise."""


class OtherPlugins:
    """Times are Unix seconds. Forgotten at a restart: it is then seen anew."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._found: Mapping[str, Note] = {}

    def look(
        self,
        allocations: Allocations,
        devices: Sequence[Device],
        watched: Collection[str],
        gpu_of: Mapping[str, str],
        now: float,
    ) -> Mapping[str, Note]:
        """GPU UUID -> why it is not ours to hand out. `watched`: names for which kubelet listens to us.

        While kubelet does not answer it stays as it was.
        """
        if allocations.failure:
            return self._found
        listed = listed_for_others(allocations.listed, devices, watched, gpu_of)
        self._since = {uuid: self._since.get(uuid, now) for uuid in listed}
        steady = {uuid: note for uuid, note in listed.items() if now - self._since[uuid] >= PATIENCE_S}
        self._found = {**held_otherwise(allocations.holdings, devices, gpu_of), **steady}
        return self._found

    @property
    def is_waiting(self) -> bool:
        """Whether something was seen that may be of the past."""
        return bool(self._since.keys() - self._found.keys())


def listed_for_others(
    listed: Mapping[str, Collection[str]],
    devices: Sequence[Device],
    watched: Collection[str],
    gpu_of: Mapping[str, str],
) -> Mapping[str, Note]:
    """GPU UUID -> under which name kubelet would allocate it, or something of it, without asking us.

    `listed`: resource name -> ids. `gpu_of`: UUID of a GPU or MIG device of this node -> UUID of its GPU.
    """
    ours = {(device.resource, device.id) for device in devices if device.resource in watched}
    found: dict[str, Note] = {}
    for resource, ids in sorted(listed.items()):
        text = f"kubelet lists it as {resource} for another device plugin: remove that plugin from this node"
        for device_id in map(device_of, ids):
            if device_id in gpu_of and (resource, device_id) not in ours:
                found.setdefault(gpu_of[device_id], Note(OTHER_DEVICE_PLUGIN, text))
    return found


def held_otherwise(
    holdings: Sequence[Holding], devices: Sequence[Device], gpu_of: Mapping[str, str]
) -> Mapping[str, Note]:
    """GPU UUID -> which pod got it, or something of it, under a name that is not the one we offer it under."""
    ours = {device.id: device.resource for device in devices}
    found: dict[str, Note] = {}
    for holding in holdings:
        for device_id in map(device_of, holding.device_ids):
            if device_id in gpu_of and ours.get(device_id) != holding.resource:
                text = f"{holding.pod} holds it as {holding.resource}, from another device plugin: it waits for that pod"
                found.setdefault(gpu_of[device_id], Note(HELD_OTHERWISE, text))
    return found
