"""Subnets that a call names, as EC2 has them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.eks.fake.refusals import wrong


@dataclass(frozen=True)
class Subnet:
    id: str
    zone: str
    vpc: str
    free: int


class Subnets:
    def __init__(self, told: Iterable[Mapping[str, Any]]) -> None:
        """As DescribeSubnets tells of them."""
        self._by_id = {
            one["SubnetId"]: Subnet(
                one["SubnetId"],
                one["AvailabilityZone"],
                one["VpcId"],
                int(one["AvailableIpAddressCount"]),
            )
            for one in told
        }

    def of(self, ids: Sequence[str]) -> list[Subnet]:
        """Raises Refused."""
        missing = [id_ for id_ in ids if id_ not in self._by_id]
        if missing or not ids:
            raise wrong(f"The subnet ID '{missing[0] if missing else ''}' does not exist")
        return [self._by_id[id_] for id_ in ids]
