"""The checks that probes make of local processes: a command beside them, a connection, a request, a health call.

A process has no address of its own: where a pod's address would be asked, this machine is.
"""

import asyncio
import contextlib
import os
import ssl
import subprocess
from urllib.parse import urljoin, urlsplit

import grpc
import grpc.aio

from aliquot.emulator.kubelet.runtimes.base import GrpcCheck, HttpCheck, ProbeResult, TcpCheck
from aliquot.emulator.kubelet.runtimes.local_process import LocalProcess
from aliquot.emulator.kubelet.runtimes.shim import Command

_HERE = "127.0.0.1"
_MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
"""Followed on the host that was asked; one that leads away from it is answer enough."""
_LONGEST_OUTPUT_BYTES = 10 << 10
_USER_AGENT = "kube-probe/1.36"
_HEALTH_METHOD = "/grpc.health.v1.Health/Check"
_HEALTH = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def run_command(command: Command, timeout_s: float) -> ProbeResult:
    """The command is killed, and all of its process group with it, when its time is up."""
    process = LocalProcess(command, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    output = b""
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in process.stdout.chunks():
                output = (output + chunk)[:_LONGEST_OUTPUT_BYTES]
            code = await process.ended()
    except TimeoutError:
        words = " ".join(command.command)
        return ProbeResult(False, f'command timed out: "{words}" timed out after {timeout_s:g}s')
    finally:
        process.kill()
        process.stdout.close()
        await process.ended()
    return ProbeResult(code == 0, output.decode(errors="replace"))


async def connect(check: TcpCheck, timeout_s: float) -> ProbeResult:
    host = check.host or _HERE
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, check.port)
    except TimeoutError:
        return ProbeResult(False, f"dial tcp {host}:{check.port}: i/o timeout")
    except OSError as error:
        return ProbeResult(False, f"dial tcp {host}:{check.port}: connect: {_why(error)}")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ProbeResult(True)


async def get(check: HttpCheck, timeout_s: float) -> ProbeResult:
    # Most clusters never have an HTTP probe, and every start would wait for it.
    import aiohttp

    host = check.host or _HERE
    path = check.path if check.path.startswith("/") else f"/{check.path}"
    url = f"{check.scheme}://{host}:{check.port}{path}"
    # As kubelet, it does not ask who it is that answers.
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    headers = {"User-Agent": _USER_AGENT, "Accept": "*/*"} | dict(check.headers)
    try:
        async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as session:
            for _ in range(_MOST_REDIRECTS):
                asking = session.get(url, headers=headers, ssl=trusting, allow_redirects=False)
                async with asking as answer:
                    status = answer.status
                    elsewhere = urljoin(url, answer.headers.get("Location", ""))
                if status not in _REDIRECTS or urlsplit(elsewhere).hostname != host:
                    break
                url = elsewhere
            else:
                return ProbeResult(False, f'Get "{url}": stopped after {_MOST_REDIRECTS} redirects')
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return ProbeResult(False, f'Get "{url}": {why}')
    except aiohttp.ClientConnectorError as error:
        return ProbeResult(False, f'Get "{url}": dial tcp {host}:{check.port}: connect: {_why(error)}')
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return ProbeResult(False, f'Get "{url}": {error}')
    if 200 <= status < 400:
        return ProbeResult(True)
    return ProbeResult(False, f"HTTP probe failed with statuscode: {status}")


async def ask_health(check: GrpcCheck, timeout_s: float) -> ProbeResult:
    service = check.service.encode()
    # HealthCheckRequest and HealthCheckResponse have one field each.
    request = b"\x0a" + _varint(len(service)) + service if service else b""
    async with grpc.aio.insecure_channel(f"{_HERE}:{check.port}") as channel:
        try:
            response: bytes = await channel.unary_unary(_HEALTH_METHOD, None, None)(
                request, timeout=timeout_s
            )
        except grpc.aio.AioRpcError as error:
            match error.code():
                case grpc.StatusCode.UNIMPLEMENTED:
                    text = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
                    return ProbeResult(False, f"error: {text}: {error.details()}")
                case grpc.StatusCode.DEADLINE_EXCEEDED:
                    return ProbeResult(False, f"timeout: health rpc did not complete within {timeout_s:g}s")
                case _:
                    return ProbeResult(False, f"error: health rpc probe failed: {error.details()}")
    status = response[1] if len(response) > 1 else 0
    if _HEALTH.get(status) == "SERVING":
        return ProbeResult(True)
    return ProbeResult(False, f'service unhealthy (responded with "{_HEALTH.get(status, status)}")')


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
