"""What a launch template does to the node group that names it."""

from collections.abc import Sequence
from typing import Any

from aliquot.eks.fake.refusals import wrong
from aliquot.eks.fake.surroundings import Subnet, Template
from aliquot.eks.fake.world import Draw, World


def check_named(call: dict[str, Any], names: dict[str, str]) -> None:
    """Raises Refused."""
    named = call.get("launchTemplate")
    if not named:
        return
    if "diskSize" in call or "remoteAccess" in call:
        raise wrong("Disk size and remote access are of the launch template, where there is one", **names)
    if ("id" in named) == ("name" in named):
        raise wrong("Name a launch template by its id or its name", **names)


def check(
    world: World,
    template: Template | None,
    call: dict[str, Any],
    places: list[Subnet],
    names: dict[str, str],
) -> None:
    """Raises Refused. A template that nobody could be asked for is believed."""
    block = call.get("capacityType") == "CAPACITY_BLOCK"
    if block and "launchTemplate" not in call:
        raise wrong("Capacity blocks are taken by a launch template that names their reservation", **names)
    if block and len(call.get("instanceTypes", ["?"])) > 1:
        raise wrong("A node group of a capacity block is of one instance type", **names)
    if template is None:
        return
    if template.image and call.get("amiType", "CUSTOM") != "CUSTOM":
        raise wrong("The launch template names an image: amiType can be CUSTOM alone", **names)
    if template.image and ("version" in call or "releaseVersion" in call):
        raise wrong("You cannot specify the field version or releaseVersion when using custom AMIs", **names)
    if template.instance_type and "instanceTypes" in call:
        raise wrong("Instance types are said in the launch template or in the call, not in both", **names)
    if block != (template.market == "capacity-block"):
        raise wrong(
            "Capacity type CAPACITY_BLOCK goes with a launch template of market type capacity-block", **names
        )
    if block and not template.reservation:
        raise wrong("Capacity blocks are taken by a launch template that names their reservation", **names)
    if template.placement_group and template.placement_group not in world.market.placement_groups:
        raise wrong(f"Placement group {template.placement_group} does not exist", **names)
    _check_reservation(world, template, call, places, names, block=block)


def _check_reservation(
    world: World,
    template: Template,
    call: dict[str, Any],
    places: list[Subnet],
    names: dict[str, str],
    *,
    block: bool,
) -> None:
    if not template.reservation:
        return
    one = world.market.reservations.get(template.reservation)
    if one is None:
        raise wrong(f"Capacity reservation {template.reservation} does not exist", **names)
    if one.block != block:
        kind = "a capacity block" if one.block else "no capacity block"
        raise wrong(f"Capacity reservation {one.id} is {kind}", **names)
    types = [template.instance_type] if template.instance_type else call.get("instanceTypes", [])
    if types and types != [one.instance_type]:
        raise wrong(f"Capacity reservation {one.id} is of instance type {one.instance_type}", **names)
    if one.zone not in {place.zone for place in places}:
        raise wrong(f"Capacity reservation {one.id} is in {one.zone}: no subnet is there", **names)


def draw(types: Sequence[str], template: Template | None) -> Draw:
    """What new nodes are, and where they come from."""
    if template is None:
        return Draw(instance_types=tuple(types))
    return Draw(
        instance_types=(template.instance_type,) if template.instance_type else tuple(types),
        reservation=template.reservation,
        preference=template.preference,
        placement_group=template.placement_group,
    )


def told(named: dict[str, str], template: Template | None) -> dict[str, str]:
    """EKS tells id, name and version, however it was named."""
    if template is None:
        return named
    return {"id": template.id, "name": template.name, "version": template.version}
