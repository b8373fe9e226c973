"""The journal on disk. What was appended is there after a power cut; room for some hundred records is taken beforehand, so that a full
disk takes them too. Everything here blocks."""

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from aliquot.access.journal import frames

ROOM_BYTES = 256 * 1024
"""For some four hundred records."""


class Loaded(Struct, frozen=True, kw_only=True):
    payloads: tuple[bytes, ...] = ()
    damage: str = ""
    """One line: the file is not what was written. It was put aside, as it is, under the name in the line."""
    problem: str = ""
    """One line: why nothing can be written into it now. It is tried again with each record."""


class InUse(Exception):
    """One line: another server has it."""


class JournalFile:
    """Of one process. `key`: whoever has it could write another journal."""

    def __init__(
        self, path: Path, key: bytes, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self.path = path
        self._key = key
        self._random_bytes = random_bytes
        self._fd = -1
        self._end = 0
        self._link = b""
        self._in_the_way = ""

    def load(self) -> Loaded:
        """At the start. Raises InUse."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            return Loaded(problem=self._told(error))
        found = frames.read(data, self._key)
        damage = self._put_aside(found.damage) if found.damage else ""
        if not damage:
            self._end, self._link = found.end, found.link
        problem = ""
        try:
            self._open()
        except OSError as error:
            problem = self._told(error)
        return Loaded(payloads=found.payloads, damage=damage, problem=problem)

    def append(self, payload: bytes) -> None:
        """It is on the disk when this returns. Raises OSError: it may be there or not, and can be appended again."""
        self._open()
        link = frames.next_link(self._key, self._link, payload)
        written = frames.frame(link, payload)
        _write(self._fd, written, self._end)
        self._end += len(written)
        self._link = link

    def empty(self) -> None:
        """What is in it is in the database. Raises OSError: it is still there."""
        new = self.path.with_name(f"{self.path.name}.new")
        fresh = self._make(new)
        new.replace(self.path)
        self.close()
        self._fd, self._end, self._link = fresh
        self._sync_folder()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        """Raises OSError and InUse."""
        if self._fd >= 0:
            return
        if self._in_the_way:
            raise OSError(errno.EEXIST, self._in_the_way)
        if not self._end:
            fd, end, link = self._make(self.path)
            self._sync_folder()
        else:
            fd, end, link = os.open(self.path, os.O_RDWR | os.O_CLOEXEC), self._end, self._link
            try:
                self._lock(fd)
                # What nobody acted on: else it would stand behind a shorter record, and look like one.
                _blank(fd, end)
            except BaseException:
                os.close(fd)
                raise
        self._fd, self._end, self._link = fd, end, link

    def _make(self, path: Path) -> tuple[int, int, bytes]:
        """An empty one: (descriptor, end, link)."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(fd)
            os.ftruncate(fd, 0)
            with contextlib.suppress(OSError):
                # Not everywhere, and not on a full disk: then it grows as long as there is room.
                os.posix_fallocate(fd, 0, ROOM_BYTES)
            head = frames.head(self._random_bytes(frames.SALT_BYTES))
            _write(fd, head, 0)
        except BaseException:
            os.close(fd)
            raise
        return fd, len(head), frames.first_link(self._key, head)

    def _lock(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"{self.path} is another server's: give each its own with 'journal'") from None

    def _put_aside(self, damage: str) -> str:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        try:
            self.path.rename(aside)
        except OSError as error:
            # It is evidence: nothing is written over it.
            self._in_the_way = f"it is damaged and cannot be put aside: {error.strerror}"
            return f"{self.path}: {damage}"
        return f"{aside}: {damage}"

    def _sync_folder(self) -> None:
        fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _told(self, error: OSError) -> str:
        return f"{self.path}: {error.strerror}"


def damaged(path: Path) -> tuple[Path, ...]:
    """Those that were put aside and that nobody has taken away since."""
    return tuple(sorted(path.parent.glob(f"{path.name}.damaged-*")))


def _write(fd: int, data: bytes, at: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], at + done)
    os.fsync(fd)


def _blank(fd: int, at: int) -> None:
    size = os.fstat(fd).st_size
    if size > at:
        rest = os.pread(fd, size - at, at)
        if rest.strip(b"\0"):
            _write(fd, bytes(len(rest)), at)
