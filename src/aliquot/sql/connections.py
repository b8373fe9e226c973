"""Connections to one database: who reads sees one moment, and who writes is alone. Everything here blocks."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from aliquot.sql.engine import opened
from aliquot.sql.failures import explained

_PASSWORD = re.compile(r"(://[^:/@]*):[^@]*@")


class Connections:
    """Raises Unusable, Unreachable."""

    def __init__(self, url: str, lock: int) -> None:
        """`lock`: of PostgreSQL's advisory ones; whoever writes has it. Those who keep different things need not wait for each other."""
        self.name = _PASSWORD.sub(r"\1:***@", url)
        self._lock = lock
        self._engine = opened(url, self.name)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self._readers = self._engine
        if not self.is_sqlite:
            self._readers = self._engine.execution_options(isolation_level="REPEATABLE READ")

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Of one moment, whatever is written meanwhile."""
        with self._told(), self._readers.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Committed at its end. Nobody else writes meanwhile, on whatever server."""
        with self._told(), self._engine.connect() as connection, connection.begin():
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": self._lock})
            yield connection

    def explained(self, error: Exception) -> Exception:
        """Unreachable where the database itself is the cause, else the error."""
        return explained(self.name, error)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if (said := self.explained(error)) is error:
                raise
            raise said from error
