"""What behaves otherwise on the way and no check can look at: it is told, so that nobody hears of it from their users."""

from collections.abc import Iterator

from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions import changes
from aliquot.eks.versions.minor import Minor

CHECK = "told-changes"


def judge(name: str, now: Minor, to: Minor) -> Iterator[Finding]:
    for change in changes.between(now, to):
        if change.check:
            continue
        yield Finding(
            check=CHECK,
            severity=Severity.INFO,
            what=f"{change.minor}, {change.area}",
            where=name,
            why=change.change,
            fix=f"see for yourself: {change.look}" if change.look else "nothing, unless you count on it",
            minor=change.minor,
        )
