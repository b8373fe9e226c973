"""Jira Cloud by REST API 3: an issue by its key, the category of its status, approvals of Jira Service Management, comments back."""

import re
from typing import Any

import aiohttp
from msgspec import Struct, ValidationError, convert, field
from msgspec.structs import replace
from yarl import URL

from aliquot.access.core.requests import Request
from aliquot.access.core.terms import Standing, TicketFound
from aliquot.access.outside.calling import Unreached
from aliquot.access.tickets.judging import not_for, values_at
from aliquot.access.tickets.marking import mark
from aliquot.access.tickets.rest import Rest
from aliquot.access.tickets.settings import JiraSettings
from aliquot.clock import parse_rfc3339
from aliquot.kube.quoted import quoted

_NUMBER = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_FIELDS = ("status", "resolution")
_PAGE = 50
_MOST_PAGES = 20
"""Of comments, the newest first; of approvals."""


class _Category(Struct):
    key: str


class _Status(Struct):
    id: str
    category: _Category = field(name="statusCategory")


class _Certain(Struct):
    status: _Status
    resolution: dict[str, Any] | None = None


class _Issue(Struct):
    key: str
    fields: dict[str, Any]


class _Comment(Struct):
    body: Any = None


class _Comments(Struct):
    comments: list[_Comment]
    total: int


class Approval(Struct, frozen=True):
    decision: str = field(name="finalDecision")


class _Approvals(Struct):
    values: list[Approval]
    is_last: bool = field(name="isLastPage")


def is_key(settings: JiraSettings, ticket: str) -> bool:
    project, _, number = ticket.partition("-")
    return project in settings.projects and _NUMBER.fullmatch(number) is not None


def fields_wanted(settings: JiraSettings) -> str:
    wanted = [*_FIELDS, settings.planned_start, settings.planned_end]
    for part in (settings.requester, settings.cluster):
        wanted += part.fields if part is not None else []
    return ",".join(dict.fromkeys(one.partition(".")[0] for one in wanted if one))


def judged(
    ticket: str,
    issue: _Issue,
    certain: _Certain,
    approvals: list[Approval],
    settings: JiraSettings,
    system: str,
    request: Request,
) -> TicketFound:
    """Raises Unreached: it says what nobody understands."""
    status, category = certain.status.id, certain.status.category.key
    found = TicketFound(
        ticket=ticket,
        standing=Standing.OPEN,
        system=system,
        state=settings.states.get(status, status) if settings.states else category,
        planned_from_s=_moment(issue, settings.planned_start),
        planned_until_s=_moment(issue, settings.planned_end),
    )
    if issue.key != ticket:
        why = f"it was moved, and is {quoted(issue.key)} now"
    elif certain.resolution is not None:
        why = "it is resolved"
    elif category not in settings.open:
        why = f"the category of its status is {quoted(category)}, not {' or '.join(settings.open)}"
    elif settings.states and status not in settings.states:
        why = f"its status is {quoted(status)}, none of {_named(settings.states)}"
    elif settings.approvals and not approvals:
        why = "nobody was asked to approve it"
    elif settings.approvals and any(one.decision != "approved" for one in approvals):
        why = "not all of its approvals are given"
    else:
        why = not_for(
            request, lambda path: values_at(issue.fields, path), settings.requester, settings.cluster
        )
    return replace(found, standing=Standing.CLOSED, why=why) if why else found


def document(text: str) -> dict[str, Any]:
    """In Atlassian's document format: plain text, whatever it holds."""
    paragraphs = [
        {"type": "paragraph", "content": [{"type": "text", "text": line}]}
        for line in text.split("\n")
        if line
    ]
    return {"type": "doc", "version": 1, "content": paragraphs}


class Jira:
    def __init__(self, name: str, settings: JiraSettings, session: aiohttp.ClientSession) -> None:
        self.name = name
        self._settings = settings
        self._rest = Rest(name, settings, session)

    def has(self, ticket: str) -> bool:
        return is_key(self._settings, ticket)

    async def find(self, ticket: str, request: Request) -> TicketFound:
        """Raises Unreached."""
        missing = TicketFound(ticket=ticket, standing=Standing.MISSING, system=self.name)
        if not self.has(ticket):
            return missing
        url = self._issue(ticket).with_query({"fields": fields_wanted(self._settings)})
        issue = await self._rest.read(url, _Issue)
        if issue is None:
            return missing
        approvals = await self._approvals(ticket) if self._settings.approvals else []
        return judged(ticket, issue, self._certain(issue), approvals, self._settings, self.name, request)

    async def comment(self, ticket: str, text: str) -> None:
        """Once, however often it is told to. Raises Unreached."""
        if not self.has(ticket):
            raise Unreached(f"{self.name} has no ticket {ticket}")
        marked = mark(self._rest.secret(), ticket, text)
        url = self._issue(ticket, "comment")
        if not await self._has_comment(ticket, url, marked):
            await self._rest.write("POST", url, {"body": document(f"{text}\n{marked}")})

    async def _has_comment(self, ticket: str, url: URL, marked: str) -> bool:
        for page in range(_MOST_PAGES):
            query = {
                "startAt": str(page * _PAGE),
                "maxResults": str(_PAGE),
                "orderBy": "-created",
            }
            found = await self._rest.read(url.with_query(query), _Comments)
            if found is None:
                raise Unreached(f"{self.name} has no ticket {ticket}")
            if any(marked in text for one in found.comments for text in _texts(one.body)):
                return True
            if not found.comments or (page + 1) * _PAGE >= found.total:
                return False
        return False

    async def _approvals(self, ticket: str) -> list[Approval]:
        """All of them: one that is missed may be the one that is not given."""
        url = self._rest.base.joinpath("rest", "servicedeskapi", "request", ticket, "approval")
        approvals: list[Approval] = []
        for _ in range(_MOST_PAGES):
            query = {"start": str(len(approvals)), "limit": str(_PAGE)}
            page = await self._rest.read(url.with_query(query), _Approvals)
            if page is None:
                return []
            approvals += page.values
            if page.is_last:
                return approvals
            if not page.values:
                break
        raise Unreached(f"{self.name}: its list of approvals of {ticket} does not end")

    def _certain(self, issue: _Issue) -> _Certain:
        try:
            return convert(issue.fields, _Certain)
        except ValidationError:
            raise Unreached(f"{self.name}: its answer is not understood") from None

    def _issue(self, ticket: str, *more: str) -> URL:
        return self._rest.base.joinpath("rest", "api", "3", "issue", ticket, *more)


def _texts(node: Any) -> list[str]:
    """Of a document, however deep."""
    texts, stack = [], [node]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            texts.append(one)
        elif isinstance(one, list):
            stack += one
        elif isinstance(one, dict):
            stack += one.values()
    return texts


def _moment(issue: _Issue, name: str) -> float | None:
    text = issue.fields.get(name) if name else None
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except (TypeError, ValueError):
        raise Unreached(f"{name} of {issue.key} is no time") from None


def _named(states: dict[str, str]) -> str:
    return " or ".join(f"{one} ({name})" for one, name in states.items())
