"""A person who looks over a running container's shoulder: what it prints from now on.

Its input is its own: what is typed is lost.
"""

from collections.abc import AsyncGenerator, AsyncIterator

from aliquot.emulator.streaming.session import Output, Session, Start


def watching(log: AsyncIterator[bytes]) -> Start:
    """`log` follows the container's output, and ends with it."""

    async def start() -> Session:
        return Attached(log)

    return start


def told(text: str) -> Start:
    """One line in place of a container that has nothing for who attaches to it."""

    async def line() -> AsyncIterator[bytes]:
        # A terminal that is attached is a raw one: it needs both.
        yield f"{text}\r\n".encode()

    return watching(line())


class Attached:
    def __init__(self, log: AsyncIterator[bytes]) -> None:
        self._log = log

    async def output(self) -> AsyncGenerator[tuple[Output, bytes], None]:
        async for piece in self._log:
            if piece:
                yield Output.STDOUT, piece

    async def write(self, data: bytes) -> None:
        pass

    def close_input(self) -> None:
        pass

    def resize(self, columns: int, rows: int) -> None:
        pass

    async def ended(self) -> int:
        return 0

    async def leave(self) -> None:
        pass
