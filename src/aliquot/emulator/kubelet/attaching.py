"""A person who looks over a running container's shoulder: what it prints from now on.

Its input is its own: what is typed is lost.
"""

from collections.abc import AsyncGenerator, AsyncIterator

from aliquot.emulator.streaming.session import Output


class Attached:
    """`log` follows the container's output, and ends with it."""

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
