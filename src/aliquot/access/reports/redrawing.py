"""Whether a report is the one that the log says was drawn, and whether the log, all by itself, comes to the same."""

from collections.abc import Iterable, Iterator

from aliquot.access.log.entries import Entry
from aliquot.access.reports.catalogue import REPORTS
from aliquot.access.reports.document import REPORTS_VERSION, Head, NoReport, draw, drawing, read
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Checked, Material
from aliquot.access.reports.sources.dumped import Dumped
from aliquot.clock import parse_rfc3339


def redrawn(report: Iterator[bytes], dump: Iterable[bytes]) -> Checked:
    """`dump` has been verified. Not checked (`holds` is None) is what another form drew. Raises NoReport, also where a row was altered,
    and ValueError."""
    head, sections = read(report)
    for _, rows in sections:
        for _ in rows:
            pass
    with Dumped(dump, entries=head.log.entries, also=head.log.drawn) as there:
        period = Period(parse_rfc3339(head.from_), parse_rfc3339(head.to))
        material = there.material(period, now_s=parse_rfc3339(head.at))
        wrong = list(_of_another(head, there, material))
        if not wrong and head.form != REPORTS_VERSION:
            return Checked(None, (_other_form(head),))
        if not wrong and head.report not in REPORTS:
            raise NoReport(f"no report '{head.report}' is known here: take the version that drew it")
        wrong = wrong or list(_otherwise(head, material, period))
        if wrong:
            return Checked(False, tuple(f"WRONG: {one}" for one in wrong))
        says = [f"{head.title}, {head.from_} to {head.to}, is what entry {head.log.drawn} says was drawn"]
        own = [one.name for one in head.sections if one.from_log]
        says.append(
            f"drawn again from the first {head.log.entries} entries of the log, the same: {', '.join(own)}"
        )
        if others := [one.name for one in head.sections if not one.from_log]:
            says.append(f"not in the log, so as the server said: {', '.join(others)}")
        return Checked(True, tuple(says))


def _other_form(head: Head) -> str:
    by = f" (Aliquot {head.version})" if head.version else ""
    return f"drawn by form {head.form}{by}, this is form {REPORTS_VERSION}: take the version that drew it"


def _of_another(head: Head, there: Dumped, material: Material) -> Iterator[str]:
    """Why it is not what this log says was drawn. That can be told of any form."""
    log = head.log
    if there.origin != log.origin:
        yield f"it is of the log {log.origin!r}, and the dump of {there.origin!r}"
        return
    if (material.entries, material.root) != (log.entries, log.root):
        yield f"it names root {log.root} over {log.entries} entries, and in the dump these have {material.root}"
        return
    if not _says(there.drawn, head):
        yield f"entry {log.drawn} does not say that this was drawn"


def _otherwise(head: Head, material: Material, period: Period) -> Iterator[str]:
    with draw(REPORTS[head.report], material, period) as again:
        for old, new in zip(head.sections, again.head.sections, strict=True):
            if old.from_log and (old.rows, old.sha256) != (new.rows, new.sha256):
                yield f"section {old.name} has {old.rows} rows, and the log comes to others ({new.rows})"


def _says(entry: Entry | None, head: Head) -> bool:
    if entry is None or entry.action != "report.drawn":
        return False
    told = entry.details
    if told.get("form", 0) != head.form:
        # A report is not made one of another form by its head alone.
        return False
    # Another form may have told the log more.
    return drawing(head) == told if head.form == REPORTS_VERSION else told == {**told, **drawing(head)}
