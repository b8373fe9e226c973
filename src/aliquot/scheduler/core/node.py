"""A node as the scheduler sees it: facts that it reports, and what its pods take of them.

Both are immutable; a change makes a new `NodeState`. So undoing a decision is putting the old one back, and any
reader may keep what it saw.

Devices are counted one by one where the node's GPUNode lists them. A device is free when it is not withheld and
nobody holds it; who holds it follows from the list (which is what kubelet did) and from the assignments of live pods
(which is what kubelet will do). A pod that asks for listed devices but whose devices are not known yet is *unplaced*:
as many free devices are kept back for it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from aliquot.scheduler.core.facts import DeviceId, Devices, DeviceState, NodeFacts, Withheld, device_id
from aliquot.scheduler.core.pod import Amounts, HostPort, PlacedPod
from aliquot.scheduler.core.reservations import with_reserved


class NodeState(Struct, frozen=True, gc=False):
    reported: NodeFacts
    facts: NodeFacts
    """As they will be once what pods have reserved is made."""
    unasked: Amounts
    """What the requests of the pods here leave of all that the node has, ready or not. Below zero where it has less."""
    held: Mapping[DeviceId, tuple[str, ...]]
    """Listed devices in use, with the pods that hold them, sorted; a pod as often as it holds shares."""
    free: Mapping[str, int]
    """For each resource listed one by one: free devices and shares less those kept back. Below zero when a device that is
    spoken for went away."""
    host_ports: tuple[HostPort, ...] = ()
    ended: frozenset[str] = frozenset()
    """Pods that are over though the device list still names them."""

    @property
    def name(self) -> str:
        return self.facts.name

    def knows(self, resource: str) -> bool:
        """Whether the node has any of it, or none left to offer."""
        return resource in self.facts.allocatable or resource in self.facts.devices.totals

    def total(self, resource: str) -> int:
        """How much the node has, in use or not, ready or not."""
        listed = self.facts.devices.totals.get(resource)
        return self.facts.allocatable.get(resource, 0) if listed is None else listed

    def outdated(self, resource: str) -> int:
        """Of the total, how many nobody is given any more, though some may have them still."""
        listed = self.facts.devices.by_resource.get(resource, ())
        return sum(device.capacity for device in listed if device.withheld is Withheld.OUTDATED)

    def most_per_container(self, resource: str) -> int:
        """How much of the total one container could have: shares of one device, or all the devices that are whole."""
        if resource not in self.facts.devices.shared:
            return self.total(resource)
        listed = self.facts.devices.by_resource[resource]
        whole = sum(not device.shares for device in listed)
        return max(whole, *(device.most_per_container for device in listed))

    def withheld(self, resource: str) -> Counter[Withheld]:
        """Of the total, how many are not in use and yet given to nobody, by cause."""
        found: Counter[Withheld] = Counter()
        for device in self.facts.devices.by_resource.get(resource, ()):
            unheld = device.capacity - len(self.held.get(device.id, ()))
            if device.withheld is not None and unheld > 0:
                found[device.withheld] += unheld
        return found

    def kept_back(self, resource: str) -> int:
        """How many of those that nobody is known to hold pods here will get all the same, which ones is not known yet."""
        listed = self.facts.devices.by_resource.get(resource, ())
        return sum(self.free_of(device) for device in listed) - self.free.get(resource, 0)

    def free_of(self, device: DeviceState) -> int:
        """How often the device can be given now."""
        return device.free(len(self.held.get(device.id, ())))

    def available(self, resource: str) -> int:
        unasked, free = self.unasked.get(resource, 0), self.free.get(resource)
        # Two schedulers may have assigned one device to two pods. What live pods asked for is certain.
        return unasked if free is None or unasked < free else free

    def has_room(self, request: Amounts) -> bool:
        """Whether so much of everything is available."""
        unasked, free = self.unasked, self.free
        for resource, needed in request.items():
            if needed > unasked.get(resource, 0) or needed > free.get(resource, needed):
                return False
        return True


def derive(reported: NodeFacts, pods: Collection[PlacedPod], ended: Collection[str] = ()) -> NodeState:
    """The state from nothing. `ended`: pods of the node that are over, whatever its device list still says."""
    facts = with_reserved(reported, pods, ended)
    unasked = {**facts.allocatable, **facts.devices.totals}
    ports: list[HostPort] = []
    held: dict[DeviceId, list[str]] = {}
    kept_back: dict[str, int] = {}
    live = {pod.key for pod in pods}
    over = facts.devices.by_holder.keys() & ended
    for pod in pods:
        for resource, amount in pod.request.items():
            unasked[resource] = unasked.get(resource, 0) - amount
        ports.extend(pod.host_ports)
        holding = _holding(facts.devices, pod, over)
        for device in holding.devices:
            held.setdefault(device, []).append(pod.key)
        for resource, count in holding.unplaced:
            kept_back[resource] = kept_back.get(resource, 0) + count
    for device_state in facts.devices.all:
        for holder in device_state.holders:
            # Not known as live here, nor as ended: a pod not seen yet, or one deleted that kubelet still holds on to.
            if holder not in live and holder not in over:
                held.setdefault(device_state.id, []).append(holder)
    return NodeState(
        reported=reported,
        facts=facts,
        unasked=unasked,
        held={device: tuple(sorted(holders)) for device, holders in held.items()},
        free={
            resource: sum(device.free(len(held.get(device.id, ()))) for device in devices)
            - kept_back.get(resource, 0)
            for resource, devices in facts.devices.by_resource.items()
        },
        host_ports=_sorted(ports),
        ended=frozenset(over),
    )


def with_pod(state: NodeState, pod: PlacedPod) -> NodeState:
    """`pod` added, in time proportional to the pod. Not for a pod that the node's device list names: `derive`."""
    unasked = dict(state.unasked)
    for resource, amount in pod.request.items():
        unasked[resource] = unasked.get(resource, 0) - amount
    held, free = state.held, state.free
    devices = state.facts.devices
    holding = _assigned(devices, pod, state.ended)
    if holding is not _NOTHING:
        held, free = dict(held), dict(free)
        for device in holding.devices:
            before = held.get(device, ())
            held[device] = tuple(sorted((*before, pod.key))) if before else (pod.key,)
            listed = devices.by_id[device]
            if listed.free(len(before)):
                free[listed.resource] -= 1
        for resource, count in holding.unplaced:
            free[resource] -= count
    ports = _sorted((*state.host_ports, *pod.host_ports)) if pod.host_ports else state.host_ports
    return NodeState(state.reported, state.facts, unasked, held, free, ports, state.ended)


def without_pod(state: NodeState, pod: PlacedPod) -> NodeState:
    """The inverse of `with_pod`, under the same condition."""
    unasked = dict(state.unasked)
    for resource, amount in pod.request.items():
        unasked[resource] += amount
        if not unasked[resource] and not state.knows(resource):
            del unasked[resource]
    held, free = state.held, state.free
    devices = state.facts.devices
    holding = _assigned(devices, pod, state.ended)
    if holding is not _NOTHING:
        held, free = dict(held), dict(free)
        for device in holding.devices:
            rest = list(held[device])
            rest.remove(pod.key)
            listed = devices.by_id[device]
            if listed.free(len(rest)):
                free[listed.resource] += 1
            if rest:
                held[device] = tuple(rest)
            else:
                del held[device]
        for resource, count in holding.unplaced:
            free[resource] += count
    ports = state.host_ports
    if pod.host_ports:
        left = list(ports)
        for port in pod.host_ports:
            left.remove(port)
        ports = tuple(left)
    return NodeState(state.reported, state.facts, unasked, held, free, ports, state.ended)


class _Holding(Struct, frozen=True, gc=False):
    """Which listed devices a pod holds, and how many more it will get, by resource."""

    devices: Sequence[DeviceId] = ()
    """As often as it holds shares of them."""
    unplaced: Sequence[tuple[str, int]] = ()


_NOTHING = _Holding()


def _assigned(devices: Devices, pod: PlacedPod, ended: Collection[str]) -> _Holding:
    """Of a pod that the list does not name: what was assigned to it."""
    if not devices.all:
        return _NOTHING
    held: list[DeviceId] = []
    unplaced: list[tuple[str, int]] = []
    for resource, needed in pod.request.items():
        if resource in devices.by_resource:
            missing = needed
            for id_, count in _chosen(devices, pod, resource, needed, ended).items():
                held += (id_,) * count
                missing -= count
            if missing > 0:
                unplaced.append((resource, missing))
    return _Holding(held, unplaced) if held or unplaced else _NOTHING


def _holding(devices: Devices, pod: PlacedPod, ended: Collection[str]) -> _Holding:
    """The list wins over the assignment once kubelet has taken the pod in and the list accounts for all that it asked
    for: kubelet may have exchanged equal devices, or Topology Manager overruled. Until then both count, since the
    list may still speak of an earlier pod of that name. A device that is listed for another pod this one will not
    get: it is to get one that is not listed yet."""
    listed = devices.by_holder.get(pod.key)
    if listed is None:
        return _assigned(devices, pod, ended)
    held: dict[DeviceId, int] = {}
    for device in listed:
        held[device.id] = held.get(device.id, 0) + 1
    unplaced: list[tuple[str, int]] = []
    for resource, needed in pod.request.items():
        if resource not in devices.by_resource:
            continue
        count = len([device for device in listed if device.resource == resource])
        if count < needed or not pod.admitted:
            for id_, chosen in _chosen(devices, pod, resource, needed, ended).items():
                before = held.get(id_, 0)
                if chosen > before:
                    held[id_] = chosen
                    count += chosen - before
        if count < needed:
            unplaced.append((resource, needed - count))
    return _Holding([id_ for id_, count in held.items() for _ in range(count)], unplaced)


def _chosen(
    devices: Devices, pod: PlacedPod, resource: str, needed: int, ended: Collection[str]
) -> dict[DeviceId, int]:
    """What the assignment gives the pod of a resource. What an init container has is had by a later one as well."""
    found: dict[DeviceId, int] = {}
    for choice in pod.devices:
        if choice.resource != resource:
            continue
        chosen = devices.by_id.get(device_id(choice.gpu, choice.start))
        if chosen is None or chosen.resource != resource:
            continue
        if chosen.shares:
            shares = min(choice.shares, needed - sum(found.values()))
            found[chosen.id] = found.get(chosen.id, 0) + shares
        elif not chosen.holders or all(holder == pod.key or holder in ended for holder in chosen.holders):
            found[chosen.id] = 1
    return found


def _sorted(ports: Iterable[HostPort]) -> tuple[HostPort, ...]:
    return tuple(sorted(ports, key=lambda p: (p.port, p.protocol, p.ip)))
