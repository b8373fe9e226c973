"""ServiceNow by its Table API: a record by its number, its state, approval and planned time, and work notes back.

It leaves out what it does not understand of a query and answers with whatever is there, so an answer counts only if it is the one
record of the number that was asked for.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import aiohttp
from msgspec import Struct
from msgspec.structs import replace
from yarl import URL

from aliquot.access.core.requests import Request
from aliquot.access.core.terms import Standing, TicketFound
from aliquot.access.outside.calling import Unreached
from aliquot.access.tickets.judging import not_for
from aliquot.access.tickets.marking import mark
from aliquot.access.tickets.rest import Rest
from aliquot.access.tickets.settings import ServiceNowSettings, Table
from aliquot.kube.quoted import quoted

_DIGITS = re.compile(r"[0-9]{4,15}", re.ASCII)
_SYS_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_FIELDS = ("sys_id", "number", "state", "approval", "start_date", "end_date")


class _Records(Struct):
    result: list[dict[str, str]]


class _Notes(Struct):
    result: dict[str, str]


def escaped(value: str) -> str:
    """As a value in an encoded query. Raises ValueError for what could be more than a value."""
    if not value.isprintable() or value.lower().lstrip().startswith("javascript:"):
        raise ValueError(f"{quoted(value)} is no value of a query")
    return value.replace("^", "^^")


def table_of(settings: ServiceNowSettings, ticket: str) -> Table | None:
    for table in settings.tables:
        if ticket.startswith(table.prefix) and _DIGITS.fullmatch(ticket, len(table.prefix)):
            return table
    return None


def parameters(settings: ServiceNowSettings, ticket: str) -> dict[str, str]:
    wanted = [*_FIELDS]
    for part in (settings.requester, settings.cluster):
        wanted += part.fields if part is not None else []
    return {
        "sysparm_query": f"number={escaped(ticket)}",
        "sysparm_fields": ",".join(dict.fromkeys(wanted)),
        "sysparm_display_value": "false",
        "sysparm_exclude_reference_link": "true",
        "sysparm_limit": "2",
    }


def judged(
    record: Mapping[str, str], table: Table, settings: ServiceNowSettings, system: str, request: Request
) -> TicketFound:
    """Raises Unreached: it says what nobody understands."""
    ticket, state = record["number"], record.get("state", "")
    found = TicketFound(
        ticket=ticket, standing=Standing.OPEN, system=system, state=table.open.get(state, state)
    )
    if table.planned:
        found = replace(
            found, planned_from_s=_moment(record, "start_date"), planned_until_s=_moment(record, "end_date")
        )
    why = ""
    if state not in table.open:
        why = f"its state is {quoted(state)}, none of {_or(f'{one} ({name})' for one, name in table.open.items())}"
    elif table.approval and record.get("approval", "") not in table.approval:
        why = f"its approval is {quoted(record.get('approval', ''))}, not {_or(table.approval)}"
    else:
        why = not_for(
            request,
            lambda field: [record[field]] if record.get(field) else [],
            settings.requester,
            settings.cluster,
        )
    return replace(found, standing=Standing.CLOSED, why=why) if why else found


class ServiceNow:
    def __init__(self, name: str, settings: ServiceNowSettings, session: aiohttp.ClientSession) -> None:
        self.name = name
        self._settings = settings
        self._rest = Rest(name, settings, session)

    def has(self, ticket: str) -> bool:
        return table_of(self._settings, ticket) is not None

    async def find(self, ticket: str, request: Request) -> TicketFound:
        """Raises Unreached."""
        table = table_of(self._settings, ticket)
        record = await self._record(ticket, table) if table is not None else None
        if table is None or record is None:
            return TicketFound(ticket=ticket, standing=Standing.MISSING, system=self.name)
        return judged(record, table, self._settings, self.name, request)

    async def comment(self, ticket: str, text: str) -> None:
        """Once, however often it is told to. Raises Unreached."""
        table = table_of(self._settings, ticket)
        record = await self._record(ticket, table) if table is not None else None
        if table is None or record is None:
            raise Unreached(f"{self.name} has no ticket {ticket}")
        sys_id = record.get("sys_id", "")
        if _SYS_ID.fullmatch(sys_id) is None:
            raise Unreached(f"{self.name}: {ticket} has no sys_id")
        marked = mark(self._rest.secret(), ticket, text)
        url = self._url(table, sys_id)
        # Only as display values are the entries of a journal shown.
        shown = {"sysparm_fields": "work_notes", "sysparm_display_value": "true"}
        notes = await self._rest.read(url.with_query(shown), _Notes)
        if notes is None or marked in notes.result.get("work_notes", ""):
            return
        body = {"work_notes": f"{text}\n{marked}"}
        await self._rest.write("PATCH", url.with_query({"sysparm_fields": "sys_id"}), body)

    async def _record(self, ticket: str, table: Table) -> dict[str, str] | None:
        url = self._url(table).with_query(parameters(self._settings, ticket))
        found = await self._rest.read(url, _Records)
        if found is None or not found.result:
            return None
        if len(found.result) > 1 or found.result[0].get("number") != ticket:
            raise Unreached(f"{self.name}: asked for {ticket}, it answers with something else")
        return found.result[0]

    def _url(self, table: Table, *more: str) -> URL:
        return self._rest.base.joinpath("api", "now", "table", table.table, *more)


def _moment(record: Mapping[str, str], field: str) -> float | None:
    """It stores times in UTC, and does not say so."""
    text = record.get(field, "")
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Unreached(f"{field} of {record['number']} is {quoted(text)}, which is no time") from None


def _or(words: Iterable[str]) -> str:
    return " or ".join(words)
