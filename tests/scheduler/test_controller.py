"""The running scheduler against an API in memory, on virtual time."""

import asyncio

from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.resources import GPUNODES
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.reasons import Kind, Reason
from tests.scheduler.fake_api import World, simulate
from tests.scheduler.running import (
    apart_from,
    assigned,
    bind_requests,
    gpu_node,
    labelled,
    near_to,
    node,
    pod,
    running,
    scheduler,
    until,
)


def test_a_pod_is_bound_with_its_devices() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("gpunodes", gpu_node("a", gpus=2))
        async with running(scheduler(world)):
            await asyncio.sleep(1)
            api.put("pods", pod("p", gpus=2))
            took = await until(lambda: api.node_of("p") == "a")
            await until(lambda: bool(api.events("Scheduled")))
        assert took < 0.01
        assert assigned(api, "p") == ["a-gpu0", "a-gpu1"]
        assert api.events("Scheduled") == ["Successfully assigned default/p to a"]

    simulate(scenario)


def test_those_who_wait_at_the_start_cost_one_request_each() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=8))
        for number in range(8):
            api.put("pods", pod(f"p{number}", gpus=1))
        async with running(scheduler(world)):
            await until(lambda: len(api.binds) == 8)
        assert [bind_requests(api, f"p{number}") for number in range(8)] == [1] * 8
        assert api.reads == []

    simulate(scenario)


def test_without_the_gpunode_kind_gpus_are_counted() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("p", gpus=1))
        async with running(scheduler(world)):
            await until(lambda: api.node_of("p") == "a")
        assert assigned(api, "p") == []

    simulate(scenario, kinds=("pods", "nodes", "events"))


def test_a_class_waits_for_the_gpunode_and_a_plain_gpu_does_not() -> None:
    """The GPUNode was deleted, and the agent has not made it anew; node.status knows what kubelet knew."""
    small = "class.aliquot.dev/small"

    async def scenario(world: World) -> None:
        api = world.api
        api.put("gpuclasses", {"metadata": {"name": "small"}, "spec": {"ways": [{"whole": {}}]}})
        body = node("a", gpus=1)
        body["status"]["allocatable"][small] = "1"
        api.put("nodes", body)
        api.put("pods", pod("plain", gpus=1))
        asks = [{"name": "main", "resources": {"limits": {small: 1}}}]
        api.put("pods", pod("by-class", containers=asks))
        async with running(scheduler(world)):
            await until(lambda: api.node_of("plain") == "a")
            await until(lambda: api.condition("by-class")[0] == "False")
            told = api.condition("by-class")[2]
            listed = gpu_node("a", gpus=2, pods={0: ["default/plain"]})
            listed["spec"] = {"gpus": [{"uuid": "a-gpu1", "className": "small"}]}
            listed["status"]["gpus"][1]["resource"] = small
            api.put("gpunodes", listed)
            await until(lambda: api.node_of("by-class") == "a")
        assert told.startswith("GPUClass small: no node that takes pods has a GPU that is healthy and ours")
        assert (assigned(api, "plain"), assigned(api, "by-class")) == ([], ["a-gpu1"])

    simulate(scenario)


def test_only_pods_that_name_it_are_placed() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        for name in ("default-scheduler", "aliquot", "volcano"):
            api.put("pods", pod(name, scheduler=name))
        async with running(scheduler(world)):
            await asyncio.sleep(5)
        assert {key for key, _ in api.binds} == {"default/default-scheduler", "default/aliquot"}
        assert api.condition("volcano") == ("", "", "")

    simulate(scenario)


def test_why_a_pod_waits_is_written_once() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=8))
        api.put("pods", pod("p", gpus=16))
        async with running(scheduler(world)):
            await until(lambda: api.condition("p")[0] == "False")
            await asyncio.sleep(300)
        assert api.condition("p") == (
            "False",
            "Unschedulable",
            "no node has 16 nvidia.com/gpu: the largest has 8 "
            "(0/1 nodes are available: 1 Insufficient nvidia.com/gpu.)",
        )
        assert [path for method, path in api.writes if method == "PATCH"] == [
            "/api/v1/namespaces/default/pods/p/status"
        ]
        assert len(api.events("FailedScheduling")) == 1

    simulate(scenario)


def test_what_a_pod_was_told_is_not_told_again_after_a_restart() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("pods", pod("p"))
        for seed in range(2):
            async with running(scheduler(world, seed)):
                await until(lambda: api.condition("p")[0] == "False")
                await asyncio.sleep(5)
        assert [method for method, path in api.writes if path.endswith("/p/status")] == ["PATCH"]

    simulate(scenario)


def test_a_new_kind_of_reason_is_told_at_once_and_new_figures_later() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("pods", pod("p", gpus=4))
        async with running(scheduler(world)):
            await until(lambda: "the largest has 2" in api.condition("p")[2])
            api.put("nodes", node("b", gpus=3))
            took = await until(lambda: "the largest has 3" in api.condition("p")[2])
            assert 25 < took < 31
            api.put("nodes", node("c", gpus=4, unschedulable=True))
            took = await until(lambda: "cordoned" in api.condition("p")[2])
            assert took < 2

    simulate(scenario)


def test_a_waiting_pod_goes_when_a_node_comes() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("pods", pod("p"))
        async with running(scheduler(world)):
            await until(lambda: api.condition("p")[2].startswith("the cluster has no nodes"))
            api.put("nodes", node("a"))
            assert await until(lambda: api.node_of("p") == "a") < 0.01

    simulate(scenario)


def test_a_pod_that_ends_makes_room() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("gpunodes", gpu_node("a", gpus=1))
        async with running(scheduler(world)):
            api.put("pods", pod("p", gpus=1))
            await until(lambda: api.node_of("p") == "a")
            api.put("gpunodes", gpu_node("a", gpus=1, pods={0: ["default/p"]}))
            api.put("pods", pod("q", gpus=1))
            await until(lambda: "full" in api.condition("q")[2])
            # GPUNode still says that p holds it: a pod that is over holds nothing.
            api.update("pods", "default/p", lambda obj: obj["status"].update(phase="Succeeded"))
            assert await until(lambda: api.node_of("q") == "a") < 0.01

    simulate(scenario)


def test_a_device_of_a_deleted_pod_is_free_when_its_agent_says_so() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("gpunodes", gpu_node("a", gpus=1, pods={0: ["default/p"]}))
        api.put("pods", pod("p", gpus=1, nodeName="a"))
        async with running(scheduler(world)):
            api.put("pods", pod("q", gpus=1))
            await asyncio.sleep(1)
            api.delete("pods", "default/p")
            await asyncio.sleep(10)
            assert api.node_of("q") == ""
            api.put("gpunodes", gpu_node("a", gpus=1))
            await until(lambda: api.node_of("q") == "a")

    simulate(scenario)


def test_gated_pods_are_left_alone_until_the_gates_go() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("pods", pod("p", schedulingGates=[{"name": "example.com/wait"}]))
        async with running(scheduler(world)):
            await until(lambda: api.condition("p")[1] == "SchedulingGated")
            await asyncio.sleep(100)
            assert api.binds == []
            assert api.events("FailedScheduling") == []
            api.update("pods", "default/p", lambda obj: obj["spec"].pop("schedulingGates"))
            await until(lambda: api.node_of("p") == "a")

    simulate(scenario)


def test_what_it_does_not_know_is_refused_with_a_reason() -> None:
    template = {"name": "gpu", "resourceClaimTemplateName": "one"}

    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("pods", pod("claims", resourceClaims=[{"name": "gpu", "resourceClaimName": "one"}]))
        api.put("pods", pod("template", resourceClaims=[template]))
        async with running(scheduler(world)):
            await until(lambda: all(api.condition(name)[0] for name in ("claims", "template")))
        assert api.binds == []
        for name, named in (
            ("claims", "gpu (ResourceClaim one)"),
            ("template", "gpu (ResourceClaimTemplate one)"),
        ):
            assert api.condition(name)[1] == "ResourceClaims"
            assert named in api.condition(name)[2]

    simulate(scenario)


def test_a_pod_that_waits_learns_of_rules_that_come_later() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        async with running(scheduler(world)):
            api.put("pods", labelled(pod("web"), app="web"))
            await until(lambda: "no nodes" in api.condition("web")[2])
            api.put("pods", pod("other", nodeName="a", affinity=apart_from(app="web")))
            api.put("nodes", labelled(node("a"), zone="1"))
            await until(lambda: "keeps it out" in api.condition("web")[2])
            assert api.condition("web")[2].startswith(
                "1 node has room, but the pod anti-affinity of a pod there keeps it out: app in (web) by zone"
            )
            api.delete("pods", "default/other")
            await until(lambda: api.node_of("web") == "a")

    simulate(scenario)


def test_a_pod_that_waits_for_company_is_placed_once_that_is_there() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        for name, zone in (("a", "1"), ("b", "2")):
            api.put("nodes", labelled(node(name), zone=zone))
        async with running(scheduler(world)):
            api.put("pods", pod("web", affinity=near_to(app="db")))
            await until(lambda: "pod affinity asks for" in api.condition("web")[2])
            # Another scheduler's pod: nothing else changes.
            api.put("pods", labelled(pod("db", scheduler="volcano", nodeName="b"), app="db"))
            took = await until(lambda: api.node_of("web") == "b")
        assert took < 1

    simulate(scenario)


def test_nothing_is_decided_before_the_gpu_nodes_are_known() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("gpunodes", gpu_node("a", gpus=1))
        api.put("pods", pod("p", gpus=1))
        gpu_nodes = Cache(world.client(), GPUNODES, GPUNode)
        async with running(scheduler(world, gpu_nodes=gpu_nodes)):
            await asyncio.sleep(5)
            assert api.binds == []
            following = asyncio.create_task(gpu_nodes.run())
            await until(lambda: api.node_of("p") == "a")
            following.cancel()
        assert assigned(api, "p") == ["a-gpu0"]

    simulate(scenario)


def test_everything_is_judged_anew_every_minute() -> None:
    open_ = False

    def door(shape: PodShape, state: NodeState) -> Reason | None:
        return None if open_ else Reason(Kind.UNSUPPORTED)

    async def scenario(world: World) -> None:
        nonlocal open_
        api = world.api
        api.put("nodes", node("a"))
        api.put("pods", pod("p"))
        async with running(scheduler(world, policies=Policies(filters=(door,)))):
            await asyncio.sleep(1)
            open_ = True
            assert 50 < await until(lambda: api.node_of("p") == "a") < 61

    simulate(scenario)
