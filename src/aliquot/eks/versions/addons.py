"""Builds of EKS add-ons: a snapshot, for planning without AWS."""

from functools import cache

from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.shipped import document

_ANY = "any"


@cache
def _builds() -> dict[str, dict[str, str]]:
    return document("addons.yaml", dict[str, dict[str, str]])


def names() -> tuple[str, ...]:
    return tuple(_builds())


def build(addon: str, minor: Minor) -> str | None:
    """The default build of an add-on for a minor; None: none is known."""
    of_addon = _builds().get(addon, {})
    return of_addon.get(str(minor)) or of_addon.get(_ANY)
