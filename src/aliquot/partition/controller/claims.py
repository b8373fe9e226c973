"""What pods are to get, by node: the devices that a scheduler has assigned to those that wait and to those that are bound."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aliquot.clock import parse_rfc3339
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpunode import GPUNodeStatus
from aliquot.kube.cache import Cache
from aliquot.kube.resources import key
from aliquot.partition.assigned import assigned

_OVER = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Claim:
    pod: str
    """`namespace/name`"""
    device: AssignedDevice
    bound: bool
    created_s: float


class Claims:
    """Follows the pods. `changed` is called with the name of each node of which something is claimed otherwise."""

    def __init__(self, pods: Cache[Pod], changed: Callable[[str], None]) -> None:
        self._pods = pods
        self._changed = changed
        self._by_node: dict[str, dict[str, tuple[Claim, ...]]] = {}
        self._node_of: dict[str, str] = {}

    def follow(self) -> Callable[[], None]:
        """Start to listen; returns the function that stops it. What was seen before, and may be gone, is forgotten."""
        self._by_node.clear()
        self._node_of.clear()
        return self._pods.subscribe(self._pod_changed)

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
            self._changed(before)
        if not claims:
            return
        self._node_of[name] = node
        here = self._by_node.setdefault(node, {})
        if here.get(name) != claims:
            here[name] = claims
            self._changed(node)


def claimed(pod: Pod) -> tuple[str, tuple[Claim, ...]]:
    """The node, and what the pod is to get there; nothing of a pod that is over, or will never be bound, or that nobody has
    placed."""
    if pod.status.phase in _OVER:
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
    return node, tuple(Claim(name, device, bound, created_s) for device in assignment.devices)


def open_claims(claims: Iterable[Claim], status: GPUNodeStatus) -> Sequence[Claim]:
    """Those of pods that the node does not list as holding the resource yet: kubelet may have given them another device,
    and the list is the truth."""
    holding = _holding(status)
    return [claim for claim in claims if not (claim.bound and (claim.pod, claim.device.resource) in holding)]


def _holding(status: GPUNodeStatus) -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for gpu in status.gpus:
        found.update((pod, gpu.resource) for pod in gpu.pods)
        for instance in gpu.instances:
            found.update((pod, instance.resource) for pod in instance.pods)
    return frozenset(found)
