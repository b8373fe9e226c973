"""What is being done to a GPU, on disk before it is done: whoever is killed in the middle, the next one knows.

One file for each GPU, of JSON lines: first the goal and how the GPU was before, then each step as it begins and as it
is done. A file that is there means that a change was cut short. What is left to do is not read from it but from the
GPU: the steps are for people. A line that was cut off is none.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from aliquot.gpu.arrangement import Demand
from aliquot.gpu.layout import Compute, Wanted
from aliquot.node.advertise import known_profiles
from aliquot.node.inventory import ObservedGpu
from aliquot.node.mig.reconfiguration import Change, Goal, as_they_are
from aliquot.node.mig.steps import Step, describe

_SUFFIX = ".journal"
_VERSION = 1


class JournalError(Exception):
    """One line: what is wrong with a journal, and the fix."""


class SliceRecord(msgspec.Struct, frozen=True):
    profile_id: int
    start: int
    compute: Compute = ()


class Layout(msgspec.Struct, frozen=True):
    """A GPU's mode and exact slices."""

    mig: bool
    slices: tuple[SliceRecord, ...] = ()

    def goal(self) -> Goal:
        return Goal(self.mig, tuple(Demand(s.profile_id, s.compute, s.start) for s in self.slices))


class _Version(msgspec.Struct, frozen=True):
    version: int


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

    def __str__(self) -> str:
        when = f"at '{self.last}'" if self.last else "before its first step"
        return f"an earlier change was cut short {when}: `aliquot mig recover` finishes it, or rolls it back"


def layout_before(observed: ObservedGpu) -> Layout:
    return _layout(observed.mig_on, as_they_are(observed.instances, known_profiles(observed)))


def layout_after(change: Change) -> Layout:
    return _layout(change.mig_after, change.slices)


def _layout(mig: bool, slices: tuple[Wanted, ...]) -> Layout:
    records = (SliceRecord(one.slice.profile_id, one.slice.start, one.compute) for one in slices)
    return Layout(mig, tuple(records))


class Journal:
    """Of one change of one GPU. Blocks: what a call writes is on disk when it returns. Raises JournalError.

    The file is not kept open, so that there is nothing to be closed by who is cancelled.
    """

    def __init__(
        self,
        directory: Path,
        gpu_uuid: str,
        goal: Layout,
        before: Layout,
        began_at: float,
        names: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """`names`: of profiles, for who reads the steps."""
        self._names = names
        self._path = directory / f"{gpu_uuid}{_SUFFIX}"
        self._head = _Head(_VERSION, gpu_uuid, began_at, goal, before)

    def begin(self) -> None:
        """In the place of an earlier one. Whole or not at all: a journal that is there can be followed."""
        partial = self._path.with_suffix(".partial")
        with self._errors():
            _write(partial, os.O_CREAT | os.O_TRUNC, self._head)
            partial.replace(self._path)
            _sync(self._path.parent)

    def begun(self, step: Step) -> None:
        with self._errors():
            _write(self._path, os.O_APPEND, _Line(began=describe(step, self._names)))

    def done(self, step: Step) -> None:
        with self._errors():
            _write(self._path, os.O_APPEND, _Line(done=describe(step, self._names)))

    def end(self) -> None:
        """There is nothing left to finish, and nothing to roll back."""
        with self._errors():
            _remove(self._path)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JournalError(f"the journal {self._path} cannot be kept: {error.strerror}") from error


def unfinished(directory: Path) -> list[Unfinished]:
    """Raises JournalError for a journal that another version wrote, or that is damaged."""
    read = (_read(path) for path in sorted(directory.glob(f"*{_SUFFIX}")))
    return [one for one in read if one is not None]


def unfinished_of(directory: Path, gpu_uuid: str) -> Unfinished | None:
    return _read(directory / f"{gpu_uuid}{_SUFFIX}")


def forget(directory: Path, gpu_uuid: str) -> None:
    """The GPU is as it is wanted, whatever became of the change. Raises JournalError."""
    path = directory / f"{gpu_uuid}{_SUFFIX}"
    try:
        _remove(path)
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be removed: {error.strerror}") from error


def _read(path: Path) -> Unfinished | None:
    try:
        first, *rest = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from error
    try:
        version = msgspec.json.decode(first, type=_Version).version
        if version != _VERSION:
            raise JournalError(
                f"{path}: written by another version of aliquot: finish the change with that one"
            )
        head = msgspec.json.decode(first, type=_Head)
    except msgspec.DecodeError as error:
        raise JournalError(
            f"{path}: damaged: {error}; look at the GPU with `aliquot mig export`, then delete the file"
        ) from None
    last = ""
    for line in rest:
        try:
            last = msgspec.json.decode(line, type=_Line).began or last
        except msgspec.DecodeError:
            break
    return Unfinished(head.gpu, head.began_at, head.goal, head.before, last)


def _write(path: Path, how: int, record: msgspec.Struct) -> None:
    line = msgspec.json.encode(record) + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC | how, 0o600)
    try:
        while line:
            line = line[os.write(file, line) :]
        os.fsync(file)
    finally:
        os.close(file)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """A file's name is the directory's to keep."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
