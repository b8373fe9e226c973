"""Whose a device is: the containers that hold it or a share of it, as kubelet lists them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aliquot.node.advertise import device_of
from aliquot.node.pod_resources import Holding


@dataclass(frozen=True, slots=True, order=True)
class Holder:
    namespace: str
    pod: str
    container: str


def holders_by_device(holdings: Sequence[Holding]) -> Mapping[str, tuple[Holder, ...]]:
    """A container that holds several shares of a device is named once."""
    found: dict[str, set[Holder]] = {}
    for holding in holdings:
        namespace, _, pod = holding.pod.partition("/")
        holder = Holder(namespace, pod, holding.container)
        for kubelet_id in holding.device_ids:
            found.setdefault(device_of(kubelet_id), set()).add(holder)
    return {device_id: tuple(sorted(holders)) for device_id, holders in found.items()}
