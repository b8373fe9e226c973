import builtins
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from aliquot.sql.connections import Connections
from aliquot.sql.failures import Unreachable, Unusable

LOCK = 7


@pytest.fixture
def two(database_url: str) -> Iterator[tuple[Connections, Connections]]:
    """As two processes have them."""
    found = Connections(database_url, LOCK), Connections(database_url, LOCK)
    with found[0].writing() as connection:
        connection.execute(text("CREATE TABLE counted (number INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO counted VALUES (0)"))
    yield found
    for one in found:
        one.close()


def count(connections: Connections) -> int:
    with connections.reading() as connection:
        return int(connection.scalar(text("SELECT number FROM counted")) or 0)


def test_who_writes_is_alone(two: tuple[Connections, Connections]) -> None:
    def add(connections: Connections) -> None:
        for _ in range(25):
            with connections.writing() as connection:
                number = connection.scalar(text("SELECT number FROM counted"))
                connection.execute(text("UPDATE counted SET number = :next"), {"next": (number or 0) + 1})

    threads = [threading.Thread(target=add, args=(one,)) for one in (*two, *two)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert count(two[0]) == 100


def test_who_reads_sees_one_moment(two: tuple[Connections, Connections]) -> None:
    with two[0].reading() as connection:
        before = connection.scalar(text("SELECT number FROM counted"))
        with two[1].writing() as other:
            other.execute(text("UPDATE counted SET number = 9"))
        assert connection.scalar(text("SELECT number FROM counted")) == before
    assert count(two[0]) == 9


def test_what_fails_is_not_written(two: tuple[Connections, Connections]) -> None:
    with pytest.raises(RuntimeError), two[0].writing() as connection:
        connection.execute(text("UPDATE counted SET number = 9"))
        raise RuntimeError("no")
    assert count(two[1]) == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/at/all.db", "sqlite:////nowhere/at/all.db: there is no directory /nowhere/at"),
        ("nonsense", "'nonsense' is no database: write sqlite:///FILE or postgresql://USER@HOST/NAME"),
        ("mysql://me:secret@here/x", r"mysql://me:\*\*\*@here/x: only sqlite and postgresql are supported"),
    ],
)
def test_an_unusable_url_is_told(url: str, said: str) -> None:
    with pytest.raises(Unusable, match=said):
        Connections(url, LOCK)


def test_a_driver_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "psycopg":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return imported(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unusable, match=r"psycopg is not installed: pip install 'psycopg\[binary\]'"):
        Connections("postgresql://me@here/x", LOCK)


def test_a_server_that_does_not_answer_is_told_without_the_password() -> None:
    connections = Connections("postgresql://me:secret@127.0.0.1:1/x?connect_timeout=1", LOCK)
    with pytest.raises(Unreachable) as told, connections.writing():
        pass
    assert "secret" not in str(told.value)
    assert "me:***@127.0.0.1" in str(told.value)


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    path.write_bytes(b"this is none of SQLite's" * 400)
    connections = Connections(f"sqlite:///{path}", LOCK)
    with pytest.raises(Unreachable, match="not a database"), connections.reading():
        pass
