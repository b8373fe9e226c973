"""An ASGI application whose requests meet the faults of rules.

A connection is cut by the server's own means where it has any (the ASGI extension `HANG_UP`); elsewhere the call
fails, which a transport in memory takes for the same.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from aliquot.emulator import statuses
from aliquot.emulator.faults.rules import NOTHING, Cut, Error, Rule, Rules, Struck, WatchFault
from aliquot.emulator.http.answers import status_answer
from aliquot.emulator.http.exchange import Message, Receive, Scope, Send, receive_body
from aliquot.emulator.http.request import parse
from aliquot.emulator.rbac import User

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Who = Callable[[Scope], Awaitable[User | None]]

HANG_UP: Final = "aliquot.hang-up"
"""The ASGI extension that closes the connection: a function without arguments."""


class ConnectionCut(ConnectionError):
    """The connection broke, as a rule asked."""


class FaultyApplication:
    """`app` under rules, none at first. `who` gives a request's user, for rules that name users."""

    def __init__(self, app: Application, *, rng: Random, who: Who | None = None) -> None:
        self._app = app
        self._rng = rng
        self._who = who
        self._rules = Rules()

    def set_rules(self, *rules: Rule, seed: int | None = None) -> None:
        """For requests that come from now on: these rules and no others, none of them spent. With a `seed`, chance
        begins anew."""
        if seed is not None:
            self._rng = Random(seed)
        self._rules = Rules(rules)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        struck = await self._struck(scope)
        if struck is NOTHING:
            await self._app(scope, receive, send)
            return
        if struck.delay_s:
            await asyncio.sleep(struck.delay_s)
        if struck.error is not None:
            await _refuse(struck.error, scope, receive, send)
        elif struck.cut is Cut.REQUEST:
            await _hang_up(scope, receive)
        elif struck.cut is not None or struck.watch is not None:
            await _Broken(self._app, struck, self._rng, scope, receive, send).run()
        else:
            await self._app(scope, receive, send)

    async def _struck(self, scope: Scope) -> Struck:
        if scope["type"] != "http":
            return NOTHING
        request = parse(scope["method"], scope["path"], scope["query_string"].decode("latin-1"))
        user = await self._who(scope) if self._who is not None and self._rules.need_user else None
        return self._rules.strike(request, user.name if user is not None else "", self._rng)


async def _refuse(error: Error, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        await receive_body(dict(scope["headers"]), receive)
    more = {"retryAfterSeconds": error.retry_after_seconds} if error.retry_after_seconds else None
    answer = status_answer(statuses.failure(error.status, error.said_reason, error.message, more).status)
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers()})
    await send({"type": "http.response.body", "body": answer.body})


async def _hang_up(scope: Scope, receive: Receive) -> None:
    hang_up = (scope.get("extensions") or {}).get(HANG_UP)
    if hang_up is None:
        raise ConnectionCut("simulated: connection cut")
    hang_up()
    while (await receive())["type"] != "http.disconnect":
        pass


class _Broken:
    """One exchange that does not go as it should after it was begun."""

    def __init__(
        self, app: Application, struck: Struck, rng: Random, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._app = app
        self._cut = struck.cut
        self._watch = struck.watch or WatchFault()
        self._rng = rng
        self._scope = scope
        self._receive = receive
        self._send = send
        self._events = 0
        self._over = asyncio.Event()
        """The client is gone, or cut off."""
        self._broken = False

    async def run(self) -> None:
        await self._app(self._scope, self._receive_until_over, self._send_broken)
        if self._broken or self._cut is Cut.ANSWER:
            await _hang_up(self._scope, self._receive)

    async def _receive_until_over(self) -> Message:
        message = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait([message, over], return_when=asyncio.FIRST_COMPLETED)
            if not message.done():
                return {"type": "http.disconnect"}
            if message.result()["type"] == "http.disconnect":
                self._over.set()
            return message.result()
        finally:
            message.cancel()
            over.cancel()

    async def _send_broken(self, message: Message) -> None:
        if self._over.is_set() or self._cut is Cut.ANSWER:
            return
        body: bytes = message.get("body", b"")
        if not body:
            await self._send(message)
        elif self._cut is Cut.MIDDLE:
            await self._break(body[: len(body) // 2])
        else:
            await self._send_events(message, body)

    async def _send_events(self, message: Message, body: bytes) -> None:
        watch = self._watch
        if watch.lag_seconds:
            try:
                async with asyncio.timeout(watch.lag_seconds):
                    await self._over.wait()
            except TimeoutError:
                pass
        if watch.cut_share and self._rng.random() < watch.cut_share:
            await self._break(body[: self._rng.randrange(len(body) + 1)])
            return
        lines = body.splitlines(keepends=True)
        for limit, end in ((watch.cut_after, self._break), (watch.stall_after, self._stall)):
            if limit is not None and self._events + len(lines) > limit:
                await end(b"".join(lines[: limit - self._events]))
                return
        self._events += len(lines)
        await self._send(message)

    async def _break(self, last: bytes) -> None:
        if last:
            await self._send({"type": "http.response.body", "body": last, "more_body": True})
        self._broken = True
        self._over.set()

    async def _stall(self, last: bytes) -> None:
        if last:
            await self._send({"type": "http.response.body", "body": last, "more_body": True})
        await self._over.wait()
