"""The devices of a node, told apart by kind: GPUs by their model, slices by their profile."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aliquot.kube.api.gpunode import Sharing
from aliquot.node.advertise import Advertisement, Device
from aliquot.node.inventory import ObservedGpu, Snapshot

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Division:
    """How most devices of a kind are handed out."""

    replicas: int
    """1: as a whole. 0: none of them is handed out."""
    strategy: Sharing = Sharing.NONE
    renamed: bool = False
    """Whether shares have a resource name of their own."""


@dataclass(frozen=True, slots=True)
class Model:
    product: str
    """As the driver prints it."""
    gpus: tuple[ObservedGpu, ...]
    division: Division
    """Of those that are not cut."""


def models(snapshot: Snapshot, advertisement: Advertisement, name_of: Callable[[str], str]) -> list[Model]:
    """The one with most GPUs first, among equals by name. `name_of`: resource of a GPU that is not shared."""
    whole: dict[str, list[Device]] = {}
    for device in advertisement.devices:
        if device.slice is None:
            whole.setdefault(snapshot.by_uuid[device.gpu_uuid].gpu.product, []).append(device)
    found = by_kind(snapshot.gpus, lambda observed: observed.gpu.product).items()
    made = [
        Model(product, tuple(gpus), division(whole.get(product, ()), name_of(product)))
        for product, gpus in found
    ]
    return sorted(made, key=lambda model: (-len(model.gpus), model.product))


def division(devices: Sequence[Device], resource: str) -> Division:
    """Where they differ, that of most; among equals the finest. `resource`: under which they are not shared."""
    offered = [device for device in devices if device.resource and not device.unusable]
    ways = Counter(_division(device, resource) for device in offered)
    return max(
        ways, key=lambda way: (ways[way], way.replicas, way.strategy, way.renamed), default=Division(0)
    )


def _division(device: Device, resource: str) -> Division:
    if device.shares is None or device.shares.replicas < 2:
        return Division(1)
    return Division(device.shares.replicas, device.shares.strategy, device.resource != resource)


def by_kind(items: Iterable[T], kind_of: Callable[[T], K]) -> Mapping[K, Sequence[T]]:
    """In the order in which the kinds first come."""
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(kind_of(item), []).append(item)
    return found
