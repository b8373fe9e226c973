"""Over raw sockets: clients that are slow, wrong or hostile. Each gets a clear answer or is cut off; others never notice."""

import asyncio
import json
import random
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aliquot.clock import SystemClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority
from aliquot.emulator.http import connection, exchange
from aliquot.emulator.server import HttpsServer
from aliquot.emulator.storage.store import Store
from tests.emulator.api import CONFIGS, config

SOON_S = 0.05
PATIENCE_S = 60
"""A machine at work on much else may take long over the largest of them."""
"""For deadlines that are to pass while a test waits for what they do."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", clock=SystemClock())


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[HttpsServer]:
    api = ApiServer(
        Store(), clock=SystemClock(), rng=random.Random(1), client_authority=authority.for_clients
    )
    await api.start()
    async with HttpsServer(api, authority) as server:
        yield server


class Raw:
    """A TLS connection as an administrator, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, server: HttpsServer, authority: Authority, directory: Path) -> "Raw":
        context = ssl.create_default_context(cadata=authority.certificate.decode())
        pair = authority.client("ada", ["system:masters"])
        (directory / "client.pem").write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(directory / "client.pem")
        return cls(*await asyncio.open_connection("127.0.0.1", server.port, ssl=context))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """(status, body) of the next answer, which has a Content-Length."""
        self.writer.write(request)
        return await self.answer()

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(lines[0].split()[1]), body

    async def is_cut(self) -> bool:
        """Waits for the other side to end the connection."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while await self.reader.read(1 << 16):
                    pass
            except ConnectionError:
                pass
        return True

    async def close(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
async def raw(server: HttpsServer, authority: Authority, tmp_path: Path) -> AsyncIterator[Raw]:
    made = await Raw.open(server, authority, tmp_path)
    yield made
    await made.close()


def request(method: str, path: bytes, body: bytes = b"", *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = [
        b"%s %s HTTP/%s" % (method.encode(), path, version),
        b"host: x",
        *([b"content-length: %d" % len(body)] if body else []),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


POST = CONFIGS.encode()


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        pytest.param(
            request("GET", b"/api/v1/pods", b"", b"x: " + b"a" * (2 << 20)), 431, "431", id="header of 2 MiB"
        ),
        pytest.param(request("GET", b"/?" + b"a" * (2 << 20)), 431, "431", id="URL of 2 MiB"),
        pytest.param(b"GARBAGE\r\n\r\n", 400, "Invalid HTTP request", id="no HTTP"),
        pytest.param(request("GET", b"/\xff"), 400, "Invalid HTTP request", id="path with a raw byte"),
        pytest.param(
            request("GET", b"/api/v1/namespaces/%ff%fe/pods"), 200, "PodList", id="path that is no UTF-8"
        ),
        pytest.param(request("GET", b"/api/v1/pods?labelSelector=%ff"), 400, "", id="query that is no UTF-8"),
        pytest.param(
            request("GET", b"/api/v1/pods", b"", b"accept: \xff\xfe"),
            406,
            "media types",
            id="header that is no UTF-8",
        ),
        pytest.param(
            request("GET", b"/api/v1/pods", b"", b"impersonate-user: \xff"),
            403,
            "",
            id="user that is no UTF-8",
        ),
        pytest.param(request("POST", POST, b"\xff\xfe{}"), 400, "json", id="body that is no UTF-8"),
        pytest.param(
            request("POST", POST, b"", b"content-length: 50000000"), 413, "too large", id="50 MB announced"
        ),
        pytest.param(
            request("POST", POST, b"", b"content-length: -1"),
            400,
            "Invalid HTTP request",
            id="negative length",
        ),
        pytest.param(request("GET", b"/version", version=b"1.0"), 200, "gitVersion", id="HTTP/1.0"),
        pytest.param(
            request(
                "GET",
                b"/version",
                b"",
                b"connection: upgrade",
                b"upgrade: websocket",
                b"sec-websocket-version: 13",
            ),
            400,
            "",
            id="half a handshake of a websocket",
        ),
        pytest.param(
            request("POST", POST, json.dumps({**config("w"), "a\r\nx: b": 1}).encode()),
            201,
            '"w"',
            id="a warning with a line break",
        ),
        pytest.param(
            request(
                "POST", POST, json.dumps({**config("w"), **{f"f{n}": 1 for n in range(20_000)}}).encode()
            ),
            201,
            '"w"',
            id="20,000 warnings",
        ),
    ],
)
async def test_each_gets_an_answer(
    server: HttpsServer, raw: Raw, authority: Authority, tmp_path: Path, sent: bytes, status: int, says: str
) -> None:
    found, body = await raw.ask(sent)
    assert (found, says.encode() in body) == (status, True), body[:300]
    other = await Raw.open(server, authority, tmp_path)
    assert (await other.ask(request("GET", b"/healthz")))[0] == 200
    await other.close()


async def test_a_body_without_a_length_is_refused_where_it_is_too_large(raw: Raw) -> None:
    raw.writer.write(request("POST", POST, b"", b"transfer-encoding: chunked"))
    for _ in range(64):
        raw.writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    status, _ = await raw.answer()
    assert status == 413


async def test_requests_in_a_row_are_answered_in_a_row(raw: Raw) -> None:
    """Pipelining, with a body in the middle."""
    raw.writer.write(
        request("GET", b"/healthz")
        + request("POST", POST, json.dumps(config("piped")).encode())
        + request("GET", POST + b"/piped")
        + request("GET", b"/nowhere")
    )
    assert [(await raw.answer())[0] for _ in range(4)] == [200, 201, 200, 404]


async def test_headers_that_do_not_come_are_not_waited_for(
    server: HttpsServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEADERS_DEADLINE_S", SOON_S)
    silent = await Raw.open(server, authority, tmp_path)
    assert await silent.is_cut()
    monkeypatch.setattr(connection, "HEADERS_DEADLINE_S", 10 * SOON_S)
    dripping = await Raw.open(server, authority, tmp_path)
    dripping.writer.write(b"GET / HTTP/1.1\r\nx: ")
    assert await dripping.is_cut()
    second = await Raw.open(server, authority, tmp_path)
    assert (await second.ask(request("GET", b"/healthz")))[0] == 200
    second.writer.write(b"GET /heal")
    assert await second.is_cut()


@pytest.mark.parametrize("sent", [b"", b'{"apiVersion"'])
async def test_a_body_that_does_not_come_is_not_waited_for(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(exchange, "BODY_DEADLINE_S", SOON_S)
    raw.writer.write(request("POST", POST, b"", b"content-length: 1000") + sent)
    status, body = await raw.answer()
    assert (status, json.loads(body)["reason"]) == (408, "Timeout")


async def test_half_a_body_and_the_end_leave_nothing(server: HttpsServer, raw: Raw) -> None:
    body = json.dumps(config("half")).encode()
    raw.writer.write(request("POST", POST, b"", b"content-length: %d" % len(body)) + body[:-1])
    await raw.writer.drain()
    raw.writer.close()
    assert await raw.is_cut()
    assert isinstance(server._api, ApiServer)
    assert server._api.store.get("configmaps", "default", "half") is None


async def test_plain_http_on_the_tls_port_is_cut_off(server: HttpsServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("GET", b"/healthz"))
    assert await Raw(reader, writer).is_cut()
    writer.close()


async def test_a_watch_that_nobody_reads_is_cut_off_and_holds_no_memory(
    server: HttpsServer, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is a position in the store's log, and a buffer of a socket."""
    monkeypatch.setattr(connection, "STALLED_READER_S", 4 * SOON_S)
    assert isinstance(server._api, ApiServer)
    store = server._api.store
    raw.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a whole Transport
    raw.writer.write(request("GET", POST + b"?watch=1"))
    log = store._resource("configmaps").log
    waiting_bytes = [0]
    async with asyncio.timeout(PATIENCE_S):
        while not log.watchers:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.005)
        for number in range(400):
            await store.create(
                "configmaps", "default", f"c{number}", config(f"c{number}", value="x" * 50_000)
            )
            waiting_bytes += [
                held.transport.get_write_buffer_size() for held in server._server.server_state.connections
            ]
        while log.watchers:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert 0 < max(waiting_bytes) < 2 << 20
    assert (await _healthy(server)) == 200


async def _healthy(server: HttpsServer) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = Raw(*await asyncio.open_connection("127.0.0.1", server.port, ssl=context))
    status, _ = await raw.ask(request("GET", b"/healthz"))
    await raw.close()
    return status
