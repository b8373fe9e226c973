"""The store's file: a SQLite database that holds the newest body of every object and the revision counter.

One process owns the file (exclusive lock). A commit is one transaction; when it raises, nothing of it is in the
file. Nothing here interprets objects, and a file that cannot be read is left exactly as it was found.
"""

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from zlib import crc32

SCHEMA_VERSION = 1

_TABLES = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TABLE counter (revision INTEGER NOT NULL);
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
INSERT INTO counter VALUES (0);
"""

_PUT = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)"

# A checkpoint syncs the file and stops the loop meanwhile: rarely enough, and never with a huge log to copy.
_CHECKPOINT_PAGES = 4000


class StoreError(Exception):
    """The file cannot be used: one line with what is wrong and the way out."""


class WriteRefused(Exception):
    """A commit did not happen and left no trace; the text says why. Reads go on, and a later write may succeed."""


class Durability(Enum):
    """What a committed write survives."""

    PROCESS = "NORMAL"
    """The end of this process at any instant, kill -9 included. A power cut may lose the last moments' writes,
    never older ones, and never leaves half a write."""
    POWER = "FULL"
    """A power cut too: every commit waits for the disk."""


@dataclass(frozen=True, slots=True)
class Row:
    """An object as stored. `id` is the revision that created it, which no other object ever has."""

    id: int
    resource: str
    namespace: str
    name: str
    revision: int
    body: bytes


class StoreFile:
    """An open database. Raises StoreError where it cannot be opened or read."""

    def __init__(self, path: Path, durability: Durability = Durability.PROCESS) -> None:
        self.path = path
        try:
            existed = path.exists() and path.stat().st_size > 0
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.close(descriptor)
        except OSError as error:
            raise _unusable(path, error.strerror or str(error), error.errno) from error
        try:
            with self._reported():
                self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.5)
                self._prepare(existed, durability)
        except StoreError:
            if hasattr(self, "_connection"):
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
            raise

    def _prepare(self, existed: bool, durability: Durability) -> None:
        run = self._connection.execute
        if existed:
            # Before anything that writes: what this version cannot read, it must not touch.
            run("PRAGMA query_only = ON")
            self._check_version()
            run("PRAGMA query_only = OFF")
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run(f"PRAGMA synchronous = {durability.value}")
        run(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        run("BEGIN IMMEDIATE")
        if not run("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone():
            for statement in _TABLES.split(";"):
                run(statement)
            run("INSERT INTO schema_version VALUES (?)", (SCHEMA_VERSION,))
        run("COMMIT")

    def _check_version(self) -> None:
        run = self._connection.execute
        if not run("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone():
            if run("SELECT 1 FROM sqlite_master").fetchone():
                raise StoreError(f"{self.path}: not a state file of aliquot; choose another --state")
            return
        found = run("SELECT max(version) FROM schema_version").fetchone()[0]
        if not isinstance(found, int) or found > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: written by a newer aliquot (schema {found}, this one reads {SCHEMA_VERSION}); "
                "run that version, or choose another --state"
            )
        problem = run("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise _corrupt(self.path, " ".join(str(problem).split()))

    def load(self) -> tuple[int, Iterator[Row]]:
        """The revision counter and every object."""
        with self._reported():
            revision: int = self._connection.execute("SELECT revision FROM counter").fetchone()[0]
        return revision, self._rows()

    def stamp(self) -> int:
        """The owner's mark; 0 in a file that was never marked."""
        with self._reported():
            found: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        return found

    def set_stamp(self, stamp: int) -> None:
        with self._reported():
            self._connection.execute(f"PRAGMA user_version = {stamp:d}")

    def _rows(self) -> Iterator[Row]:
        with self._reported():
            for *columns, checksum in self._connection.execute(
                "SELECT id, resource, namespace, name, revision, body, checksum FROM objects ORDER BY id"
            ):
                row = Row(*columns)
                if crc32(row.body) != checksum:
                    raise _corrupt(
                        self.path, f"{row.resource} {row.namespace}/{row.name} is not as it was written"
                    )
                yield row

    def commit(self, revision: int, changes: Mapping[int, Row | None]) -> None:
        """One transaction: each id becomes its row, or goes (None). Raises WriteRefused; then nothing happened."""
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            self._connection.executemany(_PUT, _values(row for row in changes.values() if row is not None))
            self._connection.executemany(
                "DELETE FROM objects WHERE id = ?", [(id_,) for id_, row in changes.items() if row is None]
            )
            run("UPDATE counter SET revision = ?", (revision,))
            run("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    run("ROLLBACK")
            raise WriteRefused(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Fold the log into the file and let go of it. What was committed stays committed if this fails."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreError(
                    f"{self.path}: in use by another process; stop it, or choose another --state"
                ) from error
            if code == sqlite3.SQLITE_CORRUPT:
                raise _corrupt(self.path, str(error)) from error
            raise _unusable(self.path, str(error), None) from error
        except sqlite3.DatabaseError as error:
            raise _corrupt(self.path, str(error)) from error


def _values(rows: Iterable[Row]) -> Iterator[tuple[int, str, str, str, int, bytes, int]]:
    return (
        (row.id, row.resource, row.namespace, row.name, row.revision, row.body, crc32(row.body))
        for row in rows
    )


def _corrupt(path: Path, problem: str) -> StoreError:
    return StoreError(
        f"{path}: damaged ({problem}); it was left as it is: restore a copy, or move it away to start empty"
    )


def _unusable(path: Path, problem: str, code: int | None) -> StoreError:
    # SQLite may call it an I/O error.
    full = code == errno.ENOSPC or "full" in problem or _disk_is_full(path)
    way_out = "free some space" if full else "make it writable, or choose another --state"
    return StoreError(f"{path}: {problem}; {way_out}")


def _disk_is_full(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(path.parent).free == 0
    return False
