"""A small API server to test the client against: an ASGI application with a history, and faults on demand.

Only what the client uses, and only as deep as its tests need: the emulator is not imported here, for kube stands
below it.
"""

import asyncio
import copy
import json
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import Resource, key
from aliquot.kube.retry import RetryPolicy
from aliquot.kube.transport import Request, Response, Transport, TransportError

T = TypeVar("T")
Json = dict[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class Cut(Exception):
    """The connection breaks."""


class FakeApi:
    def __init__(self) -> None:
        self.version = (
            1  # etcd begins there: a list never says 0, from which a watch would mean "whatever there is"
        )
        self.collections: dict[str, dict[str, Json]] = {}
        self.history: list[tuple[int, str, str, Json]] = []
        self.compacted = 0
        self.watch_list = True
        self.requests: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.fault: Callable[[str, str], Awaitable[None]] | None = None
        """Called with method and path before each request; may sleep, or raise Cut or a Refused."""
        self.answer_fault: Callable[[str, str], Awaitable[None]] | None = None
        """The same after the request has been carried out."""
        self._snapshots: dict[str, tuple[int, list[Json]]] = {}
        self._changed = asyncio.Event()
        self._epoch = 0
        self._cut_mid_line = False

    # What tests do to the server.

    def put(self, resource: Resource, obj: Json) -> Json:
        """Create or update, as a server would."""
        objects = self.collections.setdefault(self._collection(resource), {})
        name = key(obj)
        old = objects.get(name)
        self.version += 1
        obj = copy.deepcopy(obj)
        obj["metadata"]["uid"] = old["metadata"]["uid"] if old else f"uid-{self.version}"
        obj["metadata"]["resourceVersion"] = str(self.version)
        objects[name] = obj
        self._log(resource, "MODIFIED" if old else "ADDED", obj)
        return obj

    def remove(self, resource: Resource, name: str) -> None:
        obj = copy.deepcopy(self.collections[self._collection(resource)].pop(name))
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._log(resource, "DELETED", obj)

    def objects(self, resource: Resource) -> dict[str, Json]:
        return self.collections.get(self._collection(resource), {})

    def compact(self) -> None:
        """Forget history and continue tokens: whoever is behind gets 410."""
        self.compacted = self.version
        self._snapshots.clear()

    def end_watches(self, *, mid_line: bool = False) -> None:
        """EOF for all watches, cleanly or with half an event sent."""
        self._epoch += 1
        self._cut_mid_line = mid_line
        self._wake()

    # The server.

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        body = (await receive())["body"]
        self.requests.append((method, path, query, body))
        try:
            if self.fault is not None:
                await self.fault(method, path)
            if query.get("watch"):
                await self._watch(path, query, receive, send)
                return
            answer = self._carry_out(method, path, query, json.loads(body) if body else {})
            if self.answer_fault is not None:
                await self.answer_fault(method, path)
            code = 201 if method == "POST" else 200
        except Refused as refusal:
            code, answer = refusal.code, refusal.status
        await send({"type": "http.response.start", "status": code, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def _carry_out(self, method: str, path: str, query: Mapping[str, str], body: Json) -> Json:
        collection, namespace, name = _parse(path)
        objects = self.collections.setdefault(collection, {})
        if method == "GET" and not name:
            return self._list(objects, namespace, query)
        full_name = f"{namespace}/{name}" if namespace else name
        if method == "POST":
            full_name = key(body)
            if full_name in objects:
                raise Refused(409, "AlreadyExists", f"{full_name} already exists")
            return self._store(collection, body)
        old = objects.get(full_name)
        if old is None:
            raise Refused(404, "NotFound", f"{full_name} not found")
        if method == "GET":
            return old
        if method == "PATCH":
            wanted = body.get("metadata", {}).get("resourceVersion")
            if wanted and wanted != old["metadata"]["resourceVersion"]:
                raise Refused(409, "Conflict", f"{full_name} has changed")
            return self._store(collection, _merge(old, body))
        del objects[full_name]
        self.version += 1
        gone = copy.deepcopy(old)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, collection, "DELETED", gone))
        self._wake()
        return {"kind": "Status", "status": "Success"}

    def _store(self, collection: str, obj: Json) -> Json:
        group_version, plural = collection.rsplit("/", 1)
        group, _, version = group_version.rpartition("/")
        return self.put(Resource(group, version, plural, "", namespaced=True), obj)

    def _list(self, objects: dict[str, Json], namespace: str, query: Mapping[str, str]) -> Json:
        if token := query.get("continue"):
            if token not in self._snapshots:
                raise Refused(410, "Expired", "the continue token is too old")
            version, rest = self._snapshots.pop(token)
        else:
            version = self.version
            rest = [
                obj for obj in objects.values() if not namespace or obj["metadata"]["namespace"] == namespace
            ]
        limit = int(query.get("limit", 0)) or len(rest)
        metadata = {"resourceVersion": str(version)}
        if rest[limit:]:
            metadata["continue"] = token = f"{version}-{len(rest)}"
            self._snapshots[token] = (version, rest[limit:])
        return {"metadata": metadata, "items": rest[:limit]}

    async def _watch(self, path: str, query: Mapping[str, str], receive: Any, send: Send) -> None:
        collection, namespace, _ = _parse(path)
        streamed = query.get("sendInitialEvents") == "true"
        if streamed and not self.watch_list:
            raise Refused(422, "Invalid", "sendInitialEvents is forbidden here")
        epoch = self._epoch
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def event(kind: str, obj: Json) -> None:
            line = json.dumps({"type": kind, "object": obj}).encode() + b"\n"
            if self._epoch != epoch and self._cut_mid_line:
                await send({"type": "http.response.body", "body": line[: len(line) // 2], "more_body": True})
                raise Cut
            # In two pieces, as a network may.
            await send({"type": "http.response.body", "body": line[:7], "more_body": True})
            await send({"type": "http.response.body", "body": line[7:], "more_body": True})

        asked = query.get("resourceVersion", "")
        if asked in ("", "0"):
            at = self.version
            for obj in list(self.collections.get(collection, {}).values()):
                await event("ADDED", obj)
        else:
            at = int(asked)
        if at < self.compacted:
            await event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
            await send({"type": "http.response.body", "body": b""})
            return
        if streamed:
            note = {"resourceVersion": str(at), "annotations": {"k8s.io/initial-events-end": "true"}}
            await event("BOOKMARK", {"metadata": note})
        loop = asyncio.get_running_loop()
        end = loop.time() + float(query["timeoutSeconds"])
        disconnected = asyncio.ensure_future(receive())
        try:
            while loop.time() < end and self._epoch == epoch and not disconnected.done():
                for version, where, kind, obj in self.history:
                    if version > at and where == collection:
                        at = version
                        if not namespace or obj["metadata"]["namespace"] == namespace:
                            await event(kind, obj)
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait(
                    (changed, disconnected), timeout=end - loop.time(), return_when=asyncio.FIRST_COMPLETED
                )
                changed.cancel()
            if self._cut_mid_line and self._epoch != epoch:
                await event("ADDED", {"metadata": {"name": "half"}})
            await send({"type": "http.response.body", "body": b""})
        finally:
            disconnected.cancel()

    def _log(self, resource: Resource, kind: str, obj: Json) -> None:
        self.history.append((self.version, self._collection(resource), kind, obj))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @staticmethod
    def _collection(resource: Resource) -> str:
        return f"{resource.api_version}/{resource.plural}"


class Refused(Exception):
    """The server answers no."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message,
        }


def _parse(path: str) -> tuple[str, str, str]:
    """(collection, namespace, name)"""
    parts = path.strip("/").split("/")
    group_version = parts[1:2] if parts[0] == "api" else parts[1:3]
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return "/".join([*group_version, rest[0]]), namespace, rest[1] if len(rest) > 1 else ""


def _merge(old: Json, patch: Json) -> Json:
    merged = dict(old)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _merge(merged.get(name) or {}, value)
        else:
            merged[name] = value
    return merged


class Unplugged:
    """A transport with a cable: pulled, nothing gets through in either direction, and nobody is told."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.plugged = True

    async def send(self, request: Request) -> Response:
        if not self.plugged:
            await asyncio.sleep(request.timeout_s)
            raise TransportError("no answer")
        response = await self._transport.send(request)
        if not self.plugged:
            await response.close()
            await asyncio.sleep(request.timeout_s)
            raise TransportError("answer lost")
        return response

    async def close(self) -> None:
        await self._transport.close()


def client_of(api: FakeApi, *, seed: int = 1, retry: RetryPolicy | None = None) -> Client:
    transport = AsgiTransport(api, "test")
    return Client(transport, clock=VirtualClock(), rng=random.Random(seed), retry=retry or RetryPolicy())


def pod(name: str, *, node: str = "", namespace: str = "default", **labels: str) -> Json:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "main"}]},
    }
