"""The audit log as a file of JSON lines, cut into pieces when it grows long."""

import asyncio
import os
from pathlib import Path

import structlog

from aliquot.clock import Clock, rfc3339_micro

_log = structlog.get_logger(__name__)

LARGEST_BYTES = 100 << 20
OLD_FILES = 5
"""So many pieces are kept beside the file that is written."""
MOST_WAITING = 10_000
"""Events that are kept while the file cannot be written; later ones are dropped, and counted."""


class AuditError(Exception):
    """One line: why no audit log can be kept, and the way out."""


class LogFile:
    """A Backend. What comes in one turn of the loop is written in the next: a killed server loses no more than that.

    A piece is named by the time at which it ended: `audit-2026-01-01T00-00-00.000000Z.log`.
    """

    def __init__(self, path: Path, *, clock: Clock, largest_bytes: int = LARGEST_BYTES) -> None:
        """Opens the file, or goes on with it. Raises AuditError."""
        self._path = path
        self._clock = clock
        self._largest_bytes = largest_bytes
        self._waiting: list[bytes] = []
        self._flushing = False
        self.dropped = 0
        try:
            self._open()
        except OSError as error:
            raise AuditError(
                f"the audit log {path} cannot be written: {error.strerror or error}; name another file"
            ) from error

    def take(self, event: bytes) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._drop(1)
            return
        self._waiting.append(event + b"\n")
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def close(self) -> None:
        self._flush()
        os.close(self._descriptor)
        if lost := self.dropped + len(self._waiting):
            _log.error("audit events were lost", file=str(self._path), events=lost)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _flush(self) -> None:
        self._flushing = False
        data = b"".join(self._waiting)
        if not data:
            return
        try:
            if self._size and self._size + len(data) > self._largest_bytes:
                self._rotate()
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            _log.error("the audit log cannot be written", file=str(self._path), reason=error.strerror)
            # A line that was cut short is taken back: the file has whole lines alone.
            os.ftruncate(self._descriptor, self._size)
            return
        self._size += len(data)
        self._waiting.clear()

    def _drop(self, count: int) -> None:
        if not self.dropped:
            _log.error("audit events are dropped", file=str(self._path), waiting=len(self._waiting))
        self.dropped += count

    def _rotate(self) -> None:
        ended = rfc3339_micro(self._clock.now()).replace(":", "-")
        self._path.replace(self._path.with_stem(f"{self._path.stem}-{ended}"))
        os.close(self._descriptor)
        self._open()
        pieces = sorted(self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}"))
        for old in pieces[:-OLD_FILES]:
            old.unlink()
