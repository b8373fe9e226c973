"""A report as lines of JSON: a head, and then of each section its name and its rows. So it is written and read one row at a time.

The head says which entries of the log it is drawn from, the root of the tree over them, and a checkpoint that was signed afterwards.
Of each section it has the SHA-256 of its lines; so has the log, in the entry `report.drawn`. Whoever has the log can tell that a
report is the one that was drawn, and draw it again.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from types import TracebackType
from typing import IO, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aliquot import __version__
from aliquot.access.reports.frameworks import Clause, clauses_of
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Cell, Material, Report
from aliquot.clock import rfc3339_milli

FORMAT = "aliquot-access-report/v1"
REPORTS_VERSION = 1
"""The drawing's form: raised when a report's sections, or what is counted in them, change. Another form comes to other rows, and that is
no sign of tampering. 0: reports that said none."""
_SPOOLED = 4 * 1024 * 1024


class SectionHead(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    says: str
    columns: tuple[str, ...]
    from_log: bool
    rows: int
    sha256: str
    """Of its lines, with their ends."""


class LogHead(Struct, frozen=True, kw_only=True, rename="camel"):
    """What of the log it is drawn from."""

    origin: str
    entries: int
    """The first so many."""
    root: str
    """Of the tree over them, base64."""
    drawn: int | None = None
    """The entry that says that it was drawn. None: it was drawn from a dump."""
    checkpoint: str = ""
    """Signed afterwards, over all of that. Empty: nothing is signed."""


class Head(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    format: str
    report: str
    title: str
    says: str
    from_: str
    to: str
    at: str
    """When it was drawn."""
    log: LogHead
    sections: tuple[SectionHead, ...]
    frameworks: tuple[Clause, ...]
    version: str = ""
    """Of Aliquot, which drew it."""
    form: int = 0
    """Its REPORTS_VERSION."""


def drawing(head: Head) -> dict[str, object]:
    """What the log is told of a report."""
    by = {"version": head.version, "form": head.form} if head.form else {}
    return {
        **by,
        "report": head.report,
        "from": head.from_,
        "to": head.to,
        "at": head.at,
        "entries": head.log.entries,
        "root": head.log.root,
        "sections": [{"name": one.name, "rows": one.rows, "sha256": one.sha256} for one in head.sections],
    }


class Drawn:
    """A report whose rows wait on disk. To be closed."""

    def __init__(self, head: Head, files: list[IO[bytes]]) -> None:
        self.head = head
        self._files = files

    def __enter__(self) -> "Drawn":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for file in self._files:
            file.close()

    def logged(self, entry: int, checkpoint: str) -> None:
        self.head = replace(self.head, log=replace(self.head.log, drawn=entry, checkpoint=checkpoint))

    def lines(self) -> Iterator[bytes]:
        yield msgspec.json.encode(self.head) + b"\n"
        for section, file in zip(self.head.sections, self._files, strict=True):
            yield msgspec.json.encode({"section": section.name}) + b"\n"
            file.seek(0)
            yield from file


def draw(report: Report, material: Material, period: Period) -> Drawn:
    """Raises what reading the material raises."""
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {
            one.name: stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOLED)) for one in report.sections
        }
        hashes = {name: sha256() for name in files}
        counts = dict.fromkeys(files, 0)
        for row in report.draw(material, period):
            line = msgspec.json.encode(row.cells) + b"\n"
            files[row.section].write(line)
            hashes[row.section].update(line)
            counts[row.section] += 1
        stack.pop_all()
    sections = tuple(
        SectionHead(
            name=one.name,
            says=one.says,
            columns=one.columns,
            from_log=one.from_log,
            rows=counts[one.name],
            sha256=hashes[one.name].hexdigest(),
        )
        for one in report.sections
    )
    head = Head(
        format=FORMAT,
        report=report.name,
        title=report.title,
        says=report.says,
        from_=rfc3339_milli(period.from_s),
        to=rfc3339_milli(period.to_s),
        at=rfc3339_milli(material.now_s),
        log=LogHead(origin=material.origin, entries=material.entries, root=material.root),
        sections=sections,
        frameworks=clauses_of(report.name),
        version=__version__,
        form=REPORTS_VERSION,
    )
    return Drawn(head, list(files.values()))


class NoReport(ValueError):
    """Its text is for people."""


Rows = Iterator[tuple[Cell, ...]]


def read(lines: Iterator[bytes]) -> tuple[Head, Iterator[tuple[SectionHead, Rows]]]:
    """Its head, and its sections with their rows, which are read as they are taken, in order. Raises NoReport, also later."""
    try:
        head = msgspec.json.decode(next(lines, b""), type=Head)
    except msgspec.DecodeError as error:
        raise NoReport(f"it is no report: {error}") from None
    if head.format != FORMAT:
        raise NoReport(f"it is of format {head.format!r}, and {FORMAT} is known")
    return head, _sections(head, lines)


def _sections(head: Head, lines: Iterator[bytes]) -> Iterator[tuple[SectionHead, Rows]]:
    for section in head.sections:
        if next(lines, b"") != msgspec.json.encode({"section": section.name}) + b"\n":
            raise NoReport(
                f"section {section.name} is not where it has to be: the report was cut off or altered"
            )
        rows = _rows(section, lines)
        yield section, rows
        for _ in rows:
            pass


def _rows(section: SectionHead, lines: Iterator[bytes]) -> Rows:
    hashed = sha256()
    for _ in range(section.rows):
        line = next(lines, b"")
        hashed.update(line)
        try:
            cells = msgspec.json.decode(line, type=tuple[str | int | float | bool | None, ...])
        except msgspec.DecodeError as error:
            raise NoReport(f"section {section.name}: {error}: the report was cut off or altered") from None
        if len(cells) != len(section.columns):
            raise NoReport(f"section {section.name}: a row has {len(cells)} cells: the report was altered")
        yield cells
    if hashed.hexdigest() != section.sha256:
        raise NoReport(f"section {section.name} is not what its head says: the report was altered")


def as_json(lines: Iterator[bytes]) -> Iterator[bytes]:
    """One JSON document of the same."""
    head, sections = read(lines)
    spelled: dict[str, Any] = msgspec.to_builtins(head)
    spelled.pop("sections")
    yield msgspec.json.encode(spelled)[:-1] + b',"sections":['
    for number, (section, rows) in enumerate(sections):
        yield (b"," if number else b"") + msgspec.json.encode(section)[:-1] + b',"rows":['
        for index, cells in enumerate(rows):
            yield (b"," if index else b"") + msgspec.json.encode(cells)
        yield b"]}"
    yield b"]}"


def told(cell: Cell) -> str:
    """For people, and tables."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return str(cell)
