from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.eks.provision.network import LARGEST, SMALLEST, check_services, divide


@given(prefix=st.integers(LARGEST, SMALLEST), zones=st.integers(2, 6), block=st.integers(0, 255))
def test_a_block_is_divided_into_blocks_that_are_apart_and_within(
    prefix: int, zones: int, block: int
) -> None:
    whole = IPv4Network((f"10.{block}.0.0", prefix), strict=False)
    division = divide(str(whole), zones)
    parts = [IPv4Network(part) for part in (*division.public, *division.private)]
    assert len(parts) == 2 * zones
    assert all(part.subnet_of(whole) and part.prefixlen <= 28 for part in parts)
    assert not any(one.overlaps(other) for at, one in enumerate(parts) for other in parts[:at])
    # No larger parts would do.
    assert 2 ** (parts[0].prefixlen - prefix - 1) < 2 * zones


def test_three_zones_have_the_blocks_that_eksctl_gives_them() -> None:
    division = divide("192.168.0.0/16", 3)
    assert division.public == ("192.168.0.0/19", "192.168.32.0/19", "192.168.64.0/19")
    assert division.private == ("192.168.96.0/19", "192.168.128.0/19", "192.168.160.0/19")


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "10.0.0.0/25", "10.0.0.5/16", "ten", "fd00::/16"])
def test_other_blocks_are_refused(cidr: str) -> None:
    with pytest.raises(ValueError, match=r"prefix of|within a block|no IPv4 block"):
        divide(cidr, 3)


def test_blocks_of_services() -> None:
    check_services("172.20.0.0/16", ["192.168.0.0/16"])
    for cidr, why in (
        ("172.20.0.0/25", "EKS takes"),
        ("11.0.0.0/16", "is not private"),
        ("192.168.5.0/24", "overlaps"),
    ):
        with pytest.raises(ValueError, match=why):
            check_services(cidr, ["192.168.0.0/16"])
