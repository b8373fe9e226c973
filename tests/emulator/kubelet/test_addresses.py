"""Pod addresses."""

import pytest

from aliquot.emulator.kubelet.addresses import AddressPool


def test_an_address_comes_back_late() -> None:
    pool = AddressPool("10.0.0.0/29")
    first = pool.take()
    pool.give_back(first)
    assert [pool.take() for _ in range(5)] == ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", first]


def test_network_gateway_and_broadcast_are_never_given_and_then_there_is_none_left() -> None:
    pool = AddressPool("10.0.0.0/29")
    assert [pool.take() for _ in range(5)] == [f"10.0.0.{n}" for n in range(2, 7)]
    with pytest.raises(LookupError, match=r"no address left in 10\.0\.0\.0/29"):
        pool.take()


def test_an_address_in_use_is_not_given() -> None:
    pool = AddressPool("10.0.0.0/29")
    pool.keep("10.0.0.2")
    assert pool.take() == "10.0.0.3"
