"""A database that goes and comes back under a server that runs: full, moved away, damaged, replaced by another, stopped."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from aliquot.access.store import store as store_module
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from aliquot.clock import SystemClock
from aliquot.sql import engine as engine_module
from aliquot.sql import postgresql as postgresql_module
from aliquot.sql.failures import Unreachable
from tests.access.store.test_store import life
from tests.sql.servers import OwnServer


def opened(url: str) -> Iterator[Store]:
    database = Database(url)
    database.prepare()
    store = Store(database, clock=SystemClock(), threads=False)
    yield store
    store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    yield from opened(f"sqlite:///{path}")


def add(store: Store) -> str:
    one = life()
    asyncio.run(store.write(lambda tx: tx.add(one)))
    return one.id


def has(store: Store, request: str) -> bool:
    return asyncio.run(store.read(lambda tx: tx.life(request))) is not None


def test_a_file_that_was_moved_away_is_not_written_and_not_made_anew(store: Store, path: Path) -> None:
    first = add(store)
    away = path.with_name("away.db")
    path.rename(away)
    for attempt in (lambda: has(store, first), lambda: add(store)):
        with pytest.raises(Unreachable, match="the file is not there any more"):
            attempt()
    assert not path.exists()
    away.rename(path)
    assert has(store, first)
    assert has(store, add(store))


def test_an_older_copy_in_its_place_is_what_there_is_from_then_on(store: Store, path: Path) -> None:
    first = add(store)
    copy = path.with_name("copy.db")
    with contextlib.closing(sqlite3.connect(path)) as source:
        source.execute(f"VACUUM INTO '{copy}'")
    second = add(store)
    for one in path.parent.glob("access.db-*"):
        one.unlink()
    copy.replace(path)
    assert has(store, first)
    assert not has(store, second)
    assert has(store, add(store))


@pytest.mark.parametrize("content", [b"this is none of SQLite's" * 400, b""])
def test_what_is_no_database_is_gone_and_an_empty_one_is_begun(
    store: Store, path: Path, content: bytes
) -> None:
    first = add(store)
    for one in path.parent.glob("access.db-*"):
        one.unlink()
    other = path.with_name("other.db")
    other.write_bytes(content)
    other.replace(path)
    if content:
        for attempt in (lambda: has(store, first), lambda: add(store)):
            with pytest.raises(Unreachable, match="not a database"):
                attempt()
    else:
        assert not has(store, first)
        assert has(store, add(store))


def test_one_that_is_not_there_at_the_start_is_prepared_once_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    database = Database(f"sqlite:///{folder}/access.db")
    folder.rmdir()
    with pytest.raises(Unreachable):
        database.prepare()
    store = Store(database, clock=SystemClock(), threads=False)
    with pytest.raises(Unreachable):
        add(store)
    folder.mkdir()
    assert has(store, add(store))
    store.close()


def test_a_file_that_another_process_holds_takes_nothing_until_it_lets_go(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_BUSY_TIMEOUT_MS", 20)
    for store in opened(f"sqlite:///{path}"):
        first = add(store)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(Unreachable, match="database is locked"):
                add(store)
            assert has(store, first)
            other.execute("ROLLBACK")
        assert has(store, add(store))


FULL = """
import asyncio, resource, sys
from pathlib import Path
from aliquot.access.store.database import Database
from aliquot.sql import engine as engine_module
from aliquot.sql import postgresql as postgresql_module
from aliquot.sql.failures import Unreachable
from aliquot.access.store.store import Store
from aliquot.clock import SystemClock
from tests.access.store.test_store import life

async def main():
    path = Path(sys.argv[1])
    database = Database(f"sqlite:///{path}")
    database.prepare()
    store = Store(database, clock=SystemClock())
    written = []
    async def add():
        one = life()
        await store.write(lambda tx: tx.add(one))
        written.append(one.id)
    await add()
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(path.name + "-wal").stat().st_size + 20_000, most))
    failed = 0
    for _ in range(100):
        try:
            await add()
        except Unreachable as error:
            failed += 1
    assert failed > 50, failed
    for one in written:
        assert await store.read(lambda tx: tx.life(one)) is not None
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    await add()
    assert len(await store.read(lambda tx: tx.open_ids())) == len(written)
    store.close()
    print("whole")

asyncio.run(main())
"""


def test_on_a_full_disk_it_is_read_and_not_written_and_goes_on_when_there_is_room(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == "whole\n", done.stderr


def test_a_file_of_so_many_pages_and_no_more_is_full(tmp_path: Path) -> None:
    """As SQLite itself says it of a full disk."""
    from sqlalchemy import event

    database = Database(f"sqlite:///{tmp_path}/access.db")
    database.prepare()

    def limited(connection: Any, _record: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(database._engine, "connect", limited)
    database._engine.dispose()
    store = Store(database, clock=SystemClock(), threads=False)
    with pytest.raises(Unreachable, match="database or disk is full"):
        for _ in range(200):
            add(store)
    event.remove(database._engine, "connect", limited)
    database._engine.dispose()
    assert has(store, add(store))
    store.close()


@pytest.fixture
def on_server(own_server: OwnServer) -> Iterator[Store]:
    yield from opened(own_server.url)


def test_a_server_that_is_stopped_is_gone_and_one_that_is_back_is_used(
    own_server: OwnServer, on_server: Store
) -> None:
    first = add(on_server)
    own_server.stop()
    for attempt in (lambda: has(on_server, first), lambda: add(on_server)):
        with pytest.raises(Unreachable):
            attempt()
    own_server.start()
    assert has(on_server, first)
    assert has(on_server, add(on_server))


@pytest.fixture
def on_each(database_url: str) -> Iterator[Store]:
    yield from opened(database_url)


def test_tables_that_are_gone_are_no_fault_of_ours(on_each: Store) -> None:
    first = add(on_each)
    with on_each._database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE lives")
    with pytest.raises(Unreachable, match="lives"):
        has(on_each, first)


def test_one_that_says_nothing_is_out_of_reach_and_what_was_asked_meanwhile_is_not_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_ANSWER_WITHIN_S", 0.01)
    speaks = threading.Event()

    class Silent(Database):
        @contextlib.contextmanager
        def reading(self) -> Iterator[Connection]:
            speaks.wait()
            with super().reading() as connection:
                yield connection

        @contextlib.contextmanager
        def writing(self) -> Iterator[Connection]:
            speaks.wait()
            with super().writing() as connection:
                yield connection

    async def body(store: Store) -> None:
        ones = [life() for _ in range(100)]
        asked = (
            *(store.write(partial(Transaction.add, life=one)) for one in ones),
            *(store.read(lambda tx: tx.now_s) for _ in range(100)),
        )
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(outcome, Unreachable), outcome
        monkeypatch.setattr(store_module, "_ANSWER_WITHIN_S", 60.0)
        speaks.set()
        last = life()
        await store.write(lambda tx: tx.add(last))
        assert await store.read(lambda tx: tx.open_ids()) == (last.id,)

    database = Silent(f"sqlite:///{path}")
    database.prepare()
    store = Store(database, clock=SystemClock())
    try:
        asyncio.run(body(store))
    finally:
        speaks.set()
        store.close()


def test_a_statement_that_a_server_does_not_answer_is_given_up_with_its_connection(
    own_server: OwnServer, on_server: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = add(on_server)
    with monkeypatch.context() as patch, pytest.raises(Unreachable):
        patch.setattr(postgresql_module, "_SILENT_FOR_S", 0.2)
        with on_server._database.reading() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(600)")
    assert has(on_server, first)
    assert has(on_server, add(on_server))
