"""EC2: capacity blocks, bought for some days of the future."""

import math
from typing import Any

from aliquot.eks.fake.beside import filters, prices, reservations
from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.reserved import Reservation
from aliquot.eks.fake.world import World, at

HOUR_S, DAY_S = 3600.0, 86400.0
_FAMILIES = ("p4d.", "p4de.", "p5.", "p5e.", "p5en.", "p6-b200.", "trn1.", "trn2.")
_MOST = 64
_BEGINS_S = 11.5 * HOUR_S
"""Blocks begin at 11:30 UTC, and end then."""


def offerings(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    """One in each zone, for the first day that fits."""
    type_, count = call.get("InstanceType", ""), call.get("InstanceCount", 1)
    hours = call["CapacityDurationHours"]
    if not type_.startswith(_FAMILIES):
        raise Refused("InvalidParameterValue", f"Capacity blocks are not offered for instance type '{type_}'")
    if not 1 <= count <= _MOST:
        raise Refused("InvalidParameterValue", f"InstanceCount has to be between 1 and {_MOST}")
    days = hours / 24
    if days != int(days) or not (1 <= days <= 14 or (days <= 182 and days % 7 == 0)):
        raise Refused(
            "InvalidParameterValue",
            "CapacityDurationHours has to be whole days up to 14, or whole weeks up to 182 days",
        )
    earliest = max(now_s, call["StartDateRange"].timestamp() if "StartDateRange" in call else now_s)
    begins = math.ceil((earliest - _BEGINS_S) / DAY_S) * DAY_S + _BEGINS_S
    ends = begins + hours * HOUR_S
    found = []
    for letter in "ab":
        zone = f"{world.region}{letter}"
        if (type_, zone) in world.market.sold_out:
            continue
        if "EndDateRange" in call and ends > call["EndDateRange"].timestamp():
            continue
        found.append(
            {
                "CapacityBlockOfferingId": f"cb-{type_}-{zone}-{count}-{int(begins)}-{hours}",
                "InstanceType": type_,
                "AvailabilityZone": zone,
                "InstanceCount": count,
                "StartDate": at(begins),
                "EndDate": at(ends),
                "CapacityBlockDurationHours": hours,
                "UpfrontFee": f"{prices.hourly(world, type_) * count * hours:.2f}",
                "CurrencyCode": "USD",
                "Tenancy": "default",
            }
        )
    return {"CapacityBlockOfferings": found}


def purchase(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    id_ = call["CapacityBlockOfferingId"]
    # What is offered is in the id. Types and zones have hyphens, too: the numbers are taken from the end.
    head, *numbers = id_.rsplit("-", 3)
    zone = next((f"{world.region}{one}" for one in "ab" if head.endswith(f"-{world.region}{one}")), "")
    if len(numbers) != 3 or not all(one.isdecimal() for one in numbers) or not zone:
        raise Refused("InvalidCapacityBlockOfferingId.NotFound", f"There is no offering '{id_}'")
    count, begins, hours = (int(one) for one in numbers)
    if begins < now_s:
        raise Refused("InvalidCapacityBlockOfferingId.Expired", f"The offering '{id_}' is over")
    made = Reservation(
        id=f"cr-{world.rng.getrandbits(68):017x}",
        instance_type=head.removeprefix("cb-").removesuffix(f"-{zone}"),
        zone=zone,
        total=count,
        created_s=now_s,
        begins_s=float(begins),
        ends_s=begins + hours * HOUR_S,
        targeted=True,
        block=True,
        tags=filters.asked_tags(call, "capacity-reservation"),
        platform=call["InstancePlatform"],
    )
    world.market.reservations[made.id] = made
    return {"CapacityReservation": reservations.told(world, made, now_s)}
