"""A scheduler that runs against an API in memory: its cluster, and what is asked of it."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION
from aliquot.scheduler.controller import Scheduler
from tests.quiet import next_change
from tests.scheduler.fake_api import FakeApi, Json, World

GPU = "nvidia.com/gpu"


def node(name: str, *, gpus: int = 0, **spec: Any) -> Json:
    allocatable = {"cpu": "8", "memory": "64Gi", "pods": "110"}
    if gpus:
        allocatable[GPU] = str(gpus)
    return {"metadata": {"name": name}, "spec": spec, "status": {"allocatable": allocatable}}


def gpu_node(name: str, *, gpus: int, ready: bool = True, pods: dict[int, list[str]] | None = None) -> Json:
    listed = [
        {
            "uuid": f"{name}-gpu{index}",
            "index": index,
            "product": "NVIDIA H100",
            "board": "h100-80gb",
            "memoryMib": 81920,
            "migMode": "Disabled",
            "resource": GPU,
            "ready": ready,
            "pods": (pods or {}).get(index, []),
        }
        for index in range(gpus)
    ]
    return {"metadata": {"name": name}, "status": {"gpus": listed}}


def pod(name: str, *, gpus: int = 0, scheduler: str = "default-scheduler", **spec: Any) -> Json:
    limits = {GPU: gpus} if gpus else {}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "schedulerName": scheduler,
            "containers": [{"name": "main", "resources": {"limits": limits}}],
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def assigned(api: FakeApi, name: str) -> list[str]:
    text = api.pod(name)["metadata"].get("annotations", {}).get(ASSIGNMENT_ANNOTATION)
    return [device["gpu"] for device in json.loads(text)["devices"]] if text else []


def scheduler(world: World, seed: int = 0, **more: Any) -> Scheduler:
    return Scheduler(world.client(seed), clock=world.clock, rng=random.Random(seed), **more)


@contextlib.asynccontextmanager
async def running(one: Scheduler, **more: Any) -> AsyncIterator[Scheduler]:
    task = asyncio.create_task(one.run(**more))
    try:
        yield one
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def bind_requests(api: FakeApi, name: str) -> int:
    return api.writes.count(("POST", f"/api/v1/namespaces/default/pods/{name}/binding"))


async def until(condition: Callable[[], bool], within_s: float = 120.0, *, after_s: float = 0.001) -> float:
    """Seconds of virtual time that it took. `after_s`: so long is gone on, for what follows at once."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(within_s):
        while not condition():
            await next_change(0.001)
        await asyncio.sleep(after_s)
    return loop.time() - began


def labelled(obj: Json, **labels: str) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def apart_from(**labels: str) -> Json:
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": labels}}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def near_to(**labels: str) -> Json:
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": labels}}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
