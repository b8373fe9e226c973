"""Cluster IPs and node ports of Services: taken when a Service is made, kept while it lives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_address
from random import Random
from typing import Any

from aliquot.emulator import statuses
from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.registry import SERVICES
from aliquot.emulator.schema.errors import invalid
from aliquot.emulator.statuses import StatusError

NETWORK = IPv4Network("10.96.0.0/16")
NODE_PORTS = range(30_000, 32_768)

_NONE = "None"
_KEPT = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
_TRIES = 1000


@dataclass(slots=True)
class _Taken:
    """What other Services have, and what others that are not written yet will have."""

    addresses: set[Any] = field(default_factory=set)
    ports: set[Any] = field(default_factory=set)


class ServiceAddresses:
    """An allocation. Of two Services that are made at once neither gets what the other was given."""

    def __init__(self) -> None:
        self._reserved = _Taken()

    def __call__(self, asked: Admitted, obj: Json) -> Json:
        """Raises StatusError 422 for what is taken, 500 when nothing is left."""
        if asked.served.storage != SERVICES or asked.subresource or asked.operation is Operation.DELETE:
            return obj
        spec = obj["spec"]
        old = (asked.old or {}).get("spec") or {}
        if spec.get("type") == "ExternalName":
            return obj
        taken = self._taken(asked)
        spec = self._with_address(asked, spec, old, taken)
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            spec = self._with_node_ports(asked, spec, old, taken)
        return {**obj, "spec": spec}

    def _taken(self, asked: Admitted) -> _Taken:
        uid = metadata(asked.old or {}).get("uid")
        others = [one["spec"] for one in asked.look.all(SERVICES) if metadata(one)["uid"] != uid]
        ports = {
            port["nodePort"] for other in others for port in other.get("ports") or () if port.get("nodePort")
        }
        return _Taken(
            {other.get("clusterIP") for other in others} | self._reserved.addresses,
            ports | self._reserved.ports,
        )

    def _with_address(self, asked: Admitted, spec: Json, old: Mapping[str, Any], taken: _Taken) -> Json:
        address = spec.get("clusterIP") or ""
        if not address and old.get("clusterIP"):
            return {**spec, **{key: old[key] for key in _KEPT if key in old}}
        if address == old.get("clusterIP") and old:
            return spec
        families = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
        if address == _NONE and not spec.get("selector") and "ipFamilyPolicy" not in spec:
            # Whoever fills in its endpoints may do so in both families.
            families = {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}
        if address == _NONE:
            return {**families, **spec, "clusterIPs": [_NONE]}
        if not address:
            address = _free_address(taken.addresses, asked.rng)
        elif not _is_in_network(address) or address in taken.addresses:
            why = (
                "is already allocated"
                if address in taken.addresses
                else f"is not in the valid range {NETWORK}"
            )
            detail = f"failed to allocate IP {address}: the provided IP {why}"
            raise _refused(asked, "spec.clusterIPs", [address], detail)
        _reserve(asked, self._reserved.addresses, address)
        return {**families, **spec, "clusterIP": address, "clusterIPs": [address]}

    def _with_node_ports(self, asked: Admitted, spec: Json, old: Mapping[str, Any], taken: _Taken) -> Json:
        had = {
            (port.get("name", ""), port.get("port")): port.get("nodePort") for port in old.get("ports") or ()
        }
        kept = {number for number in had.values() if number}
        ports = []
        for index, port in enumerate(spec.get("ports") or ()):
            where = f"spec.ports[{index}].nodePort"
            number = port.get("nodePort") or had.get((port.get("name", ""), port.get("port")))
            if number is None:
                number = _free_port(taken.ports, asked.rng)
            elif number in taken.ports:
                raise _refused(asked, where, number, "provided port is already allocated")
            elif number not in NODE_PORTS:
                detail = (
                    "provided port is not in the valid range. The range of valid ports is "
                    f"{NODE_PORTS[0]}-{NODE_PORTS[-1]}"
                )
                raise _refused(asked, where, number, detail)
            taken.ports.add(number)
            if number not in kept:
                _reserve(asked, self._reserved.ports, number)
            ports.append({**port, "nodePort": number})
        return {**spec, "ports": ports}


def _reserve(asked: Admitted, stock: set[Any], what: object) -> None:
    stock.add(what)
    asked.until_written.callback(stock.discard, what)


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
    return statuses.invalid(asked.served.resource, asked.name, [invalid(field, value, detail)])
