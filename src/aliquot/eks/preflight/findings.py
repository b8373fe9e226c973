"""What speaks against an upgrade, and what could not be looked at."""

from msgspec import Struct
from msgspec.structs import replace

from aliquot.eks.sightings.sighting import Sighting, Unchecked
from aliquot.eks.versions.changes import Severity
from aliquot.eks.versions.minor import Minor

__all__ = ["Finding", "Severity", "Unchecked", "at", "of_sighting"]

ORDER = {Severity.BLOCK: 0, Severity.WARN: 1, Severity.INFO: 2}


class Finding(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    check: str
    """The check's id: what a waiver names."""
    severity: Severity
    what: str
    """Of what it is: `FlowSchema shop`, `subnet subnet-0a1b`."""
    where: str = ""
    """A file and line, a release, an account's resource: where it is to be mended."""
    owner: str = ""
    """Who wrote it so, where that is known."""
    labels: tuple[tuple[str, str], ...] = ()
    """Of the object; in JSON as an object."""
    why: str
    """One sentence: what breaks."""
    fix: str
    """One sentence: what to do."""
    minor: Minor | None = None
    """At which hop it breaks; None: whatever the hop."""
    file: str = ""
    line: int = 0
    waived: str = ""
    """Why somebody decided to live with it, until when."""

    @property
    def blocks(self) -> bool:
        return self.severity is Severity.BLOCK and not self.waived

    @property
    def order(self) -> tuple[object, ...]:
        """Worst first, then by hop; the same findings always in the same order."""
        hop = (0, 0) if self.minor is None else (self.minor.major, self.minor.minor)
        return (bool(self.waived), ORDER[self.severity], hop, self.check, self.what, self.where, self.owner)


def of_sighting(
    sighting: Sighting, *, check: str, severity: Severity, why: str, fix: str, minor: Minor | None
) -> Finding:
    return at(sighting, Finding(check=check, severity=severity, what="", why=why, fix=fix, minor=minor))


def at(sighting: Sighting, finding: Finding) -> Finding:
    """The same, of what was seen there."""
    return replace(
        finding,
        what=sighting.object,
        where=str(sighting.where),
        owner=sighting.owner,
        labels=tuple(sorted((key, str(value)) for key, value in sighting.labels.items())),
        file=sighting.where.file,
        line=sighting.where.line,
    )
