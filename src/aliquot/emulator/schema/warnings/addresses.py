"""Addresses that are spelled in ways of which there are others."""

from collections.abc import Iterator
from ipaddress import IPv6Address


def odd_address(path: str, value: str) -> Iterator[str]:
    """`value` passed validation: it is an address, and no odder than this."""
    if ":" in value and (usual := str(IPv6Address(value))) != value:
        yield f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{usual}")'
