"""The checks that probes make of local processes."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from aliquot.emulator.kubelet.runtimes.base import (
    ExecCheck,
    GrpcCheck,
    HttpCheck,
    ProbeRequest,
    ProbeResult,
    TcpCheck,
)
from aliquot.emulator.kubelet.runtimes.checks import ask_health, connect, get
from tests.emulator.kubelet.test_process_runtime import alive, at_work, make, printed, shell

LONG_S = 30.0


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server's port, and what it was asked. Answers every request so; with None, never."""
    asked: list[bytes] = []
    serving = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        if answer is not None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
        with contextlib.suppress(OSError):
            await reader.read()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked
        await asyncio.gather(*filter(None, serving))


async def unused_port() -> int:
    async with answering(b"") as (port, _):
        return port


def http(status: str, *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", "Content-Length: 0", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (http("200 OK"), ProbeResult(True)),
        (http("399 Odd"), ProbeResult(True)),
        (http("302 Found", "Location: http://127.0.0.2:1/"), ProbeResult(True)),
        (http("404 Not Found"), ProbeResult(False, "HTTP probe failed with statuscode: 404")),
        (http("503 Busy"), ProbeResult(False, "HTTP probe failed with statuscode: 503")),
    ],
)
async def test_http(answer: bytes, result: ProbeResult) -> None:
    async with answering(answer) as (port, asked):
        check = HttpCheck(port, path="/health?full=1", headers=(("X-Who", "me"), ("Host", "own.example")))
        assert await get(check, LONG_S) == result
    assert asked[0].startswith(b"GET /health?full=1 HTTP/1.1\r\n")
    assert b"X-Who: me" in asked[0]
    assert b"Host: own.example" in asked[0]
    assert b"User-Agent: kube-probe/" in asked[0]


async def test_http_follows_on_the_same_host_alone() -> None:
    async with (
        answering(http("200 OK")) as (last, asked),
        answering(http("302 Found", f"Location: http://127.0.0.1:{last}/there")) as (first, _),
    ):
        assert await get(HttpCheck(first), LONG_S) == ProbeResult(True)
    assert asked[0].startswith(b"GET /there ")


async def test_http_does_not_go_round_for_ever() -> None:
    async with answering(http("302 Found", "Location: /again")) as (port, asked):
        result = await get(HttpCheck(port), LONG_S)
    url = f"http://127.0.0.1:{port}/again"
    assert result == ProbeResult(False, f'Get "{url}": stopped after 10 redirects')
    assert len(asked) == 10


@pytest.mark.parametrize("probe", [connect, get])
async def test_nobody_listens(probe: Callable[..., Awaitable[ProbeResult]]) -> None:
    port = await unused_port()
    check = TcpCheck(port) if probe is connect else HttpCheck(port)
    result = await probe(check, LONG_S)
    assert result.success is False
    assert result.text.endswith(f"dial tcp 127.0.0.1:{port}: connect: connection refused")


async def test_http_without_an_answer_in_time() -> None:
    async with answering(None) as (port, _):
        result = await get(HttpCheck(port), 0.05)
    why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    assert result == ProbeResult(False, f'Get "http://127.0.0.1:{port}/": {why}')


async def test_tcp() -> None:
    async with answering(None) as (port, _):
        assert await connect(TcpCheck(port), LONG_S) == ProbeResult(True)


@pytest.mark.parametrize(
    ("response", "result"),
    [
        (b"\x08\x01", ProbeResult(True)),
        (b"\x08\x02", ProbeResult(False, 'service unhealthy (responded with "NOT_SERVING")')),
        (b"", ProbeResult(False, 'service unhealthy (responded with "UNKNOWN")')),
    ],
)
async def test_grpc(response: bytes, result: ProbeResult) -> None:
    asked = []

    async def check(request: bytes, _: object) -> bytes:
        asked.append(request)
        return response

    server = grpc.aio.server()
    handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        assert await ask_health(GrpcCheck(port, "web"), LONG_S) == result
        assert asked == [b"\x0a\x03web"]
    finally:
        await server.stop(None)


async def test_a_grpc_server_without_health() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        result = await ask_health(GrpcCheck(port), LONG_S)
    finally:
        await server.stop(None)
    assert result.success is False
    assert "does not implement the grpc health protocol" in result.text


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (("true",), ProbeResult(True)),
        (("sh", "-c", "echo out; echo err >&2; exit 3"), ProbeResult(False, "out\nerr\n")),
        (("sh", "-c", 'echo "$COLOUR"; pwd; exit 1'), ProbeResult(False, "red\n{work}\n")),
        (("no-such",), ProbeResult(None, 'exec: "no-such": executable file not found in $PATH')),
    ],
)
async def test_a_command_runs_as_the_container_s_own_does(
    tmp_path: Path, command: tuple[str, ...], result: ProbeResult
) -> None:
    work = tmp_path / "pods" / "uid-p" / "work"
    expected = ProbeResult(result.success, result.text.replace("{work}", str(work)))
    record = None
    first = make(tmp_path)
    async with at_work(first, leave=True):
        record = await first.start(shell("echo up; sleep 600", env={"COLOUR": "red"}))
        await printed(first, record.id, "up")
    # A kubelet that finds the container knows enough of it.
    for runtime in (first, make(tmp_path, seed=2)):
        request = ProbeRequest("Liveness", ExecCheck(command), LONG_S)
        assert await runtime.probe(record.id, request) == expected
    async with at_work(runtime):
        pass


async def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime):
        record = await runtime.start(shell("echo up; sleep 600"))
        script = (
            f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
        )
        command = (sys.executable, "-c", script)
        result = await runtime.probe(record.id, ProbeRequest("Liveness", ExecCheck(command), 1.0))
        assert result.success is False
        assert result.text == f'command timed out: "{" ".join(command)}" timed out after 1s'
        assert not alive(int((tmp_path / "pid").read_text() or os.getpid()))
