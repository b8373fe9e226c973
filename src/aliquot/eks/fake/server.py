"""The fake over HTTP, where boto3 finds it: EKS and what else is of the fake is answered here, everything else goes on to
another server (moto's). Which service a request is for, says what it is signed for.

An ASGI application: whoever runs it chooses the server. Signatures are not checked; who calls is whoever can reach it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import parse_qs

from aliquot.eks.fake import http, neighbours
from aliquot.eks.fake.model import Model, as_json
from aliquot.eks.fake.refusals import Refused, Unknown, wrong
from aliquot.eks.fake.service import Lost, Service
from aliquot.eks.fake.surroundings import questions, surroundings

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_MOST_BYTES = 4 << 20


class Elsewhere(Protocol):
    """The AWS around it."""

    async def forward(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]: ...

    async def ec2(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Its EC2's answer. Raises Refused."""
        ...


class FakeEks:
    def __init__(self, service: Service, elsewhere: Elsewhere, now: Callable[[], float]) -> None:
        self._service = service
        self._model: Model = service.model
        self._elsewhere = elsewhere
        self._now = now
        # One call after the other, as the rules expect it.
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        send = self._dated(send)
        body = await _body(receive)
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        service = http.service(scope["headers"])
        if service == "eks":
            await self._eks(scope, path, body, send)
        elif not await self._beside(service, scope, body, send):
            query = scope["query_string"].decode("latin-1")
            target = f"{path}?{query}" if query else path
            status, headers, answer = await self._elsewhere.forward(
                scope["method"], target, list(scope["headers"]), body
            )
            await _send(send, status, headers, answer)

    def _dated(self, send: Send) -> Send:
        """Each answer says what time it is here, as AWS' do."""

        async def dated(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [one for one in message["headers"] if one[0].lower() != b"date"]
                date = formatdate(self._now(), usegmt=True).encode()
                message = {**message, "headers": [*headers, (b"date", date)]}
            await send(message)

        return dated

    async def _beside(self, service: str, scope: Scope, body: bytes, send: Send) -> bool:
        """False: it is not answered here."""
        operation = http.operation(scope["headers"], body)
        if (service, operation) not in neighbours.RULES:
            return False
        try:
            call = http.parameters(service, operation, body)
            if not neighbours.takes(service, operation, call):
                return False
            async with self._turn:
                self._service.advance(self._now())
                told = neighbours.answer(self._service.world, service, operation, call, self._now())
        except Lost:
            await _send(send, 503, [], b"")
        except Refused as error:
            status, type_, text = http.refusal(service, error)
            await _send(send, status, [(b"content-type", type_)], text)
        else:
            type_, text = http.answer(service, operation, told)
            await _send(send, 200, [(b"content-type", type_)], text)
        return True

    async def _eks(self, scope: Scope, path: str, body: bytes, send: Send) -> None:
        try:
            answer_text = json.dumps(await self._answer(scope, path, body)).encode()
        except Lost:
            # ASGI has no way to break a connection off; this says as little of what has become of the call.
            await _refuse(send, 503, Refused("ServiceUnavailableException", "Service is unavailable"))
            return
        except Refused as error:
            # boto3 asks again after 500, and not after 501.
            status = 501 if isinstance(error, Unknown) else self._model.status(error.code)
            await _refuse(send, status, error)
            return
        await _send(send, 200, [(b"content-type", b"application/json")], answer_text)

    async def _answer(self, scope: Scope, path: str, body: bytes) -> dict[str, Any]:
        route = self._model.route(scope["method"], path)
        if route is None:
            raise wrong(f"there is no {scope['method']} {path}")
        operation, labels = route
        try:
            parsed = json.loads(body) if body else {}
        except ValueError:
            raise wrong("the body is no JSON") from None
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        parameters = self._model.read(operation, labels, query, parsed)
        async with self._turn:
            told = {
                name: await self._ec2(name, asked) for name, asked in questions(operation, parameters).items()
            }
            answer = self._service.call(operation, parameters, self._now(), surroundings(told))
            written: dict[str, Any] = as_json(answer)
            return written

    async def _ec2(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Nothing, where EC2 knows nothing of what is asked for."""
        try:
            return await self._elsewhere.ec2(operation, parameters)
        except Refused:
            return {}


async def _body(receive: Receive) -> bytes:
    parts, more, size = [], True, 0
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size <= _MOST_BYTES:
            parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _refuse(send: Send, status: int, error: Refused) -> None:
    body = json.dumps({"message": error.message, **error.names}).encode()
    headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", error.code.encode())]
    await _send(send, status, headers, body)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    kept.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": kept})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
