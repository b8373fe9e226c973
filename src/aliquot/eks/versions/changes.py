"""What behaves otherwise from a minor on."""

from enum import StrEnum
from functools import cache

from msgspec import Struct

from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.shipped import document


class Severity(StrEnum):
    BLOCK = "block"
    WARN = "warn"
    INFO = "info"


class Change(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    id: str
    minor: Minor
    """The first that has it."""
    area: str
    severity: Severity
    """Where it hits somebody."""
    change: str
    look: str = ""
    """By what it shows whom it hits; empty: by nothing."""
    check: str = ""
    """Of the preflight, that looks at it; empty: it is told to whoever takes the hop."""


@cache
def shipped() -> tuple[Change, ...]:
    return document("changes.yaml", tuple[Change, ...])


@cache
def row(id_: str) -> Change:
    return next(change for change in shipped() if change.id == id_)


def between(now: Minor, then: Minor) -> tuple[Change, ...]:
    """What a cluster meets on its way from one minor to another, in order."""
    return tuple(change for change in shipped() if now < change.minor <= then)
