"""How many requests may be in the server at once, as kube-apiserver limits them: reads and writes apart, watches apart.

What is too many is refused at once, in the real server's words, and asked to come again. Administrators are never
refused a short request: they must be able to look at, and mend, a server that is flooded. Watches are open for long and
cost memory: they are limited for everybody.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aliquot.emulator.http.answers import Answer
from aliquot.emulator.http.exchange import Receive, Scope, Send

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_TEXT = b"Too many requests, please try again later.\n"
_READS = frozenset(["GET", "HEAD"])
_RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """`--max-requests-inflight` and `--max-mutating-requests-inflight` of kube-apiserver, with its defaults."""

    reads: int = 400
    writes: int = 200
    watches: int = 10_000


class LimitedApplication:
    """`app` within `limits`. `is_administrator` says of a request whether it is of system:masters."""

    def __init__(
        self, app: Application, limits: Limits, *, is_administrator: Callable[[Scope], Awaitable[bool]]
    ) -> None:
        self._app = app
        self._most = {"read": limits.reads, "write": limits.writes, "watch": limits.watches}
        self._now = dict.fromkeys(self._most, 0)
        self._is_administrator = is_administrator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = _kind(scope)
        if self._now[kind] >= self._most[kind] and (
            kind == "watch" or not await self._is_administrator(scope)
        ):
            await _refuse(send)
            return
        self._now[kind] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._now[kind] -= 1


def _kind(scope: Scope) -> str:
    if scope["type"] != "http":
        return "watch"
    if scope["method"] not in _READS:
        return "write"
    # Whatever may last: a watch, a log that is followed.
    lasts = b"watch=" in scope["query_string"] or b"follow=" in scope["query_string"]
    return "watch" if lasts else "read"


async def _refuse(send: Send) -> None:
    answer = Answer(429, _TEXT, "text/plain; charset=utf-8", retry_after_s=_RETRY_AFTER_S)
    await send({"type": "http.response.start", "status": 429, "headers": answer.headers()})
    await send({"type": "http.response.body", "body": answer.body})
