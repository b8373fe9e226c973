"""What account and region say before anything is made: zones, instance types, builds of add-ons, minors, subnets that are there."""

from msgspec import Struct

from aliquot.eks.versions.calendar import Calendar, Support
from aliquot.eks.versions.minor import Minor


class InstanceType(Struct, frozen=True, kw_only=True):
    name: str
    arm: bool
    gpus: str = ""
    """Their maker, as NVIDIA; empty: it has none."""
    neuron: bool = False
    efa_interfaces: int = 0
    """At most; 0: it has no EFA."""
    zones: frozenset[str] = frozenset()
    """Of the region, that offer it."""


class ExistingSubnet(Struct, frozen=True, kw_only=True):
    id: str
    zone: str
    vpc: str


class Reservation(Struct, frozen=True, kw_only=True):
    """Of capacity, also a block."""

    id: str
    type: str
    zone: str
    state: str = "active"
    """As EC2 has it."""


class Builds(Struct, frozen=True):
    """Of one add-on for the minor, newest first."""

    versions: tuple[str, ...]
    default: str


class Site(Struct, frozen=True, kw_only=True):
    account: str
    calendar: Calendar
    support: dict[Minor, Support] = {}
    """As AWS has it now, by its own clock; of a minor that it does not tell of, the calendar's dates count."""
    zones: tuple[str, ...]
    """In which EKS puts control planes, by name."""
    types: dict[str, InstanceType]
    """Of those that the file names, all that AWS knows."""
    subnets: dict[str, ExistingSubnet]
    """Of those that the file names, all that are there."""
    reservations: dict[str, Reservation]
    """Of those that the file names, all that are there."""
    builds: dict[str, Builds]
    """By add-on; only add-ons that there are for the minor."""
    policies: frozenset[str] = frozenset()
    """Access policies that EKS has; empty: nobody was asked."""
