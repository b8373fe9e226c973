"""What the fake has to be told of the world: which minors there are, and builds of add-ons."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

LAST_AL2 = 32
"""The last minor that Amazon Linux 2 was built for."""


@dataclass(frozen=True, kw_only=True)
class KnownMinor:
    minor: str
    released: date
    standard_until: date
    extended_until: date

    def status(self, on: date) -> str | None:
        """As `versionStatus` has it; None: it is yet to come."""
        if on < self.released:
            return None
        if on < self.standard_until:
            return "STANDARD_SUPPORT"
        return "EXTENDED_SUPPORT" if on < self.extended_until else "UNSUPPORTED"


@dataclass(frozen=True, kw_only=True)
class Build:
    version: str
    minors: tuple[str, ...]
    """With which it goes."""
    default_of: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Known:
    minors: Sequence[KnownMinor]
    """Ascending."""
    addons: Mapping[str, Sequence[Build]]
    """Newest build first."""
    releases: Mapping[tuple[str, str], Sequence[str]]
    """AMI releases by AMI type and minor, newest first; an AMI type that is not there has made-up ones."""

    def minor(self, minor: str) -> KnownMinor | None:
        return next((one for one in self.minors if one.minor == minor), None)

    def build(self, addon: str, version: str) -> Build | None:
        return next((one for one in self.addons.get(addon, ()) if one.version == version), None)

    def default_build(self, addon: str, minor: str) -> Build | None:
        return next((one for one in self.addons.get(addon, ()) if minor in one.default_of), None)

    def releases_of(self, ami_type: str, minor: str) -> Sequence[str]:
        """Newest first; none: there is no such AMI of this minor."""
        if ami_type.startswith("AL2_") and number(minor) > LAST_AL2:
            return ()
        found = self.releases.get((ami_type, minor))
        if found:
            return found
        # Bottlerocket has versions of its own.
        bottlerocket = ami_type.startswith("BOTTLEROCKET")
        return (f"1.60.0-{_digest(minor)[:8]}" if bottlerocket else f"{minor}.0-20261001",)

    def release(self, ami_type: str, minor: str) -> str:
        """The newest; empty: there is none."""
        return next(iter(self.releases_of(ami_type, minor)), "")


def image(region: str, ami_type: str, minor: str, release: str) -> str:
    """The AMI of a release."""
    return f"ami-{_digest(f'{region}/{ami_type}/{minor}/{release}')[:17]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def number(minor: str) -> int:
    """31 of "1.31"."""
    return int(minor.partition(".")[2])
