"""Whose a cordon is, by the record that the API server keeps of who wrote each field."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

_OURS = "aliquot"
"""What all of our field managers begin with."""


class Cordoner(Enum):
    WE = auto()
    OTHERS = auto()
    """They closed it anew after we had, or apply it with us."""
    UNKNOWN = auto()
    """Nobody has, or the record was taken away."""


def cordoner(node: Mapping[str, Any]) -> Cordoner:
    """`node`: as the API server has it. Who closes what is closed already changes nothing, and is not seen."""
    managers = [
        str(entry.get("manager", ""))
        for entry in node["metadata"].get("managedFields") or ()
        if "f:unschedulable" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    if not managers:
        return Cordoner.UNKNOWN
    return Cordoner.WE if all(one.startswith(_OURS) for one in managers) else Cordoner.OTHERS
