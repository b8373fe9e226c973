"""The database as the rest of break glass uses it, from an event loop.

A piece of work is a function of a transaction. It may be run more than once, and must do nothing but read and write through it.
Those that wait at the same time are committed together, each undone by itself where it fails: the disk is waited for once.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from aliquot.access.store.database import Database
from aliquot.access.store.head import Head
from aliquot.access.store.reading import Reading
from aliquot.access.store.transaction import Transaction
from aliquot.clock import Clock
from aliquot.sql.failures import Unreachable

T = TypeVar("T")

_MOST_AT_ONCE = 64
_MOST_READ_TOGETHER = 16
_READERS = 4
_ANSWER_WITHIN_S = 7.0
"""A database that has not answered by then is out of reach, to whoever asked. Whoever ends something waits less."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    work: Callable[[Any], Any]
    """Of a Transaction, or of a Reading."""
    future: "asyncio.Future[Any]"


@dataclass(frozen=True, slots=True)
class _Came:
    wanted: _Wanted
    value: Any
    error: BaseException | None = None


class Store:
    """`clock` None: the database's own, by which all servers agree. `threads` False: work is done where it is asked for, which is what
    virtual time needs. The database is prepared."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock | None = None,
        salt: Callable[[int], bytes] = secrets.token_bytes,
        threads: bool = True,
    ) -> None:
        self._database = database
        self._clock = clock
        self._salt = salt
        self._waiting: deque[_Wanted] = deque()
        self._is_writing = False
        self._writer: Executor | None = ThreadPoolExecutor(1, "access writer") if threads else None
        self._to_read: deque[_Wanted] = deque()
        self._reading = 0
        self._readers: Executor | None = ThreadPoolExecutor(_READERS, "access reader") if threads else None

    def close(self) -> None:
        for one in (self._writer, self._readers):
            if one is not None:
                one.shutdown()
        self._database.close()

    async def read(self, work: Callable[[Reading], T]) -> T:
        """Raises Unreachable, and what `work` raises."""
        if self._readers is None:
            return self._read(work)
        loop = asyncio.get_running_loop()
        wanted = _Wanted(work, loop.create_future())
        self._to_read.append(wanted)
        if self._reading < _READERS:
            self._reading += 1
            self._read_on(loop)
        value: T = await _answer(wanted)
        return value

    async def read_long(self, work: Callable[[Reading], T]) -> T:
        """What takes so long that nobody else is to wait for it. Raises as `read` does."""
        if self._readers is None:
            return self._read(work)
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Committed when it returns. Raises Unreachable, and what `work` raises: then nothing of it is written.

        Whoever is cancelled meanwhile does not know whether it was."""
        loop = asyncio.get_running_loop()
        wanted = _Wanted(work, loop.create_future())
        self._waiting.append(wanted)
        if self._writer is None:
            self._tell(self._write())
        elif not self._is_writing:
            self._is_writing = True
            self._go_on(loop)
        value: T = await _answer(wanted)
        return value

    def _read(self, work: Callable[[Reading], T]) -> T:
        with self._database.reading() as connection:
            return work(Reading(connection, Head.read(connection, self._now_s(connection))))

    def _read_on(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._readers is not None
        done = loop.run_in_executor(self._readers, self._read_together)
        done.add_done_callback(lambda future: self._have_read(loop, future))

    def _have_read(self, loop: asyncio.AbstractEventLoop, done: "asyncio.Future[list[_Came]]") -> None:
        self._tell(done.result())
        if self._to_read:
            self._read_on(loop)
        else:
            self._reading -= 1

    def _read_together(self) -> list[_Came]:
        """Those that wait at the same time see the same moment."""
        batch = _taken(self._to_read, _MOST_READ_TOGETHER)
        came: list[_Came] = []
        while len(came) < len(batch):
            if (one := batch[len(came)]).future.cancelled():
                # Each try may take long, and nobody waits for it any more.
                came.append(_Came(one, None))
                continue
            try:
                with self._database.reading() as connection:
                    head = Head.read(connection, self._now_s(connection))
                    while len(came) < len(batch):
                        came.append(self._read_one(connection, head, batch[len(came)]))
            except Exception as error:
                # What it leaves behind may be of no use to the next one.
                came.append(_Came(batch[len(came)], None, error))
        return came

    @staticmethod
    def _read_one(connection: Connection, head: Head, wanted: _Wanted) -> _Came:
        """Raises what the database does."""
        try:
            return _Came(wanted, wanted.work(Reading(connection, head)))
        except SQLAlchemyError:
            raise
        except Exception as error:
            return _Came(wanted, None, error)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._writer is not None
        done = loop.run_in_executor(self._writer, self._write)
        done.add_done_callback(lambda future: self._written(loop, future))

    def _written(self, loop: asyncio.AbstractEventLoop, done: "asyncio.Future[list[_Came]]") -> None:
        self._tell(done.result())
        if self._waiting:
            self._go_on(loop)
        else:
            self._is_writing = False

    @staticmethod
    def _tell(came: list[_Came]) -> None:
        for one in came:
            future = one.wanted.future
            if future.cancelled():
                continue
            if one.error is not None:
                future.set_exception(one.error)
            else:
                future.set_result(one.value)

    def _write(self) -> list[_Came]:
        batch = _taken(self._waiting, _MOST_AT_ONCE)
        try:
            with self._database.writing() as connection:
                head = Head.read(connection, self._now_s(connection))
                # It may have taken long to come this far: who was told that it is not done does not find it done.
                came = [
                    self._one(connection, head, wanted) for wanted in batch if not wanted.future.cancelled()
                ]
                head.write(connection)
        except Exception as error:
            return [_Came(wanted, None, error) for wanted in batch]
        return came

    def _now_s(self, connection: Connection) -> float:
        return self._database.now_s(connection) if self._clock is None else self._clock.now()

    def _one(self, connection: Connection, head: Head, wanted: _Wanted) -> _Came:
        before = head.mark()
        run = connection.exec_driver_sql
        run("SAVEPOINT one")
        try:
            value = wanted.work(Transaction(connection, head, self._salt))
        except Exception as error:
            if connection.invalidated:
                raise
            try:
                run("ROLLBACK TO SAVEPOINT one")
                run("RELEASE SAVEPOINT one")
            except SQLAlchemyError:
                # A full disk has SQLite take back all of the transaction: what it said first is why.
                raise error from None
            head.back_to(before)
            return _Came(wanted, None, self._database.explained(error))
        run("RELEASE SAVEPOINT one")
        return _Came(wanted, value)


async def _answer(wanted: _Wanted) -> Any:
    """Raises Unreachable, and what the work raises."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S) as patience:
            return await wanted.future
    except TimeoutError as error:
        if not patience.expired():
            raise
        raise Unreachable(f"no answer within {_ANSWER_WITHIN_S:g} s") from error


def _taken(waiting: deque[_Wanted], most: int) -> list[_Wanted]:
    """The first of those that wait. Several threads take: one may find that others were faster."""
    found: list[_Wanted] = []
    while len(found) < most:
        try:
            one = waiting.popleft()
        except IndexError:
            break
        if not one.future.cancelled():
            found.append(one)
    return found
