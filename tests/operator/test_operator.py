"""The operator on a cluster: nodes come from bare to validated, one step after the other, and are clean when they leave."""

import asyncio

import pytest

from aliquot.kube.resources import GPUNODES, GPUPOLICIES, NODES
from aliquot.operator.core.operands import DEPLOY_LABELS, OperandName
from tests.operator.world import Json, Says, World, simulated

READY = {
    "nvidia.com/gpu.present": "true",
    "aliquot.dev/gpu-policy": "p",
    "aliquot.dev/driver-pool": "ubuntu24.04",
    "nvidia.com/gpu.deploy.driver": "true",
    "nvidia.com/gpu.deploy.container-toolkit": "true",
    "nvidia.com/gpu.deploy.device-plugin": "true",
    "nvidia.com/gpu.deploy.dcgm-exporter": "true",
    "nvidia.com/gpu.deploy.operator-validator": "true",
}
ALL = {"driver", "toolkit", "agent", "exporter", "validator"}
VALIDATED = {
    "DriverReady": "True Ready",
    "ToolkitReady": "True Ready",
    "AgentReady": "True Ready",
    "MIGReady": "True NothingWanted",
    "ExporterReady": "True Ready",
    "Validated": "True Validated",
}
AGENTS = {"Ready": "True Serving", "MIGConfigured": "True NothingWanted"}
NFD = "feature.node.kubernetes.io/pci-10de.present"


def test_a_bare_node_becomes_ready_by_itself() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.node("cpu", gpus=False)
        await world.policy()
        await world.until_validated("a")
        assert await world.labels("a") == READY
        assert await world.conditions("a") == {**VALIDATED, **AGENTS, "ChecksPassed": "True Passed"}
        assert await world.pods("a") == ALL
        assert (await world.labels("cpu"), await world.conditions("cpu")) == ({}, {})
        await asyncio.sleep(5)
        assert await world.condition("p", "Ready") == ("True", "Ready", "1 of 1 nodes are ready")
        told = {reason: await world.told(reason) for reason in (*VALIDATED, "NodeLeft")}
        assert {reason: messages for reason, messages in told.items() if messages} == {
            "DriverReady": ["the driver is loaded"],
            "ToolkitReady": ["the container toolkit is set up"],
            "AgentReady": ["its GPUs are served"],
            "ExporterReady": ["the exporter runs"],
        }

    simulated(test)


def test_each_condition_names_the_same_fields_for_ever() -> None:
    """The server looks for what is not named any more in all of the object, its GPUs too."""
    fields: set[frozenset[str]] = set()

    async def test(world: World) -> None:
        await world.node("a")
        await world.policy()

        async def seen() -> bool:
            found = (await world.admin.list(GPUNODES)).items
            told = [one for node in found for one in node.get("status", {}).get("conditions", ())]
            fields.update(frozenset(one) for one in told if one["type"] in VALIDATED)
            return await world.is_validated("a")

        await world.until(seen)
        assert fields == {frozenset({"type", "status", "reason", "message", "lastTransitionTime"})}

    simulated(test)


def test_a_node_that_comes_later_does_too() -> None:
    async def test(world: World) -> None:
        await world.policy()
        await world.node("a")
        await world.until_validated("a")
        await world.node("b")
        await world.until_validated("b")

    simulated(test)


@pytest.mark.parametrize(
    ("stuck", "deployed"),
    [
        (OperandName.DRIVER, {"driver"}),
        (OperandName.TOOLKIT, {"driver", "toolkit"}),
        (OperandName.AGENT, {"driver", "toolkit", "agent"}),
        (OperandName.EXPORTER, ALL),
    ],
)
def test_each_step_waits_for_the_one_before(stuck: OperandName, deployed: set[str]) -> None:
    """On that node: the other goes on."""

    def behaviour(node: str, operand: OperandName, _pod: Json) -> Says:
        return ("ImagePullBackOff", "no such image") if (node, operand) == ("a", stuck) else "ready"

    async def test(world: World) -> None:
        world.behaviour = behaviour
        await world.node("a")
        await world.node("b")
        await world.policy()
        await world.until_validated("b")
        await asyncio.sleep(60)
        labels = await world.labels("a")
        assert {name for name, label in DEPLOY_LABELS.items() if labels.get(label)} == deployed
        assert await world.pods("a") == deployed
        world.behaviour = lambda _node, _operand, _pod: "ready"
        await world.until_validated("a")

    simulated(test)


def test_an_image_that_never_starts_is_told_and_goes_on_trying() -> None:
    def behaviour(_node: str, operand: OperandName, _pod: Json) -> Says:
        return ("ImagePullBackOff", "no such image") if operand is OperandName.TOOLKIT else "ready"

    async def test(world: World) -> None:
        world.behaviour = behaviour
        await world.node("a")
        await world.policy(deadlines={"toolkit": "2m"})
        await asyncio.sleep(60)
        assert (await world.conditions("a"))["ToolkitReady"] == "False ImagePullBackOff"
        assert (await world.condition("p", "Degraded"))[0] == "False"
        await asyncio.sleep(90)
        assert (await world.conditions("a"))["ToolkitReady"] == "False DeadlineExceeded"
        message = "not within 120 s: toolkit: no such image (ImagePullBackOff)"
        assert await world.told("DeadlineExceeded") == [f"ToolkitReady: {message}"]
        assert await world.condition("p", "Degraded") == ("True", "NodesFailed", f"a: {message}")
        world.behaviour = lambda _node, _operand, _pod: "ready"
        await world.until_validated("a")
        await asyncio.sleep(5)
        assert (await world.condition("p", "Degraded"))[0] == "False"

    simulated(test)


def test_a_node_that_has_lost_its_gpus_is_cleaned() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.node("b")
        await world.policy()
        await world.until_validated("a", "b")
        await world.admin.patch(NODES, "a", {"metadata": {"labels": {NFD: None}}})
        await asyncio.sleep(10)
        assert await world.labels("a") == {}
        assert await world.pods("a") == set()
        assert await world.conditions("a") == {**AGENTS, "ChecksPassed": "True Passed"}
        assert await world.told("NodeLeft") == ["it has no GPUs any more: its node software goes"]
        assert (await world.status("p"))["nodes"]["total"] == 1
        assert await world.labels("b") == READY

    simulated(test)


def test_without_its_policy_nothing_of_it_is_left() -> None:
    async def test(world: World) -> None:
        await world.node("a", {"nvidia.com/gpu.deploy.dcgm-exporter": "false", "team": "x"})
        await world.policy()
        await world.until_validated("a")
        assert await world.pods("a") == ALL - {"exporter"}
        await world.admin.delete(GPUPOLICIES, "p")
        await asyncio.sleep(15)
        assert await world.labels("a") == {"nvidia.com/gpu.deploy.dcgm-exporter": "false"}
        assert await world.daemon_sets() == {}
        assert await world.pods("a") == set()
        assert (await world.admin.get(NODES, "a"))["metadata"]["labels"]["team"] == "x"

    simulated(test)


def test_a_node_that_its_user_says_has_gpus() -> None:
    async def test(world: World) -> None:
        await world.node("a", {"nvidia.com/gpu.present": "true"}, gpus=False)
        await world.policy()
        await world.until_validated("a")
        await world.admin.delete(GPUPOLICIES, "p")
        await asyncio.sleep(10)
        assert await world.labels("a") == {"nvidia.com/gpu.present": "true"}
        await world.policy()
        await world.until_validated("a")
        await world.admin.patch(NODES, "a", {"metadata": {"labels": {"nvidia.com/gpu.present": None}}})
        await asyncio.sleep(10)
        assert await world.labels("a") == {}
        assert "annotations" not in (await world.admin.get(NODES, "a"))["metadata"]

    simulated(test)


def test_a_node_that_its_user_says_has_none() -> None:
    async def test(world: World) -> None:
        await world.node("a", {"nvidia.com/gpu.present": "false"})
        await world.policy()
        await asyncio.sleep(30)
        assert await world.labels("a") == {"nvidia.com/gpu.present": "false"}

    simulated(test)


def test_a_system_that_no_driver_is_made_for() -> None:
    async def test(world: World) -> None:
        await world.node("a", os_image="Plan 9")
        await world.policy()
        await asyncio.sleep(30)
        assert (await world.conditions("a"))["DriverReady"] == "False NoDriverImage"
        status, reason, message = await world.condition("p", "Degraded")
        assert (status, reason) == ("True", "NodesFailed")
        assert message.startswith(
            "a: there are no driver images for Plan 9: install the driver with the node's image"
        )
        await world.policy(driver={"preinstalled": True})
        await world.until_validated("a")

    simulated(test)


def test_systems_are_pools_with_a_driver_each() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.node("b", os_image="Rocky Linux 9.4 (Blue Onyx)")
        await world.policy()
        await world.until_validated("a", "b")
        names = {"aliquot-p-driver-ubuntu24-04", "aliquot-p-driver-rocky9"}
        assert {name for name in await world.daemon_sets() if "driver" in name} == names
        await world.admin.delete(NODES, "b")
        await asyncio.sleep(10)
        names = {"aliquot-p-driver-ubuntu24-04"}
        assert {name for name in await world.daemon_sets() if "driver" in name} == names

    simulated(test)


def test_two_policies_for_one_node() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.policy("old")
        await asyncio.sleep(2)
        await world.policy("young")
        await world.until_validated("a")
        await asyncio.sleep(5)
        assert (await world.labels("a"))["aliquot.dev/gpu-policy"] == "old"
        told = "nodes that an older policy is for are left to it: a"
        assert await world.condition("young", "Degraded") == ("True", "OverlappingPolicies", told)
        assert (await world.condition("old", "Degraded"))[0] == "False"
        await world.admin.delete(GPUPOLICIES, "old")
        await asyncio.sleep(2)
        await world.until_validated("a")
        assert (await world.labels("a"))["aliquot.dev/gpu-policy"] == "young"
        await asyncio.sleep(5)
        assert (await world.condition("young", "Degraded"))[0] == "False"

    simulated(test)


def test_once_all_is_well_nothing_is_written() -> None:
    async def test(world: World) -> None:
        for number in range(4):
            await world.node(f"n{number}")
        await world.policy()
        await world.until_validated(*(f"n{number}" for number in range(4)))
        await asyncio.sleep(60)
        world.gate.calls.clear()
        await asyncio.sleep(900)
        assert world.gate.calls == []

    simulated(test)


def test_why_a_step_waits_is_written_once_however_often_it_changes() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.policy()
        await world.until_validated("a")
        await asyncio.sleep(60)
        world.gate.calls.clear()
        for reason in ("First", "Second", "Third", "Fourth"):
            told = {
                "type": "Ready",
                "status": "False",
                "reason": reason,
                "message": "",
                "lastTransitionTime": None,
            }
            body = {"metadata": {"name": "a"}, "status": {"conditions": [told]}}
            await world.admin.apply(
                GPUNODES, body, field_manager="aliquot-node-agent", force=True, subresource="status"
            )
            await asyncio.sleep(0.5)
            assert (await world.conditions("a"))["AgentReady"] == "False First"
        await asyncio.sleep(2.0)
        assert (await world.conditions("a"))["AgentReady"] == "False Fourth"
        written = [path for _, path in world.gate.calls if path == GPUNODES.path(None, "a", "status")]
        assert len(written) == 2

    simulated(test)


def test_a_nodes_change_writes_to_that_nodes_objects_alone() -> None:
    async def test(world: World) -> None:
        for number in range(5):
            await world.node(f"n{number}")
        await world.policy()
        await world.until_validated(*(f"n{number}" for number in range(5)))
        await asyncio.sleep(60)
        world.gate.calls.clear()
        await world.node("new")
        await world.until_validated("new")
        await asyncio.sleep(60)
        paths = {path for _, path in world.gate.calls if "/events" not in path}
        own = {NODES.path(None, "new"), GPUNODES.path(None, "new"), GPUNODES.path(None, "new", "status")}
        assert paths == own | {GPUPOLICIES.path(None, "p", "status")}
        assert world.operator is not None
        assert sum(world.operator.effort.by_node["new"].values()) <= 20

    simulated(test)
