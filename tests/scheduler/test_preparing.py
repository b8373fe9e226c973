"""Pods that wait for devices to be made, against an API in memory, on virtual time: the test is the partitioner and the
node's agent."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION
from aliquot.kube.election import LeaderElection
from aliquot.scheduler.preparing import DEADLINE_S
from aliquot.scheduler.testing import mig
from tests.partition.objects import reported, status
from tests.scheduler.fake_api import FakeApi, Json, Refused, World, simulate
from tests.scheduler.running import node, running, scheduler, until

SLICE = mig("1g.10gb")


def gpu_node(*layouts: str, reason: str = "", ready: bool = True) -> Json:
    """Of node `a`, cut on demand."""
    gpus = [status(layout, f"gpu{index}", index=index) for index, layout in enumerate(layouts)]
    for gpu in gpus:
        gpu.reason, gpu.message = ("NotReady", reason) if reason else ("", "")
        gpu.ready = gpu.ready and ready
        for instance in gpu.instances:
            instance.ready = ready
    return {
        "metadata": {"name": "a"},
        "spec": {"partitioning": "onDemand"},
        "status": {
            "migStrategy": "mixed",
            "migProfiles": msgspec.to_builtins(reported()),
            "gpus": msgspec.to_builtins(gpus),
        },
    }


def pod(name: str, resource: str = SLICE, **metadata: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": "default", **metadata},
        "spec": {
            "schedulerName": "aliquot",
            "containers": [{"name": "main", "resources": {"limits": {resource: "1"}}}],
        },
        "status": {"phase": "Pending"},
    }


def given(api: FakeApi, name: str) -> str:
    """`a: 1g.10gb@6 of gpu0`, from the pod's annotation; without a node where it is not being made."""
    text = api.pod(name)["metadata"].get("annotations", {}).get(ASSIGNMENT_ANNOTATION)
    if not text:
        return ""
    assignment = json.loads(text)
    devices = [
        f"{one.get('profile', '')}@{one.get('start', '')} of {one['gpu']}" for one in assignment["devices"]
    ]
    return f"{assignment.get('node', '')}: {', '.join(devices)}"


def written(resource: str, profile: str, at: int, pod_uid: str, gpu: str = "gpu0", to: str = "a") -> str:
    """As a scheduler writes it on a pod for which a slice is being made."""
    device = {"container": "main", "resource": resource, "gpu": gpu, "profile": profile, "start": at}
    return json.dumps({"devices": [device], "podUid": pod_uid, "node": to})


def start(api: FakeApi, *layouts: str, **more: Any) -> None:
    api.put("nodes", node("a"))
    api.put("gpunodes", gpu_node(*layouts, **more))


def test_what_is_to_be_made_is_written_on_the_pod_and_bound_when_it_is_ready() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        async with running(scheduler(world)):
            api.put("pods", pod("p"))
            await until(lambda: given(api, "p") == "a: 1g.10gb@6 of gpu0", 1)
            await until(lambda: bool(api.events("MakingDevice")), 1)
            api.put("gpunodes", gpu_node("1g.10gb@6", ready=False))
            await asyncio.sleep(10)
            assert api.node_of("p") == ""
            api.put("gpunodes", gpu_node("1g.10gb@6"))
            assert await until(lambda: api.node_of("p") == "a", 1) < 0.01
        assert given(api, "p") == "a: 1g.10gb@6 of gpu0"
        assert api.events("MakingDevice") == [
            "1g.10gb at slot 6 of GPU 0 as nvidia.com/mig-1g.10gb on node a is being made for the pod"
        ]

    simulate(scenario)


def test_what_is_not_ready_in_time_is_given_back_with_the_nodes_reason() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        async with running(scheduler(world)):
            api.put("pods", pod("p"))
            await until(lambda: given(api, "p") != "")
            api.put("gpunodes", gpu_node("whole", reason="somebody holds it"))
            await until(lambda: given(api, "p") == "", DEADLINE_S + 1)
            await until(lambda: api.condition("p")[0] == "False", 1)
        assert api.condition("p")[1:] == (
            "DevicesNotMade",
            "1g.10gb at slot 6 of GPU 0 as nvidia.com/mig-1g.10gb on node a was not ready within 60 s: "
            "GPU 0: somebody holds it",
        )

    simulate(scenario)


@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        (("nodes",), "the node is gone"),
        (("gpunodes",), "the node's GPUNode is gone"),
        (("gpunodes", "nodes"), ""),
        (("nodes", "gpunodes"), "the node is gone"),
    ],
    ids=("node", "gpunode", "gpunode-first", "node-first"),
)
def test_a_pod_whose_node_goes_is_decided_anew_at_once(gone: tuple[str, ...], reason: str) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        async with running(scheduler(world)):
            api.put("pods", pod("p"))
            await until(lambda: given(api, "p") == "a: 1g.10gb@6 of gpu0", 1)
            for kind in gone:
                api.delete(kind, "a")
            await until(lambda: given(api, "p") == "", 0.1)
            await until(lambda: f"node a will not come: {reason}" in api.condition("p")[2], 1)
            api.put("nodes", node("b"))
            api.put("gpunodes", {**gpu_node("whole"), "metadata": {"name": "b"}})
            await until(lambda: given(api, "p") == "b: 1g.10gb@6 of gpu0", 2)

    simulate(scenario)


def test_a_pod_is_tried_again_ever_later() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        pauses = []
        async with running(scheduler(world)):
            api.put("pods", pod("p"))
            for _ in range(5):
                await until(lambda: given(api, "p") != "", 120)
                await until(lambda: given(api, "p") == "", DEADLINE_S + 1)
                pauses.append(await until(lambda: given(api, "p") != "", 120))
        assert 0.4 < pauses[0] < 1.1
        assert pauses[-1] > 7

    simulate(scenario)


def test_without_a_partitioner_the_pod_is_told() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        async with running(scheduler(world)):
            api.put("pods", pod("p"))
            await until(lambda: "is the partitioner running" in api.condition("p")[2])

    simulate(scenario)


def test_what_the_api_refuses_to_write_is_told() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")

        def forbid(method: str, path: str) -> str:
            if method == "PATCH" and path.endswith("/pods/p"):
                raise Refused(403, "Forbidden", "pods is forbidden")
            return ""

        api.fault = forbid
        async with running(scheduler(world)):
            api.put("pods", pod("p"))
            await until(lambda: api.condition("p")[1] == "SchedulerError")
            assert api.condition("p")[2].endswith("could not be written on the pod: pods is forbidden")
            api.fault = lambda method, path: ""
            await until(lambda: given(api, "p") != "")

    simulate(scenario)


def test_what_the_api_fails_to_write_is_told_until_it_is_written() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        api.fault = lambda method, path: "before" if method == "PATCH" and path.endswith("/pods/p") else ""
        async with running(scheduler(world)):
            api.put("pods", pod("p"))
            await until(lambda: api.condition("p")[1] == "BindFailed", 5)
            assert api.condition("p")[2].startswith(
                "the devices that it is to get could not be written on the pod"
            )
            api.fault = lambda method, path: ""
            await until(lambda: given(api, "p") != "")

    simulate(scenario)


def test_a_pod_that_goes_leaves_its_place_to_others() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        async with running(scheduler(world)):
            api.put("pods", pod("p", mig("7g.80gb")))
            await until(lambda: given(api, "p") != "")
            api.put("pods", pod("q", mig("7g.80gb")))
            await until(lambda: "all full" in api.condition("q")[2] or "it is full" in api.condition("q")[2])
            api.delete("pods", "default/p")
            assert await until(lambda: given(api, "q") == "a: 7g.80gb@0 of gpu0") < 0.01

    simulate(scenario)


def test_another_scheduler_goes_on_from_what_is_written() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        async with running(scheduler(world, 1)):
            api.put("pods", pod("p"))
            await until(lambda: given(api, "p") != "")
        writes = len(api.writes)
        async with running(scheduler(world, 2)):
            api.put("pods", pod("q"))
            await until(lambda: given(api, "q") == "a: 1g.10gb@5 of gpu0", 1)
            api.put("gpunodes", gpu_node("1g.10gb@5 1g.10gb@6"))
            await until(lambda: api.node_of("p") == api.node_of("q") == "a", 1)
        assert api.writes[writes:].count(("PATCH", "/api/v1/namespaces/default/pods/p")) == 0

    simulate(scenario)


def test_what_a_former_leader_decided_and_never_wrote_ends_with_its_leadership() -> None:
    def election(world: World, name: str) -> LeaderElection:
        return LeaderElection(world.client(), namespace="default", name="s", identity=name)

    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        lost = False

        def fault(method: str, path: str) -> str:
            if path.endswith("/pods/p") and method == "PATCH":
                return "before"
            return "before" if lost and path.endswith("/leases/s") else ""

        api.fault = fault
        async with running(scheduler(world, 1, election=election(world, "first"))) as first:
            await until(lambda: bool(api.objects["leases"]))
            api.put("pods", pod("p", mig("7g.80gb")))
            await until(lambda: "default/p" in first.snapshot.pods)
            lost = True
            await until(lambda: "default/p" not in first.snapshot.pods, 30)
            # Another led meanwhile, and gave the place away.
            api.put("pods", pod("q", mig("7g.80gb")))
            api.put("gpunodes", gpu_node("7g.80gb@0=q"))
            api.update("pods", "default/q", lambda obj: obj["spec"].update(nodeName="a"))
            lost = False
            api.fault = lambda method, path: ""
            await until(lambda: "it is full" in api.condition("p")[2], 60)
            await asyncio.sleep(120)
        assert api.node_of("p") == ""

    simulate(scenario)


def test_a_place_that_is_promised_twice_is_not_bound() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole", "whole=x")
        async with running(scheduler(world)):
            api.put("pods", pod("p", mig("7g.80gb")))
            await until(lambda: given(api, "p") != "")
            api.put("gpunodes", gpu_node("7g.80gb@0", "whole=x"))
            await until(lambda: api.node_of("p") == "a")
            text = written(mig("7g.80gb"), "7g.80gb", 0, "u")
            api.put("pods", pod("q", mig("7g.80gb"), uid="u", annotations={ASSIGNMENT_ANNOTATION: text}))
            api.put("gpunodes", gpu_node("7g.80gb@0=p", "whole=x"))
            await until(lambda: given(api, "q") == "", DEADLINE_S + 1)
            await until(lambda: api.condition("q")[2].endswith("other pods have it"), 1)
            api.put("gpunodes", gpu_node("7g.80gb@0=p", "whole"))
            await until(lambda: given(api, "q") == "a: 7g.80gb@0 of gpu1")
        assert api.node_of("q") == ""

    simulate(scenario)


@pytest.mark.parametrize("kept_from", ["it is held", "its labels", "cordoned"])
def test_what_was_copied_from_another_pod_is_written_over_at_once(kept_from: str) -> None:
    """As a Deployment does whose template has the annotations of a pod that runs."""

    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", unschedulable=kept_from == "cordoned"))
        api.put("gpunodes", gpu_node("1g.10gb@6=x" if kept_from == "it is held" else "1g.10gb@6"))
        api.put("nodes", {**node("b"), "metadata": {"name": "b", "labels": {"tier": "b"}}})
        api.put("gpunodes", {**gpu_node("whole"), "metadata": {"name": "b"}})
        copied = {ASSIGNMENT_ANNOTATION: written(SLICE, "1g.10gb", 6, "of-another")}
        one = pod("p", annotations=copied)
        one["spec"]["nodeSelector"] = {"tier": "b"} if kept_from != "cordoned" else {}
        async with running(scheduler(world)):
            api.put("pods", one)
            await until(lambda: given(api, "p") == "b: 1g.10gb@6 of gpu0", 0.1)
            await until(lambda: bool(api.events("AssignmentIgnored")), 1)
        assert api.node_of("p") == ""
        assert api.events("AssignmentIgnored") == [
            "the annotation aliquot.dev/assignment counts as none: it was written for another pod, and copied "
            "with its manifest"
        ]

    simulate(scenario)


def test_what_was_copied_does_not_come_with_the_binding() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "1g.10gb@5 1g.10gb@6=x")
        copied = {ASSIGNMENT_ANNOTATION: written(SLICE, "1g.10gb", 6, "of-another")}
        async with running(scheduler(world)):
            api.put("pods", pod("p", annotations=copied))
            await until(lambda: api.node_of("p") == "a", 0.1)
        assert given(api, "p") == ": 1g.10gb@5 of gpu0"

    simulate(scenario)


def test_a_pod_behind_gates_reserves_nothing() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "1g.10gb@6")
        text = written(SLICE, "1g.10gb", 6, "u")
        one = pod("p", uid="u", annotations={ASSIGNMENT_ANNOTATION: text})
        one["spec"]["schedulingGates"] = [{"name": "example.com/wait"}]
        async with running(scheduler(world)):
            api.put("pods", one)
            await until(lambda: api.condition("p")[1] == "SchedulingGated")
            api.put("pods", pod("q"))
            await until(lambda: api.node_of("q") == "a", 1)

    simulate(scenario)


@pytest.mark.parametrize(
    "text",
    [
        '{"devices":[],"podUid":"u","node":"a"}',
        '{"devices":[{"container":"main","resource":"nvidia.com/gpu","gpu":"gpu0"}],"podUid":"u","node":"a"}',
        written(SLICE, "1g.10gb", 6, "v"),
        "garbage",
    ],
)
def test_an_assignment_that_does_not_fit_the_pod_counts_as_none(text: str) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "7g.80gb@0=default/x")
        async with running(scheduler(world)):
            api.put("pods", pod("p", uid="u", annotations={ASSIGNMENT_ANNOTATION: text}))
            await until(lambda: "is full" in api.condition("p")[2], 5)
            assert api.node_of("p") == ""

    simulate(scenario)


def test_an_assignment_of_what_no_board_holds_is_in_nobodys_way() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "empty")
        annotations = {ASSIGNMENT_ANNOTATION: written(mig("3g.40gb"), "3g.40gb", 1, "u")}
        async with running(scheduler(world)):
            api.put("pods", pod("wrong", mig("3g.40gb"), uid="u", annotations=annotations))
            api.put("pods", pod("p", mig("7g.80gb")))
            await until(lambda: given(api, "p") == "a: 7g.80gb@0 of gpu0", 1)

    simulate(scenario)


def test_a_node_that_is_not_cut_on_demand_any_more_is_told() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        async with running(scheduler(world)):
            api.put("pods", pod("p"))
            await until(lambda: given(api, "p") != "")
            api.put("gpunodes", {**gpu_node("whole"), "spec": {"partitioning": "static"}})
            await until(lambda: "has spec.partitioning static" in api.condition("p")[2], DEADLINE_S + 1)

    simulate(scenario)


def test_what_the_configuration_shares_is_told() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "empty")
        async with running(scheduler(world)):
            api.put("pods", pod("p"))
            await until(lambda: given(api, "p") == "a: 1g.10gb@6 of gpu0", 1)
            api.put("gpunodes", gpu_node("1g.10gb@6*3,timeSlicing"))
            await until(lambda: "was not ready" in api.condition("p")[2], DEADLINE_S + 1)
            assert "it is there as nvidia.com/mig-1g.10gb in 3 shares" in api.condition("p")[2]

    simulate(scenario)
