"""A bare API server in memory, and a client that shows status and body as they are."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aliquot.clock import Clock, VirtualClock, VirtualTimeLoop
from aliquot.emulator.app import ApiServer
from aliquot.emulator.storage.store import Store
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.transport import Request

Json = dict[str, Any]

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
YAML = "application/yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Lines:
    """A watch: its events one by one."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status
        self.headers: dict[str, str] = dict(response.headers)
        self._response = response
        self._chunks = response.chunks()
        self._rest = b""

    async def next(self) -> Json:
        """Raises StopAsyncIteration when the watch is over."""
        while b"\n" not in self._rest:
            self._rest += await anext(self._chunks)
        line, _, self._rest = self._rest.partition(b"\n")
        found: Json = json.loads(line)
        return found

    async def take(self, count: int) -> list[tuple[str, str]]:
        """(type, name) of the next `count` events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]

    async def rest(self) -> list[Json]:
        """All that comes until the watch is over."""
        events = []
        while True:
            try:
                events.append(await self.next())
            except StopAsyncIteration:
                return events

    async def close(self) -> None:
        await self._response.close()


class Api:
    def __init__(
        self, server: ApiServer, user: str = "admin", groups: Sequence[str] = ("system:masters",)
    ) -> None:
        self.server = server
        self._transport = AsgiTransport(self._answered, user, groups)
        self.headers: dict[str, str] = {}
        """Of the last answer."""
        self.warnings: list[str] = []
        """Of the last answer, in its order."""

    async def _answered(self, scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                told = (text.decode() for name, text in message["headers"] if name == b"warning")
                self.warnings = [text.removeprefix('299 - "')[:-1].replace(r"\"", '"') for text in told]
            await send(message)

        await self.server.app(scope, receive, noted)

    def as_user(self, user: str, *groups: str) -> "Api":
        return Api(self.server, user, groups)

    async def send(
        self,
        method: str,
        path: str,
        body: Any = b"",
        *,
        type: str = "application/json",  # noqa: A002
        accept: str = "application/json",
        headers: dict[str, str] | None = None,
        within_s: float = 5.0,
        **query: Any,
    ) -> tuple[int, Any]:
        """(status, decoded body)"""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": type, "accept": accept, "user-agent": "tests/1", **(headers or {})}
        named = {key: str(value) for key, value in query.items()}
        response = await self._transport.send(Request(method, path, named, sent, raw, within_s))
        answered = await response.read()
        self.headers = dict(response.headers)
        try:
            return response.status, json.loads(answered)
        except ValueError:
            return response.status, answered.decode()

    async def get(self, path: str, **query: Any) -> tuple[int, Any]:
        return await self.send("GET", path, **query)

    async def ok(self, method: str, path: str, body: Any = b"", **more: Any) -> Any:
        """The body of an answer that must be a success."""
        status, answered = await self.send(method, path, body, **more)
        assert status in (200, 201), answered
        return answered

    async def watch(self, path: str, *, accept: str = "application/json", **query: Any) -> Lines:
        named = {"watch": "true"} | {key: str(value) for key, value in query.items()}
        request = Request("GET", path, named, {"accept": accept}, b"", 5.0)
        return Lines(await self._transport.send(request))

    async def close(self) -> None:
        await self._transport.close()


class FixedClock:
    """Stands at 2026-01-01 until it is moved."""

    def __init__(self) -> None:
        self.time = 1_767_225_600.0

    def now(self) -> float:
        return self.time


def pod(name: str = "p", *, labels: dict[str, str] | None = None, **spec: Any) -> Json:
    container = {"name": "main", "image": "registry.example/app:1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **({"labels": labels} if labels else {})},
        "spec": {"containers": [container], **spec},
    }


def config(name: str = "c", labels: dict[str, str] | None = None, **data: str) -> Json:
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


PODS = "/api/v1/namespaces/default/pods"
CONFIGS = "/api/v1/namespaces/default/configmaps"


async def new_api(clock: Clock, *, seed: int = 1, store: Store | None = None, **options: Any) -> Api:
    server = ApiServer(store or Store(), clock=clock, rng=random.Random(seed), **options)
    await server.start()
    return Api(server)


def on_virtual_time(main: Callable[[Api], Awaitable[None]], **options: Any) -> None:
    """Runs `main` with an API server on a virtual clock: hours pass at once."""

    async def run() -> None:
        api = await new_api(VirtualClock(), **options)
        await main(api)
        api.server.stop()
        await api.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
