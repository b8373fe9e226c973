"""What a delivery says: that a ticket changed, or that somebody is to be given access.

{"type": "ticket.changed", "ticket": "CHG0031234"}
{"type": "access.asked", "person": {"issuer": "https://login.example.com", "subject": "00u1a2b3"},
 "ask": {"template": "pod-exec", "cluster": "prod-one", "namespace": "shop", "justification": "...", "ticket": "CHG0031234"}}
{"type": "rafay.breakglassaccess", "ticket": "CHG0031234", "justification": "...", "object": {"kind": "BreakGlassAccess", ...}}

or what Jira sends of an issue.
"""

from typing import Any, TypeAlias

from msgspec import Struct

from aliquot.access.core.asked import AskBody
from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.terms import is_person, is_ticket
from aliquot.access.tickets.incoming.asking import Asked
from aliquot.access.tickets.incoming.deliveries import Delivery
from aliquot.access.tickets.incoming.rafay import asks_of
from aliquot.access.tickets.incoming.settings import RafaySettings
from aliquot.document import Document, DocumentError
from aliquot.kube.quoted import quoted


class TicketChanged(Struct, frozen=True):
    """What hangs on it is to be looked at again."""

    ticket: str


Content: TypeAlias = TicketChanged | Asked


class TicketChangedBody(Struct, tag_field="type", tag="ticket.changed"):
    ticket: str
    timestamp: int | str = 0
    """Of a body that is signed alone; it has been looked at already."""


class AccessAskedBody(Struct, tag_field="type", tag="access.asked"):
    person: Person
    ask: AskBody
    timestamp: int | str = 0


class RafayBody(Struct, tag_field="type", tag="rafay.breakglassaccess"):
    ticket: str
    justification: str
    object: dict[str, Any]
    timestamp: int | str = 0


Body: TypeAlias = TicketChangedBody | AccessAskedBody | RafayBody


def contents(delivery: Delivery, rafay: RafaySettings | None, now_s: float) -> tuple[Content, ...] | Refused:
    """Nothing: it is of no concern here. All that it asks for, or none of it."""
    body = delivery.body
    if "webhookEvent" in body:
        return _of_jira(body)
    found = Document(f"hook {delivery.hook}", body)
    try:
        read: Body = found.into(Body)  # type: ignore[arg-type]
    except DocumentError as error:
        return Refused(error.message, Ground.INVALID)
    if isinstance(read, TicketChangedBody):
        return _changed(read.ticket)
    if not delivery.may_ask:
        return Refused(
            f"hook {delivery.hook} may not ask for access: its setting mayAsk lets it", Ground.FORBIDDEN
        )
    if isinstance(read, RafayBody):
        if rafay is None:
            return Refused("nothing says what Rafay's groups are here: write tickets.rafay", Ground.INVALID)
        asked = asks_of(read.object, rafay, ticket=read.ticket, justification=read.justification, now_s=now_s)
    else:
        try:
            asked = (Asked(read.person, read.ask.ask()),)
        except ValueError as error:
            return Refused(str(error), Ground.INVALID)
    if isinstance(asked, Refused):
        return asked
    return next((no for one in asked if (no := _untaken(one)) is not None), asked)


def _of_jira(body: dict[str, Any]) -> tuple[Content, ...] | Refused:
    issue = body.get("issue")
    if issue is None:
        return ()
    key = issue.get("key") if isinstance(issue, dict) else None
    return _changed(key) if isinstance(key, str) else Refused("its issue has no key", Ground.INVALID)


def _changed(ticket: str) -> tuple[Content, ...] | Refused:
    if not is_ticket(ticket):
        return Refused(f"{quoted(ticket)} is not a ticket's name", Ground.INVALID)
    return (TicketChanged(ticket),)


def _untaken(asked: Asked) -> Refused | None:
    if not (is_person(asked.person) and str(asked.person).isprintable()):
        return Refused("it names nobody: issuer and subject say for whom it asks", Ground.INVALID)
    if asked.ask.emergency:
        return Refused("an emergency is declared by whoever is in it, not by a webhook", Ground.FORBIDDEN)
    if not asked.ask.ticket:
        return Refused("a webhook asks with a ticket, or not at all: name it", Ground.INVALID)
    return None
