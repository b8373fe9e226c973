"""Where a Service leads: the addresses and ports of the pods that it selects. Pure.

Two forms of the same: EndpointSlices of a hundred endpoints at most, of which as few as possible are written anew at
a change; and the one older Endpoints object.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from aliquot.emulator.controllers import ownership, pods
from aliquot.emulator.controllers.service_types import (
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    EndpointSubset,
    Service,
    ServicePort,
)
from aliquot.kube.api.core import Container, ObjectReference, Pod
from aliquot.kube.resources import SERVICES

SERVICE_LABEL = "kubernetes.io/service-name"
SLICE_MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
SLICE_MANAGER = "endpointslice-controller.k8s.io"
ENDPOINTS_MANAGER_LABEL = "endpoints.kubernetes.io/managed-by"
ENDPOINTS_MANAGER = "endpoint-controller"
HEADLESS_LABEL = "service.kubernetes.io/headless"
ZONE_LABEL = "topology.kubernetes.io/zone"
LARGEST_SLICE = 100
LARGEST_ENDPOINTS = 1000

Ports = tuple[EndpointPort, ...]


def is_ours(service: Service) -> bool:
    """Without a selector somebody else says where it leads."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def ports_of(service: Service, pod: Pod) -> Ports:
    """What the service's ports are on this pod; one that the pod does not name is left out."""
    found = []
    for port in service.spec.ports or ():
        number = _target(port, pod)
        if number is not None:
            found.append(
                EndpointPort(
                    name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol
                )
            )
    return tuple(found)


def _target(port: ServicePort, pod: Pod) -> int | None:
    if isinstance(port.target_port, int):
        return port.target_port or port.port
    for container in (*pod.spec.containers, *_sidecars(pod)):
        for offered in container.ports or ():
            if (offered.name, offered.protocol) == (port.target_port, port.protocol):
                return offered.container_port
    return None


def _sidecars(pod: Pod) -> Iterable[Container]:
    return (one for one in pod.spec.init_containers or () if one.restart_policy == "Always")


def endpoints(
    service: Service, selected: Iterable[Pod], zones: Mapping[str, str]
) -> dict[Ports, list[Endpoint]]:
    """By ports, in the order of addresses. `zones` are those of nodes by name."""
    found: dict[Ports, list[Endpoint]] = {}
    for pod in selected:
        if not pod.status.pod_ip or pod.status.phase in pods.TERMINAL_PHASES:
            continue
        ports = ports_of(service, pod)
        if ports or not service.spec.ports:
            found.setdefault(ports, []).append(_endpoint(service, pod, zones))
    for group in found.values():
        group.sort(key=_address)
    return found


def _endpoint(service: Service, pod: Pod, zones: Mapping[str, str]) -> Endpoint:
    serving, terminating = pods.is_ready(pod), pod.metadata.deletion_timestamp is not None
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    named = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
    return Endpoint(
        addresses=(pod.status.pod_ip,),
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=pod.spec.hostname if named else None,
        node_name=pod.spec.node_name or None,
        zone=zones.get(pod.spec.node_name),
        target_ref=_reference(pod),
    )


def _reference(pod: Pod) -> ObjectReference:
    metadata = pod.metadata
    return ObjectReference(kind="Pod", namespace=metadata.namespace, name=metadata.name, uid=metadata.uid)


def _address(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.addresses[0], endpoint.target_ref.uid if endpoint.target_ref is not None else ""


# ---- slices ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SlicesPlan:
    create: tuple[dict[str, Any], ...]
    update: tuple[tuple[EndpointSlice, dict[str, Any]], ...]
    """Each with its merge patch."""
    delete: tuple[EndpointSlice, ...]


def plan_slices(
    service: Service, wanted: Mapping[Ports, Sequence[Endpoint]], held: Sequence[EndpointSlice]
) -> SlicesPlan:
    """Endpoints stay in the slice that they are in. A service that leads nowhere has one slice that says so."""
    create: list[dict[str, Any]] = []
    update: list[tuple[EndpointSlice, dict[str, Any]]] = []
    delete: list[EndpointSlice] = []
    groups = dict(wanted) or {(): []}
    by_ports: dict[Ports, list[EndpointSlice]] = {}
    for found in sorted(held, key=lambda one: one.metadata.name):
        by_ports.setdefault(tuple(found.ports or ()), []).append(found)
    for ports, there in by_ports.items():
        if ports not in groups:
            delete += there
    for ports, group in groups.items():
        filled, rest = _fill(by_ports.get(ports, ()), group)
        if not filled and not rest:
            rest = [()]
        create += [_slice(service, ports, part) for part in rest]
        for number, (found, content) in enumerate(filled):
            needed = content or (not group and number == 0)
            if not needed:
                delete.append(found)
            elif (patch := _slice_patch(service, found, content)) is not None:
                update.append((found, patch))
    return SlicesPlan(tuple(create), tuple(update), tuple(delete))


def _fill(
    there: Sequence[EndpointSlice], group: Sequence[Endpoint]
) -> tuple[list[tuple[EndpointSlice, Sequence[Endpoint]]], list[Sequence[Endpoint]]]:
    """The content of each slice that there is, and those of slices to be made."""
    left = {_address(endpoint): endpoint for endpoint in group}
    contents: list[tuple[EndpointSlice, list[Endpoint]]] = []
    for found in there:
        kept = [
            left.pop(_address(old))
            for old in found.endpoints or ()
            if old.addresses and _address(old) in left
        ]
        contents.append((found, kept))
    new = list(left.values())
    for _, content in contents:
        room = LARGEST_SLICE - len(content)
        content += new[:room]
        new = new[room:] if room > 0 else new
    return list(contents), [new[at : at + LARGEST_SLICE] for at in range(0, len(new), LARGEST_SLICE)]


def _slice(service: Service, ports: Ports, content: Sequence[Endpoint]) -> dict[str, Any]:
    return {
        "metadata": {
            "generateName": f"{service.metadata.name}-",
            "namespace": service.metadata.namespace,
            "labels": _slice_labels(service),
            "ownerReferences": [ownership.reference(SERVICES, service)],
        },
        "addressType": "IPv4",
        "endpoints": msgspec.to_builtins(list(content)),
        "ports": _ports_json(ports),
    }


def _slice_patch(
    service: Service, found: EndpointSlice, content: Sequence[Endpoint]
) -> dict[str, Any] | None:
    patch: dict[str, Any] = {}
    if tuple(found.endpoints or ()) != tuple(content):
        patch["endpoints"] = msgspec.to_builtins(list(content))
    labels = _slice_labels(service)
    held = found.metadata.labels or {}
    changed = {name: labels.get(name) for name in {*labels, *held} if labels.get(name) != held.get(name)}
    if not patch and not changed:
        return None
    patch["metadata"] = {"resourceVersion": found.metadata.resource_version}
    if changed:
        patch["metadata"]["labels"] = changed
    return patch


def _slice_labels(service: Service) -> dict[str, str]:
    return {
        **_own_labels(service),
        SERVICE_LABEL: service.metadata.name,
        SLICE_MANAGER_LABEL: SLICE_MANAGER,
    }


def _own_labels(service: Service) -> dict[str, str]:
    headless = {HEADLESS_LABEL: ""} if service.spec.cluster_ip == "None" else {}
    return {**(service.metadata.labels or {}), **headless}


def _ports_json(ports: Ports) -> list[dict[str, Any]]:
    return [
        {
            "name": port.name,
            "port": port.port,
            "protocol": port.protocol,
            **({"appProtocol": port.app_protocol} if port.app_protocol else {}),
        }
        for port in ports
    ]


# ---- the older form ----------------------------------------------------------------------------------------


def subsets(service: Service, wanted: Mapping[Ports, Sequence[Endpoint]]) -> tuple[EndpointSubset, ...]:
    """Of the Endpoints object: without pods that are on their way out, unless all are to be published."""
    found = []
    room = LARGEST_ENDPOINTS
    for ports, group in sorted(wanted.items(), key=lambda item: [(one.name, one.port) for one in item[0]]):
        ready: list[EndpointAddress] = []
        not_ready: list[EndpointAddress] = []
        for endpoint in group:
            if endpoint.conditions.terminating and not service.spec.publish_not_ready_addresses:
                continue
            if room <= 0:
                break
            room -= 1
            (ready if endpoint.conditions.ready else not_ready).append(_older(endpoint))
        if ready or not_ready:
            found.append(
                EndpointSubset(
                    addresses=tuple(ready) or None,
                    not_ready_addresses=tuple(not_ready) or None,
                    ports=ports or None,
                )
            )
    return tuple(found)


def _older(endpoint: Endpoint) -> EndpointAddress:
    return EndpointAddress(
        ip=endpoint.addresses[0],
        hostname=endpoint.hostname,
        node_name=endpoint.node_name,
        target_ref=endpoint.target_ref,
    )


def endpoints_labels(service: Service) -> dict[str, str]:
    return {**_own_labels(service), ENDPOINTS_MANAGER_LABEL: ENDPOINTS_MANAGER}


def subsets_json(found: Sequence[EndpointSubset]) -> list[dict[str, Any]]:
    return [
        {
            **msgspec.to_builtins(msgspec.structs.replace(subset, ports=None)),
            **({"ports": [_older_port(port) for port in subset.ports]} if subset.ports else {}),
        }
        for subset in found
    ]


def _older_port(port: EndpointPort) -> dict[str, Any]:
    [written] = _ports_json((port,))
    return written if port.name else {key: value for key, value in written.items() if key != "name"}
