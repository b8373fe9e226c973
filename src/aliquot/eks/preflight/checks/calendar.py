"""Whether the way leads where EKS has something, and what time has to do with it."""

from collections.abc import Iterator
from datetime import date

from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions.calendar import Calendar, Row, Support
from aliquot.eks.versions.minor import Minor

CHECK = "calendar"
_SOON_DAYS = 60


def judge(name: str, now: Minor, to: Minor, known: Calendar, today: date) -> Iterator[Finding]:
    """Of all hops: EKS goes through each minor on the way, and stops where it has none."""
    minor = now
    while minor < to:
        minor = minor.next
        finding = _hop(name, minor, to, known, today)
        if finding is not None:
            yield finding
            if finding.severity is Severity.BLOCK:
                break
    row = known.row(now)
    if row is not None:
        yield from _leaving(name, row, today)
    target = known.row(to)
    if target is not None and target.standing(today) is Support.EXTENDED:
        yield _finding(
            name,
            Severity.INFO,
            f"{to} is in extended support, too: {known.prices.extended:.2f} USD an hour until {target.extended_until}",
            "go on to a minor in standard support",
            to,
        )


def _hop(name: str, minor: Minor, to: Minor, known: Calendar, today: date) -> Finding | None:
    row = known.row(minor)
    support = Support.UPCOMING if row is None else row.standing(today)
    if row is not None and support is Support.ENDED:
        why = f"support of {minor} ended on {row.extended_until}: EKS upgrades nothing to it any more"
        on_the_way = minor < to
        return _finding(
            name,
            Severity.WARN if on_the_way else Severity.BLOCK,
            why,
            "ask AWS how to get past it" if on_the_way else _offered(known, today),
            minor,
        )
    if support is Support.UPCOMING:
        yet = " yet" if row is not None else ""
        return _finding(name, Severity.BLOCK, f"EKS has no {minor}{yet}", _offered(known, today), minor)
    if known.told is not None and minor not in known.told:
        why = f"EKS does not list {minor} in this region (DescribeClusterVersions)"
        return _finding(name, Severity.BLOCK, why, _offered(known, today), minor)
    return None


def _offered(known: Calendar, today: date) -> str:
    offered = [
        row.minor
        for row in known.rows
        if row.standing(today) in (Support.STANDARD, Support.EXTENDED)
        and (known.told is None or row.minor in known.told)
    ]
    return f"the newest it has is {offered[-1]}" if offered else "it offers none that is known here"


def _leaving(name: str, row: Row, today: date) -> Iterator[Finding]:
    support = row.standing(today)
    if support is Support.ENDED:
        yield _finding(
            name,
            Severity.WARN,
            f"support of {row.minor} ended on {row.extended_until}: AWS moves it to {row.minor.next} when it likes, without any of these checks, and there is no way back from that",
            "upgrade before AWS does",
            None,
        )
    elif support is Support.EXTENDED and (row.extended_until - today).days <= _SOON_DAYS:
        yield _finding(
            name,
            Severity.WARN,
            f"extended support of {row.minor} ends on {row.extended_until}",
            "upgrade before AWS does",
            None,
        )


def _finding(name: str, severity: Severity, why: str, fix: str, minor: Minor | None) -> Finding:
    return Finding(check=CHECK, severity=severity, what=name, why=why, fix=fix, minor=minor)
