"""The doctor beside the operator: what the one tells, the other understands."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aliquot.kube.roles import NAMESPACE
from aliquot.operator.core.operands import OperandName
from aliquot.operator.doctor.examining import examine
from aliquot.operator.doctor.findings import Finding, Weight
from aliquot.operator.doctor.reading import WebhookNames, read
from tests.operator.world import Json, Says, World, simulated

WEBHOOK = WebhookNames("aliquot-gpu-class", "aliquot-admission-certificate", "aliquot-admission-tls")
Wrong = Callable[[World], Awaitable[Any]]


async def to_do(world: World) -> list[Finding]:
    seen = await read(world.admin, namespace=NAMESPACE, webhook=WEBHOOK)
    return [one for one in examine(seen) if one.weight is Weight.TO_DO]


def test_of_a_cluster_that_is_well_there_is_nothing_to_say() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.policy()
        await world.until_validated("a")
        await asyncio.sleep(5)
        seen = await read(world.admin, namespace=NAMESPACE, webhook=WEBHOOK)
        assert list(examine(seen)) == []

    simulated(test)


@pytest.mark.parametrize("stuck", OperandName)
@pytest.mark.parametrize("within_s", [60, 3000], ids=["at once", "beyond the deadline"])
def test_an_image_that_there_is_not_is_named_with_its_place_in_the_spec(
    stuck: OperandName, within_s: float
) -> None:
    def behaviour(node: str, operand: OperandName, _pod: Json) -> Says:
        return ("ImagePullBackOff", "not found") if (node, operand) == ("a", stuck) else "ready"

    async def test(world: World) -> None:
        world.behaviour = behaviour
        for name in ("a", "b"):
            await world.node(name)
        await world.policy()
        await asyncio.sleep(within_s)
        (found,) = await to_do(world)
        assert (found.names, found.reason) == (("a",), "ImagePullBackOff")
        assert found.message.endswith(": not found")
        assert f"spec.{stuck}.repository, image and version of GPUPolicy p" in found.advice
        world.behaviour = lambda *_: "ready"
        await asyncio.sleep(60)
        assert await to_do(world) == []

    simulated(test)


async def _unknown_system(world: World) -> None:
    await world.node("a", os_image="Plan 9")
    await world.policy()


async def _refused(world: World) -> None:
    await world.node("a")
    await world.policy(driver={"enabled": False})


async def _overlapping(world: World) -> None:
    await world.node("a")
    await world.policy()
    await asyncio.sleep(5)
    await world.policy("q")


async def _nobodys(world: World) -> None:
    await world.node("a")
    await world.policy(nodeSelector={"matchLabels": {"pool": "b"}})


async def _none(world: World) -> None:
    await world.node("a")


@pytest.mark.parametrize(
    ("wrong", "kind", "name", "reason"),
    [
        (_unknown_system, "Node", "a", "NoDriverImage"),
        (_refused, "GPUPolicy", "p", "SpecRefused"),
        (_overlapping, "GPUPolicy", "q", "OverlappingPolicies"),
        (_nobodys, "Node", "a", "NoPolicyForNode"),
    ],
)
def test_what_else_is_wrong(wrong: Wrong, kind: str, name: str, reason: str) -> None:
    async def test(world: World) -> None:
        await wrong(world)
        await asyncio.sleep(60)
        (found,) = await to_do(world)
        assert (found.kind, found.names, found.reason) == (kind, (name,), reason)
        assert found.advice

    simulated(test)


def test_without_a_policy_one_is_asked_for() -> None:
    async def test(world: World) -> None:
        await _none(world)
        await asyncio.sleep(5)
        (found,) = await to_do(world)
        assert found.reason == "NoPolicy"

    simulated(test)
