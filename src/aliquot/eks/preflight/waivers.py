"""What somebody decided to live with: a file of exceptions, each with a reason and an end."""

from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from aliquot.document import load_file, nearest
from aliquot.eks.preflight.findings import Finding, Severity

MOST_DAYS = 366


class Waiver(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    check: str
    what: str = "*"
    """A glob over what the finding is of."""
    where: str = "*"
    reason: str
    expires: date
    """From that day on it does not count."""

    def fits(self, finding: Finding) -> bool:
        return (
            self.check == finding.check
            and fnmatchcase(finding.what, self.what)
            and fnmatchcase(finding.where, self.where)
        )


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    waivers: tuple[Waiver, ...]


class WaiverError(Exception):
    """One line: which waiver, and what is wrong with it."""


def read(path: Path, known_checks: Iterable[str], today: date) -> tuple[Waiver, ...]:
    """Raises DocumentError and WaiverError."""
    waivers = load_file(path, _File).waivers
    known = set(known_checks)
    for number, waiver in enumerate(waivers, start=1):
        named = f"{path}: waiver {number} ({waiver.check})"
        if waiver.check not in known:
            raise WaiverError(
                f"{named}: there is no such check{nearest(waiver.check, known)}; there are {', '.join(sorted(known))}"
            )
        if not waiver.reason.strip():
            raise WaiverError(f"{named}: say why, in reason")
        if (waiver.expires - today).days > MOST_DAYS:
            raise WaiverError(f"{named}: it expires on {waiver.expires}; a year from now is the most")
    return waivers


def apply(findings: Iterable[Finding], waivers: tuple[Waiver, ...], today: date) -> list[Finding]:
    """Findings with what was decided about them; for each waiver that is over or fits nothing, one that says so."""
    used: set[int] = set()
    judged: list[Finding] = []
    for finding in findings:
        fitting = [number for number, one in enumerate(waivers) if one.fits(finding)]
        used.update(fitting)
        living = [waivers[number] for number in fitting if today < waivers[number].expires]
        if living:
            finding = replace(finding, waived=f"until {living[0].expires}: {living[0].reason}")
        judged.append(finding)
    for number, waiver in enumerate(waivers):
        over = waiver.expires <= today
        if over or number not in used:
            judged.append(
                Finding(
                    check="waivers",
                    severity=Severity.WARN if over and number in used else Severity.INFO,
                    what=f"waiver of {waiver.check} for {waiver.what}",
                    why=f"it expired on {waiver.expires}" if over else "it fits nothing any more",
                    fix="decide anew" if over and number in used else "take it out",
                )
            )
    return judged
