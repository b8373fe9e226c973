"""What goes wrong around the operator, and what it makes of it."""

import asyncio
import contextlib
import copy
import random
from typing import Any

import pytest

from aliquot.kube import crds
from aliquot.kube.resources import CRDS, DAEMONSETS, GPUPOLICIES, NODES
from aliquot.kube.roles import NAMESPACE
from aliquot.operator.core.operands import OperandName
from tests.operator.test_operator import NFD, READY, VALIDATED
from tests.operator.world import Json, Says, World, simulated


def test_a_field_that_does_not_exist() -> None:
    """As `kubectl apply` sends it, and as one who does not ask to be told."""

    async def test(world: World) -> None:
        body = {"apiVersion": GPUPOLICIES.api_version, "kind": "GPUPolicy", "metadata": {"name": "p"}}
        body["spec"] = {"drvier": {"version": "1"}}
        status, answer = await world.api.send("POST", GPUPOLICIES.path(), body, fieldValidation="Strict")
        assert status == 400
        assert 'unknown field "spec.drvier"' in answer["message"]
        await world.api.ok("POST", GPUPOLICIES.path(), body, fieldValidation="Warn")
        assert world.api.warnings == ['unknown field "spec.drvier"']
        assert (await world.admin.get(GPUPOLICIES, "p"))["spec"] == {}

    simulated(test)


def of_another_time() -> dict[str, Any]:
    """A definition that lets anything pass."""
    definition = copy.deepcopy(crds.GPUPOLICY_CRD)
    definition["spec"]["versions"][0]["schema"] = {
        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    }
    return definition


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        ({}, ""),
        ({"spec": {"operatorVersion": 3, "driver": {"useNouveau": True}}}, ""),
        ({"spec": {"driver": {"enabled": "yes"}}}, "spec.driver.enabled: Expected `bool`, got `str`"),
        ({"spec": {}, "status": {"state": "ready", "conditions": {}}}, ""),
    ],
    ids=["no spec", "fields that are gone", "another type", "another status"],
)
def test_one_that_was_stored_by_another_version(stored: Json, problem: str) -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.policy("p")
        await world.until_validated("a")
        daemon_sets, labels = await world.daemon_sets(), await world.labels("a")
        await world.admin.apply(CRDS, of_another_time(), field_manager="tests", force=True)
        await asyncio.sleep(2)
        patch = {"spec": None, **stored}
        await world.admin.patch(
            GPUPOLICIES, "p", {key: value for key, value in patch.items() if key != "status"}
        )
        if "status" in stored:
            await world.admin.patch(GPUPOLICIES, "p", {"status": stored["status"]}, subresource="status")
        await asyncio.sleep(30)
        assert await world.daemon_sets() == daemon_sets
        assert await world.labels("a") == labels
        status, reason, message = await world.condition("p", "Ready")
        if problem:
            assert (status, reason, message) == (
                "False",
                "SpecRefused",
                f"{problem}; what runs goes on as it was",
            )
        else:
            assert (status, reason) == ("True", "Ready")

    simulated(test)


def test_a_driver_that_fails_on_half_of_the_nodes() -> None:
    def behaviour(node: str, operand: OperandName, _pod: Json) -> Says:
        fails = operand is OperandName.DRIVER and int(node[1:]) % 2
        return ("CrashLoopBackOff", "back-off restarting failed container") if fails else "ready"

    async def test(world: World) -> None:
        world.behaviour = behaviour
        nodes = [f"n{number}" for number in range(8)]
        for node in nodes:
            await world.node(node)
        await world.policy(deadlines={"driver": "2m"})
        await world.until_validated(*nodes[::2])
        await asyncio.sleep(150)
        for node in nodes[1::2]:
            assert (await world.conditions(node))["DriverReady"] == "False DeadlineExceeded"
            assert await world.pods(node) == {"driver"}
        counts = (await world.status("p"))["nodes"]
        assert counts == {"total": 8, "ready": 4, "progressing": 0, "failed": 4, "upgrading": 0}
        _, reason, message = await world.condition("p", "Degraded")
        assert reason == "NodesFailed"
        assert (
            message
            == "n1, n3, n5 and 1 more: not within 120 s: driver: back-off restarting failed container (CrashLoopBackOff)"
        )
        found = (await world.admin.list(NODES)).items
        assert not any(node.get("spec", {}).get("unschedulable") for node in found)

    simulated(test)


def test_an_api_server_that_is_gone_for_ten_minutes() -> None:
    async def test(world: World) -> None:
        for name in "abc":
            await world.node(name)
        await world.policy()
        await asyncio.sleep(2)
        world.gate.is_shut = True
        await world.node("d")
        await world.admin.delete(DAEMONSETS, "aliquot-p-toolkit", NAMESPACE)
        await asyncio.sleep(600)
        assert not await world.is_validated("d")
        world.gate.is_shut = False
        await world.until_validated(*"abcd", within_s=180)
        assert all([await world.labels(name) == READY for name in "abcd"])

    simulated(test)


@pytest.mark.parametrize("seed", range(12))
def test_an_operator_that_is_killed_at_any_write(seed: int) -> None:
    """Whatever had been done by then is gone on with, and a node that leaves meanwhile is clean."""
    rng = random.Random(seed)

    async def test(world: World) -> None:
        await world.kill()
        await world.node("a")
        await world.node("leaves")
        await world.policy()
        leaves_in = rng.randrange(12)
        for number in range(12):
            world.gate.die_at(rng.randrange(1, 8), is_heard=rng.random() < 0.5)
            world.start()
            if number == leaves_in:
                await world.admin.patch(NODES, "leaves", {"metadata": {"labels": {NFD: None}}})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(world.gate.died.wait(), 5)
            await world.kill()
            await asyncio.sleep(rng.random() * 3)
        world.gate.live_on()
        world.start()
        await world.until_validated("a")
        await asyncio.sleep(10)
        assert await world.labels("a") == READY
        assert await world.labels("leaves") == {}
        assert not VALIDATED.keys() & (await world.conditions("leaves")).keys()
        assert len(await world.daemon_sets()) == 5
        assert (await world.condition("p", "Ready"))[0] == "True"

    simulated(test, seed=seed)


def test_an_operator_that_is_killed_while_its_policy_is_deleted() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.policy()
        await world.until_validated("a")
        await world.kill()
        await world.admin.delete(GPUPOLICIES, "p")
        await asyncio.sleep(30)
        assert await world.daemon_sets() == {}
        assert await world.labels("a") == READY
        world.start()
        await asyncio.sleep(5)
        assert await world.labels("a") == {}
        assert not VALIDATED.keys() & (await world.conditions("a")).keys()

    simulated(test)
