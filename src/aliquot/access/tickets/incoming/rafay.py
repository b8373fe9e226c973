"""Rafay's BreakGlassAccess (`system.k8smgmt.io/v3`), so that a flow of tickets that was written for it can go on.

It puts a user into groups for whole hours from a start time. Here each of these is an ask of its own, by what an installation says the
group and the user are. What has no counterpart is refused: nothing of it is guessed.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.terms import Ask
from aliquot.access.tickets.incoming.asking import Asked
from aliquot.access.tickets.incoming.settings import RafaySettings, UserType
from aliquot.clock import parse_rfc3339
from aliquot.document import Document, DocumentError, nearest
from aliquot.kube.quoted import quoted

_HOUR_S = 3600
_LATE_S = 300
"""A start that has passed by no more is now: between the ticket's approval and here lies a wire."""
_MOST_ASKS = 20


class _Expiry(Struct):
    name: str
    expiry: Annotated[int, Meta(ge=1, le=10_000)]


class _Group(Struct, rename="camel"):
    group_expiry: Annotated[list[_Expiry], Meta(min_length=1)]
    user_type: UserType
    start_time: str = ""


class _Spec(Struct):
    groups: Annotated[list[_Group], Meta(min_length=1)]


class _Metadata(Struct):
    name: str


class _Object(Struct):
    kind: Literal["BreakGlassAccess"]
    metadata: _Metadata
    spec: _Spec
    version: Literal["system.k8smgmt.io/v3"] = field(name="apiVersion")


def asks_of(
    manifest: dict[str, Any], settings: RafaySettings, *, ticket: str, justification: str, now_s: float
) -> tuple[Asked, ...] | Refused:
    """All of its groups, or none."""
    try:
        found = Document("BreakGlassAccess", manifest).into(_Object)
        asked = [
            _asked(found.metadata.name, group, one, settings, ticket, justification, now_s)
            for group in found.spec.groups
            for one in group.group_expiry
        ]
    except DocumentError as error:
        return Refused(f"BreakGlassAccess: {error.message}", Ground.INVALID)
    except ValueError as error:
        return Refused(f"BreakGlassAccess: {error}", Ground.INVALID)
    if len(asked) > _MOST_ASKS:
        return Refused(
            f"BreakGlassAccess: it has {len(asked)} groups: {_MOST_ASKS} are the most", Ground.INVALID
        )
    return tuple(asked)


def _asked(
    user: str,
    group: _Group,
    one: _Expiry,
    settings: RafaySettings,
    ticket: str,
    justification: str,
    now_s: float,
) -> Asked:
    """Raises ValueError."""
    known = settings.groups.get(one.name)
    if known is None:
        raise ValueError(
            f"nothing says what group {quoted(one.name)} is here{nearest(one.name, settings.groups)}: write it into tickets.rafay.groups"
        )
    ask = Ask(
        template=known.template,
        cluster=known.cluster,
        namespace=known.namespace,
        parameters=known.parameters,
        duration_s=one.expiry * _HOUR_S,
        start_s=_start_s(group.start_time, now_s),
        justification=justification,
        ticket=ticket,
    )
    return Asked(_person(user, group.user_type, settings), ask)


def _person(user: str, kind: UserType, settings: RafaySettings) -> Person:
    person = settings.people.get(kind, {}).get(user)
    if person is None:
        raise ValueError(
            f"nothing says who the {kind.value} user {quoted(user)} is: write it into tickets.rafay.people.{kind.value}"
        )
    return person


def _start_s(text: str, now_s: float) -> float | None:
    if not text:
        return None
    start_s = parse_rfc3339(text)
    if start_s > now_s:
        return start_s
    if now_s - start_s > _LATE_S:
        raise ValueError(f"startTime {quoted(text)} has passed: leave it out to begin at once")
    return None
