"""What a preflight is about: everything that was read, as plain data."""

from datetime import date
from enum import StrEnum

from msgspec import Struct, field

from aliquot.eks.estate.estate import Estate
from aliquot.eks.sightings.sighting import Sighting, Unchecked
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import Removals, shipped


class Need(StrEnum):
    """What a check looks at. A check whose needs were not read is not made."""

    SIGHTINGS = "manifests, releases and what objects say of themselves"
    AWS = "what AWS says of the cluster"
    OBJECTS = "what its API server says"


class Subject(Struct, frozen=True, kw_only=True):
    name: str
    now: Minor
    to: Minor
    today: date
    has: frozenset[Need]
    sightings: tuple[Sighting, ...] = ()
    estate: Estate | None = None
    """Of a cluster; without it there are manifests alone."""
    unchecked: tuple[Unchecked, ...] = ()
    removals: Removals = field(default_factory=shipped)
    components: dict[str, Minor] = {}
    """Versions that somebody says; what a cluster runs is seen there."""

    @property
    def known(self) -> Estate:
        """For checks that need AWS or objects: they are not made without."""
        assert self.estate is not None
        return self.estate
