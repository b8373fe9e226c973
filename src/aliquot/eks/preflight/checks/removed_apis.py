"""APIs that the new minor does not serve any more, or will not for long; and those of components, which go by their own versions."""

from collections.abc import Iterable, Iterator, Mapping

from aliquot.eks.preflight.findings import Finding, Severity, Unchecked, of_sighting
from aliquot.eks.sightings.sighting import Sighting, Trace
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import KUBERNETES, Removal, Removals, Served, State

CHECK = "removed-apis"


def judge(
    sightings: Iterable[Sighting],
    removals: Removals,
    now: Minor,
    to: Minor,
    components: Mapping[str, Minor],
) -> Iterator[Finding]:
    """`components`: the versions of those that are known to be there."""
    for sighting in sightings:
        row = removals.of(sighting.api_version, sighting.kind)
        if row is None or row.served is Served.FILE:
            continue
        if row.component == KUBERNETES:
            finding = _judged(sighting, row, now, to)
        else:
            finding = _of_component(sighting, row, components.get(row.component))
        if finding is not None:
            yield finding


def beyond(to: Minor, newest: Minor) -> Iterator[Unchecked]:
    """Of minors that came after the tables here, nobody can say that nothing ends with them."""
    if to > newest:
        yield Unchecked(
            what=f"Kubernetes {to}",
            why=f"{newest} is the newest that is known here: what ends after it is not; take a newer aliquot",
        )


def _judged(sighting: Sighting, row: Removal, now: Minor, to: Minor) -> Finding | None:
    state = row.state(to)
    what = f"{row.api_version} {sighting.kind}"
    if state is State.REMOVED and row.removed is not None:
        if row.removed <= now and sighting.where.trace is Trace.MANAGED_FIELDS:
            # Who last wrote these fields did so when it was still served: the object lives on in another version.
            return None
        return _finding(
            sighting,
            row,
            _severity(sighting, row),
            _gone(what, row, now),
            row.removed if row.removed > now else None,
        )
    if state is State.DEPRECATED:
        ends = f"; {row.removed} does not serve it" if row.removed is not None else ""
        why = f"{what} is deprecated since {row.deprecated}{ends}"
        return _finding(sighting, row, _deprecated(sighting, row), why, row.removed)
    return None


def _of_component(sighting: Sighting, row: Removal, there: Minor | None) -> Finding | None:
    """An upgrade of the cluster leaves it as it is. Who applies it anew fails, or does when the component is upgraded."""
    what = f"{sighting.api_version} {sighting.kind}"
    if there is None:
        if sighting.where.trace is Trace.MANAGED_FIELDS:
            return None
        ends = (
            f"ends in {row.component} {row.removed}"
            if row.removed is not None
            else f"is deprecated since {row.component} {row.deprecated}"
        )
        return _finding(
            sighting,
            row,
            Severity.WARN if row.removed is not None else Severity.INFO,
            f"{what} {ends}, and which {row.component} is there is not known (--target {row.component}=VERSION says it)",
            None,
        )
    state = row.state(there)
    if state is State.REMOVED:
        if sighting.where.trace is Trace.MANAGED_FIELDS:
            return None
        why = f"{row.component} {there} does not serve {what} (not since {row.removed}): to apply it fails already"
        return _finding(sighting, row, _severity(sighting, row), why, None)
    if state is State.DEPRECATED:
        ends = f"; {row.removed} does not serve it" if row.removed is not None else ""
        why = f"{what} is deprecated since {row.component} {row.deprecated}{ends}"
        return _finding(sighting, row, _deprecated(sighting, row), why, None)
    return None


def _finding(sighting: Sighting, row: Removal, severity: Severity, why: str, minor: Minor | None) -> Finding:
    fix = f"write it as {row.use}" if row.use else "nothing takes its place: do without it"
    return of_sighting(sighting, check=CHECK, severity=severity, why=why, fix=fix, minor=minor)


def _severity(sighting: Sighting, row: Removal) -> Severity:
    trace = sighting.where.trace
    if trace is Trace.FILE:
        # EKS has never served it: whoever has it in a file applies it elsewhere. A trace in a cluster shows that this one does.
        return Severity.BLOCK if row.served is Served.YES else Severity.WARN
    # Who wrote it once may never do so again. Releases, what was applied and requests are what will be asked for the next time.
    return Severity.WARN if trace is Trace.MANAGED_FIELDS else Severity.BLOCK


def _deprecated(sighting: Sighting, row: Removal) -> Severity:
    """What nobody plans to end, and who once wrote it so, is just told."""
    if row.removed is None or sighting.where.trace is Trace.MANAGED_FIELDS:
        return Severity.INFO
    return Severity.WARN


def _gone(what: str, row: Removal, now: Minor) -> str:
    if row.removed is not None and row.removed <= now:
        return f"{what} is not served since {row.removed}: to apply it fails already"
    return f"{row.removed} does not serve {what}: to create, change or read it so fails"
