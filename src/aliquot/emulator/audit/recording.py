"""One request, followed from its arrival to the last byte of its answer."""

import ipaddress
from collections.abc import Mapping, MutableMapping, Sequence
from random import Random
from typing import Any, Protocol

import msgspec

from aliquot.clock import Clock, rfc3339_micro
from aliquot.emulator.admission.webhooks.mutating import PATCHES
from aliquot.emulator.audit import events
from aliquot.emulator.audit.events import Event, UserInfo
from aliquot.emulator.audit.policy import Extent, Level, Policy, Stage, is_long_running
from aliquot.emulator.http.request import Request
from aliquot.emulator.objects import new_uid
from aliquot.emulator.rbac import Decision, User
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.verbs.bodies import read_body, read_yaml
from aliquot.emulator.verbs.call import JSON, Call

_LONGEST_AUDIT_ID = 64
_DECISION = "authorization.k8s.io/decision"
_REASON = "authorization.k8s.io/reason"
_CLOSED_EARLY = {"status": "Success", "message": "Connection closed early"}
_STATUS = b'{"kind":"Status","apiVersion":"v1",'
_NOTHING = Extent(Level.NONE)

Headers = Mapping[bytes, bytes]


class Backend(Protocol):
    """Keeps events. Never fails and never waits: what it cannot keep it counts."""

    def take(self, event: bytes) -> None: ...

    async def close(self) -> None:
        """Keeps what there is."""
        ...


class Auditor:
    def __init__(self, policy: Policy, backends: Sequence[Backend], *, clock: Clock, rng: Random) -> None:
        self._policy = policy
        self._backends = tuple(backends)
        self._clock = clock
        self._rng = rng

    def record(self, scope: MutableMapping[str, Any]) -> "Record":
        """Of a request that has just come in."""
        return Record(self, scope, self._clock.now(), new_uid(self._rng))

    def extent(self, user: User | None, request: Request) -> Extent:
        return self._policy.extent(user, request)

    def now(self) -> float:
        return self._clock.now()

    def take(self, event: Event) -> None:
        encoded = events.encode(event)
        for backend in self._backends:
            backend.take(encoded)

    async def close(self) -> None:
        """After the last request."""
        for backend in self._backends:
            await backend.close()


class Record:
    """What happens to the request is told to it in order: `received` or `not_authenticated`, then what is learned,
    `started` where the answer is a stream, and at last `completed` or `panicked`."""

    def __init__(
        self, auditor: Auditor, scope: MutableMapping[str, Any], received: float, audit_id: str
    ) -> None:
        self._auditor = auditor
        self._headers: Headers = dict(scope["headers"])
        asked_id = self._headers.get(b"audit-id", b"").decode("latin-1")
        self.audit_id = asked_id[:_LONGEST_AUDIT_ID] or audit_id
        self._uri = _uri(scope)
        self._source_ips = _source_ips(scope, self._headers)
        self._received = received
        self._extent = _NOTHING
        self._request: Request | None = None
        self._user: User | None = None
        self._acting: User | None = None
        self._annotations: dict[str, str] = {}
        self.call: Call | None = None
        """Once it is known what is asked of which resource."""

    @property
    def header(self) -> tuple[bytes, bytes]:
        """Of the answer: by it the client finds the request in the log."""
        return b"audit-id", self.audit_id.encode("latin-1", "replace")

    # ---- what happens ----------------------------------------------------------------------------------------

    def received(self, request: Request, user: User) -> None:
        self._request, self._user = request, user
        self._extent = self._auditor.extent(user, request)
        self._tell(Stage.REQUEST_RECEIVED, at=self._received)

    def not_authenticated(self, request: Request, refusal: StatusError) -> None:
        self._request = request
        self._extent = self._auditor.extent(None, request)
        how = self._headers.get(b"authorization", b"").decode("latin-1").split(" ")[0].lower()
        why = f"attempted: {how}" if how else "no credentials provided"
        status = {"message": f"Authentication failed, {why}"}
        self._tell(Stage.RESPONSE_STARTED, status=events.response_status(refusal.code, status))
        self._extent = _NOTHING

    def acts_as(self, user: User) -> None:
        self._acting = user

    def decided(self, decision: Decision) -> None:
        self._annotations[_DECISION] = "allow" if decision.allowed else "forbid"
        self._annotations[_REASON] = decision.reason

    def started(self, code: int) -> None:
        """The head of an answer that goes on for long has been sent."""
        if self._request is not None and is_long_running(self._request):
            self._tell(Stage.RESPONSE_STARTED, status=events.response_status(code, None))

    def completed(self, code: int, body: bytes = b"", content_type: str = "") -> None:
        """`body` is the whole answer, where it is one that can be kept."""
        status = msgspec.json.decode(body) if body.startswith(_STATUS) else None
        if status is not None and self._request is not None and is_long_running(self._request):
            # It was refused before it went on for long.
            self._tell(Stage.RESPONSE_STARTED, status=events.response_status(code, status))
        self._tell(
            Stage.RESPONSE_COMPLETE,
            status=events.response_status(code, status),
            answer=body if content_type.startswith(JSON) else b"",
        )

    def gone(self) -> None:
        """The client went before it was answered."""
        self._tell(Stage.RESPONSE_COMPLETE, status=events.response_status(200, _CLOSED_EARLY))
        self._extent = _NOTHING

    def panicked(self, error: Exception) -> None:
        status = {
            "status": "Failure",
            "reason": "InternalError",
            "message": f"APIServer panic'd: {error!r}",
        }
        self._tell(Stage.PANIC, status=events.response_status(500, status))
        self._extent = _NOTHING

    # ---- events ----------------------------------------------------------------------------------------------

    def _tell(
        self,
        stage: Stage,
        *,
        at: float | None = None,
        status: Mapping[str, Any] | None = None,
        answer: bytes = b"",
    ) -> None:
        extent, request = self._extent, self._request
        if extent.level is Level.NONE or stage in extent.omitted or request is None:
            return
        sent = self._sent(request)
        metadata = sent.get("metadata") if isinstance(sent, dict) and request.verb != "patch" else None
        self._auditor.take(
            Event(
                level=extent.level.value,
                audit_id=self.audit_id,
                stage=stage.value,
                request_uri=self._uri,
                verb=request.verb,
                user=UserInfo.of(self._user),
                impersonated_user=UserInfo.of(self._acting) if self._acting is not None else None,
                source_ips=self._source_ips,
                user_agent=events.user_agent(self._headers.get(b"user-agent", b"").decode("latin-1")),
                object_ref=events.object_reference(request, metadata if isinstance(metadata, dict) else {}),
                response_status=status,
                request_object=self._kept(sent) if extent.level.covers(Level.REQUEST) else None,
                response_object=self._answered(answer),
                request_received_timestamp=rfc3339_micro(self._received),
                stage_timestamp=rfc3339_micro(self._auditor.now() if at is None else at),
                annotations=self._noted(),
            )
        )

    def _sent(self, request: Request) -> Any:
        """What the body of the request says; None where there is none that can be read."""
        call = self.call
        if call is None or not call.body:
            return None
        try:
            if request.verb == "patch":
                return read_yaml(call.body).value
            return read_body(call.content_type or JSON, call.body).value
        except StatusError:
            return None

    def _answered(self, answer: bytes) -> Any:
        """Of requests for resources alone."""
        if not answer or self.call is None or not self._extent.level.covers(Level.REQUEST_RESPONSE):
            return None
        return (
            self._kept(msgspec.json.decode(answer))
            if self._extent.omits_managed_fields
            else msgspec.Raw(answer)
        )

    def _kept(self, value: Any) -> Any:
        return events.without_managed_fields(value) if self._extent.omits_managed_fields else value

    def _noted(self) -> dict[str, str]:
        noted = {**self._annotations, **(self.call.annotations if self.call is not None else {})}
        if self._extent.level.covers(Level.REQUEST):
            return noted
        # What a webhook changed is as secret as the body.
        return {key: value for key, value in noted.items() if not key.startswith(PATCHES)}


def _uri(scope: MutableMapping[str, Any]) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    # Some servers give the query with it, some do not.
    path = raw.partition(b"?")[0].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _source_ips(scope: MutableMapping[str, Any], headers: Headers) -> tuple[str, ...]:
    """All but the last are what the client says."""
    named = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
    found = [one.strip() for one in named if _is_address(one.strip())]
    real = headers.get(b"x-real-ip", b"").decode("latin-1").strip()
    if _is_address(real) and real not in found:
        found.append(real)
    client = scope.get("client")
    if client and _is_address(client[0]) and (not found or found[-1] != client[0]):
        found.append(client[0])
    return tuple(found)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
