"""A pod from created to Running, one at a time, over HTTPS, beside a plain ConfigMap create in the same run."""

import asyncio
import random
import time
from typing import Any

from aliquot.clock import SystemClock
from aliquot.kube import kubeconfig
from aliquot.kube.client import Client
from aliquot.kube.resources import CONFIGMAPS, PODS
from benchmarks.clusters import UpCluster, cluster, machine, percentile


def main(short: bool = False) -> None:
    rounds = 20 if short else 200
    with cluster("--nodes", "3", "--gpus", "h100-80gb:8") as running:
        asyncio.run(_measure(running, rounds))


async def _measure(running: UpCluster, rounds: int) -> None:
    transport = kubeconfig.load(str(running.kubeconfig), None).transport()
    client = Client(transport, clock=SystemClock(), rng=random.Random(1))
    try:
        creates, to_running = [], []
        for number in range(rounds):
            started = time.perf_counter()
            await client.create(CONFIGMAPS, {"metadata": {"name": f"c-{number}"}}, "default")
            creates.append(time.perf_counter() - started)
            to_running.append(await _one_pod(client, f"p-{number}"))
    finally:
        await transport.close()
    print(f"pod with one GPU, created to Running, one at a time ({rounds} pods; {machine()})")
    for name, values in (("ConfigMap create", creates), ("pod created to Running", to_running)):
        shown = "   ".join(
            f"p{share} {1000 * percentile(values, share / 100):.1f} ms" for share in (50, 90, 99)
        )
        print(f"  {name:<24} {shown}")
    print(
        f"  {percentile(to_running, 0.5) / percentile(creates, 0.5):.1f} times a create   goal: p50 under 100 ms, p99 under 300 ms"
    )


async def _one_pod(client: Client, name: str) -> float:
    pod: dict[str, Any] = {
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "main",
                    "image": "registry.example/app:1",
                    "resources": {"limits": {"nvidia.com/gpu": 1}},
                }
            ],
        },
    }
    listing = await client.list(PODS, "default", field_selector=f"metadata.name={name}")
    started = time.perf_counter()
    await client.create(PODS, pod, "default")
    events = client.watch(
        PODS,
        "default",
        resource_version=listing.resource_version,
        field_selector=f"metadata.name={name}",
        timeout_s=60,
    )
    async for event in events:
        obj: Any = getattr(event, "object", None)
        if obj and obj.get("status", {}).get("phase") == "Running":
            break
    taken = time.perf_counter() - started
    await client.delete(PODS, name, "default", grace_period_s=0)
    return taken
