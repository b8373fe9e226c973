"""Where an instance of a node group can come from: a reservation that its launch template names, an open one, or the market."""

from dataclasses import dataclass

from aliquot.eks.fake.world import Nodegroup, World


@dataclass(frozen=True)
class Place:
    zone: str
    instance_type: str
    reservation: str
    """Empty: it is of the market."""


def find(world: World, group: Nodegroup, now_s: float) -> Place | None:
    """In the zone with the fewest nodes, as an auto scaling group balances them. None: there is no instance to be had."""
    counts = dict.fromkeys(group.zones, 0)
    for node in group.nodes.values():
        if node.draining_s is None:
            counts[node.machine.zone] += 1
    turn = group.launched % len(group.draw.instance_types)
    for type_ in group.draw.instance_types[turn:] + group.draw.instance_types[:turn]:
        for zone in sorted(counts, key=lambda zone: (counts[zone], zone)):
            reservation = _reservation(world, group, type_, zone, now_s)
            if reservation is not None:
                return Place(zone, type_, reservation)
    return None


def _reservation(world: World, group: Nodegroup, type_: str, zone: str, now_s: float) -> str | None:
    """None: not here."""
    fits = [
        one
        for one in world.market.reservations.values()
        if (one.instance_type, one.zone) == (type_, zone) and one.free(now_s) > 0
    ]
    if group.draw.reservation:
        return next((one.id for one in fits if one.id == group.draw.reservation), None)
    if group.draw.preference != "none":
        opened = next((one.id for one in fits if not one.targeted), None)
        if opened is not None or group.draw.preference == "capacity-reservations-only":
            return opened
    return None if (type_, zone) in world.market.sold_out else ""


def why_not(group: Nodegroup) -> str:
    """As EC2 says it."""
    if group.draw.reservation:
        return (
            "Could not launch On-Demand Instances. ReservationCapacityExceeded - The requested reservation does not have "
            "sufficient compatible and available capacity for this request. Launching EC2 instance failed."
        )
    types = ", ".join(group.draw.instance_types)
    return (
        f"Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient {types} "
        "capacity in the Availability Zones you requested. Launching EC2 instance failed."
    )
