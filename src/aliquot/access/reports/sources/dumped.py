"""From a dump of the log alone: each request as its entries tell it. What is of the server's files is not there.

Entries wait on disk, sorted by their request, however long the log is.
"""

import sqlite3
import tempfile
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from msgspec import Struct

from aliquot.access.core.life.life import Life
from aliquot.access.core.spelling import read
from aliquot.access.log.entries import Entry, parse
from aliquot.access.log.storage import SignedCheckpoint
from aliquot.access.log.tree import Tree, leaf_hash
from aliquot.access.log.verify import parse_checkpoint, parse_note
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Checked, Material, Record

_TABLES = """
CREATE TABLE entries (about TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (about, seq)) WITHOUT ROWID;
CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL);
"""


class Dumped:
    """To be closed. Raises ValueError: it is no dump; `verify` says more."""

    def __init__(
        self, lines: Iterable[bytes], *, entries: int | None = None, also: int | None = None
    ) -> None:
        """`entries`: the first so many; None: all. `also`: a later one, to look at."""
        self._directory = tempfile.TemporaryDirectory(prefix="aliquot-report-")
        try:
            self._file = sqlite3.connect(Path(self._directory.name) / "entries")
            self._file.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}")
            self.origin = ""
            self.tree = Tree()
            self.drawn: Entry | None = None
            """The one that was to be looked at."""
            self._read(lines, entries, also)
        except BaseException:
            self._directory.cleanup()
            raise

    def __enter__(self) -> "Dumped":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._directory.cleanup()

    def material(self, period: Period, *, now_s: float) -> Material:
        return Material(
            now_s=now_s,
            origin=self.origin,
            records=lambda: self._records(period),
            loose=lambda: map(parse, self._bodies("SELECT body FROM entries WHERE about = '' ORDER BY seq")),
            checkpoints=self._checkpoints,
            entries=self.tree.size,
            root=b64encode(self.tree.root).decode(),
            check=lambda: Checked(None, ()),
        )

    def _read(self, lines: Iterable[bytes], most: int | None, also: int | None) -> None:
        for line in lines:
            body = line.removesuffix(b"\n")
            if body.startswith(b'{"action":'):
                entry = parse(body)
                if entry.seq == also:
                    self.drawn = entry
                if self.tree.size == most:
                    if also is None or entry.seq >= also:
                        return
                    continue
                self._file.execute("INSERT INTO entries VALUES (?, ?, ?)", (entry.grant, entry.seq, body))
                self.tree, _ = self.tree.append([leaf_hash(body)])
            elif body.startswith(b'{"checkpoint":'):
                note = msgspec.json.decode(body, type=dict[str, str])["checkpoint"]
                size = parse_checkpoint(parse_note(note).text).size
                self._file.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (size, note))
            elif not self.origin:
                self.origin = msgspec.json.decode(body, type=_Header).origin

    def _records(self, period: Period) -> Iterator[Record]:
        bodies = self._bodies("SELECT body FROM entries WHERE about != '' ORDER BY about, seq")
        for _, entries in groupby(map(parse, bodies), key=lambda one: one.grant):
            told = tuple(entries)
            life = lived(told)
            if life is not None and life.request.asked_at_s < period.to_s:
                yield Record(life, told)

    def _checkpoints(self) -> Iterator[SignedCheckpoint]:
        for size, note in self._file.execute("SELECT size, note FROM checkpoints ORDER BY size"):
            yield SignedCheckpoint(size, 0.0, note)

    def _bodies(self, query: str) -> Iterator[bytes]:
        # A cursor of its own: two may be read at the same time.
        for (body,) in self._file.cursor().execute(query):
            yield body


class _Header(Struct, frozen=True):
    origin: str


def lived(entries: Sequence[Entry]) -> Life | None:
    """What these entries make of a request: word for word, but for the words that people wrote. None: they do not tell it from the start."""
    spelled: dict[str, Any] = {"why": ""}
    for entry in entries:
        spelled.update(entry.details.get("changed", {}))
    if "request" not in spelled:
        return None
    spelled["request"] = {"justification": "", **spelled["request"]}
    if spelled.get("review"):
        findings = [{"note": "", **one} for one in spelled["review"]["findings"]]
        spelled["review"] = {**spelled["review"], "findings": findings}
    return read(spelled, Life)
