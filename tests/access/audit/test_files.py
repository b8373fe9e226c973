import io
from collections.abc import Callable
from pathlib import Path

import pytest

from aliquot.access.audit import files
from aliquot.access.audit.files import followed, lines


def test_lines_are_read_to_the_last_also_without_an_end() -> None:
    assert list(lines(io.BytesIO(b"one\n\ntwo"))) == [b"one\n", b"\n", b"two"]


def test_no_more_is_held_of_a_line_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MOST", 4)
    assert list(lines(io.BytesIO(b"0123456789abc\nabc\nxy\n0123"))) == [b"0123", b"abc\n", b"xy\n", b"0123"]


def write(path: Path, text: bytes, *, mode: str = "ab") -> None:
    with path.open(mode) as file:
        file.write(text)


def test_a_file_is_followed_and_so_is_the_one_that_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    write(path, b"one\ntw")

    def rotate() -> None:
        path.rename(tmp_path / "audit-1.log")
        write(tmp_path / "audit-1.log", b"last\n")
        write(path, b"new\n")

    steps: list[Callable[[], None]] = [
        lambda: write(path, b"o\nthree\n"),
        lambda: None,
        rotate,
        lambda: write(path, b"c\n", mode="wb"),
        path.unlink,
        lambda: write(path, b"back\n"),
    ]
    seen: list[bytes | None] = []

    def step() -> None:
        steps.pop(0)()

    following = followed(path, step)
    while steps:
        seen.append(next(following))
    assert seen == [
        *(b"one\n", None, b"two\n", b"three\n", None, None, b"last\n", b"new\n", None),
        *(b"c\n", None, None, b"back\n"),
    ]


def test_there_has_to_be_a_file_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(followed(tmp_path / "audit.log", lambda: None))
