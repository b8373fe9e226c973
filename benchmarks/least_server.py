"""The least that could be taken for an API server: the same uvicorn and TLS, a dict, and a commit of each write.

It knows no users, kinds, rules, fields or selectors: what ours costs above it is what those cost. Started by the
benchmark of the API server, beside which it runs.

    python -m benchmarks.least_server DIRECTORY ANSWER_BYTES

takes the certificates of DIRECTORY/pki, keeps its objects in a new file there, answers a list with so many bytes,
prints its port and serves until it is ended.
"""

import asyncio
import sqlite3
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from aliquot.clock import SystemClock
from aliquot.emulator.certificates import Authority
from aliquot.emulator.server import HttpsServer


class LeastServer:
    """As much of `ApiServer` as an HttpsServer asks for."""

    def __init__(self, file: Path, answer_bytes: int) -> None:
        self._objects: dict[str, bytes] = {}
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("CREATE TABLE objects (path TEXT PRIMARY KEY, revision INTEGER, body BLOB)")
        self._list = b'"' + b"x" * (answer_bytes - 2) + b'"'
        self._watches: list[asyncio.Queue[bytes]] = []

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if b"watch=" in scope["query_string"]:
            await self._watch(send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["method"] == "POST":
            status, answer = 201, self._create(scope["path"], msgspec.json.decode(body))
        else:
            status, answer = 200, self._objects.get(scope["path"], self._list)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _watch(self, send: Any) -> None:
        events: asyncio.Queue[bytes] = asyncio.Queue()
        self._watches.append(events)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": await events.get(), "more_body": True})

    def _create(self, path: str, obj: Any) -> bytes:
        revision = len(self._objects) + 1
        obj["metadata"] |= {"uid": str(uuid.uuid4()), "resourceVersion": str(revision)}
        key, encoded = f"{path}/{obj['metadata']['name']}", msgspec.json.encode(obj)
        self._database.execute("INSERT INTO objects VALUES (?, ?, ?)", (key, revision, encoded))
        self._objects[key] = encoded
        for watch in self._watches:
            watch.put_nowait(b'{"type":"ADDED","object":%b}\n' % encoded)
        return encoded

    async def is_administrator(self, scope: Any) -> bool:
        return True

    def stop(self) -> None:
        pass

    async def close(self) -> None:
        self._database.close()


async def _serve(directory: Path, answer_bytes: int) -> None:
    authority = Authority(directory / "pki", clock=SystemClock())
    with tempfile.NamedTemporaryFile(dir=directory, suffix=".db") as file:
        server = LeastServer(Path(file.name), answer_bytes)
        async with HttpsServer(server, authority) as https:  # type: ignore[arg-type]
            print(https.port, flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
