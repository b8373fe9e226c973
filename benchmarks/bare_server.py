"""The same uvicorn with the same TLS, answering every request with the same bytes: what HTTP alone costs here.

    python -m benchmarks.bare_server PKI_DIRECTORY ANSWER_BYTES

prints its port and serves until it is ended.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import uvloop

from aliquot.clock import SystemClock
from aliquot.emulator.certificates import Authority
from aliquot.emulator.server import HttpsServer


class _Echo:
    """As much of `ApiServer` as an HttpsServer asks for."""

    def __init__(self, answer: bytes) -> None:
        self._start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))],
        }
        self._body = {"type": "http.response.body", "body": answer}

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(self._start)
        await send(self._body)

    async def is_administrator(self, scope: Any) -> bool:
        return True

    def stop(self) -> None:
        pass


async def _serve(pki: Path, answer_bytes: int) -> None:
    authority = Authority(pki, clock=SystemClock())
    async with HttpsServer(_Echo(b'"' + b"x" * (answer_bytes - 2) + b'"'), authority) as server:  # type: ignore[arg-type]
        print(server.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
