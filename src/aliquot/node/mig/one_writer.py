"""One writer for a GPU on this machine: whoever changes it holds a lock on a file meanwhile. A death lets go of it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_PID = 20


class GpuHeld(Exception):
    """One line: which GPU cannot be had, and why."""


@contextmanager
def held(directory: Path, gpu_uuid: str) -> Iterator[None]:
    """Raises GpuHeld when another has it, also in this process; it is not waited for."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(directory / f"{gpu_uuid}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise GpuHeld(f"{error.filename}: {error.strerror}: choose another --state") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(file, _LONGEST_PID, 0).decode()
            holder = f"process {pid}" if pid else "another process"
            raise GpuHeld(f"{holder} is changing {gpu_uuid}: wait until it has ended") from None
        # The file stays: to remove it would let two in, one with the old file and one with the new.
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(file, 0)
    finally:
        os.close(file)
