"""A session and a WebSocket joined, until the one ends or the other goes."""

import asyncio
from contextlib import aclosing, suppress

from aliquot.emulator.http.exchange import Receive, Send
from aliquot.emulator.streaming import channels
from aliquot.emulator.streaming.channels import Channel, Protocol
from aliquot.emulator.streaming.session import CannotExecute, Output, Session, Start

_UNREAD_MESSAGES = 64
"""Of input that the command has not taken yet; beyond, the client has to wait, and is not seen to go."""
_CHANNELS = {Output.STDOUT: Channel.STDOUT, Output.STDERR: Channel.STDERR}


async def join(start: Start, protocol: Protocol, receive: Receive, send: Send) -> None:
    """The connection is accepted here, and closed. What becomes of the client is no failure."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": protocol.name})
    try:
        session = await start()
    except CannotExecute as error:
        await _end(protocol, send, channels.failure(f"error executing command in container: {error}"))
        return
    hearing = asyncio.create_task(_hear(session, protocol, receive))
    telling = asyncio.create_task(_tell(session, protocol, send))
    try:
        await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (hearing, telling):
            task.cancel()
        # A send to one who has gone fails in the server's own way: it tells nothing that `hearing` does not.
        await asyncio.gather(hearing, telling, return_exceptions=True)
        await session.leave()


async def _tell(session: Session, protocol: Protocol, send: Send) -> None:
    async with aclosing(session.output()) as output:
        async for kind, data in output:
            await _say(protocol, send, _CHANNELS[kind], data)
    await _end(protocol, send, channels.ending(await session.ended()))


async def _end(protocol: Protocol, send: Send, status: bytes) -> None:
    await _say(protocol, send, Channel.ERROR, status)
    await send({"type": "websocket.close", "code": 1000})


async def _say(protocol: Protocol, send: Send, channel: Channel, data: bytes) -> None:
    message = protocol.encode(channel, data)
    await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})


async def _hear(session: Session, protocol: Protocol, receive: Receive) -> None:
    """Until the client has gone. What it types waits in a queue, so that its going is seen behind that."""
    typed: asyncio.Queue[bytes | None] = asyncio.Queue(_UNREAD_MESSAGES)
    typing = asyncio.create_task(_type(session, typed))
    try:
        while (message := await receive())["type"] != "websocket.disconnect":
            told = protocol.decode(message.get("bytes") or message.get("text") or b"")
            match told:
                case (Channel.STDIN, data):
                    await typed.put(data)
                case (Channel.CLOSE, data) if data == bytes([Channel.STDIN]):
                    await typed.put(None)
                case (Channel.RESIZE, data) if (size := channels.size(data)) is not None:
                    session.resize(size.columns, size.rows)
    finally:
        typing.cancel()
        with suppress(asyncio.CancelledError):
            await typing


async def _type(session: Session, typed: asyncio.Queue[bytes | None]) -> None:
    while (data := await typed.get()) is not None:
        await session.write(data)
    session.close_input()
