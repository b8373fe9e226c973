"""100,000 pods: the memory that they take, and how long a restart on them takes, beside reading the file alone."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aliquot.emulator.storage.persistence import Row, StoreFile
from benchmarks.clusters import machine

PODS = 100_000
GOALS = "goals: under 1,536 MiB, ready in under 10 s"
_AT_ONCE = 1000

_READ = """
import sys, time
from pathlib import Path
from aliquot.emulator.storage.persistence import StoreFile
began = time.process_time()
count = sum(1 for _ in StoreFile(Path(sys.argv[1])).load()[1])
print(count, time.process_time() - began)
"""
_RESTART = """
import asyncio, psutil, random, sys, time
from pathlib import Path
from aliquot.clock import SystemClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.storage.store import Store
async def main():
    cpu, wall = time.process_time(), time.perf_counter()
    api = ApiServer(Store(Path(sys.argv[1])), clock=SystemClock(), rng=random.Random(1))
    await api.start()
    rss = psutil.Process().memory_info().rss / 2**20
    print(time.process_time() - cpu, time.perf_counter() - wall, rss)
asyncio.run(main())
"""


def main(short: bool = False) -> None:
    count = PODS // 20 if short else PODS
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "store.db"
        fill(path, count)
        _, read_s = (float(word) for word in run(_READ, path))
        cpu_s, wall_s, rss_mib = (float(word) for word in run(_RESTART, path))
        size_mib = path.stat().st_size / 2**20
    print(f"{count:,} pods of 3.8 kB, {size_mib:,.0f} MiB on disk ({machine()})")
    print(f"  resident after a start: {rss_mib:,.0f} MiB, {rss_mib / size_mib:.2f} times the file")
    print(
        f"  start to ready: {cpu_s:.2f} CPU-s, {wall_s:.2f} s; {cpu_s / read_s:.1f} times reading the file alone"
    )
    print(f"  {GOALS}" if not short else f"  {GOALS}, with {PODS:,}")


def fill(path: Path, count: int) -> None:
    """A state as the emulator leaves it, but for the objects that every cluster has: the first start makes those."""
    file = StoreFile(path)
    for start in range(1, count + 1, _AT_ONCE):
        last = min(start + _AT_ONCE, count + 1)
        file.commit(last - 1, {row.id: row for row in rows(start, last)})
    file.close()


def rows(start: int, end: int) -> Iterator[Row]:
    filler = "x" * 3500
    for number in range(start, end):
        namespace, name = f"ns-{number % 50}", f"pod-{number}"
        body = (
            f'{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}","namespace":"{namespace}",'
            f'"uid":"00000000-0000-0000-0000-{number:012}","resourceVersion":"{number}",'
            f'"creationTimestamp":"2026-01-01T00:00:00Z","annotations":{{"filler":"{filler}"}}}},'
            '"spec":{"containers":[{"name":"main","image":"registry.example/app:1"}]},"status":{"phase":"Pending"}}'
        )
        yield Row(number, "pods", namespace, name, number, body.encode())


def run(program: str, path: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.split()


if __name__ == "__main__":
    main()
