"""APIs that the new minor does not serve any more, or will not for long."""

from collections.abc import Iterable, Iterator

from aliquot.eks.preflight.findings import Finding, Severity, of_sighting
from aliquot.eks.sightings.sighting import Sighting, Trace
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import KUBERNETES, Removal, Removals, Served, State

CHECK = "removed-apis"


def judge(sightings: Iterable[Sighting], removals: Removals, now: Minor, to: Minor) -> Iterator[Finding]:
    for sighting in sightings:
        row = removals.of(sighting.api_version, sighting.kind)
        if row is None or row.served is Served.FILE or row.component != KUBERNETES:
            continue
        finding = _judged(sighting, row, now, to)
        if finding is not None:
            yield finding


def _judged(sighting: Sighting, row: Removal, now: Minor, to: Minor) -> Finding | None:
    state = row.state(to)
    what = f"{row.api_version} {sighting.kind}"
    if state is State.REMOVED and row.removed is not None:
        if row.removed <= now and sighting.where.trace is Trace.MANAGED_FIELDS:
            # Who last wrote these fields did so when it was still served: the object lives on in another version.
            return None
        return of_sighting(
            sighting,
            check=CHECK,
            severity=_severity(sighting, row),
            why=_gone(what, row, now),
            fix=_instead(row),
            minor=row.removed if row.removed > now else None,
        )
    if state is State.DEPRECATED:
        ends = f"; {row.removed} does not serve it" if row.removed is not None else ""
        return of_sighting(
            sighting,
            check=CHECK,
            severity=Severity.INFO,
            why=f"{what} is deprecated since {row.deprecated}{ends}",
            fix=_instead(row),
            minor=None,
        )
    return None


def _severity(sighting: Sighting, row: Removal) -> Severity:
    trace = sighting.where.trace
    if trace is Trace.FILE:
        # EKS has never served it: whoever has it in a file applies it elsewhere. A trace in a cluster shows that this one does.
        return Severity.BLOCK if row.served is Served.YES else Severity.WARN
    # Who wrote it once may never do so again. Releases, what was applied and requests are what will be asked for the next time.
    return Severity.WARN if trace is Trace.MANAGED_FIELDS else Severity.BLOCK


def _gone(what: str, row: Removal, now: Minor) -> str:
    if row.removed is not None and row.removed <= now:
        return f"{what} is not served since {row.removed}: to apply it fails already"
    return f"{row.removed} does not serve {what}: to create, change or read it so fails"


def _instead(row: Removal) -> str:
    return f"write it as {row.use}" if row.use else "nothing takes its place: do without it"
