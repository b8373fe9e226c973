"""What only kubelet reads of a pod: where its environment comes from, its volumes, its probes.

The cache of all pods is shared with those who place and count them, and holds a tenth of each. So kubelet reads each
of its pods once in whole, when it has admitted it, and again for each ephemeral container that comes later: none of
these fields can change otherwise in the life of a pod.
"""

from typing import Any

from msgspec import field

from aliquot.kube.api.meta import ObjectMeta, Wire


class EnvFromReference(Wire, kw_only=True, frozen=True):
    name: str = ""
    optional: bool = False


class EnvFrom(Wire, kw_only=True, frozen=True):
    """One of the two references."""

    prefix: str = ""
    config_map_ref: EnvFromReference | None = None
    secret_ref: EnvFromReference | None = None


class VolumeMount(Wire, kw_only=True, frozen=True):
    name: str
    mount_path: str
    sub_path: str = ""


class ExecAction(Wire, kw_only=True, frozen=True):
    command: tuple[str, ...] = ()


class HttpHeader(Wire, kw_only=True, frozen=True):
    name: str
    value: str = ""


class HttpGetAction(Wire, kw_only=True, frozen=True):
    port: int | str
    """A number, or the name of one of the container's ports."""
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HttpHeader, ...] | None = None


class TcpSocketAction(Wire, kw_only=True, frozen=True):
    port: int | str
    host: str = ""


class GrpcAction(Wire, kw_only=True, frozen=True):
    port: int
    service: str = ""


class Probe(Wire, kw_only=True, frozen=True):
    """One of the four actions, and how often and how many times."""

    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    grpc: GrpcAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class PortDetails(Wire, kw_only=True, frozen=True):
    container_port: int
    name: str = ""


class ContainerDetails(Wire, kw_only=True, frozen=True):
    name: str
    env_from: tuple[EnvFrom, ...] | None = None
    ports: tuple[PortDetails, ...] | None = None
    volume_mounts: tuple[VolumeMount, ...] | None = None
    startup_probe: Probe | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None


class SpecDetails(Wire, kw_only=True, frozen=True):
    containers: tuple[ContainerDetails, ...] = ()
    init_containers: tuple[ContainerDetails, ...] | None = None
    ephemeral_containers: tuple[ContainerDetails, ...] | None = None
    volumes: tuple[dict[str, Any], ...] | None = None
    """Each with its `name` and one source."""


class PodDetails(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: SpecDetails = field(default_factory=SpecDetails)

    @property
    def containers(self) -> tuple[ContainerDetails, ...]:
        """Init containers first, ephemeral ones last."""
        spec = self.spec
        return (*(spec.init_containers or ()), *spec.containers, *(spec.ephemeral_containers or ()))

    def container(self, name: str) -> ContainerDetails:
        return next(container for container in self.containers if container.name == name)
