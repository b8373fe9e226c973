"""A load generator that costs little: prepared requests over kept TLS connections, one at a time on each.

Run as a process of its own, so that what it takes is not taken from the server:

    python -m benchmarks.load KUBECONFIG CONNECTIONS < requests.json

reads [[method, path, body], ...] and prints a Result: requests are dealt out to the connections in turn, and each
connection sends its next one when it has the whole answer to the last.
"""

import asyncio
import gc
import json
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import uvloop

from aliquot.kube import kubeconfig


@dataclass
class Result:
    seconds: float
    cpu_seconds: float
    latencies_ms: list[float]
    failures: list[str] = field(default_factory=list)
    answer_bytes: int = 0
    """The longest body."""
    sent_at_s: list[float] = field(default_factory=list)
    """When each request was sent, in the order of the requests, on the machine's monotonic clock."""

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.seconds


_LAST_CHUNK = b"\r\n0\r\n\r\n"


class _Connection(asyncio.Protocol):
    """Sends `requests` one after the other. `done` gets (latencies in s, status lines of refusals)."""

    def __init__(
        self, requests: Sequence[bytes], done: "asyncio.Future[tuple[list[float], list[str]]]"
    ) -> None:
        self._requests = requests
        self._done = done
        self._next = 0
        self.sent_at_s: list[float] = []
        self._head = b""
        self._in_body = False
        self._length: int | None = None
        """None: it comes in chunks."""
        self._seen = 0
        self._tail = b""
        self.longest = 0
        """Bytes of the longest body."""
        self._latencies: list[float] = []
        self._failures: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def start(self) -> None:
        self._send()

    def _send(self) -> None:
        if self._next == len(self._requests):
            self._transport.close()
            self._done.set_result((self._latencies, self._failures))
            return
        self.sent_at_s.append(time.perf_counter())
        self._transport.write(self._requests[self._next])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            head, self._head = data[:end], b""
            if data[9:10] != b"2":
                self._failures.append(head.split(b"\r\n", 1)[0].decode())
            self._length = _content_length(head)
            self._in_body, self._seen, data = True, 0, data[end + 4 :]
        self._seen += len(data)
        self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
        if self._tail == _LAST_CHUNK if self._length is None else self._seen >= self._length:
            self.longest = max(self.longest, self._seen)
            self._tail, self._in_body = b"", False
            self._latencies.append(time.perf_counter() - self.sent_at_s[-1])
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server closed the connection"))


def _content_length(head: bytes) -> int | None:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
        if line == b"transfer-encoding: chunked":
            return None
    raise ConnectionError(f"an answer without a length: {head!r}")


async def run(url: str, tls: ssl.SSLContext | None, requests: Sequence[bytes], connections: int) -> Result:
    """`tls` None: plain HTTP."""
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    opened = []
    for number in range(connections):
        done: asyncio.Future[tuple[list[float], list[str]]] = loop.create_future()
        mine = requests[number::connections]

        def factory(
            mine: Sequence[bytes] = mine, done: "asyncio.Future[tuple[list[float], list[str]]]" = done
        ) -> _Connection:
            return _Connection(mine, done)

        _, protocol = await loop.create_connection(
            factory,
            str(address.hostname),
            address.port or 443,
            ssl=tls,
            server_hostname=address.hostname if tls is not None else None,
        )
        opened.append((protocol, done))
    gc.collect()
    gc.disable()
    wall, cpu = time.perf_counter(), time.process_time()
    for protocol, _ in opened:
        protocol.start()
    results = await asyncio.gather(*(done for _, done in opened))
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    sent_at_s = [0.0] * len(requests)
    for number, (protocol, _) in enumerate(opened):
        sent_at_s[number::connections] = protocol.sent_at_s
    return Result(
        seconds,
        cpu_seconds,
        [1000 * one for latencies, _ in results for one in latencies],
        [one for _, failures in results for one in failures][:5],
        max(protocol.longest for protocol, _ in opened),
        sent_at_s,
    )


def encoded(method: str, path: str, body: str) -> bytes:
    content = body.encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nUser-Agent: bench\r\n"
    if content:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


def main(arguments: Sequence[str]) -> None:
    connection = kubeconfig.load(arguments[0], None)
    requests = [encoded(*one) for one in json.load(sys.stdin)]
    result = uvloop.run(run(connection.server, connection.tls(), requests, int(arguments[1])))
    # Buffered, whatever PYTHONUNBUFFERED says: unbuffered, a long text may be written in part.
    with open(sys.stdout.fileno(), "w", closefd=False) as out:
        print(json.dumps(result.__dict__), file=out)


if __name__ == "__main__":
    main(sys.argv[1:])
