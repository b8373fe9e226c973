"""What pods are to get, by node: the devices that a scheduler has assigned to those that wait and to those that are bound."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec

from aliquot.clock import parse_rfc3339
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpunode import GPUInstance, GPUNodeStatus, GPUStatus
from aliquot.kube.cache import Cache
from aliquot.kube.resources import key
from aliquot.partition.asked import neediest
from aliquot.partition.assigned import assigned


@dataclass(frozen=True, slots=True)
class Claim:
    pod: str
    """`namespace/name`"""
    device: AssignedDevice
    """Whichever of its containers get it, and of its shares as many as they have together."""
    bound: bool
    created_s: float


class Claims:
    """Follows the pods, from `follow` on."""

    def __init__(self, pods: Cache[Pod]) -> None:
        self._pods = pods
        self._by_node: dict[str, dict[str, tuple[Claim, ...]]] = {}
        self._node_of: dict[str, str] = {}
        self._subscribers: list[Callable[[str], None]] = []

    def follow(self) -> Callable[[], None]:
        """Start to listen; returns the function that stops it."""
        return self._pods.subscribe(self._pod_changed)

    def subscribe(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """Call `changed` with the name of each node of which something is claimed otherwise from now on; returns the function
        that ends it."""
        self._subscribers.append(changed)
        return lambda: self._subscribers.remove(changed)

    def on(self, node: str) -> list[Claim]:
        """Bound pods first, then the oldest."""
        found = [claim for claims in self._by_node.get(node, {}).values() for claim in claims]
        return sorted(found, key=lambda claim: (not claim.bound, claim.created_s, claim.pod))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        either = new or old
        assert either is not None
        name = key(either)
        node, claims = claimed(new) if new is not None else ("", ())
        before = self._node_of.pop(name, "")
        if before and (before != node or self._by_node[before].get(name) != claims):
            del self._by_node[before][name]
            self._tell(before)
        if not claims:
            return
        self._node_of[name] = node
        here = self._by_node.setdefault(node, {})
        if here.get(name) != claims:
            here[name] = claims
            self._tell(node)

    def _tell(self, node: str) -> None:
        for changed in tuple(self._subscribers):
            changed(node)


def claimed(pod: Pod) -> tuple[str, tuple[Claim, ...]]:
    """The node, and what the pod is to get there; nothing of a pod that is over, or will never be bound, or that nobody has
    placed."""
    if pod.status.has_ended:
        return "", ()
    if pod.metadata.deletion_timestamp is not None and not pod.spec.node_name:
        return "", ()
    try:
        assignment = assigned(pod)
    except ValueError:
        # Its scheduler says so, and decides anew.
        return "", ()
    if assignment is None:
        return "", ()
    node = pod.spec.node_name or assignment.node
    if not node:
        return "", ()
    stamp = pod.metadata.creation_timestamp
    created_s = parse_rfc3339(stamp) if stamp else 0.0
    name, bound = key(pod), bool(pod.spec.node_name)
    devices = _of_all_containers(pod, assignment.devices)
    return node, tuple(Claim(name, device, bound, created_s) for device in devices)


def _of_all_containers(pod: Pod, devices: Iterable[AssignedDevice]) -> Iterator[AssignedDevice]:
    """Each device once. What an init container has, those after it have again; those that run together have theirs apart."""
    of_each: dict[str, Counter[AssignedDevice]] = {}
    for device in devices:
        one = msgspec.structs.replace(device, container="", shares=min(device.shares, 1))
        of_each.setdefault(device.container, Counter())[one] += device.shares or 1
    nothing: Counter[AssignedDevice] = Counter()
    for one, count in neediest(pod, lambda container: of_each.get(container.name, nothing)).items():
        yield msgspec.structs.replace(one, shares=count) if one.shares else one


def open_claims(claims: Sequence[Claim], status: GPUNodeStatus) -> Sequence[Claim]:
    """What of them the node does not list as given yet. The list is the truth: for a device that the pod was to get, kubelet may
    have given it another of the same resource. Each that it has beyond those stands for one of them."""
    held = _held(status)
    wanted = Counter({_of(claim): claim.device.shares or 1 for claim in claims})
    others = Counter[tuple[str, str]]()
    for place, count in (held - wanted).items():
        others[place.pod, place.resource] += count
    found = []
    for claim in claims:
        if not claim.bound:
            found.append(claim)
            continue
        place = _of(claim)
        missing = max(wanted[place] - held[place], 0)
        exchanged = min(missing, others[place.pod, place.resource])
        others[place.pod, place.resource] -= exchanged
        missing -= exchanged
        if missing:
            device = claim.device
            rest = msgspec.structs.replace(device, shares=missing) if device.shares else device
            found.append(replace(claim, device=rest))
    return found


class _Held(NamedTuple):
    """A device, as a pod has it."""

    pod: str
    resource: str
    gpu: str
    start: int | None


def _of(claim: Claim) -> _Held:
    return _Held(claim.pod, claim.device.resource, claim.device.gpu, claim.device.start)


def _held(status: GPUNodeStatus) -> Counter[_Held]:
    """As often as the pod has shares of it."""
    found = Counter[_Held]()
    for gpu in status.gpus:
        places: list[tuple[int | None, GPUStatus | GPUInstance]] = [(None, gpu)]
        places += [(instance.start, instance) for instance in gpu.instances]
        for start, device in places:
            shares = {one.pod: one.shares for one in device.shares.held} if device.shares is not None else {}
            for pod in device.pods:
                found[_Held(pod, device.resource, gpu.uuid, start)] += shares.get(pod, 1)
    return found
