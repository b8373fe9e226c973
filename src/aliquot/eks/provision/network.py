"""Addresses: how a VPC's block is divided, and what is wrong with a block."""

from collections.abc import Sequence
from ipaddress import IPv4Network

from msgspec import Struct

LARGEST, SMALLEST = 16, 24
"""Prefixes of a VPC that is divided here. AWS takes down to /28, which leaves no room for pods."""
SERVICES_LARGEST, SERVICES_SMALLEST = 12, 24
_PRIVATE = tuple(IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_HERE = IPv4Network("0.0.0.0/8")
DEFAULT_SERVICES = ("10.100.0.0/16", "172.20.0.0/16")
"""Of which EKS takes the first that does not overlap with the VPC."""


MOST_PUBLIC = 40
"""Blocks from which an API server may be reached."""


class Division(Struct, frozen=True):
    """Blocks by zone, in the order of the zones."""

    public: tuple[str, ...]
    private: tuple[str, ...]


def parse(text: str) -> IPv4Network:
    """Raises ValueError, which says what is wrong and the fix."""
    try:
        return IPv4Network(text)
    except ValueError:
        pass
    try:
        loose = IPv4Network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no IPv4 block: write it as 10.0.0.0/16") from None
    raise ValueError(f"{text!r} is an address within a block: write {loose}")


def divide(cidr: str, zones: int) -> Division:
    """A public and a private block for each zone, all of one size; what is over stays free. Raises ValueError."""
    block = parse(cidr)
    if not LARGEST <= block.prefixlen <= SMALLEST:
        raise ValueError(f"{block} has a prefix of /{block.prefixlen}: /{LARGEST} to /{SMALLEST} can be used")
    if (
        block.is_loopback
        or block.is_link_local
        or block.is_multicast
        or block.is_reserved
        or _HERE.overlaps(block)
    ):
        raise ValueError(
            f"{block} is of no network: take a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
        )
    bits = (2 * zones - 1).bit_length()
    parts = [str(part) for part in block.subnets(prefixlen_diff=bits)]
    return Division(public=tuple(parts[:zones]), private=tuple(parts[zones : 2 * zones]))


def check_public(cidr: str) -> None:
    """Raises ValueError where nobody comes from this block to a public endpoint."""
    block = parse(cidr)
    if any(block.subnet_of(private) for private in _PRIVATE):
        raise ValueError(
            f"{block} is private: through the public endpoint come public addresses; clusterEndpoints.privateAccess is for these"
        )


def check_services(cidr: str, vpc: Sequence[str]) -> None:
    """Raises ValueError where EKS takes the block for no cluster, or not beside these blocks."""
    block = parse(cidr)
    if not SERVICES_LARGEST <= block.prefixlen <= SERVICES_SMALLEST:
        raise ValueError(
            f"{block} has a prefix of /{block.prefixlen}: EKS takes /{SERVICES_LARGEST} to /{SERVICES_SMALLEST}"
        )
    if not any(block.subnet_of(private) for private in _PRIVATE):
        raise ValueError(
            f"{block} is not private: take a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
        )
    for one in vpc:
        if block.overlaps(parse(one)):
            raise ValueError(f"{block} overlaps with the VPC's {one}: take another")
