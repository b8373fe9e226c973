"""EC2: reservations of capacity on demand."""

import re
from typing import Any

from aliquot.eks.fake.beside import filters
from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.reserved import Reservation
from aliquot.eks.fake.world import World, at

_TYPE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
_FILTERS = {
    "availability-zone": lambda one: one["AvailabilityZone"],
    "instance-match-criteria": lambda one: one["InstanceMatchCriteria"],
    "instance-platform": lambda one: one["InstancePlatform"],
    "instance-type": lambda one: one["InstanceType"],
    "owner-id": lambda one: one["OwnerId"],
    "state": lambda one: one["State"],
    "tenancy": lambda one: one["Tenancy"],
}


def create(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    zone = call.get("AvailabilityZone", "")
    if not zone:
        raise Refused(
            "MissingParameter",
            "The request must contain the parameter AvailabilityZone (the fake knows no ids of zones)",
        )
    if not zone.startswith(world.region) or len(zone) != len(world.region) + 1:
        raise Refused("InvalidParameterValue", f"The availability zone '{zone}' is not of {world.region}")
    type_, count = call["InstanceType"], call["InstanceCount"]
    if not _TYPE.fullmatch(type_):
        raise Refused("InvalidParameterValue", f"Invalid value '{type_}' for InstanceType.")
    if count < 1:
        raise Refused("InvalidParameterValue", "InstanceCount has to be 1 at least")
    ends = call.get("EndDate")
    if (call.get("EndDateType", "unlimited") == "limited") != (ends is not None):
        raise Refused(
            "InvalidParameterCombination", "EndDate goes with EndDateType limited, and only with it"
        )
    if ends is not None and ends.timestamp() <= now_s:
        raise Refused("InvalidParameterValue", "EndDate has to be in the future")
    if (type_, zone) in world.market.sold_out:
        raise Refused(
            "InsufficientInstanceCapacity",
            f"We currently do not have sufficient {type_} capacity in the Availability Zone you requested ({zone}).",
        )
    made = Reservation(
        id=f"cr-{world.rng.getrandbits(68):017x}",
        instance_type=type_,
        zone=zone,
        total=count,
        created_s=now_s,
        begins_s=now_s,
        ends_s=None if ends is None else ends.timestamp(),
        targeted=call.get("InstanceMatchCriteria", "open") == "targeted",
        tags=filters.asked_tags(call, "capacity-reservation"),
        platform=call["InstancePlatform"],
    )
    world.market.reservations[made.id] = made
    return {"CapacityReservation": told(world, made, now_s)}


def told(world: World, one: Reservation, now_s: float) -> dict[str, Any]:
    answer = {
        "CapacityReservationId": one.id,
        "OwnerId": world.account,
        "CapacityReservationArn": f"arn:aws:ec2:{world.region}:{world.account}:capacity-reservation/{one.id}",
        "InstanceType": one.instance_type,
        "InstancePlatform": one.platform,
        "AvailabilityZone": one.zone,
        "Tenancy": "default",
        "TotalInstanceCount": one.total,
        "AvailableInstanceCount": one.free(now_s),
        "EbsOptimized": False,
        "EphemeralStorage": False,
        "State": one.state(now_s),
        "StartDate": at(one.begins_s),
        "EndDateType": "unlimited" if one.ends_s is None else "limited",
        "InstanceMatchCriteria": "targeted" if one.targeted else "open",
        "CreateDate": at(one.created_s),
        "Tags": filters.as_tags(one.tags),
        "ReservationType": "capacity-block" if one.block else "default",
    }
    if one.ends_s is not None:
        answer["EndDate"] = at(one.ends_s)
    return answer


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    ids = call.get("CapacityReservationIds")
    for id_ in ids or ():
        _found(world, id_)
    every = [
        told(world, one, now_s) for one in world.market.reservations.values() if ids is None or one.id in ids
    ]
    return {"CapacityReservations": filters.chosen(every, call.get("Filters", []), _FILTERS)}


def cancel(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    """Its instances go on running, as any on demand."""
    one = _found(world, call["CapacityReservationId"])
    if one.block:
        raise Refused("OperationNotPermitted", f"A capacity block cannot be cancelled: {one.id}")
    if one.state(now_s) not in ("active", "scheduled"):
        raise Refused(
            "InvalidCapacityReservationState", f"The capacity reservation {one.id} is {one.state(now_s)}"
        )
    one.cancelled = True
    return {"Return": True}


def _found(world: World, id_: str) -> Reservation:
    found = world.market.reservations.get(id_)
    if found is None:
        raise Refused(
            "InvalidCapacityReservationId.NotFound", f"The capacity reservation ID '{id_}' was not found"
        )
    return found
