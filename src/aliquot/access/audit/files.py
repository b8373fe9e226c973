"""The lines of an audit log's file, also while it grows and while another takes its place. However long a line is, no more of it is
held than is read."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from aliquot.access.audit.events import MOST_EVENT_BYTES

_MOST = MOST_EVENT_BYTES + 1


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """Of one that is too long its beginning."""
    while line := stream.readline(_MOST):
        yield line
        while len(line) == _MOST and not line.endswith(b"\n"):
            line = stream.readline(_MOST)


def followed(path: Path, wait: Callable[[], object]) -> Iterator[bytes | None]:
    """For ever, and from the next file where one takes its place. None: there is nothing more now; then it waits. A line is there
    when it has its end. Raises OSError: there is no such file to begin with."""
    file = path.open("rb")
    begun = b""
    try:
        while True:
            line = file.readline(_MOST)
            if line:
                whole = line.endswith(b"\n")
                begun = (begun + line)[:_MOST]
                if whole:
                    yield begun
                    begun = b""
                continue
            if _is_other(path, file):
                # All of the one before has been read. A line that has no end there gets none any more.
                if begun:
                    yield begun
                    begun = b""
                file.close()
                file = path.open("rb")
                continue
            yield None
            wait()
    finally:
        file.close()


def _is_other(path: Path, file: BinaryIO) -> bool:
    """Whether another file is there by now, or this one was cut."""
    try:
        there = path.stat()
    except OSError:
        return False
    open_one = os.fstat(file.fileno())
    return not os.path.samestat(there, open_one) or there.st_size < file.tell()
