"""What a witness has signed, on disk: of each log the last checkpoint, in a file of its own.

It is read, compared and replaced under a lock that processes share, and is on the disk before the signature is given out: a witness
that forgot would sign a fork.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from aliquot.access.log.verify import Checkpoint, parse_checkpoint, parse_note


class Damaged(Exception):
    """A file is not what was written. Its text is for people."""


class Record:
    """Raises OSError where the directory cannot be used."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with (self._directory / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def last(self, origin: str) -> Checkpoint | None:
        """Raises Damaged: better nothing is signed than what may be a fork."""
        path = self._path(origin)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            checkpoint = parse_checkpoint(parse_note(text.decode()).text)
        except ValueError as error:
            raise Damaged(f"{path}: {error}; what was signed of {origin} is not known any more") from error
        if checkpoint.origin != origin:
            raise Damaged(f"{path}: it is of {checkpoint.origin}, not of {origin}")
        return checkpoint

    def keep(self, origin: str, note: str) -> None:
        path = self._path(origin)
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(note.encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _path(self, origin: str) -> Path:
        # An origin is any text: no path.
        return self._directory / f"{sha256(origin.encode()).hexdigest()[:32]}.note"
