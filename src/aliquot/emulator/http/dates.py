"""The `Date` of answers: the server's own clock, by which a client learns how far its own is off."""

from email.utils import formatdate
from functools import lru_cache

from aliquot.clock import Clock
from aliquot.emulator.http.exchange import Message, Send

_NAME = b"date"


def dating(send: Send, clock: Clock) -> Send:
    """`send`, with the date in every answer that has none yet. As Go's server, it tells whole seconds."""

    async def dated(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if all(name != _NAME for name, _ in headers):
                headers.append((_NAME, _text(int(clock.now()))))
                message = {**message, "headers": headers}
        await send(message)

    return dated


@lru_cache(maxsize=4)
def _text(unix_s: int) -> bytes:
    return formatdate(unix_s, usegmt=True).encode()
