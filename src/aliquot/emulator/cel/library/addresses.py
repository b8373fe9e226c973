"""ip('10.0.0.1') and cidr('10.0.0.0/8')."""

import math
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import ClassVar

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library.overload import free, member
from aliquot.emulator.cel.types import BOOL, INT, STRING, opaque
from aliquot.emulator.cel.values import Opaque


@dataclass(frozen=True, slots=True)
class IP(Opaque):
    cel_type: ClassVar[str] = "net.IP"
    address: IPv4Address | IPv6Address

    @property
    def size(self) -> int:
        return self.address.max_prefixlen // 8


@dataclass(frozen=True, slots=True)
class CIDR(Opaque):
    cel_type: ClassVar[str] = "net.CIDR"
    address: IPv4Address | IPv6Address
    bits: int

    @property
    def size(self) -> int:
        return math.ceil(self.bits / 8)

    def covers(self, other: IPv4Address | IPv6Address) -> bool:
        shift = self.address.max_prefixlen - self.bits
        return self.address.version == other.version and int(self.address) >> shift == int(other) >> shift


IP_TYPE, CIDR_TYPE = opaque(IP.cel_type), opaque(CIDR.cel_type)
_SINCE = 30
_BROADCAST = ip_address("255.255.255.255")
_LINK_LOCAL_4, _LINK_LOCAL_6 = (CIDR(ip_address("224.0.0.0"), 24), CIDR(ip_address("ff02::"), 16))


def _ip(text: str) -> IP:
    if text.count("%"):
        raise EvaluationError(f'IP address "{text}" with zone value is not allowed')
    try:
        address = ip_address(text)
    except ValueError:
        raise EvaluationError(
            f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): unable to parse IP'
        ) from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return IP(address)


def _is_ip(text: str) -> bool:
    try:
        _ip(text)
    except EvaluationError:
        return False
    return True


def _cidr(text: str) -> CIDR:
    wrong = "network address parse error during conversion from string: "
    address, slash, bits = text.rpartition("/")
    try:
        if not slash or not bits.isdigit() or (len(bits) > 1 and bits[0] == "0") or "%" in address:
            raise ValueError
        network = ip_interface(text)
    except ValueError:
        reason = "no '/'" if not slash else "unable to parse IP"
        raise EvaluationError(f'{wrong * 2}netip.ParsePrefix("{text}"): {reason}') from None
    if isinstance(network.ip, IPv6Address) and network.ip.ipv4_mapped is not None:
        raise EvaluationError(f'{wrong}IPv4-mapped IPv6 address "{address}" is not allowed')
    return CIDR(network.ip, network.network.prefixlen)


def _is_cidr(text: str) -> bool:
    try:
        _cidr(text)
    except EvaluationError:
        return False
    return True


def _masked(cidr: CIDR) -> CIDR:
    shift = cidr.address.max_prefixlen - cidr.bits
    return CIDR(type(cidr.address)(int(cidr.address) >> shift << shift), cidr.bits)


def _contains_cidr(one: CIDR, other: CIDR) -> bool:
    return one.bits <= other.bits and one.covers(other.address)


def _link_local_multicast(ip: IP) -> bool:
    return _LINK_LOCAL_4.covers(ip.address) or _LINK_LOCAL_6.covers(ip.address)


def _global_unicast(ip: IP) -> bool:
    address = ip.address
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or address == _BROADCAST
    )


def _shown(cidr: CIDR) -> str:
    return f"{cidr.address}/{cidr.bits}"


_IPS, _CIDRS = (IP_TYPE,), (CIDR_TYPE,)
OVERLOADS = (
    free("ip", "string_to_ip", (STRING,), IP_TYPE, _ip, _SINCE),
    free("isIP", "is_ip", (STRING,), BOOL, _is_ip, _SINCE),
    free(
        "ip.isCanonical",
        "ip_is_canonical",
        (STRING,),
        BOOL,
        lambda text: str(_ip(text).address) == text,
        _SINCE,
    ),
    free("string", "ip_to_string", _IPS, STRING, lambda ip: str(ip.address), _SINCE),
    member("family", "ip_family", _IPS, INT, lambda ip: ip.address.version, _SINCE),
    member("isUnspecified", "ip_is_unspecified", _IPS, BOOL, lambda ip: ip.address.is_unspecified, _SINCE),
    member("isLoopback", "ip_is_loopback", _IPS, BOOL, lambda ip: ip.address.is_loopback, _SINCE),
    member("isLinkLocalMulticast", "ip_is_link_local_multicast", _IPS, BOOL, _link_local_multicast, _SINCE),
    member(
        "isLinkLocalUnicast",
        "ip_is_link_local_unicast",
        _IPS,
        BOOL,
        lambda ip: ip.address.is_link_local,
        _SINCE,
    ),
    member("isGlobalUnicast", "ip_is_global_unicast", _IPS, BOOL, _global_unicast, _SINCE),
    free("cidr", "string_to_cidr", (STRING,), CIDR_TYPE, _cidr, _SINCE),
    free("isCIDR", "is_cidr", (STRING,), BOOL, _is_cidr, _SINCE),
    free("string", "cidr_to_string", _CIDRS, STRING, _shown, _SINCE),
    member(
        "containsIP",
        "cidr_contains_ip_string",
        (CIDR_TYPE, STRING),
        BOOL,
        lambda cidr, text: cidr.covers(_ip(text).address),
        _SINCE,
    ),
    member(
        "containsIP",
        "cidr_contains_ip_ip",
        (CIDR_TYPE, IP_TYPE),
        BOOL,
        lambda cidr, ip: cidr.covers(ip.address),
        _SINCE,
    ),
    member(
        "containsCIDR",
        "cidr_contains_cidr_string",
        (CIDR_TYPE, STRING),
        BOOL,
        lambda cidr, text: _contains_cidr(cidr, _cidr(text)),
        _SINCE,
    ),
    member("containsCIDR", "cidr_contains_cidr", (CIDR_TYPE, CIDR_TYPE), BOOL, _contains_cidr, _SINCE),
    member("ip", "cidr_ip", _CIDRS, IP_TYPE, lambda cidr: IP(cidr.address), _SINCE),
    member("prefixLength", "cidr_prefix_length", _CIDRS, INT, lambda cidr: cidr.bits, _SINCE),
    member("masked", "cidr_masked", _CIDRS, CIDR_TYPE, _masked, _SINCE),
)
