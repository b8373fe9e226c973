"""Whether the way leads where EKS has something, and what time has to do with it."""

from collections.abc import Iterator
from datetime import date

from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions.calendar import Calendar, Support
from aliquot.eks.versions.minor import Minor

CHECK = "calendar"


def judge(name: str, now: Minor, to: Minor, known: Calendar, today: date) -> Iterator[Finding]:
    row, target = known.row(now), known.row(to)
    if target is None or target.support(today) is Support.UPCOMING:
        newest = known.offered(today)[-1]
        yield Finding(
            check=CHECK,
            severity=Severity.BLOCK,
            what=name,
            why=f"EKS has no {to}" + (" yet" if target is not None else ""),
            fix=f"the newest it has is {newest}",
            minor=to,
        )
    elif target.support(today) is Support.ENDED:
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=name,
            why=f"support of {to} ended on {target.extended_until}: AWS upgrades what is left of it when it likes",
            fix="plan the next hop at once",
            minor=to,
        )
    if row is None:
        return
    support = row.support(today)
    if support is Support.ENDED:
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=name,
            why=f"support of {now} ended on {row.extended_until}: AWS moves it to {now.next} when it likes, without any of these checks, and there is no way back from that",
            fix="upgrade before AWS does",
        )
    elif support is Support.EXTENDED and (row.extended_until - today).days <= 60:
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=name,
            why=f"extended support of {now} ends on {row.extended_until}",
            fix="upgrade before AWS does",
        )
    if target is not None and target.support(today) is Support.EXTENDED:
        yield Finding(
            check=CHECK,
            severity=Severity.INFO,
            what=name,
            why=f"{to} is in extended support, too: {known.prices.extended:.2f} USD an hour until {target.extended_until}",
            fix="go on to a minor in standard support",
        )
