"""Which system a ticket is of, by its name. Names that fit none are of no ticket: nobody is asked.

Of each system so many things are asked at once, and no more; one that wants to be left alone is, for as long as it says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import aiohttp
import structlog

from aliquot.access.core.life.effects import CommentTicket, Undelivered
from aliquot.access.core.requests import Request
from aliquot.access.core.terms import Standing, TicketFound
from aliquot.access.outside.calling import Unreached
from aliquot.access.tickets.jira import Jira
from aliquot.access.tickets.servicenow import ServiceNow
from aliquot.access.tickets.settings import JiraSettings, TicketSettings

_log = structlog.get_logger(__name__)

_AT_ONCE = 4
_WAIT_AT_MOST_S = 10.0
"""For others to have been answered. Somebody waits for it."""
_ALONE_AT_MOST_S = 900.0
_T = TypeVar("_T")


class System(Protocol):
    @property
    def name(self) -> str: ...

    def has(self, ticket: str) -> bool:
        """Whether it may: its names look like that."""
        ...

    async def find(self, ticket: str, request: Request) -> TicketFound:
        """Raises Unreached."""
        ...

    async def comment(self, ticket: str, text: str) -> None:
        """Raises Unreached."""
        ...


class TicketSystems:
    """The `Tickets` of a broker."""

    def __init__(self, systems: Sequence[System]) -> None:
        self._systems = [_Gate(one) for one in systems]

    async def find(self, ticket: str, request: Request) -> TicketFound:
        system = self._of(ticket)
        if system is None:
            return TicketFound(
                ticket=ticket, standing=Standing.MISSING, why="no ticket system has such names"
            )
        try:
            return await system.through(lambda one: one.find(ticket, request))
        except Unreached as error:
            _log.warning("nobody could be asked about a ticket", ticket=ticket, error=str(error))
            return TicketFound(
                ticket=ticket, standing=Standing.UNREACHABLE, system=system.name, why=str(error)
            )

    async def comment(self, comment: CommentTicket) -> None:
        """Raises Undelivered."""
        system = self._of(comment.ticket)
        if system is None:
            _log.info("a ticket of no system gets no comment", ticket=comment.ticket)
            return
        try:
            await system.through(lambda one: one.comment(comment.ticket, comment.text))
        except Unreached as error:
            raise Undelivered(str(error)) from None

    def _of(self, ticket: str) -> "_Gate | None":
        return next((one for one in self._systems if one.system.has(ticket)), None)


class _Gate:
    """Before one system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.name = system.name
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._alone_until_s = 0.0
        """By the loop's time."""

    async def through(self, call: Callable[[System], Awaitable[_T]]) -> _T:
        """Raises Unreached."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_WAIT_AT_MOST_S):
                await self._room.acquire()
        except TimeoutError:
            raise Unreached(f"{self.name}: it is busy with others' questions") from None
        try:
            if (left_s := self._alone_until_s - loop.time()) > 0:
                raise Unreached(f"{self.name}: it wants to be left alone for {left_s:.0f} s")
            return await call(self.system)
        except Unreached as error:
            if error.again_s is not None:
                self._alone_until_s = loop.time() + min(error.again_s, _ALONE_AT_MOST_S)
            raise
        finally:
            self._room.release()


def ticket_systems(settings: TicketSettings, session: aiohttp.ClientSession) -> TicketSystems:
    """`session`: `outside.calling.new_session`, which the caller closes."""
    return TicketSystems(
        [
            Jira(name, one, session) if isinstance(one, JiraSettings) else ServiceNow(name, one, session)
            for name, one in settings.systems.items()
        ]
    )
