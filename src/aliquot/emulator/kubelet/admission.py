"""May this pod run on this node: kubelet's own last check, in its order and its words. Pure.

Devices come first (`device_manager`); this is what follows. The scheduler has usually asked the same, but a pod can
be bound by anyone, and the node may have changed. Taints are not looked at: evicting for NoExecute is a controller's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aliquot.emulator.kinds import node_affinity
from aliquot.emulator.kubelet.devices import is_extended_resource
from aliquot.kube import quantity
from aliquot.kube.api.core import Container, Pod, Quantities, ResourceRequirements

UNEXPECTED = "UnexpectedAdmissionError"
NODE_AFFINITY = "NodeAffinity"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why the pod is Failed for good."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The node as it was last written to the API, with devices raised to what is held already."""

    name: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, int]
    """In the units of `amounts`."""


def device_rejection(error: Exception) -> Rejection:
    return Rejection(UNEXPECTED, f"Allocate failed due to {error}, which is unexpected")


def check(pod: Pod, others: Sequence[Pod], node: NodeFacts) -> Rejection | None:
    """The first reason against `pod` beside `others` (admitted and not ended), None when there is none."""
    return (
        _insufficient(pod, others, node)
        or (
            None
            if node_affinity.matches(pod.spec.node_selector, pod.spec.affinity, node.name, node.labels)
            else _failed(NODE_AFFINITY, "didn't match Pod's node affinity/selector")
        )
        or (
            None
            if _ports_free(pod, others)
            else _failed("NodePorts", "didn't have free ports for the requested pod ports")
        )
    )


def _failed(predicate: str, what: str) -> Rejection:
    return Rejection(predicate, f"Predicate {predicate} failed: node(s) {what}")


# Amounts.


def amounts(quantities: Quantities | None) -> dict[str, int]:
    """CPU in thousandths, everything else in units."""
    return {
        name: quantity.milli(text) if name == "cpu" else quantity.whole(text)
        for name, text in (quantities or {}).items()
    }


def requests(pod: Pod) -> dict[str, int]:
    """What the pod takes of the node, in the units of `amounts`.

    The containers together with the sidecars, or the init container that needs more (beside the sidecars started
    before it), plus the overhead; a request of the pod as a whole takes the place of its containers'.
    """
    together: dict[str, int] = {}
    for container in pod.spec.containers:
        _add(together, _requested(container.resources))
    largest: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    for container in pod.spec.init_containers or ():
        asked = _requested(container.resources)
        if is_sidecar(container):
            _add(together, asked)
            _add(sidecars, asked)
        else:
            _raise_to(
                largest, {name: asked.get(name, 0) + sidecars.get(name, 0) for name in asked | sidecars}
            )
    _raise_to(together, largest)
    if pod.spec.resources is not None:
        together |= _requested(pod.spec.resources)
    _add(together, amounts(pod.spec.overhead))
    return together


def is_sidecar(container: Container) -> bool:
    """For an init container: does it stay."""
    return container.restart_policy == "Always"


def qos_class(pod: Pod) -> str:
    """`Guaranteed`, `Burstable` or `BestEffort`."""
    everyone = (*pod.spec.containers, *(pod.spec.init_containers or ()))
    asked: dict[str, int] = {}
    limited: dict[str, int] = {}
    guaranteed = True
    for container in everyone:
        limits = _computing(amounts(container.resources.limits))
        _add(asked, limits | _computing(amounts(container.resources.requests)))
        _add(limited, limits)
        guaranteed = guaranteed and len(limits) == 2
    if not asked and not limited:
        return "BestEffort"
    return "Guaranteed" if guaranteed and asked == limited else "Burstable"


def _requested(resources: ResourceRequirements) -> dict[str, int]:
    return amounts(resources.limits) | amounts(resources.requests)


def _computing(quantities: Mapping[str, int]) -> dict[str, int]:
    return {name: amount for name, amount in quantities.items() if name in ("cpu", "memory") and amount > 0}


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise_to(total: dict[str, int], least: Mapping[str, int]) -> None:
    for name, amount in least.items():
        total[name] = max(total.get(name, 0), amount)


def _insufficient(pod: Pod, others: Sequence[Pod], node: NodeFacts) -> Rejection | None:
    places = node.allocatable.get("pods", 0)
    if len(others) + 1 > places:
        return _out_of("pods", 1, len(others), places)
    asked = requests(pod)
    used: dict[str, int] = {}
    for other in others:
        _add(used, requests(other))
    first = ("cpu", "memory", "ephemeral-storage")
    for name in (*first, *sorted(asked.keys() - set(first))):
        amount = asked.get(name, 0)
        if amount == 0 or (is_extended_resource(name) and name not in node.allocatable):
            # An extended resource the node does not know is the whole cluster's, or nobody's: passed over.
            continue
        capacity = node.allocatable.get(name, 0)
        if amount > capacity - used.get(name, 0):
            return _out_of(name, amount, used.get(name, 0), capacity)
    return None


def _out_of(resource: str, asked: int, used: int, capacity: int) -> Rejection:
    return Rejection(
        f"OutOf{resource}",
        f"Node didn't have enough resource: {resource}, requested: {asked}, used: {used}, capacity: {capacity}",
    )


# Host ports.


def _ports_free(pod: Pod, others: Iterable[Pod]) -> bool:
    taken = {port for other in others for port in _host_ports(other)}
    return not any(
        (protocol, number) == (other_protocol, other_number)
        and (address == other_address or "0.0.0.0" in (address, other_address))
        for address, protocol, number in _host_ports(pod)
        for other_address, other_protocol, other_number in taken
    )


def _host_ports(pod: Pod) -> Iterable[tuple[str, str, int]]:
    for container in pod.spec.containers:
        for port in container.ports or ():
            if port.host_port:
                yield port.host_ip or "0.0.0.0", port.protocol, port.host_port
