"""A database that grants and their log are in: `sqlite:///PATH` or `postgresql://...`.

Everything here blocks; `store` calls it from threads, and the simulation as it is.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout
from sqlalchemy.pool import StaticPool

from aliquot.access.store.postgresql import be_impatient
from aliquot.access.store.tables import SCHEMA_VERSION, metadata, state
from aliquot.access.store.triggers import triggers
from aliquot.access.store.upgrades import upgrades

_BUSY_TIMEOUT_MS = 10_000
_MOST_READERS = 8
_LOCK = 0x_A11C_0725
"""Of PostgreSQL's advisory locks: whoever writes has it."""
_NOW = {
    True: "SELECT (julianday('now') - 2440587.5) * 86400.0",
    False: "SELECT extract(epoch FROM clock_timestamp())",
}
_PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
"""Of PostgreSQL's client, unless the URL has others: a server that has gone without a word is not waited for."""
_NO_SUCH_TABLE = "42P01"
"""PostgreSQL's SQLSTATE."""
_PASSWORD = re.compile(r"(://[^:/@]*):[^@]*@")


class Unusable(Exception):
    """The database cannot be used as it is. Its text is for people."""


class Unreachable(Exception):
    """The database does not answer, or takes nothing: nothing of what was asked has been done, or nobody knows."""


class Database:
    """Raises Unusable, Unreachable."""

    def __init__(self, url: str) -> None:
        self.name = _PASSWORD.sub(r"\1:***@", url)
        self._engine = _engine(url, self.name)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self._path = Path(path) if (path := sqlite_path(url)) else None
        self._file: tuple[int, int] | None = None
        """Which file it was when it was prepared."""
        self._is_to_prepare = False
        self._readers = self._engine
        if not self.is_sqlite:
            self._readers = self._engine.execution_options(isolation_level="REPEATABLE READ")

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Of one moment, whatever is written meanwhile."""
        self._look()
        with self._told(), self._readers.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Committed at its end. Nobody else writes meanwhile, on whatever server."""
        self._look()
        with self._writing() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._told(), self._engine.connect() as connection, connection.begin():
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection

    def now_s(self, connection: Connection) -> float:
        """By the database's own clock, whatever those of the servers say."""
        found: float = connection.execute(text(_NOW[self.is_sqlite])).scalar_one()
        return float(found)

    def prepare(self) -> None:
        """Make the tables where there are none, and bring those of an earlier version up to this one. Raises Unreachable: it is done once
        it can be, before anything else."""
        self._is_to_prepare = True
        self._prepare()
        self._file = self._found()
        self._is_to_prepare = False

    def _look(self) -> None:
        """Whether it still is what was prepared. Raises Unreachable."""
        if self._file is not None and (found := self._found()) != self._file:
            if found is None:
                raise Unreachable(f"{self.name}: the file is not there any more")
            # Connections that are open would go on in the one before.
            self._engine.dispose()
            self._is_to_prepare = True
        if self._is_to_prepare:
            try:
                self.prepare()
            except Unusable as error:
                raise Unreachable(str(error)) from error

    def _found(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _prepare(self) -> None:
        with self._writing() as connection:
            if inspect(connection).has_table(state.name):
                self._upgrade(connection)
                return
            metadata.create_all(connection)
            for statement in triggers(connection.dialect.name):
                connection.exec_driver_sql(statement)
            connection.execute(insert(state).values(name="schema", value=str(SCHEMA_VERSION)))

    def _upgrade(self, connection: Connection) -> None:
        schema = state.c.name == "schema"
        found = connection.scalar(select(state.c.value).where(schema))
        if found == str(SCHEMA_VERSION):
            return
        statements = upgrades(str(found), SCHEMA_VERSION)
        if statements is None:
            raise Unusable(
                f"{self.name} is of schema {found}, and this version of Aliquot writes {SCHEMA_VERSION}: use the version that made it"
            )
        for statement in statements:
            connection.exec_driver_sql(statement)
        metadata.create_all(connection)
        connection.execute(update(state).where(schema).values(value=str(SCHEMA_VERSION)))

    def explained(self, error: Exception) -> Exception:
        """Unreachable where the database itself is the cause, else the error."""
        if isinstance(error, DBAPIError):
            if error.connection_invalidated or _is_its_fault(error):
                return Unreachable(f"{self.name}: {_first_line(error.orig)}")
            return error
        if isinstance(error, SQLAlchemyTimeout):
            return Unreachable(f"{self.name}: {_first_line(error)}")
        return error

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if (said := self.explained(error)) is error:
                raise
            raise said from error


def _engine(url: str, name: str) -> Engine:
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
    except (ArgumentError, SQLAlchemyError, ValueError) as error:
        raise Unusable(
            f"{name!r} is no database: write sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
    else:
        be_impatient(engine)
    return engine


def _is_its_fault(error: DBAPIError) -> bool:
    if isinstance(error, (OperationalError, InterfaceError, InternalError)):
        return True
    # A file that is damaged or none of SQLite's; a database in which there are no tables of ours any more.
    return type(error) is DatabaseError or getattr(error.orig, "sqlstate", None) == _NO_SUCH_TABLE


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


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy says when a transaction begins, not the driver: else reads and BEGIN IMMEDIATE come apart.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # What was answered as done survives a power cut.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
