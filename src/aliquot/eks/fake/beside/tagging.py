"""EC2: tags of what is here and not at moto's."""

from typing import Any

from aliquot.eks.fake.beside import filters
from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.world import World


def is_here(ids: list[str]) -> bool:
    return all(id_.startswith(("pg-", "cr-")) for id_ in ids)


def _change(world: World, ids: list[str], change: dict[str, str | None]) -> None:
    """None: the tag goes."""
    for id_ in ids:
        group = next((one for one in world.market.placement_groups.values() if one["GroupId"] == id_), None)
        reservation = world.market.reservations.get(id_)
        if group is None and reservation is None:
            raise Refused("InvalidID", f"The ID '{id_}' is not valid")
        now = filters.tags(group) if group is not None else dict(reservation.tags if reservation else {})
        left = {key: value for key, value in {**now, **change}.items() if value is not None}
        if group is not None:
            group["Tags"] = filters.as_tags(left)
        elif reservation is not None:
            reservation.tags = left


def create(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    _change(world, call["Resources"], {one["Key"]: one.get("Value", "") for one in call["Tags"]})
    return {}


def delete(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    _change(world, call["Resources"], {one["Key"]: None for one in call.get("Tags", ())})
    return {}
