"""What subnets have to be for a control plane."""

from collections.abc import Sequence

from aliquot.eks.fake.refusals import not_now, wrong
from aliquot.eks.fake.surroundings import Subnet

FREE_ADDRESSES = 5
"""Of each subnet that a control plane has, before it is made or updated."""


def two_zones(places: Sequence[Subnet], name: str) -> None:
    if len({one.zone for one in places}) < 2:
        raise wrong("Subnets specified must be in at least two different AZs", clusterName=name)


def enough_addresses(places: Sequence[Subnet], name: str) -> None:
    short = [one for one in places if one.free < FREE_ADDRESSES]
    if short:
        listed = " ".join(f"{one.id} Free IPs: {one.free} ," for one in short)
        raise not_now(
            f"Provided subnets {listed} need at least {FREE_ADDRESSES} IPs in each subnet to be free for this operation",
            clusterName=name,
        )
