"""What a preflight is about: everything that was read, as plain data."""

from datetime import date
from enum import StrEnum

from msgspec import Struct

from aliquot.eks.sightings.sighting import Sighting, Unchecked
from aliquot.eks.versions.minor import Minor


class Need(StrEnum):
    """What a check looks at. A check whose needs were not read is not made."""

    SIGHTINGS = "manifests, releases and what objects say of themselves"


class Subject(Struct, frozen=True, kw_only=True):
    name: str
    now: Minor
    to: Minor
    today: date
    has: frozenset[Need]
    sightings: tuple[Sighting, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
