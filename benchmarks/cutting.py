"""From a pod that waits to a pod that runs on a slice that did not exist: through scheduler, partitioner, agent and kubelet.

`aliquot up` with GPUs that take as long to cut as real ones (0.2 s an instance). Pods come one after another, and in
waves. Beside them in the same run, pods that find their slice there: what the same cluster takes without a cut.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from aliquot.clock import SystemClock
from aliquot.kube import kubeconfig
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import PODS
from benchmarks.clusters import cluster, machine, percentile

_SLICE = "nvidia.com/mig-1g.10gb"
_NODES, _GPUS = 4, 8
_DEADLINE_S = 120.0


def main(short: bool = False) -> None:
    single, waves, wave = (20, 2, 10) if short else (60, 6, 20)
    print(f"pending to running, {_NODES} nodes of {_GPUS} h100-80gb in MIG mode ({machine()})")
    print(f"  {'s':<46}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>8}")
    with tempfile.TemporaryDirectory(prefix="aliquot-") as directory:
        inventory = Path(directory) / "inventory.yaml"
        nodes = ", ".join(
            f"{{name: node-{i}, gpus: [{{board: h100-80gb, count: {_GPUS}, mig: true}}]}}"
            for i in range(_NODES)
        )
        inventory.write_text(f"nodes: [{nodes}]\n")
        with cluster("--inventory", str(inventory), "--partitioning", "onDemand") as running:
            asyncio.run(_measure(running.kubeconfig, single, waves, wave))


async def _measure(path: Path, single: int, waves: int, wave: int) -> None:
    transport = kubeconfig.load(str(path), None).transport()
    client = Client(transport, clock=SystemClock(), rng=random.Random(1))
    pods = Cache(client, PODS, Pod)
    following = asyncio.create_task(pods.run())
    await pods.synced()
    crowd = _Crowd(client, pods)
    try:
        cut = [await crowd.run([f"cut-{i}"]) for i in range(single)]
        together = [await crowd.run([f"wave-{w}-{i}" for i in range(wave)]) for w in range(waves)]
        await crowd.leave()
        there = [await crowd.run([f"there-{i}"]) for i in range(single)]
    finally:
        following.cancel()
        await transport.close()
    _line("slice is there", there)
    _line("slice is cut for it", cut, "goal: p99 under 3 s")
    _line(f"slice is cut for it, {wave} pods at once", together)
    ratio = percentile(_flat(cut), 0.5) / percentile(_flat(there), 0.5)
    print(f"  {ratio:.1f} times as long with a cut, of which the GPU takes 0.2 s", flush=True)


def _flat(rounds: list[list[float]]) -> list[float]:
    return [value for values in rounds for value in values]


def _line(name: str, rounds: list[list[float]], goal: str = "") -> None:
    values = _flat(rounds)
    figures = "".join(f"{percentile(values, share):>8.3f}" for share in (0.5, 0.9, 0.99, 1.0))
    print(f"  {name:<46}{figures}   {goal}", flush=True)


class _Crowd:
    def __init__(self, client: Client, pods: Cache[Pod]) -> None:
        self._client = client
        self._pods = pods
        self._running: dict[str, float] = {}
        self._changed = asyncio.Event()
        pods.subscribe(self._seen)

    async def run(self, names: list[str]) -> list[float]:
        """Seconds from each pod's creation until it runs."""
        started = {}
        for name in names:
            started[name] = time.perf_counter()
            await self._client.create(PODS, _pod(name), "default")
        async with asyncio.timeout(_DEADLINE_S):
            while not all(name in self._running for name in names):
                self._changed.clear()
                await self._changed.wait()
        return [self._running[name] - started[name] for name in names]

    async def leave(self) -> None:
        for name in self._running:
            await self._client.delete(PODS, name, "default", grace_period_s=0)
        async with asyncio.timeout(_DEADLINE_S):
            while self._pods:
                self._changed.clear()
                await self._changed.wait()
        # Until the node says that nobody holds them.
        await asyncio.sleep(2)

    def _seen(self, _old: Pod | None, new: Pod | None) -> None:
        if new is not None and new.status.phase == "Running":
            self._running.setdefault(new.metadata.name, time.perf_counter())
        self._changed.set()


def _pod(name: str) -> dict[str, Any]:
    limits = {_SLICE: 1}
    container = {"name": "main", "image": "registry.example/app:1", "resources": {"limits": limits}}
    return {"metadata": {"name": name}, "spec": {"containers": [container]}}
