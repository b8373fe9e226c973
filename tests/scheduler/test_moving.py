"""Pods that are moved for another, against an API in memory, on virtual time: the test is kubelet, and what makes them anew."""

import asyncio
from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.scheduler.settings import Settings
from tests.scheduler.fake_api import KINDS, Json, World, simulate
from tests.scheduler.running import node, running, scheduler, until
from tests.scheduler.test_departing import ends, evicted, pod

IGNORES = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
EXIT_CODES = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]


def owned_by(kind: str, name: str, api_version: str = "apps/v1") -> Json:
    owner = {"apiVersion": api_version, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}
    return {"ownerReferences": [owner]}


def in_pieces(world: World, restarts: str = "Always", **of_y: Any) -> None:
    """Two nodes, each half used, for an hour."""
    for name in "ab":
        world.api.put("nodes", node(name, gpus=4))
    world.api.put("pods", pod("x", gpus=2, on="a"))
    y = pod("y", gpus=2, on="b", **(of_y or owned_by("ReplicaSet", "web")))
    y["spec"]["restartPolicy"] = restarts
    y["status"]["startTime"] = rfc3339(world.clock.now() - 3600)
    world.api.put("pods", y)


def test_who_is_moved_has_its_room_until_it_is_made_anew() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        in_pieces(world)
        async with running(scheduler(world)):
            api.put("pods", pod("big", gpus=4))
            await until(lambda: bool(api.events("Moved")), 5)
            assert evicted(api) == ["y"]
            assert api.events("Moved") == [
                "default/big gets its room on node b; there is room for this one on node a"
            ]
            assert api.events("Preempted") == []
            # Neither for somebody else, nor before the one who goes is gone.
            api.put("pods", pod("thief", gpus=2))
            await asyncio.sleep(30)
            assert api.binds == []
            api.put("pods", pod("y-2", gpus=2, **owned_by("ReplicaSet", "web")))
            await until(lambda: api.node_of("y-2") == "a", 5)
            assert not api.node_of("big")
            ends(api, "y")
            await until(lambda: api.node_of("big") == "b", 5)
            await asyncio.sleep(30)
            assert not api.node_of("thief")
        assert evicted(api) == ["y"]

    simulate(scenario)


def test_an_eviction_that_is_refused_leaves_all_as_it_was() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        in_pieces(world)
        api.guarded = {"default/y"}
        async with running(scheduler(world)):
            api.put("pods", pod("big", gpus=4))
            await until(lambda: api.condition("big")[0] == "False", 20)
            # What was to be y's is anybody's.
            api.put("pods", pod("small", gpus=2))
            await until(lambda: bool(api.node_of("small")), 20)
        assert evicted(api) == []

    simulate(scenario)


def test_nobody_is_moved_where_that_is_switched_off() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        in_pieces(world)
        async with running(scheduler(world, settings=Settings(consolidation=False))):
            api.put("pods", pod("big", gpus=4))
            await asyncio.sleep(60)
        assert evicted(api) == []

    simulate(scenario)


@pytest.mark.parametrize(
    ("owner", "restarts", "rules", "moves"),
    [
        (owned_by("StatefulSet", "s"), "Always", None, True),
        (owned_by("Job", "j", "batch/v1"), "Never", IGNORES, True),
        (owned_by("Job", "j", "batch/v1"), "Never", [*EXIT_CODES, *IGNORES], False),
        (owned_by("Job", "j", "batch/v1"), "OnFailure", None, False),
        (owned_by("PyTorchJob", "p", "kubeflow.org/v1"), "OnFailure", None, True),
        (owned_by("PyTorchJob", "p", "kubeflow.org/v1"), "Never", None, False),
        (owned_by("Pod", "driver", "v1"), "Always", None, False),
        ({"labels": {}}, "Always", None, False),
    ],
    ids=(
        "server",
        "job that ignores it",
        "exit codes first",
        "job that counts it",
        "operator",
        "it judges ends",
        "pod",
        "bare",
    ),
)
def test_whom_it_does_no_harm(owner: Json, restarts: str, rules: list[Json] | None, moves: bool) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        if owner.get("ownerReferences", [{}])[0].get("kind") == "Job":
            policy = {"podFailurePolicy": {"rules": rules}} if rules is not None else {}
            api.put(
                "jobs", {"metadata": {"name": "j", "namespace": "default", "uid": "uid-j"}, "spec": policy}
            )
        in_pieces(world, restarts, **owner)
        async with running(scheduler(world)):
            api.put("pods", pod("big", gpus=4))
            await asyncio.sleep(30)
        assert evicted(api) == (["y"] if moves else [])

    simulate(scenario, kinds=(*KINDS, "jobs"))
