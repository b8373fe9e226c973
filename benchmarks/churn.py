"""A steady population under creates, updates, deletes and watches, for minutes: does the API process grow?

python -m benchmarks churn --minutes=10     (10 seconds without it, as `make bench` runs it)

Memory is that of the server's process. Its logs of changes fill first, up to what they are allowed; the slope is taken
over the second half.
"""

import asyncio
import itertools
import random
import sys
from pathlib import Path

from aliquot.clock import SystemClock
from aliquot.kube import kubeconfig
from aliquot.kube.client import Client
from aliquot.kube.resources import CONFIGMAPS
from benchmarks.clusters import UpCluster, cluster, machine

POPULATION = 500
WRITERS = 8
WATCHES = 20
_SHORT_S = 10.0


def main(short: bool = False) -> None:
    asked = [
        argument.removeprefix("--minutes=") for argument in sys.argv if argument.startswith("--minutes=")
    ]
    seconds = float(asked[0]) * 60 if asked else _SHORT_S
    with cluster("--nodes", "0") as running:
        asyncio.run(churn(running, seconds))


async def churn(running: UpCluster, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end, writes = loop.time() + seconds, itertools.count()
    print(f"{POPULATION} ConfigMaps, {WRITERS} writers, {WATCHES} watches, {seconds:.0f} s ({machine()})")
    samples = [(0.0, running.resident_mib())]
    print(f"  at start: {samples[0][1]:.0f} MiB", flush=True)
    began, every = loop.time(), min(60.0, seconds / 6)
    cpu = running.cpu_s()
    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(write(running.kubeconfig, number, end, writes))
        watches = [group.create_task(watch(running.kubeconfig, end)) for _ in range(WATCHES)]
        while loop.time() < end:
            await asyncio.sleep(every)
            samples.append((loop.time() - began, running.resident_mib()))
            print(f"  {samples[-1][0]:6.0f} s: {samples[-1][1]:.0f} MiB", flush=True)
        for task in watches:
            task.cancel()
    count = next(writes)
    used_s = running.cpu_s() - cpu
    half = samples[len(samples) // 2 :]
    print(
        f"  {count:,} writes, {1e6 * used_s / max(count, 1):.0f} CPU-us each; slope of the second half "
        f"{slope(half) * 60:+.2f} MiB a minute, {slope(half) * 2**20 / (count / seconds):+.1f} bytes a write"
    )


def slope(samples: list[tuple[float, float]]) -> float:
    """MiB per second, by least squares."""
    middle_s = sum(at for at, _ in samples) / len(samples)
    middle = sum(value for _, value in samples) / len(samples)
    spread = sum((at - middle_s) ** 2 for at, _ in samples)
    return sum((at - middle_s) * (value - middle) for at, value in samples) / spread if spread else 0.0


async def write(config: Path, number: int, end: float, writes: "itertools.count[int]") -> None:
    loop, rng = asyncio.get_running_loop(), random.Random(number)
    client = connect(config, rng)
    mine = [f"c-{number}-{place}" for place in range(POPULATION // WRITERS)]
    there: set[str] = set()
    try:
        while loop.time() < end:
            name = rng.choice(mine)
            data = {"value": rng.randbytes(500).hex()}
            if name not in there:
                await client.create(CONFIGMAPS, {"metadata": {"name": name}, "data": data}, "default")
                there.add(name)
            elif rng.random() < 0.8:
                await client.patch(CONFIGMAPS, name, {"data": data}, "default")
            else:
                await client.delete(CONFIGMAPS, name, "default")
                there.discard(name)
            next(writes)
    finally:
        await client.close()


async def watch(config: Path, end: float) -> None:
    """Lists, watches a while, and does so again, as clients that come and go."""
    client = connect(config, random.Random(0))
    try:
        while asyncio.get_running_loop().time() < end:
            listed = await client.list(CONFIGMAPS, "default")
            async for _ in client.watch(
                CONFIGMAPS, "default", resource_version=listed.resource_version, timeout_s=3
            ):
                pass
    finally:
        await client.close()


def connect(config: Path, rng: random.Random) -> Client:
    return Client(kubeconfig.load(str(config), None).transport(), clock=SystemClock(), rng=rng)
