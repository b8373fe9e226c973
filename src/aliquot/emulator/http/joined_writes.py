"""What is written in one turn of the event loop goes out as one: uvicorn writes the head and the body of an answer
apart, and over TLS each would be a record of its own, encrypted, framed and sent."""

import asyncio
from typing import Any

_AT_ONCE_BYTES = 1 << 16
"""More than this is not held back: the transport must see it to tell the writer to wait for a slow reader."""


class JoinedWrites(asyncio.Transport):
    """`transport`, written to once in a turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes | bytearray | memoryview] = []
        self._held_bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._held:
            self._loop.call_soon(self._let_go)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _AT_ONCE_BYTES:
            self._let_go()

    def _let_go(self) -> None:
        held = self._held
        if not held:
            return
        self._held, self._held_bytes = [], 0
        if not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def close(self) -> None:
        self._let_go()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._held_bytes + self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)
