"""Which system a ticket is of, by its name. Names that fit none are of no ticket: nobody is asked."""

from collections.abc import Sequence
from typing import Protocol

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
        self._systems = systems

    async def find(self, ticket: str, request: Request) -> TicketFound:
        system = self._of(ticket)
        if system is None:
            return TicketFound(
                ticket=ticket, standing=Standing.MISSING, why="no ticket system has such names"
            )
        try:
            return await system.find(ticket, request)
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
            await system.comment(comment.ticket, comment.text)
        except Unreached as error:
            raise Undelivered(str(error)) from None

    def _of(self, ticket: str) -> System | None:
        return next((one for one in self._systems if one.has(ticket)), None)


def ticket_systems(settings: TicketSettings, session: aiohttp.ClientSession) -> TicketSystems:
    """`session`: `outside.calling.new_session`, which the caller closes."""
    return TicketSystems(
        [
            Jira(name, one, session) if isinstance(one, JiraSettings) else ServiceNow(name, one, session)
            for name, one in settings.systems.items()
        ]
    )
