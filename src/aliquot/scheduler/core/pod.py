"""What the scheduler knows of a pod: its shape (all that placement depends on) and its place in the line.

Quantities are integers: CPU in thousandths, memory and storage in bytes, everything else in units. What every decision
makes anew is a Struct: made in a fraction of the time that a frozen dataclass takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import TypeAlias

from msgspec import Struct

from aliquot.kube.api.gpunode import Sharing
from aliquot.scheduler.core.matching import NodeTerm, PreferredTerm, Toleration
from aliquot.scheduler.core.reasons import Reason
from aliquot.scheduler.core.rules import NO_KIN, NO_RULES, Kin, Rules
from aliquot.scheduler.core.topology import GpuLevel
from aliquot.scheduler.core.volumes import BoundClaim, OpenClaim

Amounts: TypeAlias = Mapping[str, int]
"""Resource name to amount; a resource that is absent counts as zero, and zeros are left out. Never changed in place."""

CPU = "cpu"
MEMORY = "memory"
PODS = "pods"


class ContainerKind(Enum):
    INIT = auto()
    """Runs to its end before the next starts."""
    SIDECAR = auto()
    """Started in turn with the init containers, then runs beside the rest."""
    APP = auto()


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    name: str
    kind: ContainerKind
    requests: Amounts


@dataclass(frozen=True, slots=True)
class HostPort:
    port: int
    protocol: str = "TCP"
    ip: str = "0.0.0.0"

    def clashes_with(self, other: "HostPort") -> bool:
        wildcards = ("0.0.0.0", "")
        return (
            self.port == other.port
            and self.protocol == other.protocol
            and (self.ip == other.ip or self.ip in wildcards or other.ip in wildcards)
        )


@dataclass(frozen=True, slots=True)
class GpuWish:
    """Where in their node the GPUs of one pod should be together, those that its slices and shares are of as well."""

    required: GpuLevel | None = None
    """All in one domain of this level, or it is not placed there."""
    preferred: GpuLevel | None = None
    """In one domain of this level if a node has room so, else as they come."""


@dataclass(frozen=True, slots=True, eq=False)
class PodShape:
    """All that a placement depends on. Pods of one `signature` are interchangeable to filters and scores.

    `containers` are in the order in which they start: init containers and sidecars as written, then the others.
    `request` is the effective request of the whole pod, with one `pods`. `required` None: no required node
    affinity; an empty tuple matches nothing. `refusal`: why no node could ever do, for a demand that this scheduler
    does not know.
    """

    signature: str
    containers: tuple[ContainerRequest, ...]
    request: Amounts
    node_name: str = ""
    node_selector: tuple[tuple[str, str], ...] = ()
    required: tuple[NodeTerm, ...] | None = None
    preferred: tuple[PreferredTerm, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    rules: Rules = NO_RULES
    bound_claims: tuple[BoundClaim, ...] = ()
    open_claims: tuple[OpenClaim, ...] = ()
    gpu_wish: GpuWish | None = None
    refusal: Reason | None = None

    def largest_of_one_container(self, resource: str) -> int:
        return max((container.requests.get(resource, 0) for container in self.containers), default=0)


@dataclass(frozen=True, slots=True)
class PodRequest:
    """A pod that waits for a node."""

    key: str
    """`namespace/name`."""
    uid: str
    shape: PodShape
    priority: int = 0
    created_s: float = 0.0
    kin: Kin = NO_KIN
    owner: str = ""
    """Uid of what controls it."""


class DeviceChoice(Struct, frozen=True, gc=False):
    """One device for one container: a whole GPU (`start` None), or the slice of `profile` at `start`; or shares of it."""

    container: str
    resource: str
    gpu: str
    profile: str = ""
    start: int | None = None
    shares: int = 0
    """0: the device as a whole."""
    sharing: Sharing = Sharing.NONE
    """For shares that are still to be made: in which way, and how many in all."""
    replicas: int = 0


class PlacedPod(Struct, frozen=True, gc=False):
    """A live pod on a node, as seen in the API or as decided a moment ago (`assumed`)."""

    key: str
    uid: str
    node: str
    request: Amounts
    devices: tuple[DeviceChoice, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    admitted: bool = False
    """Kubelet has taken it in, and so has given it its devices."""
    assumed: bool = False
    reserved: bool = False
    """Its devices are still being made: it is bound once they are there."""
    terminating: bool = False
    """It is being deleted."""
    kin: Kin = NO_KIN
    since_s: float = inf
    """When it started; of one that was decided on a moment ago later than all others."""
    checkpoint_s: float = -inf
    """When it last said that its work is written down; -inf: never."""


def effective_request(
    containers: Sequence[ContainerRequest],
    *,
    overhead: Amounts | None = None,
    pod_level: Amounts | None = None,
) -> dict[str, int]:
    """What the pod needs at its neediest moment, plus `overhead`, plus one pod.

    Kubernetes' rule (KEP-753): the larger of all that run together in the end, and each init container beside the
    sidecars started before it. What `pod_level` states replaces that sum (KEP-2837).
    """
    together: dict[str, int] = {}
    starting: dict[str, int] = {}
    for container in containers:
        if container.kind is ContainerKind.INIT:
            for resource, amount in container.requests.items():
                moment = amount + together.get(resource, 0)
                starting[resource] = max(starting.get(resource, 0), moment)
        else:
            for resource, amount in container.requests.items():
                together[resource] = together.get(resource, 0) + amount
    total = {
        resource: max(together.get(resource, 0), starting.get(resource, 0))
        for resource in together | starting
    }
    total |= pod_level or {}
    for resource, amount in (overhead or {}).items():
        total[resource] = total.get(resource, 0) + amount
    total[PODS] = 1
    return {resource: amount for resource, amount in total.items() if amount}
