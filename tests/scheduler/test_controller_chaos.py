"""Whatever goes wrong, nothing is given out twice, and in the end whoever fits runs. A failing seed repeats."""

import asyncio
import contextlib
import json
import random
from collections import Counter

import pytest

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION
from aliquot.scheduler.controller import Scheduler
from tests.scheduler.fake_api import FakeApi, Json, World, simulate
from tests.scheduler.running import GPU, gpu_node, node, pod

NODES = {"a": 4, "b": 2, "c": 8}
STORM_S = 120.0


def devices_of(obj: Json) -> list[str]:
    text = obj["metadata"].get("annotations", {}).get(ASSIGNMENT_ANNOTATION)
    return [device["gpu"] for device in json.loads(text)["devices"]] if text else []


def gpus_of(obj: Json) -> int:
    wanted: int = obj["spec"]["containers"][0]["resources"]["limits"].get(GPU, 0)
    return wanted


def live_on(api: FakeApi, name: str) -> list[Json]:
    return [
        obj
        for obj in api.objects["pods"].values()
        if obj["spec"].get("nodeName") == name and obj["status"]["phase"] not in ("Succeeded", "Failed")
    ]


def check(api: FakeApi) -> None:
    for name, gpus in NODES.items():
        live = live_on(api, name)
        given = Counter(device for obj in live for device in devices_of(obj))
        assert all(count == 1 for count in given.values()), f"given twice on {name}: {given}"
        assert sum(gpus_of(obj) for obj in live) <= gpus
        for obj in live:
            assert len(devices_of(obj)) == gpus_of(obj)


def run(obj: Json) -> None:
    obj["status"]["phase"] = "Running"


class Storm:
    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.api = world.api
        self.rng = rng
        self.made = 0

    async def run(self) -> None:
        """Everything at once, for a while; then calm, long enough for every retry."""
        loop = asyncio.get_running_loop()
        end = loop.time() + STORM_S
        self.api.fault = lambda method, path: (
            self.rng.choice(("before", "after")) if self.rng.random() < 0.15 else ""
        )
        async with asyncio.TaskGroup() as tasks:
            scheduling = tasks.create_task(self._killed_now_and_then())
            agents = tasks.create_task(self._agents())
            while loop.time() < end:
                await asyncio.sleep(self.rng.expovariate(4))
                self._something_happens()
            self.api.fault = lambda method, path: ""
            self.api.watching.set()
            await asyncio.sleep(200)
            agents.cancel()
            scheduling.cancel()

    async def _killed_now_and_then(self) -> None:
        seed = 0
        while True:
            seed += 1
            one = Scheduler(self.world.client(seed), clock=self.world.clock, rng=random.Random(seed))
            calm = self.api.fault("GET", "") == "" and self.made > 0 and self.rng.random() < 0.2
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if calm else self.rng.uniform(1, 30)):
                    await one.run()
            # What it had sent arrives before the next begins: a supervisor waits as well.
            await asyncio.sleep(0.2)

    async def _agents(self) -> None:
        """Each node's agent reports, late, who holds what."""
        while True:
            await asyncio.sleep(self.rng.uniform(0.1, 2))
            name = self.rng.choice(sorted(NODES))
            held: dict[int, list[str]] = {}
            for obj in live_on(self.api, name):
                for device in devices_of(obj):
                    index = int(device.removeprefix(f"{name}-gpu"))
                    held.setdefault(index, []).append(f"default/{obj['metadata']['name']}")
            self.api.put("gpunodes", gpu_node(name, gpus=NODES[name], pods=held))
            for obj in live_on(self.api, name):
                if "deletionTimestamp" in obj["metadata"]:
                    self.api.delete("pods", f"default/{obj['metadata']['name']}")
                elif obj["status"]["phase"] == "Pending":
                    self.api.update("pods", f"default/{obj['metadata']['name']}", run)

    def _something_happens(self) -> None:
        bound = sorted(key for key, obj in self.api.objects["pods"].items() if obj["spec"].get("nodeName"))
        match self.rng.choice(("new", "new", "new", "end", "end", "delete", "again", "stall", "flow")):
            case "new":
                self.made += 1
                gpus = self.rng.choice((1, 1, 2, 4))
                self.api.put("pods", pod(f"p{self.made}", gpus=gpus, priority=self.rng.randrange(3)))
            case "end" if bound:
                key = self.rng.choice(bound)
                self.api.update("pods", key, lambda obj: obj["status"].update(phase="Succeeded"))
            case "delete" if self.api.objects["pods"]:
                self.api.delete("pods", self.rng.choice(sorted(self.api.objects["pods"])))
            case "again" if self.api.objects["pods"]:
                key = self.rng.choice(sorted(self.api.objects["pods"]))
                self.api.delete("pods", key)
                self.api.put("pods", pod(key.removeprefix("default/"), gpus=1))
            case "stall":
                self.api.watching.clear()
            case "flow":
                self.api.watching.set()


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_given_twice_and_nobody_is_forgotten(seed: int) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        for name, gpus in NODES.items():
            api.put("nodes", node(name))
            api.put("gpunodes", gpu_node(name, gpus=gpus))
        api.after_bind = lambda: check(api)
        await Storm(world, random.Random(seed)).run()
        check(api)
        assert api.broken == []
        free = {name: gpus - sum(map(gpus_of, live_on(api, name))) for name, gpus in NODES.items()}
        waiting = [obj for obj in api.objects["pods"].values() if not obj["spec"].get("nodeName")]
        assert api.binds
        assert [obj["metadata"]["name"] for obj in waiting if gpus_of(obj) <= max(free.values())] == []
        for obj in waiting:
            told = {c["type"]: c for c in obj["status"]["conditions"]}["PodScheduled"]
            assert (told["status"], told["reason"]) == ("False", "Unschedulable")

    simulate(scenario)
