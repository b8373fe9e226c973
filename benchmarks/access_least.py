"""The least that could be taken for a server of break glass: uvicorn, and a commit of each write to SQLite that survives a power cut.

It knows nobody, decides nothing and has no log that could be verified. Started by the benchmark of the API, beside which it runs.

    python -m benchmarks.access_least FILE ANSWER_BYTES

prints its port and serves until it is ended.
"""

import asyncio
import socket
import sqlite3
import sys
from typing import Any

import uvicorn


class LeastServer:
    def __init__(self, file: str, answer_bytes: int) -> None:
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("CREATE TABLE requests (number INTEGER PRIMARY KEY, body BLOB)")
        self._answer = b"x" * answer_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"")
        if scope["method"] == "POST":
            self._database.execute("INSERT INTO requests (body) VALUES (?)", (body,))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self._answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._answer})


async def _serve(file: str, answer_bytes: int) -> None:
    bound = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        LeastServer(file, answer_bytes), interface="asgi3", lifespan="off", log_config=None, access_log=False
    )
    print(bound.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve(sockets=[bound])


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
