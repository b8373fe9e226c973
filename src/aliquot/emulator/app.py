"""The API server as an ASGI application: from a request's bytes to an answer's.

Who asks (authentication, impersonation), what for (request), may they (RBAC), and then the handler of the verb.
Refusals are answered as a Status. What nobody foresaw is logged with its traceback and answered as an InternalError
that says no more than its kind.

`ApiServer` composes the rooms beside it and owns none of their decisions. It runs on any event loop, virtual time
included: it opens no sockets of its own, starts no threads, and every task that it starts ends with the request.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import structlog
from cryptography import x509

from aliquot.clock import Clock
from aliquot.emulator import discovery, first_objects, rbac, statuses
from aliquot.emulator.admission import Chain, built_in
from aliquot.emulator.admission.standard import standard
from aliquot.emulator.asked import understood
from aliquot.emulator.audit.recording import Auditor, Record
from aliquot.emulator.authentication import (
    Accepted,
    Authenticator,
    ClientCertificates,
    OidcTokens,
    StaticTokens,
    TokenSource,
    impersonated,
)
from aliquot.emulator.authentication.tokens import STORED_AS, ServiceAccountTokens, SigningKey, TokenSigner
from aliquot.emulator.deprecated_requests import DeprecatedRequests
from aliquot.emulator.http import accept as accept_header
from aliquot.emulator.http import answers, health
from aliquot.emulator.http.answers import Answer, json_answer, status_answer, text_answer
from aliquot.emulator.http.dates import dating
from aliquot.emulator.http.exchange import (
    ClientGone,
    Receive,
    Scope,
    Send,
    Stream,
    receive_body,
    send_answer,
    send_stream,
)
from aliquot.emulator.http.request import Request
from aliquot.emulator.network import HttpsNetwork, Network
from aliquot.emulator.node_access import NodeAuthorizer, NodeGraph
from aliquot.emulator.rbac import Attributes, Authorizer, Earlier, User
from aliquot.emulator.rbac.stored_policy import StoredPolicy
from aliquot.emulator.registry import BINDINGS, Registry, Served
from aliquot.emulator.schema import openapi_protobuf
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.storage.storage import Storage, Stored
from aliquot.emulator.storage.store import Store
from aliquot.emulator.storage.taking_over import take_over
from aliquot.emulator.streaming import joining
from aliquot.emulator.streaming.joining import WEBSOCKET, Joined, method, offer, refusing, send_session
from aliquot.emulator.streaming.session import Kubelets
from aliquot.emulator.tables import Form, Rendering
from aliquot.emulator.verbs import deletion, reading, reviewing, subresources, watching
from aliquot.emulator.verbs import scale as scales
from aliquot.emulator.verbs.call import JSON, Call
from aliquot.emulator.verbs.deletion import DeleteOptions, Deleter
from aliquot.emulator.verbs.rendering import list_answer, object_answer, rendering, scale_answer
from aliquot.emulator.verbs.subresources import LogOptions, Logs, LogsUnavailable
from aliquot.emulator.verbs.token_requests import request_token
from aliquot.emulator.verbs.writing import Writer
from aliquot.emulator.versions import STANDARD, Surface

_log = structlog.get_logger(__name__)

SYSTEM = User("system:apiserver", ("system:masters", "system:authenticated"))

_OPENAPI_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_OF_THE_OBJECT = ("", "status", "finalize", "approval", "ephemeralcontainers")
"""Endpoints whose body is the object itself."""
_WEBSOCKETS_CREATE_SINCE = 35
_WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")


class ApiServer:
    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        rng: Random,
        surface: Surface = STANDARD,
        token_key: SigningKey | None = None,
        client_authority: x509.Certificate | None = None,
        accepted: Accepted = Accepted(),  # noqa: B008 - frozen
        logs: Logs | None = None,
        kubelets: Kubelets | None = None,
        network: Network | None = None,
        chain: Chain | None = None,
        auditor: Auditor | None = None,
        git_version: str = "",
        token_sources: Sequence[TokenSource] = (),
        authorizers: Sequence[Earlier] = (),
    ) -> None:
        """`logs` and `kubelets` ask kubelets; without them no log can be read and no command run. `network` is how
        webhooks and issuers are called: over HTTPS, unless another is given; `chain` is the standard one of admission,
        unless another is. Without an `auditor` nothing is recorded. `git_version` is what /version says, where it is another build's;
        `token_sources` know tokens beside our own, and `authorizers` are asked before the roles. Call `start` before the
        first request.

        Raises discovery.UnknownApi for what cannot be turned on.
        """
        self.store = store
        self.surface = surface
        self.registry = Registry(surface)
        self.storage = Storage(store, self.registry, clock=clock)
        nodes = NodeAuthorizer(NodeGraph(store), rbac.bootstrap_rules("system:node"))
        self.authorizer = Authorizer(StoredPolicy(store), earlier=(nodes, *authorizers))
        self.deprecated = DeprecatedRequests()
        self.logs = logs
        self._git_version = git_version or f"v{surface.version}.0+aliquot"
        self._kubelets = kubelets
        self.clock = clock
        self._rng = rng
        self._tokens = (
            ServiceAccountTokens(TokenSigner(token_key), self._token_subject, clock=clock, rng=rng)
            if token_key is not None
            else None
        )
        self._auditor = auditor
        self._network = network or HttpsNetwork()
        self._authenticator = Authenticator(
            clock=clock,
            certificates=ClientCertificates(client_authority, clock=clock) if client_authority else None,
            tokens=(
                StaticTokens(accepted.tokens),
                *([self._tokens] if self._tokens is not None else []),
                *(OidcTokens(issuer, self._network, clock=clock) for issuer in accepted.issuers),
                *token_sources,
            ),
            anonymous=accepted.anonymous,
        )
        chain = chain or standard(self.registry, self.authorizer, self._network, minor=surface.minor)
        self._writer = Writer(self.storage, self.authorizer, chain, clock=clock, rng=rng)
        self._deleter = Deleter(self.storage, chain, clock=clock, rng=rng)
        self._stopping = asyncio.Event()

    async def start(self, made_anew: Collection[tuple[str, str]] = ()) -> None:
        """Takes over what is stored, makes what every cluster has and this one lacks, and finishes what a stop
        interrupted. `made_anew`: (storage, name) of what the caller makes at each start, and can do without.

        Raises StoreError for a state that another version wrote and this one cannot serve."""
        await take_over(self.store, self.registry, self.surface, made_anew)
        # Asks nobody else: a webhook that is away must not keep the server from starting.
        writer = Writer(self.storage, self.authorizer, built_in(), clock=self.clock, rng=self._rng)
        await first_objects.make(
            self.storage, writer, self.surface, SYSTEM, now=self.clock.now(), rng=self._rng
        )
        await self.storage.resume()

    def stop(self) -> None:
        """Watches and logs that are being read end now; nothing else is kept from ending."""
        self._stopping.set()
        self.store.end_watches()

    async def close(self) -> None:
        """After the last request: what was recorded is kept, and the connections to others are let go."""
        if self._auditor is not None:
            await self._auditor.close()
        await self._network.close()

    # ---- ASGI --------------------------------------------------------------------------------------------

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", WEBSOCKET):
            raise RuntimeError(f"HTTP alone is served, not {scope['type']}")
        send = dating(send, self.clock)
        record = self._auditor.record(scope) if self._auditor is not None else None
        warnings: list[str] = []
        try:
            answer = await self._answer(scope, receive, record, warnings)
        except ClientGone:
            if record is not None:
                record.gone()
            return
        except StatusError as error:
            answer = answers.refusal(error, warnings)
        except Exception as error:
            _log.exception("request failed", method=method(scope), path=scope["path"])
            answer = status_answer(statuses.internal("unexpected error; the server's log has it").status)
            if record is not None:
                record.panicked(error)
        if isinstance(answer, Joined):
            await send_session(answer, receive, send, record)
        elif isinstance(answer, Stream):
            await send_stream(answer, receive, send, stopping=self._stopping, record=record)
        else:
            in_yaml = accept_header.wants_yaml(scope["headers"])
            sender = refusing(send) if scope["type"] == WEBSOCKET else send
            await send_answer(answer, sender, record, in_yaml=in_yaml)

    async def user_of(self, scope: Scope) -> User | None:
        """Who sends a request, before any impersonation; None for credentials that are no good."""
        try:
            return await self._authenticator.authenticate(
                scope.get("extensions") or {}, dict(scope["headers"]), scope["path"]
            )
        except StatusError:
            return None

    async def is_administrator(self, scope: Scope) -> bool:
        user = await self.user_of(scope)
        return user is not None and "system:masters" in user.groups

    async def _answer(
        self, scope: Scope, receive: Receive, record: Record | None, warnings: list[str]
    ) -> Answer | Stream | Joined:
        """What the client is warned of goes into `warnings`: it is told with a refusal too."""
        pairs: Sequence[tuple[bytes, bytes]] = scope["headers"]
        headers = dict(pairs)
        path: str = scope["path"]
        request, asked = understood(method(scope), path, scope["query_string"].decode("latin-1"))
        try:
            user = await self._authenticator.authenticate(scope.get("extensions") or {}, headers, path)
        except StatusError as refusal:
            if record is not None:
                record.not_authenticated(request, refusal)
            raise
        if record is not None:
            record.received(request, user)
        acting = impersonated(user, pairs, asked, self.authorizer, constrained=self.surface.minor >= 36)
        if record is not None and acting is not user:
            record.acts_as(acting)
        user = acting
        self._authorize(user, asked, record)
        if scope["type"] == WEBSOCKET:
            self._authorize_websocket(user, asked)
        accept = headers.get(b"accept", b"").decode("latin-1")
        if not request.plural:
            return self._beside_resources(request, accept, headers.get(b"host", b"").decode("latin-1"))
        served = self._find(request)
        content_type = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        call = Call(
            request,
            served,
            user,
            content_type or JSON,
            headers.get(b"user-agent", b"").decode("latin-1"),
            await receive_body(headers, receive) if request.method in _WITH_BODY else b"",
            warnings,
        )
        if served.resource.warning:
            warnings.append(served.resource.warning)
            self.deprecated.note(served.resource, request.subresource, call.user_agent, self.clock.now())
        if record is not None:
            record.call = call
        if served.resource.group in reviewing.GROUPS:
            reviewed = await reviewing.review(
                call, self._writer, self.authorizer, self._authenticator, clock=self.clock
            )
            return json_answer(reviewed, 201, warnings=warnings)
        if request.subresource in joining.SUBRESOURCES:
            return await joining.answer(
                call, offer(scope, headers), self.storage, self._writer, self._kubelets
            )
        form = rendering(accept)
        if request.subresource not in _OF_THE_OBJECT or served.storage == BINDINGS:
            return await self._subresource(call, form)
        return await self._verb(call, form)

    # ---- what is asked ---------------------------------------------------------------------------------------

    def _authorize(self, user: User, asked: Attributes, record: Record | None) -> None:
        decision = self.authorizer.authorize(user, asked)
        if record is not None:
            record.decided(decision)
        if not decision.allowed:
            refusal = rbac.forbidden(user, asked, decision.reason)
            raise statuses.denied(refusal.code, refusal.reason, refusal.message, refusal.details)

    def _authorize_websocket(self, user: User, asked: Attributes) -> None:
        """It begins as a GET, and to be allowed that is not enough since 1.35. Raises StatusError."""
        if asked.subresource not in joining.SUBRESOURCES:
            raise statuses.bad_request("only pods/exec and pods/attach are served over a WebSocket")
        if self.surface.minor >= _WEBSOCKETS_CREATE_SINCE:
            self._authorize(user, replace(asked, verb="create"), None)

    def _find(self, request: Request) -> Served:
        """Raises StatusError 404 and 405."""
        served = self.registry.find(request.group, request.version, request.plural)
        if served is None:
            raise self._missing(request)
        resource = served.resource
        if request.namespace and not resource.namespaced and request.plural != "namespaces":
            raise self._missing(request)
        verbs = resource.verbs
        if request.subresource:
            subresource = resource.subresource(request.subresource)
            if subresource is None:
                raise self._missing(request)
            verbs = subresource.verbs
        of_one = request.verb in ("get", "update", "patch", "delete") or bool(request.subresource)
        of_all = request.verb in ("create", "deletecollection") and not request.subresource
        if request.verb not in verbs or (of_one and not request.name) or (of_all and request.name):
            raise statuses.method_not_allowed()
        if resource.namespaced and not request.namespace:
            if of_one:
                raise self._missing(request)
            if request.verb == "create":
                raise statuses.method_not_allowed()
        return served

    def _missing(self, request: Request) -> StatusError:
        """There is nothing at the request's path."""
        path = f"{request.group}/{request.plural}"
        for known in (path, f"{path}/{request.subresource}"):
            if why := discovery.UNSERVED.get(known):
                return statuses.not_served(known.removeprefix("/"), why)
        found = self.registry.catalog.find_version(request.group, request.version)
        return statuses.no_such_path() if any(not one.custom for one in found) else statuses.page_not_found()

    def _beside_resources(self, request: Request, accept: str, host: str) -> Answer:
        """Health, version, discovery, OpenAPI, the issuer of ServiceAccount tokens. `host` is how the client got here."""
        parts = [part for part in request.path.split("/") if part]
        if request.method not in ("GET", "HEAD"):
            raise statuses.method_not_allowed()
        match parts:
            case [endpoint, *check] if endpoint in health.PATHS:
                found = health.answer(
                    endpoint,
                    "/".join(check),
                    stopping=self._stopping.is_set(),
                    verbose=request.query.has("verbose"),
                    excluded=request.query.texts("exclude"),
                )
                if found is not None:
                    return found
            case ["metrics"]:
                return text_answer(self.deprecated.metrics())
            case ["version"]:
                return json_answer(self._version())
            case [".well-known", "openid-configuration"] if self._tokens is not None:
                return json_answer(self._tokens.signer.discovery(f"https://{host}/openid/v1/jwks"))
            case ["openid", "v1", "jwks"] if self._tokens is not None:
                return json_answer(self._tokens.signer.key_set(), content_type="application/jwk-set+json")
            case ["openapi", "v2"]:
                return self._openapi_v2(accept)
            case ["openapi", "v3"]:
                return Answer(200, self.registry.openapi.v3_index())
            case ["openapi", "v3", *rest]:
                document = self.registry.openapi.v3_document("/".join(rest))
                if document is not None:
                    return Answer(200, document)
            case _:
                told = self.registry.catalog.answer(request.path, accept)
                if told is not None:
                    return json_answer(told.body, content_type=told.content_type)
        raise statuses.page_not_found()

    def _openapi_v2(self, accept: str) -> Answer:
        documents = self.registry.openapi
        for media in accept_header.parse(accept or JSON):
            if media.is_json:
                return Answer(200, documents.v2())
            if media.type in (_OPENAPI_PROTOBUF, openapi_protobuf.CONTENT_TYPE):
                # The name that clients ask for is no valid Content-Type; what they read is this one.
                return Answer(200, documents.v2_protobuf(), _OPENAPI_PROTOBUF)
        raise statuses.not_acceptable((JSON, openapi_protobuf.CONTENT_TYPE))

    def _version(self) -> dict[str, str]:
        major, _, minor = self.surface.version.partition(".")
        return {
            "major": major,
            "minor": minor,
            "gitVersion": self._git_version,
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "",
            "compiler": "",
            "platform": "linux/amd64",
        }

    # ---- verbs -----------------------------------------------------------------------------------------------

    async def _verb(self, call: Call, form: Rendering) -> Answer | Stream:
        now = self.clock.now()
        match call.request.verb:
            case "get":
                return self._get(call, form)
            case "list":
                return list_answer(call, form, reading.list_page(self.store, call), now)
            case "watch":
                if self._stopping.is_set():
                    raise statuses.unavailable("the server is stopping")
                if form.in_yaml:
                    raise statuses.not_acceptable(("application/json;stream=watch",))
                feed = watching.Feed(self.store, call, form, clock=self.clock, rng=self._rng)
                return Stream(feed.chunks, JSON, feed.wake, call.warnings)
            case "create":
                return object_answer(call, form, await self._writer.create(call), now, 201)
            case "update":
                return object_answer(call, form, await self._writer.update(call), now)
            case "patch":
                written, new = await self._writer.patch(call)
                return object_answer(call, form, written, now, 201 if new else 200)
            case "delete":
                deleted = await self._deleter.delete(call, self._delete_options(call))
                if isinstance(deleted, Stored):
                    return object_answer(call, form, deleted, now)
                return status_answer(deleted, call.warnings)
            case "deletecollection":
                gone = await self._deleter.delete_collection(
                    call, self._delete_options(call), reading.selection(call)
                )
                records = [found.record for found in gone if found.record is not None]
                page = reading.Page(records, {"resourceVersion": str(self.store.revision)})
                return list_answer(call, form, page, now)
        raise statuses.method_not_allowed()

    def _delete_options(self, call: Call) -> DeleteOptions:
        return deletion.read_options(call, self.registry.schema("", "v1", "DeleteOptions"))

    def _get(self, call: Call, form: Rendering) -> Answer:
        asked = reading.revision_asked(call.request.query)
        if asked is not None and asked > self.store.revision:
            raise statuses.not_there_yet(asked, self.store.revision)
        record = self.store.get(call.served.storage, call.namespace, call.name)
        if record is None:
            raise statuses.not_found(call.served.resource, call.name)
        if form.form is Form.OBJECT and call.served.native:
            return Answer(200, record.body, warnings=call.warnings)
        return object_answer(call, form, self.storage.of(call.served, record), self.clock.now())

    async def _subresource(self, call: Call, form: Rendering) -> Answer | Stream:
        match call.request.subresource or call.request.plural:
            case "scale" if call.request.verb == "get":
                found = self.storage.must_find(call.served, call.namespace, call.name)
                scale = scales.read(call.served, found.obj)
                return scale_answer(call, form, scale, self.clock.now())
            case "scale":
                scale = await subresources.set_scale(call, self.storage, self._writer)
                return scale_answer(call, form, scale, self.clock.now())
            case "binding" | "bindings":
                bound = await subresources.bind(call, self.storage, self._writer, clock=self.clock)
                return status_answer(bound, call.warnings)
            case "eviction":
                evicted = await subresources.evict(
                    call, self.storage, self._writer, self._deleter, clock=self.clock
                )
                return status_answer(evicted, call.warnings)
            case "token":
                token = await request_token(call, self.storage, self._writer, self._tokens, clock=self.clock)
                return json_answer(token, 201, warnings=call.warnings)
            case "log":
                pod, options = subresources.find_log(call, self.storage, clock=self.clock)
                if not (pod.obj.get("spec") or {}).get("nodeName"):
                    # As Kubernetes has it: nothing was said yet, and that is no error.
                    return text_answer("")
                return await self._log(call, pod, options)
        raise self._missing(call.request)

    async def _log(self, call: Call, pod: Stored, options: LogOptions) -> Stream:
        """The kubelet is asked for the first piece before the answer begins: until then a refusal is a Status."""
        if self.logs is None:
            raise statuses.internal("no kubelet can be asked for logs")
        pieces = self.logs(pod.obj, options)
        try:
            first = await anext(aiter(pieces), b"")
        except LogsUnavailable as error:
            raise statuses.bad_request(str(error)) from error

        async def chunks(gone: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
            yield first
            async for piece in pieces:
                yield piece

        return Stream(chunks, "text/plain")

    def _token_subject(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self.storage.get(STORED_AS[kind], namespace, name)
