"""Devices that are being made for pods that wait for them: to everybody else they are as good as there, and taken.

A pod is assigned a slice that does not exist yet, or a GPU under a name that it does not have yet. From that moment what
is free in its place is nobody's, though the node lists it still.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from aliquot.partition.gpus import GpuFacts
from aliquot.scheduler.core.facts import Devices, DeviceState, NodeFacts, Withheld, device_id
from aliquot.scheduler.core.pod import DeviceChoice, PlacedPod

WHOLE_GPU_SLOTS = 8


def exists(choice: DeviceChoice, devices: Devices) -> bool:
    """Whether the node lists the device as it was chosen."""
    found = devices.by_id.get(device_id(choice.gpu, choice.start))
    if found is None or (found.resource, found.profile) != (choice.resource, choice.profile):
        return False
    if choice.replicas:
        return (found.shares, found.sharing) == (choice.replicas, choice.sharing)
    return bool(found.shares) == bool(choice.shares)


def ready(choices: Iterable[DeviceChoice], devices: Devices) -> bool:
    """Whether kubelet would allocate all of them now. What was decided before a GPUClass was changed stays decided."""
    return all(
        exists(choice, devices) and devices.by_id[device_id(choice.gpu, choice.start)].offered
        for choice in choices
    )


def with_reserved(facts: NodeFacts, pods: Iterable[PlacedPod], ended: Collection[str] = ()) -> NodeFacts:
    """`facts` as they will be once what `pods` have reserved is made; the same where nothing is. `ended`: pods that are over,
    whatever the device list still says of them."""
    gpus = {gpu.uuid: gpu for gpu in facts.gpus}
    choices = [
        choice
        for pod in sorted(pods, key=lambda pod: pod.key)
        if pod.reserved
        for choice in pod.devices
        if choice.gpu in gpus and not exists(choice, facts.devices)
    ]
    if not choices:
        return facts
    devices = facts.devices
    for choice in choices:
        if not exists(choice, devices):
            devices = _made(devices, choice, gpus, ended)
    return replace(facts, devices=devices)


def _made(
    devices: Devices, choice: DeviceChoice, gpus: Mapping[str, GpuFacts], ended: Collection[str]
) -> Devices:
    size = _slots(gpus[choice.gpu], choice)
    if size is None:
        return devices
    here = [d for d in devices.all if d.gpu == choice.gpu and _overlap(d, choice, size)]
    if any(device.withheld is Withheld.BEING_MADE for device in here):
        # What is being made for another counts.
        return devices
    # What somebody has stays until he is gone; what is free in the way is nobody else's from now on.
    in_the_way = [device for device in here if all(holder in ended for holder in device.holders)]
    made = DeviceState(
        resource=choice.resource,
        gpu=choice.gpu,
        profile=choice.profile,
        start=choice.start,
        size=size,
        withheld=Withheld.BEING_MADE,
        shares=choice.replicas if choice.shares else 0,
        sharing=choice.sharing,
    )
    kept = [device for device in devices.all if device not in in_the_way]
    place = next((i for i, device in enumerate(kept) if _after(device, made)), len(kept))
    return Devices((*kept[:place], made, *kept[place:]), devices.links, devices.domains)


def _after(device: DeviceState, made: DeviceState) -> bool:
    return device.gpu == made.gpu and (device.start or 0) > (made.start or 0)


def _slots(gpu: GpuFacts, choice: DeviceChoice) -> int | None:
    """None: the GPU has no such profile, or not there."""
    if choice.start is None:
        return WHOLE_GPU_SLOTS
    found = next((p for p in gpu.profiles if p.name == choice.profile), None)
    fits = found is not None and any(placement.start == choice.start for placement in found.placements)
    return found.memory_slots if found is not None and fits else None


def _overlap(device: DeviceState, choice: DeviceChoice, size: int) -> bool:
    if device.start is None or choice.start is None:
        return True
    return device.start < choice.start + size and choice.start < device.start + device.size
