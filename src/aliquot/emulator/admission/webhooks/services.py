"""Where a Service that a webhook is configured with can be reached: what stands in for kube-proxy.

An ExternalName is connected to as it stands, so that a webhook on this machine is a Service of type ExternalName
with `externalName: localhost`. Any other Service is reached at one of its ready endpoints (EndpointSlices, or an
Endpoints object of its name): there is no network behind cluster IPs.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from aliquot.emulator.admission.types import Look
from aliquot.emulator.admission.webhooks.configurations import ServiceReference
from aliquot.emulator.network import CallFailed
from aliquot.emulator.objects import metadata
from aliquot.emulator.registry import SERVICES

_SLICES = "endpointslices.discovery.k8s.io"
_OWNER = "kubernetes.io/service-name"


def resolve(look: Look, reference: ServiceReference, rng: Random) -> tuple[str, int]:
    """(host, port) to connect to. Raises CallFailed."""
    service = look.get(SERVICES, reference.namespace, reference.name)
    if service is None:
        raise CallFailed(f'service "{reference.name}" not found')
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec["externalName"]), reference.port
    port = next((one for one in spec.get("ports") or () if one.get("port") == reference.port), None)
    if port is None:
        raise CallFailed(f'no service port {reference.port} found for service "{reference.name}"')
    name = port.get("name") or ""
    ready = sorted({*_in_slices(look, reference, name), *_in_endpoints(look, reference, name)})
    if not ready:
        raise CallFailed(f'no endpoints available for service "{reference.name}"')
    return rng.choice(ready)


def _in_slices(look: Look, reference: ServiceReference, port_name: str) -> Iterator[tuple[str, int]]:
    for one in look.all(_SLICES):
        meta = metadata(one)
        if meta["namespace"] != reference.namespace:
            continue
        if (meta.get("labels") or {}).get(_OWNER) != reference.name:
            continue
        number = _number(one.get("ports") or (), port_name)
        for endpoint in one.get("endpoints") or ():
            if number is not None and (endpoint.get("conditions") or {}).get("ready", True):
                yield from ((address, number) for address in endpoint.get("addresses") or ())


def _in_endpoints(look: Look, reference: ServiceReference, port_name: str) -> Iterator[tuple[str, int]]:
    found = look.get("endpoints", reference.namespace, reference.name) or {}
    for subset in found.get("subsets") or ():
        number = _number(subset.get("ports") or (), port_name)
        if number is not None:
            yield from ((address["ip"], number) for address in subset.get("addresses") or ())


def _number(ports: Any, name: str) -> int | None:
    found: Mapping[str, Any] | None = next((one for one in ports if (one.get("name") or "") == name), None)
    return int(found["port"]) if found is not None and found.get("port") else None
