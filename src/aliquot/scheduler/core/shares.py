"""Shares of the chosen node's GPUs and slices, for each container.

A container's shares are all of one device: two halves on two GPUs would be two small GPUs. Of those that have enough
left it is the least used one, since who shares a GPU runs the slower the more there are; or, where the node packs, the one
that loses the least worth, if worth is known, else the most used. Some devices of a resource may be whole; a container that
asks for several and finds no device with so many shares gets whole ones.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.scheduler.core.facts import DeviceId, DeviceState
from aliquot.scheduler.core.fragmentation import WHOLE_MILLI
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import ContainerKind, ContainerRequest, DeviceChoice, PodShape
from aliquot.scheduler.core.worth import Worth

_Rule: TypeAlias = Callable[[DeviceState, int], tuple[float, float]]
"""Of a device from which so many shares would be taken; the lowest is the best."""


def share_out(
    resource: str, shape: PodShape, node: NodeState, worth: Worth | None = None
) -> tuple[DeviceChoice, ...] | None:
    """Containers in order; None where there is no room for all. `worth`: what packing is to keep."""
    devices = node.facts.devices.by_resource[resource]
    left = {device.id: node.free_of(device) for device in devices}
    asking = [c for c in shape.containers if c.requests.get(resource, 0)]
    # A GPU that was shared for a class serves other needs again once nobody has a share of it.
    packs = node.facts.packs_shares or resource.startswith(CLASS_PREFIX)
    rule = _rule(devices, left, worth, packs=packs)
    given = _together(resource, shape, asking, devices, left, rule)
    # The largest first: they have the fewest devices to choose from.
    for container in sorted(asking, key=lambda c: -c.requests[resource]):
        if container.name not in given:
            count = container.requests[resource]
            found = _found(count, count, devices, left, rule)
            if found is None:
                return None
            given[container.name] = found
            for device in found:
                left[device.id] -= count if device.shares else 1
    return tuple(
        DeviceChoice(
            container.name,
            resource,
            device.gpu,
            device.profile,
            device.start,
            container.requests[resource] if device.shares else 0,
        )
        for container in asking
        for device in given[container.name]
    )


def _rule(
    devices: Sequence[DeviceState], left: Mapping[DeviceId, int], worth: Worth | None, *, packs: bool
) -> _Rule:
    def least_used(device: DeviceState, count: int) -> tuple[float, float]:
        return (0, -left[device.id] / device.capacity)

    def most_used(device: DeviceState, count: int) -> tuple[float, float]:
        return (0, left[device.id] / device.capacity)

    if not packs:
        return least_used
    if worth is None or any(device.start is not None for device in devices):
        return most_used
    free = sum(left[device.id] == device.capacity for device in devices)

    def least_lost(device: DeviceState, count: int) -> tuple[float, float]:
        now, then = left[device.id], left[device.id] - count
        lost = worth.lost(WHOLE_MILLI * now // device.capacity, WHOLE_MILLI * then // device.capacity, free)
        return (lost, now / device.capacity)

    return least_lost


def _together(
    resource: str,
    shape: PodShape,
    asking: Sequence[ContainerRequest],
    devices: Sequence[DeviceState],
    left: dict[DeviceId, int],
    rule: _Rule,
) -> dict[str, tuple[DeviceState, ...]]:
    """All on one device, where some container runs to its end first: kubelet gives what that had to those after it."""
    if any(container.kind is ContainerKind.INIT for container in asking):
        largest = shape.largest_of_one_container(resource)
        found = _found(shape.request[resource], largest, devices, left, rule)
        if found is not None and found[0].shares:
            return {container.name: found for container in asking}
    return {}


def _found(
    count: int, largest: int, devices: Sequence[DeviceState], left: dict[DeviceId, int], rule: _Rule
) -> tuple[DeviceState, ...] | None:
    """`largest`: what of `count` goes to one container."""
    shared = [
        device
        for device in devices
        if device.shares and left[device.id] >= count and device.most_per_container >= largest
    ]
    if shared:
        return (min(shared, key=lambda device: rule(device, count)),)
    whole = [device for device in devices if not device.shares and left[device.id]]
    return tuple(whole[:count]) if len(whole) >= count else None
