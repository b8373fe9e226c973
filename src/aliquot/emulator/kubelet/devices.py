"""Which device of which resource is there, healthy, and held by whom: kubelet's device manager without its calls.

Plain state and the rules on it, in kubelet's words and order. What plugins say arrives as arguments and what must
be asked of them leaves as values; `plugins` does the asking. Must not know sockets, messages or clocks.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GRACE_AFTER_STOP_S = 300.0
"""How long a resource whose plugin has gone keeps its place in capacity."""

NO_NUMA = -1

_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


class AllocationError(Exception):
    """Devices cannot be had; the text is kubelet's own."""


@dataclass(frozen=True, slots=True)
class Device:
    id: str
    healthy: bool
    numa_nodes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocation:
    """What one container holds of one resource."""

    numa: Mapping[int, tuple[str, ...]]
    """NUMA node to device ids; NO_NUMA for devices that know none. A device on two nodes is under both."""
    response: bytes
    """The plugin's ContainerAllocateResponse, serialised."""

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(sorted({device_id for ids in self.numa.values() for device_id in ids}))


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice half made: `reused` are certain, the rest comes from `free`, by the plugin's preference if it has one."""

    resource: str
    size: int
    reused: tuple[str, ...]
    free: frozenset[str]

    @property
    def complete(self) -> bool:
        return len(self.reused) == self.size

    def settle(
        self, preferred: Collection[str], order: Callable[[Iterable[str]], Sequence[str]]
    ) -> tuple[str, ...]:
        """`size` ids: the reused, then the preferred that are free, then any free ones as `order` lays them."""
        chosen = dict.fromkeys(self.reused)
        for candidates in (preferred, order(self.free)):
            for device_id in candidates:
                if len(chosen) == self.size:
                    break
                if device_id in self.free:
                    chosen[device_id] = None
        return tuple(chosen)


def is_extended_resource(name: str) -> bool:
    """A qualified name outside kubernetes.io, short enough for its quota name `requests.<name>`."""
    domain, slash, rest = name.partition("/")
    return (
        bool(slash)
        and "kubernetes.io/" not in name
        and not name.startswith("requests.")
        and len(f"requests.{domain}") <= 253
        and _DOMAIN.fullmatch(domain) is not None
        and len(rest) <= 63
        and _NAME.fullmatch(rest) is not None
    )


@dataclass(slots=True)
class _Resource:
    devices: dict[str, Device] = field(default_factory=dict)
    stopped_at: float | None = None
    """When its plugin was lost; None while it is connected."""


class DeviceTable:
    """Devices and allocations of one node. Changed by one caller at a time; every method leaves it whole."""

    def __init__(self) -> None:
        self._resources: dict[str, _Resource] = {}
        self._held: dict[str, dict[str, dict[str, Allocation]]] = {}
        """Pod uid, container, resource."""

    # What plugins say.

    def connect(self, resource: str) -> None:
        """A plugin registered. Devices stay as they were until it lists them."""
        self._resources.setdefault(resource, _Resource()).stopped_at = None

    def update(self, resource: str, devices: Iterable[Device]) -> None:
        """The complete list of devices, from ListAndWatch. Of two with one id, the last counts."""
        self._resources.setdefault(resource, _Resource()).devices = {device.id: device for device in devices}

    def disconnect(self, resource: str, now: float) -> None:
        """The plugin is gone: its devices are unhealthy, and the resource keeps its place for the grace period."""
        entry = self._resources[resource]
        entry.stopped_at = now
        entry.devices = {
            device.id: Device(id=device.id, healthy=False, numa_nodes=device.numa_nodes)
            for device in entry.devices.values()
        }

    def expire(self, now: float) -> tuple[str, ...]:
        """Forgets resources whose plugin has been gone for longer than the grace period; returns their names."""
        gone = tuple(
            name
            for name, entry in self._resources.items()
            if entry.stopped_at is not None and now - entry.stopped_at > GRACE_AFTER_STOP_S
        )
        for name in gone:
            del self._resources[name]
        return gone

    # What others may read.

    def capacity(self) -> dict[str, int]:
        """Devices by resource, healthy or not."""
        return {name: len(entry.devices) for name, entry in sorted(self._resources.items())}

    def allocatable(self) -> dict[str, int]:
        """Healthy devices by resource, held or not."""
        return {name: len(self._healthy(name)) for name in sorted(self._resources)}

    def healthy_devices(self) -> dict[str, tuple[Device, ...]]:
        """By resource, in order of id; resources without a healthy device are left out."""
        return {
            name: tuple(entry.devices[device_id] for device_id in sorted(healthy))
            for name, entry in sorted(self._resources.items())
            if (healthy := self._healthy(name))
        }

    def held_by(self, pod_uid: str) -> Mapping[str, Mapping[str, Allocation]]:
        """Container to resource to allocation."""
        return self._held.get(pod_uid, {})

    def holders(self, resource: str) -> tuple[str, ...]:
        """Uids of the pods that hold devices of `resource`."""
        return tuple(
            uid
            for uid, containers in self._held.items()
            if any(resource in held for held in containers.values())
        )

    def health(self, pod_uid: str) -> dict[str, dict[str, dict[str, str]]]:
        """Container to resource to device to `Healthy`, `Unhealthy` or, when it is no longer listed, `Unknown`."""
        return {
            container: {
                resource: {device_id: self._health(resource, device_id) for device_id in allocation.ids}
                for resource, allocation in sorted(resources.items())
            }
            for container, resources in self.held_by(pod_uid).items()
        }

    def held_counts(self) -> dict[str, int]:
        """Devices held, by resource."""
        resources = {
            name for containers in self._held.values() for held in containers.values() for name in held
        }
        return {resource: len(self._taken(resource)) for resource in sorted(resources)}

    def manages(self, resource: str) -> bool:
        """Whether admission looks at `resource` at all: one that no plugin ever registered is passed over."""
        return resource in self._resources or any(
            resource in held for containers in self._held.values() for held in containers.values()
        )

    # Handing out.

    def offers(self, pod_uid: str, container: str, resource: str) -> bool:
        """Whether there are healthy devices to admit the container with: those that it holds, or any if it holds none."""
        healthy = self._healthy(resource) if resource in self._resources else set[str]()
        held = self._held.get(pod_uid, {}).get(container, {}).get(resource)
        return healthy.issuperset(held.ids) if held is not None else bool(healthy)

    def choose(
        self, pod_uid: str, container: str, resource: str, size: int, *, reusable: Collection[str] = ()
    ) -> Choice | None:
        """Which devices may serve `size` of `resource`; None when the container holds them already.

        `reusable` are those that the pod's init containers are done with. Raises AllocationError.
        """
        held = self._held.get(pod_uid, {}).get(container, {}).get(resource)
        if held is not None and len(held.ids) != size:
            raise AllocationError(
                f'pod "{pod_uid}" container "{container}" changed request for resource "{resource}" '
                f"from {len(held.ids)} to {size}"
            )
        if resource not in self._resources:
            raise AllocationError(f"cannot allocate unregistered device {resource}")
        healthy = self._healthy(resource)
        if not healthy:
            raise AllocationError(f"no healthy devices present; cannot allocate unhealthy devices {resource}")
        if held is not None:
            if not healthy.issuperset(held.ids):
                raise AllocationError(
                    "previously allocated devices are no longer healthy; "
                    f"cannot allocate unhealthy devices {resource}"
                )
            return None
        if size == 0:
            return None
        reused = tuple(sorted(reusable))[:size]
        free = healthy.difference(self._taken(resource))
        if len(free) < size - len(reused):
            raise AllocationError(
                f"requested number of devices unavailable for {resource}. "
                f"Requested: {size - len(reused)}, Available: {len(free)}"
            )
        return Choice(resource=resource, size=size, reused=reused, free=frozenset(free))

    def reusable(self, pod_uid: str, resource: str, init_containers: Collection[str]) -> frozenset[str]:
        """Devices of the pod's (ordinary) init containers that no container which stays has taken over."""
        spent: set[str] = set()
        kept: set[str] = set()
        for container, resources in self._held.get(pod_uid, {}).items():
            if resource in resources:
                (spent if container in init_containers else kept).update(resources[resource].ids)
        return frozenset(spent - kept)

    def commit(
        self, pod_uid: str, container: str, resource: str, ids: Sequence[str], response: bytes
    ) -> None:
        """The plugin agreed: the container holds `ids` until its pod is reclaimed."""
        known = self._resources[resource].devices if resource in self._resources else {}
        numa: dict[int, list[str]] = {}
        for device_id in sorted(ids):
            device = known.get(device_id)
            for node in (device.numa_nodes if device is not None else ()) or (NO_NUMA,):
                numa.setdefault(node, []).append(device_id)
        allocation = Allocation({node: tuple(listed) for node, listed in sorted(numa.items())}, response)
        self._held.setdefault(pod_uid, {}).setdefault(container, {})[resource] = allocation

    def reclaim(self, active: Collection[str]) -> tuple[str, ...]:
        """Takes back what pods other than `active` (uids) hold; returns whose it was."""
        ended = tuple(uid for uid in self._held if uid not in active)
        for uid in ended:
            del self._held[uid]
        return ended

    # Over restarts.

    def snapshot(self) -> dict[str, Any]:
        """What a checkpoint holds: allocations whole, of devices only which resource was registered."""
        return {
            "podDeviceEntries": [
                {
                    "podUID": uid,
                    "containerName": container,
                    "resourceName": resource,
                    "deviceIDs": {str(node): list(ids) for node, ids in allocation.numa.items()},
                    "allocResp": allocation.response.hex(),
                }
                for uid, containers in self._held.items()
                for container, resources in containers.items()
                for resource, allocation in resources.items()
            ],
            "registeredDevices": sorted(self._resources),
        }

    def restore(self, snapshot: Mapping[str, Any], now: float) -> None:
        """Into an empty table. Capacity stays 0 until the plugins register again. Raises KeyError or ValueError."""
        for entry in snapshot["podDeviceEntries"]:
            numa = {int(node): tuple(ids) for node, ids in entry["deviceIDs"].items()}
            containers = self._held.setdefault(entry["podUID"], {})
            held = containers.setdefault(entry["containerName"], {})
            held[entry["resourceName"]] = Allocation(numa, bytes.fromhex(entry["allocResp"]))
        for resource in snapshot["registeredDevices"]:
            self._resources[resource] = _Resource(stopped_at=now)

    def _health(self, resource: str, device_id: str) -> str:
        entry = self._resources.get(resource)
        device = entry.devices.get(device_id) if entry is not None else None
        if device is None:
            return "Unknown"
        return "Healthy" if device.healthy else "Unhealthy"

    def _healthy(self, resource: str) -> set[str]:
        return {device.id for device in self._resources[resource].devices.values() if device.healthy}

    def _taken(self, resource: str) -> set[str]:
        return {
            device_id
            for containers in self._held.values()
            for resources in containers.values()
            if resource in resources
            for device_id in resources[resource].ids
        }
