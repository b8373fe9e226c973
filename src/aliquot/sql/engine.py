"""SQLAlchemy's engine for a URL, set up so that nobody waits for ever and what was answered as done is on the disk."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from aliquot.sql.failures import Unusable

_BUSY_TIMEOUT_MS = 10_000
_AGAIN_MS = 20
_MOST_READERS = 8
_PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
"""Of PostgreSQL's client, unless the URL has others: a server that has gone without a word is not waited for."""


def opened(url: str, name: str) -> Engine:
    """Nothing is connected yet. `name`: of it, for people. Raises Unusable."""
    if url.startswith("postgres"):
        url = "postgresql+psycopg://" + url.partition("://")[2]
    options: dict[str, Any] = {
        "pool_pre_ping": True,
        "pool_size": _MOST_READERS,
        "connect_args": {option: value for option, value in _PATIENCE.items() if option not in url},
    }
    if url.startswith("sqlite"):
        options = _sqlite_options(url, name)
    try:
        # Before it is made: of another database the driver is not there.
        if make_url(url).get_backend_name() not in ("sqlite", "postgresql"):
            raise Unusable(f"{name}: only sqlite and postgresql are supported")
        engine = create_engine(url, **options)
    except (SQLAlchemyError, ValueError) as error:
        raise Unusable(
            f"{name!r} is no database: write sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from error
    except ImportError as error:
        raise Unusable(f"{name}: psycopg is not installed: pip install 'psycopg[binary]'") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
    else:
        from aliquot.sql.postgresql import be_impatient  # it needs the driver

        be_impatient(engine)
    return engine


def sqlite_path(url: str) -> str:
    """Of its file. Empty: it is in memory, or none of SQLite's."""
    if not url.startswith("sqlite"):
        return ""
    path = url.partition(":///")[2]
    return "" if path == ":memory:" else path


def _sqlite_options(url: str, name: str) -> dict[str, Any]:
    if not (path := sqlite_path(url)):
        return {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    if not Path(path).parent.is_dir():
        raise Unusable(f"{name}: there is no directory {Path(path).parent}")
    return {"pool_size": _MOST_READERS, "connect_args": {"check_same_thread": False}}


def _write_ahead(cursor: Any) -> None:
    """SQLite waits for nobody while it changes the form of its file: two who open a new one at once get in each other's way."""
    for _ in range(_BUSY_TIMEOUT_MS // _AGAIN_MS):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(_AGAIN_MS / 1000)  # noqa: TID251 - everything here blocks
        else:
            return
    cursor.execute("PRAGMA journal_mode = WAL")


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy says when a transaction begins, not the driver: else reads and BEGIN IMMEDIATE come apart.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    _write_ahead(cursor)
    # What was answered as done survives a power cut.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
