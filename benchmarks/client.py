"""10,000 pods (43 MB) into a cache, and watch events through it: our client beside two that people know.

Each client runs in a process of its own against a stub in another. CPU seconds are the client's alone. Events per
second are by the wall clock; the stub shares the machine. What each does to the same 4.3 KB pod: ours decodes the
fields that Aliquot reads and keeps an index; the others decode into their full models and keep a dict.
"""

import asyncio
import gc
import importlib.metadata
import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from benchmarks.clusters import machine

EVENTS_LEFT_OUT = 0.02
"""Share of the events at each end that is not timed: start-up of the stream, and the last wake-up."""


@dataclass
class Figures:
    list_cpu_s: float
    list_wall_s: float
    rss_mib: float
    grown_mib: float
    events_per_s: float
    event_cpu_us: float


class Meter:
    """Marks of CPU, wall time and memory, taken by the measured process itself."""

    def __init__(self, pods: int) -> None:
        self.pods = pods
        self._process = psutil.Process()
        self._rss_before = 0.0
        self._cpu, self._wall = 0.0, 0.0
        self._listed: dict[str, float] = {}
        self._seen = 0
        self._first = (0.0, 0.0)
        self._last = (0.0, 0.0)
        self._edge = int(pods * EVENTS_LEFT_OUT)
        self.done = asyncio.Event()

    def _rss(self) -> float:
        return float(self._process.memory_info().rss) / 2**20

    def start(self) -> None:
        """Everything is imported; what follows is the work."""
        gc.collect()
        self._rss_before = self._rss()
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def listed(self, held: int) -> None:
        assert held == self.pods, f"{held} of {self.pods} pods"
        self._listed = {
            "list_cpu_s": time.process_time() - self._cpu,
            "list_wall_s": time.perf_counter() - self._wall,
            "rss_mib": self._rss(),
            "grown_mib": self._rss() - self._rss_before,
        }

    def event(self) -> None:
        self._seen += 1
        if self._seen == self._edge:
            self._first = (time.perf_counter(), time.process_time())
        elif self._seen == self.pods - self._edge:
            self._last = (time.perf_counter(), time.process_time())
        if self._seen == self.pods:
            self.done.set()

    def figures(self) -> Figures:
        timed = self.pods - 2 * self._edge
        wall, cpu = (last - first for first, last in zip(self._first, self._last, strict=True))
        return Figures(**self._listed, events_per_s=timed / wall, event_cpu_us=cpu / timed * 1e6)


async def _aliquot(address: str, meter: Meter, *, watch_list: bool) -> None:
    import aiohttp  # noqa: F401 - which the transport would import when it first connects

    from aliquot.clock import SystemClock
    from aliquot.kube.api.core import Pod
    from aliquot.kube.cache import Cache, settle_gc
    from aliquot.kube.client import Client
    from aliquot.kube.http_transport import HttpTransport
    from aliquot.kube.resources import PODS

    client = Client(HttpTransport(address), clock=SystemClock(), rng=random.Random(1))
    indexes: dict[str, Callable[[Pod], list[str]]] = {"node": lambda pod: [pod.spec.node_name]}
    cache = Cache(client, PODS, Pod, indexes=indexes, watch_list=watch_list)

    def changed(old: Pod | None, new: Pod | None) -> None:
        if old is not None:
            meter.event()

    cache.subscribe(changed)
    meter.start()
    following = asyncio.create_task(cache.run())
    await cache.synced()
    meter.listed(len(cache))
    settle_gc()

    await meter.done.wait()
    following.cancel()
    await asyncio.wait([following])
    await client.close()


async def _aliquot_list(address: str, meter: Meter) -> None:
    await _aliquot(address, meter, watch_list=False)


async def _aliquot_stream(address: str, meter: Meter) -> None:
    await _aliquot(address, meter, watch_list=True)


async def _lightkube(address: str, meter: Meter) -> None:
    from lightkube import AsyncClient, KubeConfig
    from lightkube.resources.core_v1 import Pod

    config = {
        "current-context": "stub",
        "clusters": [{"name": "stub", "cluster": {"server": address}}],
        "users": [{"name": "stub", "user": {}}],
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
    }
    client = AsyncClient(config=KubeConfig.from_dict(config), trust_env=False)
    meter.start()
    held = {}
    async for pod in client.list(Pod, namespace="*", chunk_size=500):
        held[pod.metadata.namespace, pod.metadata.name] = pod
    meter.listed(len(held))
    async for _, pod in client.watch(Pod, namespace="*", resource_version="1"):
        held[pod.metadata.namespace, pod.metadata.name] = pod
        meter.event()
        if meter.done.is_set():
            break


async def _kubernetes_asyncio(address: str, meter: Meter) -> None:
    from kubernetes_asyncio import client as kubernetes
    from kubernetes_asyncio import watch

    configuration = kubernetes.Configuration(host=address)
    async with kubernetes.ApiClient(configuration) as api_client:
        api = kubernetes.CoreV1Api(api_client)
        meter.start()
        held = {}
        options: dict[str, Any] = {"limit": 500}
        while True:
            page = await api.list_pod_for_all_namespaces(**options)
            for pod in page.items:
                held[pod.metadata.namespace, pod.metadata.name] = pod
            if not page.metadata._continue:
                break
            options["_continue"] = page.metadata._continue
        meter.listed(len(held))
        stream = watch.Watch().stream(api.list_pod_for_all_namespaces, resource_version="1")
        async with stream as events:
            async for event in events:
                pod = event["object"]
                held[pod.metadata.namespace, pod.metadata.name] = pod
                meter.event()
                if meter.done.is_set():
                    break


CLIENTS: dict[str, Callable[[str, Meter], Awaitable[None]]] = {
    "aliquot (paged list)": _aliquot_list,
    "aliquot (streamed list)": _aliquot_stream,
    "lightkube": _lightkube,
    "kubernetes_asyncio": _kubernetes_asyncio,
}


def _measure(name: str, pods: int, rounds: int) -> Figures:
    """The best of `rounds`: noise only ever adds."""
    results = []
    for _ in range(rounds):
        stub_command = [sys.executable, "-m", "benchmarks.pod_stub", str(pods)]
        with subprocess.Popen(stub_command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stub:
            assert stub.stdin is not None and stub.stdout is not None
            port = stub.stdout.readline().strip()
            command = [sys.executable, "-m", "benchmarks.client", name, f"http://127.0.0.1:{port}", str(pods)]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
            results.append(json.loads(answer.stdout))
            stub.terminate()
    best = {field: min(result[field] for result in results) for field in results[0]}
    best["events_per_s"] = max(result["events_per_s"] for result in results)
    return Figures(**best)


def main(short: bool = False) -> None:
    pods, rounds = (1_000, 1) if short else (10_000, 3)
    print(
        f"{pods:,} pods of 4.3 KB over loopback HTTP, then an event for each (best of {rounds}; {machine()})"
    )
    if not short:
        print("goal: list under 0.5 CPU-s and 150 MiB, 50,000 events/s")
    print(f"  {'':32}{'list':>14}{'process':>12}{'grown by':>12}{'watch':>18}{'':>14}")
    baseline: Figures | None = None
    for name in CLIENTS:
        figures = _measure(name, pods, rounds)
        baseline = baseline or figures
        label = name
        if not name.startswith("aliquot"):
            label = f"{name} {importlib.metadata.version(name)}"
        print(
            f"  {label:32}{figures.list_cpu_s:>8.2f} CPU-s{figures.rss_mib:>8.0f} MiB{figures.grown_mib:>8.0f} MiB"
            f"{figures.events_per_s:>9,.0f} events/s{figures.event_cpu_us:>8.1f} CPU-us",
            flush=True,
        )
        if figures is not baseline:
            print(
                f"  {'  times the first line':32}{figures.list_cpu_s / baseline.list_cpu_s:>13.1f}x"
                f"{figures.rss_mib / baseline.rss_mib:>11.1f}x{figures.grown_mib / baseline.grown_mib:>11.1f}x"
                f"{figures.events_per_s / baseline.events_per_s:>17.2f}x"
                f"{figures.event_cpu_us / baseline.event_cpu_us:>13.1f}x",
                flush=True,
            )


async def _child(name: str, address: str, pods: int) -> Figures:
    meter = Meter(pods)
    await CLIENTS[name](address, meter)
    return meter.figures()


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_child(sys.argv[1], sys.argv[2], int(sys.argv[3]))))))
