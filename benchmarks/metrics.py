"""A scrape of 8 GPUs with 7 slices each, all held, over HTTP, beside the same answer ready made.

Each scrape asks the GPUs anew, on threads as of real ones; the simulated ones answer at once, so this is what the agent
itself adds to the driver's time. The server shares its process with the one who asks, and calls to both alternate.
"""

import asyncio
import itertools
import time

import aiohttp

from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.metrics.server import serving
from aliquot.node.advertise import advertise
from aliquot.node.driver_access import DriverAccess
from aliquot.node.inventory import observe
from aliquot.node.metrics.counts import Counts
from aliquot.node.metrics.scrape import Metrics, Seen
from aliquot.node.metrics.telemetry_reader import TelemetryReader
from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.pod_resources import Allocations, Holding
from benchmarks.clusters import machine, percentile

GPUS, SLICES = 8, 7
GOAL_MS = 20.0
WARM_UP = 10


def main(short: bool = False) -> None:
    asyncio.run(measure(scrapes=100 if short else 1000))


async def measure(scrapes: int) -> None:
    driver = SimulatedDriver(parse_gpus(f"h100-80gb:{GPUS}:mig"), node="bench")
    for gpu in driver.gpus():
        profile = next(p for p in driver.instance_profiles(gpu.uuid) if p.name == "1g.10gb")
        for start in range(SLICES):
            made = driver.create_gpu_instance(gpu.uuid, profile.profile_id, start)
            driver.create_compute_instance(gpu.uuid, made.gi_id, None)
    snapshot = observe(driver)
    advertisement = advertise(snapshot.gpus, MigStrategy.MIXED)
    holdings = [
        Holding(f"bench/pod-{number}", "main", device.resource, (device.id,))
        for number, device in enumerate(advertisement.devices)
    ]
    seen = Seen(snapshot, advertisement, Allocations(tuple(holdings)), ())
    counts = Counts()
    readers = (TelemetryReader(driver, DriverAccess(asyncio.to_thread)) for _ in itertools.count())

    async def text() -> str:
        # A reader of its own for each: one alone would answer within a second from what it has.
        return await Metrics("bench", next(readers), counts, lambda: seen).text()

    ready_made = await text()

    async def said_before() -> str:
        return ready_made

    took_ms: dict[str, list[float]] = {"ready made": [], "scrape": []}
    cpu_ms = dict.fromkeys(took_ms, 0.0)
    async with (
        serving(said_before, "127.0.0.1", 0) as bare_port,
        serving(text, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
    ):
        for number in range(scrapes + WARM_UP):
            for name, asked in (("ready made", bare_port), ("scrape", port)):
                began, cpu_began = time.perf_counter(), time.process_time()
                async with session.get(f"http://127.0.0.1:{asked}/metrics") as answer:
                    await answer.read()
                if number >= WARM_UP:
                    took_ms[name].append((time.perf_counter() - began) * 1e3)
                    cpu_ms[name] += (time.process_time() - cpu_began) * 1e3
    series = sum(not line.startswith("#") for line in ready_made.splitlines())
    print(f"{scrapes} scrapes of {GPUS} GPUs with {SLICES} slices each ({machine()})")
    print(f"  {series} series, {len(ready_made) / 1024:.0f} KiB; goal: p99 under {GOAL_MS:g} ms")
    print(f"  {'':<14}{'p50 ms':>8}{'p90 ms':>8}{'p99 ms':>8}{'max ms':>8}{'x ready':>9}{'cpu ms':>8}")
    base = percentile(took_ms["ready made"], 0.5)
    for name, values in took_ms.items():
        figures = "".join(f"{percentile(values, share):>8.2f}" for share in (0.5, 0.9, 0.99, 1.0))
        print(f"  {name:<14}{figures}{percentile(values, 0.5) / base:>9.1f}{cpu_ms[name] / scrapes:>8.2f}")
