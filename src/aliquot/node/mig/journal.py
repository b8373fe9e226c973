"""What is being done to a GPU, on disk before it is done: whoever is killed in the middle, the next one knows.

One file for each GPU, of JSON lines: first the goal and how the GPU was before, then each step as it begins and as it
is done. A file that is there means that a change was cut short. What is left to do is not read from it but from the
GPU: the steps are for people. A line that was cut off is none.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from aliquot.gpu.arrangement import Demand
from aliquot.gpu.layout import Wanted
from aliquot.node.advertise import known_profiles
from aliquot.node.inventory import ObservedGpu
from aliquot.node.mig.reconfiguration import Change, Goal, as_they_are
from aliquot.node.mig.steps import SetMode, Step, describe

_SUFFIX, _LOCK = ".journal", ".lock"
_VERSION = 1


class JournalError(Exception):
    """One line: what is wrong with the directory, or who else is at work, and the fix."""


class SliceRecord(msgspec.Struct, frozen=True):
    profile_id: int
    start: int
    compute: tuple[int, ...] = ()


class Layout(msgspec.Struct, frozen=True):
    """A GPU's mode and exact slices."""

    mig: bool
    slices: tuple[SliceRecord, ...] = ()

    def goal(self) -> Goal:
        return Goal(self.mig, tuple(Demand(s.profile_id, s.compute, s.start) for s in self.slices))


class _Head(msgspec.Struct, frozen=True):
    version: int
    gpu: str
    began_at: float
    goal: Layout
    before: Layout


class _Line(msgspec.Struct, frozen=True):
    began: str = ""
    done: str = ""


@dataclass(frozen=True, slots=True)
class Unfinished:
    gpu_uuid: str
    began_at: float
    goal: Layout
    before: Layout
    last: str
    """The step that was begun last; empty when none was."""


def layout_before(observed: ObservedGpu) -> Layout:
    return _layout(observed.mig_on, as_they_are(observed.instances, known_profiles(observed)))


def layout_after(change: Change) -> Layout:
    return _layout(change.mig_after, change.slices)


def _layout(mig: bool, slices: tuple[Wanted, ...]) -> Layout:
    records = (SliceRecord(one.slice.profile_id, one.slice.start, one.compute) for one in slices)
    return Layout(mig, tuple(records))


class Journal:
    """Of one change of one GPU; the witness of its steps. Every line is on disk when its call returns."""

    def __init__(self, directory: Path, gpu_uuid: str, goal: Layout, before: Layout, now: float) -> None:
        self._path = directory / f"{gpu_uuid}{_SUFFIX}"
        self.touched = False
        """Whether anything of the GPU may be different by now."""
        # Whole or not at all: a journal that begins is one that can be followed.
        partial = self._path.with_suffix(".partial")
        head = msgspec.json.encode(_Head(_VERSION, gpu_uuid, now, goal, before))
        self._file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._write(head)
        partial.replace(self._path)
        _sync(directory)

    def begun(self, step: Step) -> None:
        self._write(msgspec.json.encode(_Line(began=describe(step))))
        # Any other call that fails has changed nothing; a change of mode is two calls.
        self.touched = self.touched or isinstance(step, SetMode)

    def done(self, step: Step) -> None:
        self._write(msgspec.json.encode(_Line(done=describe(step))))
        self.touched = True

    def retried(self, step: str, why: str) -> None:
        pass

    def end(self) -> None:
        """There is nothing left to finish, and nothing to roll back."""
        self._path.unlink(missing_ok=True)
        _sync(self._path.parent)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        os.write(self._file, line + b"\n")
        os.fsync(self._file)


def unfinished(directory: Path) -> list[Unfinished]:
    """Raises JournalError for a journal that another version wrote, or that is damaged."""
    return [_read(path) for path in sorted(directory.glob(f"*{_SUFFIX}"))] if directory.exists() else []


def unfinished_of(directory: Path, gpu_uuid: str) -> Unfinished | None:
    path = directory / f"{gpu_uuid}{_SUFFIX}"
    return _read(path) if path.exists() else None


def forget(directory: Path, gpu_uuid: str) -> None:
    (directory / f"{gpu_uuid}{_SUFFIX}").unlink(missing_ok=True)
    _sync(directory)


def _read(path: Path) -> Unfinished:
    first, *rest = path.read_bytes().split(b"\n")
    try:
        head = msgspec.json.decode(first, type=_Head)
    except msgspec.DecodeError as error:
        raise JournalError(
            f"{path}: damaged: {error}; look at the GPU with `aliquot mig export`, then delete the file"
        ) from None
    if head.version != _VERSION:
        raise JournalError(f"{path}: written by another version of aliquot; finish the change with that one")
    last = ""
    for line in rest:
        try:
            last = msgspec.json.decode(line, type=_Line).began or last
        except msgspec.DecodeError:
            break
    return Unfinished(head.gpu, head.began_at, head.goal, head.before, last)


@contextmanager
def held(directory: Path, gpu_uuid: str) -> Iterator[None]:
    """One writer for a GPU, on this machine. Raises JournalError with who it is."""
    path = directory / f"{gpu_uuid}{_LOCK}"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"{error.filename}: {error.strerror}; choose another --state") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode().strip() or "another process"
            raise JournalError(f"process {holder} is changing this GPU: wait until it has ended") from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)


def _sync(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
