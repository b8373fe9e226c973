"""What comes of all findings: may the upgrade begin?"""

from enum import IntEnum, StrEnum

from msgspec import Struct

from aliquot.counting import counted
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.subject import Need
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions.minor import Minor


class Code(IntEnum):
    """Exit codes; 1 and 2 are the command's own (it failed; it was called wrongly)."""

    PASSED = 0
    BLOCKED = 4
    WARNED = 5
    """If warnings were asked to count."""
    UNCHECKED = 6
    """Nothing blocks, and something could not be looked at."""


class FailOn(StrEnum):
    BLOCK = "block"
    WARN = "warn"


class NotMade(Struct, frozen=True, kw_only=True):
    """A check, or a part of it, for which what it looks at was not asked: nobody wanted that, so it is no failure."""

    check: str
    needs: Need

    @property
    def why(self) -> str:
        return _NOT_ASKED[self.needs]


class Preflight(Struct, frozen=True, kw_only=True, rename="camel"):
    subject: str
    """A cluster, or where the manifests are."""
    now: Minor
    to: Minor
    findings: tuple[Finding, ...]
    """In `Finding.order`."""
    unchecked: tuple[Unchecked, ...]
    passed: tuple[str, ...]
    """Checks that found nothing, and could read all they looked at; `not_made` says of which there was more to look at."""
    not_made: tuple[NotMade, ...] = ()

    def count(self, severity: Severity) -> int:
        """Of findings that nobody decided to live with."""
        return sum(1 for one in self.findings if one.severity is severity and not one.waived)

    @property
    def waived(self) -> int:
        return sum(1 for one in self.findings if one.waived)

    def code(self, fail_on: FailOn, *, unchecked_passes: bool) -> Code:
        if any(one.blocks for one in self.findings):
            return Code.BLOCKED
        if fail_on is FailOn.WARN and self.count(Severity.WARN):
            return Code.WARNED
        return Code.UNCHECKED if self.unchecked and not unchecked_passes else Code.PASSED

    @property
    def summary(self) -> str:
        counts = [counted(self.count(one), *words) for one, *words in _WORDS if self.count(one)]
        counts += [f"{self.waived} waived"] if self.waived else []
        counts += [f"{len(self.unchecked)} unchecked"] if self.unchecked else []
        hop = f"{self.now} to {self.to}"
        if any(one.blocks for one in self.findings):
            return f"{self.subject}, {hop}: blocked: {', '.join(counts)}{self._without}"
        return f"{self.subject}, {hop}: {', '.join(counts) or 'nothing speaks against it'}{self._without}"

    @property
    def not_made_by_reason(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Ids of checks, by why."""
        by = {why: tuple(one.check for one in self.not_made if one.why == why) for why in _NOT_ASKED.values()}
        return tuple((why, ids) for why, ids in by.items() if ids)

    @property
    def _without(self) -> str:
        reasons = ", ".join(why for why, _ in self.not_made_by_reason)
        return f" ({reasons})" if reasons else ""


_NOT_ASKED = {
    Need.SIGHTINGS: "no manifests were read",
    Need.OBJECTS: "no cluster was asked",
    Need.AWS: "AWS was not asked",
}
_WORDS = (
    (Severity.BLOCK, "blocking", "blocking"),
    (Severity.WARN, "warning", "warnings"),
    (Severity.INFO, "to know", "to know"),
)
