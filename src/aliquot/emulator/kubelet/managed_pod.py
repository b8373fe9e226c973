"""One pod in kubelet's hands, and what kubelet keeps in mind about it. Forgotten when kubelet stops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aliquot.emulator.kubelet.admission import Rejection, is_sidecar
from aliquot.emulator.kubelet.device_manager import ContainerClaim, PodClaim
from aliquot.emulator.kubelet.devices import is_extended_resource
from aliquot.emulator.kubelet.pod_details import PodDetails
from aliquot.emulator.kubelet.pod_plan import Backoff, Phase, Refusal
from aliquot.emulator.kubelet.pod_status import Place, Unhealthy
from aliquot.emulator.kubelet.runtimes.base import ContainerRecord
from aliquot.kube import quantity
from aliquot.kube.api.core import Container, ContainerStatus, Pod


@dataclass(frozen=True, slots=True)
class Mounting:
    """The pod's volumes could not be set up."""

    retry_s: float
    retry_at: float


@dataclass(eq=False, slots=True)
class ManagedPod:
    pod: Pod
    """As last seen in the API."""
    place: Place | None = None
    """Set when it is admitted."""
    address: str = ""
    """What it has of the node's addresses."""
    rejection: Rejection | None = None
    details: PodDetails | None = None
    """Read when it has been admitted."""
    mounting: Mounting | None = None
    """Why its volumes are not there yet."""
    mounted: bool = False
    gone: bool = False
    """No longer in the API."""
    finished: bool = False
    """Nothing of it runs or will: its devices are free."""

    backoffs: dict[str, Backoff] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    grace_s: float | None = None
    """The shortest grace period it was given so far."""
    kill_at: float | None = None
    verdict: Unhealthy | None = None
    announced: dict[str, float | None] = field(default_factory=dict)
    """What events have told already: container ids that are being stopped, waits by container."""

    desired: dict[str, Any] | None = None
    """Status to be written."""
    written: dict[str, Any] | None = None
    conditions: Sequence[Mapping[str, Any]] = ()
    """As last written, or found."""
    deleted: bool = False
    """Its last deletion, with grace 0, has been sent."""

    @property
    def uid(self) -> str:
        return self.pod.metadata.uid

    @property
    def label(self) -> str:
        """As kubelet's messages name it."""
        return f"{self.pod.metadata.name}_{self.pod.metadata.namespace}({self.uid})"

    @property
    def deleting(self) -> bool:
        return self.pod.metadata.deletion_timestamp is not None

    @property
    def over(self) -> bool:
        """The API says that it has ended; nothing may ever say otherwise."""
        return self.pod.status.phase in (Phase.SUCCEEDED, Phase.FAILED)

    @property
    def containers(self) -> tuple[Container, ...]:
        """Init containers first, ephemeral ones last."""
        spec = self.pod.spec
        return (*(spec.init_containers or ()), *spec.containers, *(spec.ephemeral_containers or ()))

    @property
    def lacks_details(self) -> bool:
        """Of a container that it has, or of all."""
        if self.details is None:
            return True
        known = {container.name for container in self.details.containers}
        return any(container.name not in known for container in self.pod.spec.ephemeral_containers or ())

    @property
    def active_deadline(self) -> float | None:
        """Unix seconds after which it may not run."""
        limit_s = self.pod.spec.active_deadline_seconds
        return None if limit_s is None or self.place is None else self.place.started_at + limit_s

    def claim(self, running: Mapping[str, object]) -> PodClaim:
        """What it asks of device plugins; the containers `running` have theirs already."""
        ordinary = {c.name for c in self.pod.spec.init_containers or () if not is_sidecar(c)}
        return PodClaim(
            self.uid,
            tuple(
                ContainerClaim(
                    container.name,
                    _devices(container),
                    is_init=container.name in ordinary,
                    running=container.name in running,
                )
                for container in self.containers
            ),
        )

    def is_ordinary_init(self, container: str) -> bool:
        """An init container that ends before the others begin."""
        return any(c.name == container and not is_sidecar(c) for c in self.pod.spec.init_containers or ())

    def container_status(self, record: ContainerRecord) -> ContainerStatus | None:
        """What the API has of this run."""
        for known in self._statuses:
            if known.container_id.endswith(f"://{record.id}"):
                return known
        return None

    @property
    def _statuses(self) -> tuple[ContainerStatus, ...]:
        status = self.pod.status
        return (
            *(status.init_container_statuses or ()),
            *(status.container_statuses or ()),
            *(status.ephemeral_container_statuses or ()),
        )

    def earlier_attempts(self, container: str) -> int:
        """Runs of the container that only its status still knows of."""
        for known in self._statuses:
            if known.name == container and known.container_id:
                return known.restart_count + 1
        return 0


def _devices(container: Container) -> dict[str, int]:
    limits = container.resources.limits or {}
    return {name: quantity.whole(text) for name, text in limits.items() if is_extended_resource(name)}
