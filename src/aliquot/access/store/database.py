"""A database that grants and their log are in: `sqlite:///PATH` or `postgresql://...`.

Everything here blocks; `store` calls it from threads, and the simulation as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select, text, update

from aliquot.access.store.tables import SCHEMA_VERSION, metadata, state
from aliquot.access.store.triggers import triggers
from aliquot.access.store.upgrades import upgrades
from aliquot.sql.connections import Connections
from aliquot.sql.engine import sqlite_path
from aliquot.sql.failures import Unreachable, Unusable

_LOCK = 0x_A11C_0725
_NOW = {
    True: "SELECT (julianday('now') - 2440587.5) * 86400.0",
    False: "SELECT extract(epoch FROM clock_timestamp())",
}


class Database(Connections):
    """Raises Unusable, Unreachable."""

    def __init__(self, url: str) -> None:
        super().__init__(url, _LOCK)
        self._path = Path(path) if (path := sqlite_path(url)) else None
        self._file: tuple[int, int] | None = None
        """Which file it was when it was prepared."""
        self._is_to_prepare = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Of one moment, whatever is written meanwhile."""
        self._look()
        with super().reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Committed at its end. Nobody else writes meanwhile, on whatever server."""
        self._look()
        with super().writing() as connection:
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
            self.close()
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
        with super().writing() as connection:
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
