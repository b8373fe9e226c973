import shutil
import sqlite3
from pathlib import Path

import pytest

from aliquot.emulator.storage.persistence import SCHEMA_VERSION, Row, StoreError, StoreFile, WriteRefused


def row(number: int, body: bytes = b"{}") -> Row:
    return Row(number, "pods", "ns", f"pod-{number}", number, body)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def filled(path: Path, rows: int = 50) -> Path:
    file = StoreFile(path)
    file.commit(rows, {number: row(number, b"%d" % number * 1000) for number in range(1, rows + 1)})
    file.close()
    return path


def reason(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        list(StoreFile(path).load()[1])
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_rows_come_back(path: Path) -> None:
    file = StoreFile(path)
    file.commit(2, {1: row(1), 2: row(2)})
    file.commit(4, {1: None, 2: Row(2, "pods", "ns", "pod-2", 4, b"[]")})
    file.close()
    revision, rows = StoreFile(path).load()
    assert revision == 4
    assert list(rows) == [Row(2, "pods", "ns", "pod-2", 4, b"[]")]


def test_only_the_owner_may_read_it(path: Path) -> None:
    StoreFile(path).close()
    assert path.stat().st_mode & 0o077 == 0


def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    filled(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version = ?", (SCHEMA_VERSION + 1,))
    connection.commit()
    connection.close()
    before = path.read_bytes()
    assert f"newer aliquot (schema {SCHEMA_VERSION + 1}, this one reads {SCHEMA_VERSION})" in reason(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"not a database at all" * 1000, id="another file"),
        pytest.param(lambda data: data[: len(data) // 2], id="cut off"),
        pytest.param(lambda data: data[:8192] + b"\xff" * 8192 + data[16384:], id="overwritten pages"),
        pytest.param(lambda data: data.replace(b"7" * 900, b"8" * 900), id="changed content"),
    ],
)
def test_a_damaged_file_is_named_and_left_alone(path: Path, damage: object) -> None:
    assert callable(damage)
    damaged = damage(filled(path).read_bytes())
    path.write_bytes(damaged)
    assert "damaged" in reason(path)
    assert path.read_bytes() == damaged


def test_a_foreign_database_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()
    assert "not a state file of aliquot" in reason(path)


def test_a_file_in_use_is_refused(path: Path) -> None:
    file = StoreFile(path)
    assert "in use by another process" in reason(path)
    file.close()


@pytest.mark.parametrize(
    ("place", "expected"),
    [("missing/store.db", "No such file or directory"), (".", "Is a directory")],
)
def test_a_place_that_cannot_hold_it_is_named(tmp_path: Path, place: str, expected: str) -> None:
    assert expected in reason(tmp_path / place)


def test_a_file_that_a_full_disk_keeps_from_opening_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the error is called."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    assert reason(tmp_path).endswith("; free some space")


def test_a_full_disk_refuses_the_commit_and_keeps_the_rest(path: Path) -> None:
    file = StoreFile(path)
    file.commit(1, {1: row(1)})
    file._connection.execute("PRAGMA max_page_count = 8")
    with pytest.raises(WriteRefused, match="full"):
        file.commit(3, {2: row(2), 3: row(3, b"x" * 100_000)})
    file.commit(2, {2: row(2)})
    file.close()
    revision, rows = StoreFile(path).load()
    assert (revision, [found.id for found in rows]) == (2, [1, 2])
