"""A PostgreSQL server that is there and says nothing: whoever waits for it gives up, and the connection with it. Else a thread of ours
would wait for as long as the server's machine lives."""

from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from sqlalchemy import Engine, event

_SILENT_FOR_S = 20.0
"""So long may one statement take. Callers are answered before."""
_LOOKS_EVERY_S = 0.1


class _Impatient(psycopg.Connection[Any]):
    def wait(self, gen: PQGen[RV], interval: float = _LOOKS_EVERY_S, timeout: float | None = None) -> RV:
        """Raises OperationalError."""
        try:
            return super().wait(gen, interval, _SILENT_FOR_S if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                # It is in the middle of something that nobody waits for any more: of no use to the next one.
                self.close()
            raise


def be_impatient(engine: Engine) -> None:
    """With each connection that it makes from now on."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> psycopg.Connection[Any]:
        return _Impatient.connect(*arguments, **options)
