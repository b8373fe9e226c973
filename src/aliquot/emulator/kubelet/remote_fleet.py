"""A fleet in another process, as the API server asks it: for logs, and for sessions.

Containers of such a fleet are simulated. They run no commands and read nothing, so a session is what it prints.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import msgspec

from aliquot.emulator.http.answers import text_answer
from aliquot.emulator.http.exchange import (
    Receive,
    Scope,
    Send,
    Stream,
    receive_body,
    send_answer,
    send_stream,
)
from aliquot.emulator.kubelet.fleet import Fleet
from aliquot.emulator.streaming.session import Execution, Output, Session, SessionRefused, Start
from aliquot.emulator.verbs.subresources import LogOptions, LogsUnavailable
from aliquot.kube.transport import Request, Response, Transport, TransportError

_TIMEOUT_S = 30.0
_LOGS_UNAVAILABLE = 400
_NOT_ASKED = 503
_PREFIXES = {Output.STDOUT: b"\x01", Output.STDERR: b"\x02"}
"""Of a piece of a session."""
_OUTPUTS = {prefix: output for output, prefix in _PREFIXES.items()}

Json: TypeAlias = dict[str, Any]


class _Question(msgspec.Struct, kw_only=True):
    """For a log, for a command to be run, or to be joined to what runs."""

    pod: Json
    """As much of it as tells which one it is, and where."""
    logs: LogOptions | None = None
    container: str = ""
    execution: Execution | None = None
    stdin: bool = False


def _question(pod: Mapping[str, Any], **asked: Any) -> _Question:
    metadata = {key: pod["metadata"].get(key, "") for key in ("namespace", "name", "uid")}
    return _Question(
        pod={"metadata": metadata, "spec": {"nodeName": pod["spec"].get("nodeName", "")}}, **asked
    )


# ---- where the fleet runs ------------------------------------------------------------------------------------


class FleetApplication:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._stopping = asyncio.Event()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await receive_body(dict(scope["headers"]), receive)
        try:
            pieces = await self._answer(msgspec.json.decode(body, type=_Question))
        except LogsUnavailable as error:
            await send_answer(text_answer(str(error), _LOGS_UNAVAILABLE), send, None)
            return
        except SessionRefused as error:
            await send_answer(text_answer(str(error), error.code), send, None)
            return

        async def chunks(gone: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece

        await send_stream(
            Stream(chunks, "application/octet-stream"), receive, send, stopping=self._stopping, record=None
        )

    async def _answer(self, asked: _Question) -> AsyncGenerator[bytes, None]:
        """Raises LogsUnavailable, SessionRefused."""
        if asked.logs is not None:
            pieces = self._fleet.logs(asked.pod, asked.logs)
            return _beginning_with(await anext(pieces, b""), pieces)
        if asked.execution is not None:
            start = await self._fleet.exec(asked.pod, asked.container, asked.execution)
        else:
            start = await self._fleet.attach(asked.pod, asked.container, stdin=asked.stdin)
        return _printed(await start())


async def _beginning_with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece


async def _printed(session: Session) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(session.output()) as output:
            async for kind, data in output:
                yield _PREFIXES[kind] + data
    finally:
        await session.leave()


# ---- where the API server runs -------------------------------------------------------------------------------


class RemoteFleet:
    """Asks a FleetApplication; `transport` keeps pieces as they were sent."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def logs(self, pod: Mapping[str, Any], options: LogOptions) -> AsyncGenerator[bytes, None]:
        """Raises LogsUnavailable."""
        try:
            response = await self._ask(_question(pod, logs=options))
        except SessionRefused as refused:
            raise LogsUnavailable(str(refused)) from refused
        try:
            async for piece in response.chunks():
                yield piece
        except TransportError as error:
            raise LogsUnavailable(str(error)) from error
        finally:
            await response.close()

    async def exec(self, pod: Mapping[str, Any], container: str, execution: Execution) -> Start:
        """Raises SessionRefused."""
        return await self._session(_question(pod, container=container, execution=execution))

    async def attach(self, pod: Mapping[str, Any], container: str, *, stdin: bool) -> Start:
        """Raises SessionRefused."""
        return await self._session(_question(pod, container=container, stdin=stdin))

    async def _session(self, question: _Question) -> Start:
        response = await self._ask(question)

        async def start() -> Session:
            return _Watched(response)

        return start

    async def _ask(self, question: _Question) -> Response:
        """An answer of which pieces come. Raises SessionRefused."""
        request = Request("POST", "/", {}, {}, msgspec.json.encode(question), _TIMEOUT_S)
        try:
            response = await self._transport.send(request)
            if response.status == 200:
                return response
            text = (await response.read()).decode()
        except TransportError as error:
            raise SessionRefused(_NOT_ASKED, f"the nodes cannot be asked: {error}") from error
        raise SessionRefused(response.status, text)


class _Watched:
    """A session that reads nothing."""

    def __init__(self, response: Response) -> None:
        self._response = response

    async def output(self) -> AsyncGenerator[tuple[Output, bytes], None]:
        async for piece in self._response.chunks():
            yield _OUTPUTS[piece[:1]], piece[1:]

    async def write(self, data: bytes) -> None:
        pass

    def close_input(self) -> None:
        pass

    def resize(self, columns: int, rows: int) -> None:
        pass

    async def ended(self) -> int:
        return 0

    async def leave(self) -> None:
        await self._response.close()
