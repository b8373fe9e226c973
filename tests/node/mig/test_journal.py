import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aliquot.gpu.arrangement import Demand
from aliquot.gpu.layout import CreateCompute, CreateInstance, DestroyInstance, Slice
from aliquot.node.mig.journal import (
    Journal,
    JournalError,
    Layout,
    SliceRecord,
    Unfinished,
    forget,
    unfinished,
    unfinished_of,
)
from aliquot.node.mig.reconfiguration import Goal

GOAL = Layout(True, (SliceRecord(9, 4, (1, 1)),))


def begun(directory: Path, gpu_uuid: str = "GPU-1") -> Journal:
    journal = Journal(directory, gpu_uuid, GOAL, Layout(False), 7.0)
    journal.begin()
    return journal


def path_of(directory: Path) -> Path:
    (path,) = directory.glob("*.journal")
    return path


def test_a_change_is_known_from_its_first_line_to_its_end(tmp_path: Path) -> None:
    assert unfinished(tmp_path / "none") == []
    journal = begun(tmp_path)
    assert unfinished(tmp_path) == [Unfinished("GPU-1", 7.0, GOAL, Layout(False), "")]
    journal.begun(DestroyInstance(3))
    journal.done(DestroyInstance(3))
    journal.begun(CreateInstance(Slice(9, 4)))
    (found,) = unfinished(tmp_path)
    assert found.last == "creating profile 9 at slot 4"
    assert found.goal.goal() == Goal(True, (Demand(9, (1, 1), 4),))
    journal.end()
    assert unfinished(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_each_gpu_has_its_own_and_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    begun(tmp_path, "GPU-2").begun(DestroyInstance(3))
    begun(tmp_path, "GPU-1")
    begun(tmp_path, "GPU-2")
    assert [(one.gpu_uuid, one.last) for one in unfinished(tmp_path)] == [("GPU-1", ""), ("GPU-2", "")]
    forget(tmp_path, "GPU-1")
    forget(tmp_path, "GPU-1")
    assert unfinished_of(tmp_path, "GPU-1") is None
    assert unfinished_of(tmp_path, "GPU-2") is not None


def test_whatever_is_left_of_the_last_line_the_lines_before_it_count(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.begun(DestroyInstance(3))
    whole = path_of(tmp_path).read_bytes()
    journal.begun(CreateCompute(4, 2))
    longer = path_of(tmp_path).read_bytes()
    for length in range(len(whole), len(longer) - 2):
        path_of(tmp_path).write_bytes(longer[:length])
        assert unfinished(tmp_path)[0].last == "destroying GPU instance 3"


HEAD: dict[str, Any] = {
    "version": 1,
    "gpu": "GPU-1",
    "began_at": 1,
    "goal": {"mig": True},
    "before": {"mig": True},
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "GPU-1.journal: damaged"),
        ("{", "GPU-1.journal: damaged"),
        (json.dumps({**HEAD, "goal": 1}), "GPU-1.journal: damaged: .*goal.*then delete the file"),
        (
            json.dumps({"version": 9, "another": "form"}),
            "GPU-1.journal: written by another version of aliquot",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "GPU-1.journal").write_text(text)
    with pytest.raises(JournalError, match=message):
        unfinished(tmp_path)


def test_one_that_ends_while_all_are_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(tmp_path, "GPU-1")
    begun(tmp_path, "GPU-2")
    read = Path.read_bytes

    def late(path: Path) -> bytes:
        forget(tmp_path, "GPU-1")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", late)
    assert [one.gpu_uuid for one in unfinished(tmp_path)] == ["GPU-2"]


def test_what_is_written_is_on_disk_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes come in pieces, as a file system may take them; the file's name is the directory's."""
    diary: list[str] = []
    write, sync = os.write, os.fsync
    names: dict[int, str] = {}
    opened = os.open

    def open_noted(path: Any, *rest: Any) -> int:
        file = opened(path, *rest)
        names[file] = "directory" if Path(path) == tmp_path else "file"
        return file

    def sync_noted(file: int) -> None:
        diary.append(f"sync {names[file]}")
        sync(file)

    monkeypatch.setattr(os, "open", open_noted)
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:20]))
    monkeypatch.setattr(os, "fsync", sync_noted)
    journal = begun(tmp_path)
    assert diary == ["sync file", "sync directory"]
    journal.begun(DestroyInstance(3))
    assert diary[2:] == ["sync file"]
    journal.end()
    assert diary[3:] == ["sync directory"]
    begun(tmp_path)
    assert unfinished(tmp_path)[0].goal == GOAL


def _full(*_: Any) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "write",
    [Journal.begin, lambda journal: journal.begun(DestroyInstance(3)), lambda j: j.done(DestroyInstance(3))],
)
def test_a_full_disk_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Journal], None]
) -> None:
    journal = begun(tmp_path)
    monkeypatch.setattr(os, "write", _full)
    with pytest.raises(JournalError, match=r"GPU-1\.journal cannot be kept: No space left on device"):
        write(journal)
    assert unfinished(tmp_path)[0].goal == GOAL


def test_a_journal_that_somebody_deleted_is_not_begun_in_the_middle(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    path_of(tmp_path).unlink()
    with pytest.raises(JournalError, match="No such file"):
        journal.begun(DestroyInstance(3))
    assert unfinished(tmp_path) == []
