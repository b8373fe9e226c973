"""What is found in rules: which of them, what it would lead to, and what to do instead."""

from enum import StrEnum

from msgspec import Struct

from aliquot.access.core.templates.template import Tier


class Severity(StrEnum):
    REFUSED = "refused"
    """In every tier."""
    NEEDS_TIER = "needs-tier"
    """Only in a tier that asks for more, or with a safeguard."""


class Safeguard(StrEnum):
    """What else a template has to say before its rules may be so."""

    CHANGE_WINDOW = "ticket.withinWindow"


class Hazard(Struct, frozen=True, kw_only=True, rename="camel"):
    rule: int
    """Which one, from 0."""
    what: str
    why: str
    instead: str
    tier: Tier | None
    """The least that may have it; None: none may."""
    safeguard: Safeguard | None = None

    @property
    def severity(self) -> Severity:
        return Severity.REFUSED if self.tier is None else Severity.NEEDS_TIER
