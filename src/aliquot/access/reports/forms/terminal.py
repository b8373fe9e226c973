"""A report on a terminal: of each section the first rows."""

from collections.abc import Iterator
from itertools import islice

from aliquot.access.reports.document import read, told
from aliquot.access.reports.report import Cell

MOST_ROWS = 40


def terminal(lines: Iterator[bytes]) -> Iterator[str]:
    """Lines. Raises NoReport."""
    head, sections = read(lines)
    yield f"{head.title}, {head.from_} to {head.to}"
    yield head.says
    for section, rows in sections:
        yield ""
        yield f"{section.name.upper()}: {section.says}"
        shown = list(islice(rows, MOST_ROWS))
        if not shown:
            yield "none"
            continue
        yield from _table([section.columns, *([_shown(cell) for cell in cells] for cells in shown)])
        if section.rows > len(shown):
            yield f"... and {section.rows - len(shown)} more: --csv, --html"
    yield ""
    drawn = "" if head.log.drawn is None else f"; that it was drawn is entry {head.log.drawn}"
    yield f"from the first {head.log.entries} entries of {head.log.origin}, root {head.log.root}{drawn}"


def _shown(cell: Cell) -> str:
    # What an issuer calls somebody is not to move the cursor.
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in told(cell))


def _table(rows: list[tuple[str, ...] | list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "   ".join(padded).rstrip()
