"""What a relocation is, whoever finds it: the slices that a pod gets, who leaves them, and where their likes have room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aliquot.kube import quantity
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.core import Container, Pod
from aliquot.partition.replanning.plan import Spot


@dataclass(frozen=True, slots=True)
class Victim:
    pod: str
    """`namespace/name`"""
    spots: tuple[Spot, ...]
    """What it gives up."""
    to: tuple[Spot, ...]
    """Where its like has room, or will have."""


@dataclass(frozen=True, slots=True)
class Relocation:
    pod: str
    """The one that waits."""
    slices: tuple[tuple[str, Spot], ...]
    """(resource, where) of all that it asks for, on one node."""
    victims: tuple[Victim, ...]
    """Who is in these places."""
    later: tuple[Victim, ...] = ()
    """Who is in the places of the victims' likes, and is moved for them once they wait."""

    @property
    def node(self) -> str:
        return self.slices[0][1].node

    @property
    def moves(self) -> int:
        return len(self.victims) + len(self.later)


def devices_for(pod: Pod, slices: Sequence[tuple[str, Spot]]) -> tuple[AssignedDevice, ...]:
    """`slices` by container, in the pod's order. What init containers have, those after them have again; sidecars keep theirs.
    Nothing where that does not go up: a sidecar's beside an init container's are more than the pod's sum."""
    of_resource: dict[str, list[Spot]] = {}
    for resource, spot in slices:
        of_resource.setdefault(resource, []).append(spot)
    kept: dict[str, int] = dict.fromkeys(of_resource, 0)
    """How many are somebody's who stays."""
    found: list[AssignedDevice] = []
    for container in (*(pod.spec.init_containers or ()), *pod.spec.containers):
        stays = container in pod.spec.containers or container.restart_policy == "Always"
        for resource, count in _counts(container, of_resource).items():
            first = kept[resource]
            spots = of_resource[resource][first : first + count]
            if len(spots) < count:
                return ()
            found += [_device(container, resource, spot) for spot in spots]
            if stays:
                kept[resource] += count
    return tuple(found)


def _counts(container: Container, among: Mapping[str, object]) -> dict[str, int]:
    amounts = {**(container.resources.limits or {}), **(container.resources.requests or {})}
    return {name: quantity.whole(text) for name, text in amounts.items() if name in among}


def _device(container: Container, resource: str, spot: Spot) -> AssignedDevice:
    return AssignedDevice(
        container=container.name, resource=resource, gpu=spot.uuid, profile=spot.profile, start=spot.start
    )
