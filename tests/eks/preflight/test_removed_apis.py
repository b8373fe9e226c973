"""Each row of the table against a manifest that is planted, in a file as users have them."""

import pytest

from aliquot.eks.preflight.checks.removed_apis import judge
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.sightings.files import in_text
from aliquot.eks.sightings.sighting import Sighting, Trace, Where
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import KUBERNETES, Removal, Served, shipped

ROWS = [row for row in shipped().rows if row.component == KUBERNETES and row.served is not Served.FILE]


def findings(text: str, now: Minor, to: Minor) -> list[Finding]:
    sightings = [one for one in in_text(text, "planted.yaml") if isinstance(one, Sighting)]
    return list(judge(sightings, shipped(), now, to, {}))


def planted(row: Removal) -> str:
    return f"# planted\napiVersion: {row.api_version}\nkind: {row.kind}\nmetadata: {{name: old}}\n"


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.removed], ids=lambda row: f"{row.api_version} {row.kind}"
)
def test_what_ends_at_a_hop_is_found_there_and_not_blocked_before(row: Removal) -> None:
    assert row.removed is not None
    (found,) = findings(planted(row), row.removed.previous, row.removed)
    assert found.severity is (Severity.BLOCK if row.served is Served.YES else Severity.WARN)
    assert (found.minor, found.file, found.line) == (row.removed, "planted.yaml", 2)
    assert row.use in found.fix
    before = findings(planted(row), row.removed.previous.previous, row.removed.previous)
    assert not [one for one in before if one.severity is Severity.BLOCK]
    # Who jumps over the hop hears of it, too; who is past it already cannot apply the file today.
    assert findings(planted(row), row.removed.previous, row.removed.next)[0].minor == row.removed
    (late,) = findings(planted(row), row.removed, row.removed.next)
    assert late.minor is None
    assert "already" in late.why


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.deprecated and row.removed is None],
    ids=lambda row: f"{row.api_version} {row.kind}",
)
def test_what_is_deprecated_alone_is_told(row: Removal) -> None:
    assert row.deprecated is not None
    (found,) = findings(planted(row), row.deprecated, row.deprecated.next)
    assert found.severity is Severity.INFO


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.use], ids=lambda row: f"{row.api_version} {row.kind}"
)
def test_what_is_written_anew_is_fine(row: Removal) -> None:
    api_version = row.use.split()[0].rstrip(",;")
    after = row.removed or row.deprecated
    assert after is not None
    text = f"apiVersion: {api_version}\nkind: {row.kind}\nmetadata: {{name: new}}\n"
    assert not [one for one in findings(text, after.previous, after) if one.severity is Severity.BLOCK]


def _traced(trace: Trace) -> Sighting:
    return Sighting(
        api_version="flowcontrol.apiserver.k8s.io/v1beta3",
        kind="FlowSchema",
        name="shop",
        where=Where(trace=trace),
    )


@pytest.mark.parametrize(
    ("trace", "now", "severity"),
    [
        (Trace.FILE, "1.31", Severity.BLOCK),
        (Trace.HELM, "1.31", Severity.BLOCK),
        (Trace.LAST_APPLIED, "1.31", Severity.BLOCK),
        (Trace.REQUESTS, "1.31", Severity.BLOCK),
        (Trace.MANAGED_FIELDS, "1.31", Severity.WARN),
        (Trace.MANAGED_FIELDS, "1.32", None),
        (Trace.LAST_APPLIED, "1.32", Severity.BLOCK),
    ],
)
def test_what_each_trace_is_worth(trace: Trace, now: str, severity: Severity | None) -> None:
    found = list(judge([_traced(trace)], shipped(), Minor.parse(now), Minor.parse(now).next, {}))
    assert [one.severity for one in found] == ([severity] if severity else [])
