"""Addresses that are written loosely: leading zeros, host bits, IPv4 inside IPv6. From 1.36 on who writes them is refused."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.fields import mappings, texts
from aliquot.eks.preflight.findings import Finding, Severity, of_sighting
from aliquot.eks.sightings.sighting import Sighting, Trace
from aliquot.eks.versions import changes
from aliquot.eks.versions.minor import Minor

CHECK = "strict-addresses"
CHANGE = "strict-addresses"
_KINDS = ("Service", "NetworkPolicy", "EndpointSlice")
_FIX = "write it plainly: 10.1.2.3, 10.1.2.0/24"


def judge(objects: Objects, now: Minor, to: Minor) -> Iterator[Finding]:
    """What is stored stays until somebody changes it."""
    since = changes.row(CHANGE).minor
    if to < since:
        return
    for kind in _KINDS:
        for one in objects.of(kind):
            for written in _loose(kind, one):
                meta = one["metadata"]
                yield Finding(
                    check=CHECK,
                    severity=Severity.WARN,
                    what=f"{kind} {meta.get('namespace', '')}/{meta['name']}",
                    why=f"{written!r} has leading zeros or host bits: from {since} on nobody can change that field until it is mended",
                    fix=_FIX,
                    minor=since if now < since else None,
                )


def judge_written(sightings: Iterable[Sighting], now: Minor, to: Minor) -> Iterator[Finding]:
    """In files and releases: the object cannot be made anew."""
    row = changes.row(CHANGE)
    if to < row.minor:
        return
    for sighting in sightings:
        if sighting.body is None or sighting.where.trace not in (Trace.FILE, Trace.HELM):
            continue
        for written in _loose(sighting.kind, sighting.body):
            yield of_sighting(
                sighting,
                check=CHECK,
                severity=row.severity,
                why=f"{written!r} has leading zeros or host bits: from {row.minor} on it is refused where the object is made",
                fix=_FIX,
                minor=row.minor if now < row.minor else None,
            )


def _loose(kind: str, body: Mapping[str, Any]) -> Iterator[str]:
    if kind == "EndpointSlice":
        for endpoint in mappings(body.get("endpoints")):
            yield from (one for one in texts(endpoint.get("addresses")) if _loose_address(one))
        return
    spec = body.get("spec")
    if not isinstance(spec, dict):
        return
    if kind == "Service":
        addresses = texts(spec.get("externalIPs")) + texts([spec.get("loadBalancerIP")])
        yield from (one for one in addresses if _loose_address(one))
        yield from (one for one in texts(spec.get("loadBalancerSourceRanges")) if _loose_network(one))
    elif kind == "NetworkPolicy":
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in mappings(spec.get(direction)):
                for peer in mappings(rule.get(peers)):
                    block = peer.get("ipBlock")
                    if isinstance(block, dict):
                        networks = texts([block.get("cidr")]) + texts(block.get("except"))
                        yield from (one for one in networks if _loose_network(one))


def _loose_address(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        # A slice may hold names, which are none of our business.
        return any(part.isdigit() for part in address.split(".")[:1])
    return isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None


def _loose_network(network: str) -> bool:
    try:
        ipaddress.ip_network(network.strip())
    except ValueError:
        return True
    return network != network.strip()
