"""The API of break glass over HTTP: requests asked for, read and taken back through the whole door, with SQLite and the log on,
beside the least server in the same run.

Who calls is authenticated each time; every write is a commit of row, log entries and outbox that survives a power cut; the server
carries out what follows meanwhile. The load comes from another process, so server and load share the machine's cores. What is
counted on another machine, or a busy one, are requests per second of the server's CPU.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import uvloop

from aliquot.access.store.database import Database
from aliquot.access.store.reading import Wanted
from aliquot.access.store.store import Store
from aliquot.clock import SystemClock
from benchmarks.access_installation import CLUSTER, NAMESPACE, TEMPLATES, Installation, installed
from benchmarks.clusters import machine, percentile
from benchmarks.load import Result, run

ASKS, CONNECTIONS, HOLDERS = 2_000, 32, 32
GOALS = {"asked for": 200, "read": 1_000, "taken back": 200}
PEOPLE = {f"dev-{number}": ("developers",) for number in range(HOLDERS)}


def main(short: bool = False) -> None:
    count = 200 if short else ASKS
    print(f"{CONNECTIONS} connections, every write a commit ({machine()})")
    print(
        f"  {'':<26}{'per s':>7}{'per CPU-s':>11}{'CPU-us':>8}{'p50 ms':>8}{'p99 ms':>8}{'goal':>7}{'of least':>10}"
    )
    with installed(PEOPLE) as there:
        asks = [_ask(there, number) for number in range(count)]
        with least_server(1_400) as (url, process):
            least_write = measure("a commit, least server", url, process, asks)
            least_read = measure("read, least server", url, process, [_get("/", "") for _ in asks])
        measure("asked for", there.url, there.server, asks, least=least_write)
        made = asyncio.run(_made(there.database))
        reads = [_get(f"/v1/requests/{one}", there.tokens[who]) for one, who in (made * 2)[: 2 * count]]
        measure("read", there.url, there.server, reads, least=least_read)
        backs = [_post(f"/v1/requests/{one}:withdraw", there.tokens[who]) for one, who in made]
        measure("taken back", there.url, there.server, backs, least=least_write)
        print(f"  the server's memory at the end: {there.server.memory_info().rss / 2**20:.0f} MiB")


def measure(
    name: str, url: str, server: psutil.Process, requests: Sequence[bytes], *, least: float | None = None
) -> float:
    """Prints a row, beside what the least server answers per second of its CPU; gives the same of this one."""
    before = sum(server.cpu_times()[:2])
    result: Result = uvloop.run(run(url, None, requests, CONNECTIONS))
    cpu_s = sum(server.cpu_times()[:2]) - before
    if result.failures:
        raise SystemExit(f"{name}: the server refused: {result.failures}")
    per_cpu_s = len(requests) / cpu_s
    row = (
        f"  {name:<26}{result.per_second:>7,.0f}{per_cpu_s:>11,.0f}{1e6 / per_cpu_s:>8.0f}"
        f"{percentile(result.latencies_ms, 0.5):>8.1f}{percentile(result.latencies_ms, 0.99):>8.1f}"
    )
    if least is not None:
        row += f"{GOALS[name]:>7,}{per_cpu_s / least:>10.2f}"
    print(row, flush=True)
    return per_cpu_s


def _ask(there: Installation, number: int) -> bytes:
    asked = {
        "template": f"shop-logs-{number % TEMPLATES}",
        "cluster": CLUSTER,
        "namespace": NAMESPACE,
        "justification": f"checkout is down, for the {number}th time",
    }
    return _post("/v1/requests", there.tokens[f"dev-{number % HOLDERS}"], json.dumps(asked).encode())


def _post(path: str, token: str, body: bytes = b"") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _get(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def _made(database: str) -> list[tuple[str, str]]:
    """Ids and holders of all requests that there are."""
    store = Store(Database(database), clock=SystemClock())
    found = await store.read(lambda tx: tx.lives(Wanted(), most=ASKS))
    store.close()
    return [(life.id, life.holder.subject) for life in found]


@contextmanager
def least_server(answer_bytes: int) -> Iterator[tuple[str, psutil.Process]]:
    with tempfile.TemporaryDirectory(prefix="aliquot-bench-") as folder:
        command = [
            sys.executable,
            "-m",
            "benchmarks.access_least",
            str(Path(folder) / "least.db"),
            str(answer_bytes),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}", psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)
