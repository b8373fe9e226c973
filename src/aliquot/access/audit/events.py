"""Kubernetes' audit events (audit.k8s.io/v1), as far as they are needed: of fields that are not known nothing is said, of what cannot be
read one line, and the rest is read.

What may be secret is left behind here, before anything is stored or sent on: bodies are never read, of a query nothing is kept but the
container's name (the command of an exec is in it), and of messages only that somebody could not impersonate. What is kept is of
bounded length, and has no characters that a terminal would obey.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec import Struct, field

from aliquot.access.cluster.naming import LABEL
from aliquot.clock import parse_rfc3339

MOST_EVENT_BYTES = 4 << 20
"""An object may have 1.5 MiB, and an event may hold it twice."""
MOST_EVENTS = 50_000
"""In one list."""
_LONGEST = 320
_MOST_GROUPS = 256
_MOST_ADDRESSES = 8
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_CONTAINER = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_IMPERSONATES = re.compile(
    r' cannot (impersonate(?:-on)?[a-z:-]{0,60}) (?:resource "([a-z/]{1,60})"|path ")', re.ASCII
)
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
GRANT = LABEL
"""In `user.extra`, of an identity that says itself which grant it is of."""
_DECISION = "authorization.k8s.io/decision"

STREAMED = frozenset({"exec", "attach", "portforward", "proxy", "log"})
"""Subresources whose answers go on for long; and so do watches."""


class Who(Struct, frozen=True):
    name: str = ""
    groups: tuple[str, ...] = ()
    credential: str = ""
    """`JTI=...`, `X509SHA256=...`; empty: none is told."""
    grant: str = ""
    """That it says itself it is of."""


class Target(Struct, frozen=True):
    group: str = ""
    resource: str = ""
    """With its subresource: `pods/exec`."""
    namespace: str = ""
    name: str = ""


class Event(Struct, frozen=True, kw_only=True):
    """One request, at one moment of it."""

    id: str
    """The same at all of its moments. Whoever calls may choose their request's auditID, so it is not that alone: else one who calls
    everything by one id would have done one thing."""
    verb: str
    user: Who
    acts_as: Who | None = None
    """Whom the user impersonates."""
    target: Target | None = None
    """None: it is about no resource."""
    path: str = ""
    """Of what is about no resource; without the query."""
    container: str = ""
    code: int = 0
    """0: not answered yet, or not told."""
    denied: str = ""
    """`rights` or `admission`; empty: it was not."""
    cannot_act: tuple[str, str] | None = None
    """The verb and the resource of what it would have needed to act as somebody else: (`impersonate`, `users`)."""
    addresses: tuple[str, ...] = ()
    agent: str = ""
    received_s: float
    """When the request came."""
    at_s: float


class Unread(Struct, frozen=True):
    """What could not be read."""

    place: str
    """`audit.log:17`, `item 3`."""
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


class _User(Struct, frozen=True, omit_defaults=True):
    username: str = ""
    groups: tuple[str, ...] | None = None
    extra: dict[str, tuple[str, ...] | None] | None = None


class _Reference(Struct, frozen=True, rename="camel", omit_defaults=True):
    resource: str = ""
    namespace: str = ""
    name: str = ""
    api_group: str = ""
    subresource: str = ""


class _Status(Struct, frozen=True, omit_defaults=True):
    code: int = 0
    message: str = ""


class _Event(Struct, frozen=True, rename="camel", omit_defaults=True):
    audit_id: str = field(name="auditID")
    stage: str
    verb: str
    user: _User
    request_uri: str = field(name="requestURI")
    request_received_timestamp: str
    stage_timestamp: str
    kind: str = "Event"
    api_version: str = "audit.k8s.io/v1"
    impersonated_user: _User | None = None
    source_ips: tuple[str, ...] | None = field(default=None, name="sourceIPs")
    user_agent: str = ""
    object_ref: _Reference | None = None
    response_status: _Status | None = None
    annotations: dict[str, str] | None = None


class _List(Struct, frozen=True):
    items: list[msgspec.Raw]
    kind: str = "EventList"


_event = msgspec.json.Decoder(_Event)
_list = msgspec.json.Decoder(_List)


def items_of(body: bytes) -> list[bytes]:
    """The events of what a webhook is sent. Raises ValueError: it is no EventList."""
    try:
        found = _list.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"it is no EventList: {error}") from None
    except RecursionError:
        raise ValueError("it is no EventList: it is nested too deep") from None
    if found.kind != "EventList":
        raise ValueError(f"it is a {plain(found.kind)}, not an EventList of audit.k8s.io/v1")
    if len(found.items) > MOST_EVENTS:
        raise ValueError(f"it has {len(found.items)} events, and {MOST_EVENTS} are read at once")
    return [bytes(raw) for raw in found.items]


def read_items(items: Iterable[bytes], *, first: int = 0) -> tuple[list[Event], list[Unread]]:
    """`first`: which one of the list the first of them is."""
    return _sorted((f"item {number}", raw) for number, raw in enumerate(items, first))


def read_lines(lines: Iterable[bytes], source: str, *, first: int = 1) -> tuple[list[Event], list[Unread]]:
    """What a log file has."""
    return _sorted((f"{source}:{number}", line) for number, line in enumerate(lines, first) if line.strip())


def _sorted(raw: Iterator[tuple[str, bytes]]) -> tuple[list[Event], list[Unread]]:
    events: list[Event] = []
    unread: list[Unread] = []
    for place, text in raw:
        try:
            if (event := read(text)) is not None:
                events.append(event)
        except ValueError as error:
            unread.append(Unread(place, str(error)))
    return events, unread


def read(text: bytes) -> Event | None:
    """None: it is about a moment at which nothing is known yet. Raises ValueError."""
    found = _decoded(text)
    return _event_of(_stripped(found)) if _counts(found) else None


def stripped(text: bytes) -> bytes | None:
    """The event again, with nothing in it but what `read` keeps; None: nothing. Raises ValueError."""
    found = _decoded(text)
    if not _counts(found):
        return None
    kept = _stripped(found)
    _event_of(kept)
    return msgspec.json.encode(kept)


def _decoded(text: bytes) -> _Event:
    if len(text) > MOST_EVENT_BYTES:
        raise ValueError(f"an event of more than {MOST_EVENT_BYTES} bytes, which are the most that are read")
    try:
        found = _event.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"no audit event: {error}") from None
    except RecursionError:
        raise ValueError("no audit event: it is nested too deep") from None
    if found.kind != "Event" or not found.api_version.startswith("audit.k8s.io/"):
        raise ValueError(f"a {plain(found.kind)} of {plain(found.api_version)}, no event of audit.k8s.io/v1")
    return found


def _counts(found: _Event) -> bool:
    """What goes on for long is known once it has begun; all else when it is over."""
    if found.stage in ("ResponseComplete", "Panic"):
        return True
    reference = found.object_ref
    long = found.verb == "watch" or (reference is not None and reference.subresource in STREAMED)
    return found.stage == "ResponseStarted" and long


# --- what is left behind ---


def _stripped(found: _Event) -> _Event:
    path, _, query = found.request_uri.partition("?")
    uri, reference = plain(unquote(path)).replace("?", ""), found.object_ref
    if reference is not None:
        container = _container(query)
        uri = f"?container={container}" if container else ""
        reference = _Reference(
            *(plain(part) for part in (reference.resource, reference.namespace, reference.name)),
            *(plain(part) for part in (reference.api_group, reference.subresource)),
        )
    status, notes = found.response_status, found.annotations or {}
    return _Event(
        audit_id=plain(found.audit_id),
        stage=found.stage,
        verb=plain(found.verb),
        user=_user(found.user),
        request_uri=uri,
        request_received_timestamp=plain(found.request_received_timestamp),
        stage_timestamp=plain(found.stage_timestamp),
        impersonated_user=_user(found.impersonated_user) if found.impersonated_user is not None else None,
        source_ips=tuple(plain(one) for one in (found.source_ips or ())[:_MOST_ADDRESSES]),
        user_agent=plain(found.user_agent),
        object_ref=reference,
        response_status=_status(status) if status is not None else None,
        annotations={_DECISION: plain(notes[_DECISION])} if _DECISION in notes else None,
    )


def _user(user: _User) -> _User:
    extra: dict[str, tuple[str, ...] | None] = {
        name: tuple(plain(value) for value in (values or ())[:1])
        for name, values in (user.extra or {}).items()
        if name in (CREDENTIAL_ID, GRANT)
    }
    groups = tuple(plain(one) for one in (user.groups or ())[:_MOST_GROUPS])
    return _User(plain(user.username), groups, extra)


def _container(query: str) -> str:
    """The one parameter that says what was reached and cannot hold much else: all others, known or not, are left behind."""
    for name, value in parse_qsl(query, encoding="utf-8", errors="replace"):
        if name == "container":
            return value if _CONTAINER.fullmatch(value) else ""
    return ""


def _status(status: _Status) -> _Status:
    cannot = _IMPERSONATES.search(status.message) if status.code == 403 else None
    return _Status(status.code, cannot[0] if cannot is not None else "")


def plain(text: str) -> str:
    """Without what nobody sees, and not too long."""
    if len(text) <= _LONGEST and text.isascii() and text.isprintable():
        return text
    seen = "".join(one for one in text[: 4 * _LONGEST] if unicodedata.category(one) not in _UNSEEN)
    return seen if len(seen) <= _LONGEST else f"{seen[:_LONGEST]}..."


# --- what is kept ---


def _event_of(kept: _Event) -> Event:
    """Raises ValueError."""
    try:
        received_s, at_s = (
            parse_rfc3339(one) for one in (kept.request_received_timestamp, kept.stage_timestamp)
        )
    except (ValueError, OverflowError):
        raise ValueError("no audit event: its timestamps are no times") from None
    reference, status = kept.object_ref, kept.response_status or _Status()
    path, _, query = kept.request_uri.partition("?")
    target = None
    if reference is not None:
        sub = f"/{reference.subresource}" if reference.subresource else ""
        target = Target(reference.api_group, reference.resource + sub, reference.namespace, reference.name)
    cannot = _IMPERSONATES.search(status.message)
    return Event(
        id=_identity(kept),
        verb=kept.verb,
        user=_who(kept.user),
        acts_as=_who(kept.impersonated_user) if kept.impersonated_user is not None else None,
        target=target,
        path=path,
        container=_container(query),
        # Whatever it panicked at may have been done before.
        code=status.code if kept.stage != "Panic" else 0,
        denied=_denied(status.code, kept.annotations or {}),
        cannot_act=(cannot[1], cannot[2] or "") if cannot is not None else None,
        addresses=kept.source_ips or (),
        agent=kept.user_agent,
        received_s=received_s,
        at_s=max(at_s, received_s),
    )


def _identity(kept: _Event) -> str:
    where = kept.object_ref or _Reference()
    parts = (
        *(kept.audit_id, kept.request_received_timestamp, kept.verb, kept.user.username, kept.request_uri),
        *(where.resource, where.namespace, where.name, where.api_group, where.subresource),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _denied(code: int, annotations: dict[str, str]) -> str:
    if annotations.get(_DECISION) == "forbid":
        return "rights"
    if code != 403:
        return ""
    return "admission" if annotations.get(_DECISION) == "allow" else "rights"


def _who(user: _User) -> Who:
    extra = {name: next(iter(values or ()), "") for name, values in (user.extra or {}).items()}
    return Who(user.username, user.groups or (), extra.get(CREDENTIAL_ID, ""), extra.get(GRANT, ""))
