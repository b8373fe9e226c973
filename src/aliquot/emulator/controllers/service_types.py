"""The parts of Services and of what they lead to that controllers read. Partial: never PUT what was decoded."""

from msgspec import field

from aliquot.kube.api.core import ObjectReference
from aliquot.kube.api.meta import ObjectMeta, Wire


class ServicePort(Wire, kw_only=True, frozen=True):
    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str = 0
    """A number, or the name of a port of the pod's containers."""
    app_protocol: str | None = None


class ServiceSpec(Wire, kw_only=True, frozen=True):
    type: str = "ClusterIP"
    cluster_ip: str = field(name="clusterIP", default="")
    selector: dict[str, str] | None = None
    ports: tuple[ServicePort, ...] | None = None
    publish_not_ready_addresses: bool = False


class Service(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()


class EndpointPort(Wire, kw_only=True, frozen=True):
    name: str = ""
    port: int | None = None
    protocol: str = "TCP"
    app_protocol: str | None = None


class EndpointConditions(Wire, kw_only=True, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Wire, kw_only=True, frozen=True):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    target_ref: ObjectReference | None = None


class EndpointSlice(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class EndpointAddress(Wire, kw_only=True, frozen=True):
    ip: str
    hostname: str | None = None
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointSubset(Wire, kw_only=True, frozen=True):
    addresses: tuple[EndpointAddress, ...] | None = None
    not_ready_addresses: tuple[EndpointAddress, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class Endpoints(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    subsets: tuple[EndpointSubset, ...] | None = None
