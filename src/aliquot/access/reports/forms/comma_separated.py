"""A report as CSV (RFC 4180), for spreadsheets: what it is, and then its sections one after the other, with an empty line before each."""

from collections.abc import Iterator

from aliquot.access.log.exports.table import line
from aliquot.access.reports.document import read, told
from aliquot.access.reports.frameworks import WARNING


def comma_separated(lines: Iterator[bytes]) -> Iterator[str]:
    """Lines with their ends. No cell is a formula. Raises NoReport."""
    head, sections = read(lines)
    log = head.log
    yield line(("report", head.title))
    yield line(("period", head.from_, head.to))
    yield line(("drawn", head.at))
    yield line(("log", log.origin, f"the first {log.entries} entries", f"root {log.root}"))
    if log.drawn is not None:
        yield line(("logged", f"entry {log.drawn}"))
    for text in log.checkpoint.splitlines():
        yield line(("checkpoint", text))
    for section, rows in sections:
        yield line(())
        yield line((section.name, section.says))
        yield line(section.columns)
        for cells in rows:
            yield line(told(cell) for cell in cells)
    yield line(())
    yield line(("frameworks", WARNING))
    for clause in head.frameworks:
        yield line((clause.framework, clause.clause, clause.asks))
