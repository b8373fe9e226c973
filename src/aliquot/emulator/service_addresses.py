"""Cluster IPs and node ports of Services: taken when a Service is made, kept while it lives."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, ip_address
from random import Random
from typing import Any

from aliquot.emulator import statuses
from aliquot.emulator.admission import Admitted, Operation
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.registry import SERVICES
from aliquot.emulator.schema.errors import invalid
from aliquot.emulator.statuses import StatusError

NETWORK = IPv4Network("10.96.0.0/16")
NODE_PORTS = range(30_000, 32_768)

_NONE = "None"
_KEPT = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
_TRIES = 1000


def service_addresses(asked: Admitted) -> Json:
    """An admission link. Raises StatusError 422 for what is taken, 500 when nothing is left."""
    if asked.served.storage != SERVICES or asked.subresource or asked.operation is Operation.DELETE:
        return asked.obj
    spec = asked.obj["spec"]
    old = (asked.old or {}).get("spec") or {}
    if spec.get("type") == "ExternalName":
        return asked.obj
    others = [
        other["spec"]
        for other in asked.look.all(SERVICES)
        if metadata(other)["uid"] != metadata(asked.obj).get("uid")
    ]
    spec = _with_address(asked, spec, old, others)
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        spec = _with_node_ports(asked, spec, old, others)
    return {**asked.obj, "spec": spec}


def _with_address(
    asked: Admitted, spec: Json, old: Mapping[str, Any], others: Iterable[Mapping[str, Any]]
) -> Json:
    address = spec.get("clusterIP") or ""
    if not address and old.get("clusterIP"):
        return {**spec, **{key: old[key] for key in _KEPT if key in old}}
    if address == old.get("clusterIP") and old:
        return spec
    families = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
    if address == _NONE:
        return {**families, **spec, "clusterIPs": [_NONE]}
    taken = {other.get("clusterIP") for other in others}
    if not address:
        address = _free_address(taken, asked.rng)
    elif not _is_in_network(address) or address in taken:
        why = "is already allocated" if address in taken else f"is not in the valid range {NETWORK}"
        detail = f"failed to allocate IP {address}: the provided IP {why}"
        raise _refused(asked, "spec.clusterIPs", [address], detail)
    return {**families, **spec, "clusterIP": address, "clusterIPs": [address]}


def _with_node_ports(
    asked: Admitted, spec: Json, old: Mapping[str, Any], others: Iterable[Mapping[str, Any]]
) -> Json:
    taken = {
        port["nodePort"] for other in others for port in other.get("ports") or () if port.get("nodePort")
    }
    had = {(port.get("name", ""), port.get("port")): port.get("nodePort") for port in old.get("ports") or ()}
    ports = []
    for index, port in enumerate(spec.get("ports") or ()):
        number = port.get("nodePort") or had.get((port.get("name", ""), port.get("port")))
        if number is None:
            number = _free_port(taken, asked.rng)
        elif number in taken:
            raise _refused(
                asked, f"spec.ports[{index}].nodePort", number, "provided port is already allocated"
            )
        elif number not in NODE_PORTS:
            detail = f"provided port is not in the valid range. The range of valid ports is {NODE_PORTS[0]}-{NODE_PORTS[-1]}"
            raise _refused(asked, f"spec.ports[{index}].nodePort", number, detail)
        taken.add(number)
        ports.append({**port, "nodePort": number})
    return {**spec, "ports": ports}


def _free_address(taken: set[Any], rng: Random) -> str:
    # The lower part is for those that ask for an address.
    for _ in range(_TRIES):
        address = str(NETWORK[rng.randrange(256, NETWORK.num_addresses - 1)])
        if address not in taken:
            return address
    raise statuses.internal("failed to allocate a serviceIP: range is full")


def _free_port(taken: set[Any], rng: Random) -> int:
    for _ in range(_TRIES):
        number = rng.choice(NODE_PORTS)
        if number not in taken:
            return number
    raise statuses.internal("failed to allocate a nodePort: range is full")


def _is_in_network(address: str) -> bool:
    try:
        return ip_address(address) in NETWORK
    except ValueError:
        return False


def _refused(asked: Admitted, field: str, value: object, detail: str) -> StatusError:
    return statuses.invalid(
        asked.served.resource, metadata(asked.obj).get("name", ""), [invalid(field, value, detail)]
    )
