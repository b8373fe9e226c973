"""GPUNode.spec follows what pods are to get, and who leads: the loop against an API in memory, on virtual time."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, Assignment, encode
from aliquot.kube.api.gpunode import GPUNode, Partitioning
from aliquot.kube.election import LeaderElection
from aliquot.partition.controller.partitioner import Partitioner
from aliquot.partition.gpus import MIG_CONFIG_LABEL
from tests.partition.controller.test_wishes import claim
from tests.partition.objects import reported, spelled, status
from tests.scheduler.fake_api import FakeApi, Json, World, simulate

IDLE_S = 600.0


@contextlib.asynccontextmanager
async def running(world: World, **more: Any) -> AsyncIterator[None]:
    one = Partitioner(world.client(), clock=world.clock, rng=random.Random(0), idle_s=IDLE_S, **more)
    task = asyncio.create_task(one.run())
    try:
        await asyncio.sleep(0.5)
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def put(api: FakeApi, *layouts: str, mode: str | None = "onDemand", **labels: str) -> None:
    """Node `a` and its GPUNode; its spec stays as it is."""
    known = api.objects["gpunodes"].get("a", {"spec": {"partitioning": mode} if mode else {}})
    named = {name.replace("__", "/").replace("_", "."): value for name, value in labels.items()}
    api.put("nodes", {"metadata": {"name": "a", "labels": named}})
    gpus = [status(layout, f"gpu{index}", index=index) for index, layout in enumerate(layouts)]
    api.put(
        "gpunodes",
        {
            "apiVersion": "aliquot.dev/v1alpha1",
            "kind": "GPUNode",
            "metadata": {"name": "a"},
            "spec": known["spec"],
            "status": {
                "migStrategy": "mixed",
                "migProfiles": msgspec.to_builtins(reported()),
                "gpus": msgspec.to_builtins(gpus),
            },
        },
    )


def pod(name: str, device: str, *, gpu: str = "gpu0", bound: bool = False) -> Json:
    one = msgspec.structs.replace(claim(device), gpu=gpu)
    text = encode(Assignment(devices=(one,), pod_uid=name, node="a"))
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "annotations": {ASSIGNMENT_ANNOTATION: text},
        },
        "spec": {
            "containers": [{"name": "main", "resources": {"limits": {one.resource: "1"}}}],
            **({"nodeName": "a"} if bound else {}),
        },
        "status": {"phase": "Pending"},
    }


def wanted(api: FakeApi) -> dict[str, str]:
    node = msgspec.convert(api.objects["gpunodes"]["a"], GPUNode)
    return {gpu.uuid: spelled(gpu) for gpu in node.spec.gpus}


def writes(api: FakeApi) -> int:
    return api.writes.count(("PATCH", "/apis/aliquot.dev/v1alpha1/gpunodes/a"))


def test_what_a_pod_is_to_get_becomes_the_spec_and_what_nobody_needs_is_given_back() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        put(api, "whole", "whole")
        async with running(world):
            assert wanted(api) == {}
            api.put("pods", pod("p", "1g.10gb@6"))
            await asyncio.sleep(0.1)
            assert wanted(api) == {"gpu0": "mig 1g.10gb@6"}
            assert api.events("Partitioning") == [
                "GPU 0: switches MIG on; makes 1g.10gb at slot 6 for default/p"
            ]
            api.put("pods", pod("p", "1g.10gb@6", bound=True))
            put(api, "1g.10gb@6=p", "whole")
            await asyncio.sleep(2 * IDLE_S)
            assert wanted(api) == {"gpu0": "mig 1g.10gb@6"}
            api.delete("pods", "default/p")
            put(api, "1g.10gb@6", "whole")
            await asyncio.sleep(IDLE_S - 1)
            assert wanted(api) == {"gpu0": "mig 1g.10gb@6"}
            await asyncio.sleep(2)
            assert wanted(api) == {"gpu0": "mig"}
        assert writes(api) == 2

    simulate(scenario)


def test_a_pod_that_goes_before_its_slice_is_there_wants_it_no_more() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        put(api, "1g.10gb@0=x")
        async with running(world):
            api.put("pods", pod("p", "1g.10gb@6"))
            await asyncio.sleep(0.1)
            assert wanted(api) == {"gpu0": "mig 1g.10gb@0 1g.10gb@6"}
            api.delete("pods", "default/p")
            await asyncio.sleep(0.1)
            assert wanted(api) == {"gpu0": "mig 1g.10gb@0"}

    simulate(scenario)


def test_a_gpu_that_cannot_be_offered_as_a_class_is_given_back() -> None:
    """As where MPS is not set up: it is offered to nobody then."""

    async def scenario(world: World) -> None:
        api = world.api
        put(api, "whole")
        async with running(world):
            api.put("pods", pod("p", "whole:half*1/2,mps"))
            await asyncio.sleep(0.1)
            assert wanted(api) == {"gpu0": "whole :half*2,mps"}
            put(api, "whole")
            api.update("gpunodes", "a", lambda obj: obj["status"]["gpus"][0].update(resource="", ready=False))
            api.delete("pods", "default/p")
            await asyncio.sleep(IDLE_S + 1)
            assert wanted(api) == {"gpu0": "whole"}

    simulate(scenario)


def test_a_gpu_that_ails_keeps_its_entry() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        put(api, "1g.10gb@0=x", "whole")
        async with running(world):
            api.put("pods", pod("p", "1g.10gb@6"))
            await asyncio.sleep(0.1)
            before = wanted(api)
            put(api, "1g.10gb@0=x 1g.10gb@6=p", "whole")
            api.update("gpunodes", "a", lambda obj: obj["status"]["gpus"][0].update(health="Unhealthy"))
            api.put("pods", pod("q", "1g.10gb@0", gpu="gpu1"))
            await asyncio.sleep(2 * IDLE_S)
            assert wanted(api) == {**before, "gpu1": "mig 1g.10gb@0"}

    simulate(scenario)


def test_who_came_between_is_looked_at_first() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        put(api, "1g.10gb@0")
        refused = 0

        def between(method: str, path: str) -> str:
            nonlocal refused
            if method == "PATCH" and path.endswith("/gpunodes/a") and not refused:
                refused += 1
                put(api, "1g.10gb@0=x")
            return ""

        api.fault = between
        async with running(world):
            api.put("pods", pod("p", "2g.20gb@0"))
            await asyncio.sleep(5)
        assert refused == 1
        assert wanted(api).get("gpu0", "mig 1g.10gb@0") == "mig 1g.10gb@0"

    simulate(scenario)


def test_a_node_that_says_nothing_is_told_the_mode_and_a_labelled_one_is_left_alone() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        put(api, "1g.10gb@0 1g.10gb@1", mode=None)
        async with running(world, mode=Partitioning.ON_DEMAND):
            assert api.objects["gpunodes"]["a"]["spec"] == {"partitioning": "onDemand"}
            assert MIG_CONFIG_LABEL == "nvidia.com/mig.config"
            put(api, "1g.10gb@0 1g.10gb@1", nvidia_com__mig_config="all-1g.10gb")
            api.put("pods", pod("p", "2g.20gb@0"))
            api.put("pods", pod("q", "1g.10gb@0:small"))
            await asyncio.sleep(2 * IDLE_S)
            assert wanted(api) == {"gpu0": "names 0:small"}

    simulate(scenario)


def gpu_class(name: str, **spec: Any) -> Json:
    return {
        "apiVersion": "aliquot.dev/v1alpha1",
        "kind": "GPUClass",
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.mark.parametrize("gone", [False, True])
def test_what_is_free_loses_the_name_of_a_class_that_is_changed_or_gone(gone: bool) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("gpuclasses", gpu_class("small", memory="9Gi"))
        put(api, "1g.10gb@0:small 1g.10gb@1:small=x 2g.20gb@2:small", "whole")
        async with running(world):
            api.put("pods", pod("p", "1g.10gb@6:small"))
            await asyncio.sleep(5)
            before = "mig 1g.10gb@0:small 1g.10gb@1:small 2g.20gb@2:small 1g.10gb@6:small"
            assert wanted(api) == {"gpu0": before}
            if gone:
                api.delete("gpuclasses", "small")
            else:
                api.put("gpuclasses", gpu_class("small", memory="15Gi"))
            await asyncio.sleep(1)
            # Who has one keeps it, and who was decided on before gets it.
            kept = "2g.20gb@2" if gone else "2g.20gb@2:small"
            assert wanted(api) == {"gpu0": f"mig 1g.10gb@0 1g.10gb@1:small {kept} 1g.10gb@6:small"}

    simulate(scenario)


def test_one_that_starts_anew_has_nothing_to_write() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        put(api, "whole")
        api.put("pods", pod("p", "1g.10gb@6"))
        for _ in range(2):
            async with running(world):
                await asyncio.sleep(5)
        assert writes(api) == 1

    simulate(scenario)


def election(world: World, identity: str) -> LeaderElection:
    return LeaderElection(world.client(), namespace="default", name="partitioner", identity=identity)


def test_of_two_one_writes() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        put(api, "whole")
        async with (
            running(world, election=election(world, "a")),
            running(world, election=election(world, "b")),
        ):
            api.put("pods", pod("p", "1g.10gb@6"))
            await asyncio.sleep(5)
            assert wanted(api) == {"gpu0": "mig 1g.10gb@6"}
            await asyncio.sleep(60)
        assert writes(api) == 1

    simulate(scenario)


def test_what_went_while_it_did_not_lead_is_claimed_no_more() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        put(api, "1g.10gb@0=x")
        async with running(world, election=election(world, "me")):
            api.put("pods", pod("p", "1g.10gb@6"))
            await asyncio.sleep(5)
            assert wanted(api) == {"gpu0": "mig 1g.10gb@0 1g.10gb@6"}
            api.fault = lambda method, path: "before" if "/leases" in path else ""
            await asyncio.sleep(30)
            api.delete("pods", "default/p")
            await asyncio.sleep(5)
            assert wanted(api) == {"gpu0": "mig 1g.10gb@0 1g.10gb@6"}
            api.fault = lambda method, path: ""
            await asyncio.sleep(30)
            assert wanted(api) == {"gpu0": "mig 1g.10gb@0"}

    simulate(scenario)
