"""What the node agent wrote on its Node goes after it, whatever made it go, and nothing that others say as well."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from aliquot.kube.resources import GPUPOLICIES, NODES, PODS
from aliquot.kube.roles import NAMESPACE
from aliquot.operator.core.after_agent import HAS_AGENT, is_over, noted
from aliquot.operator.core.operands import DEPLOY_LABELS, PAUSED, OperandName
from tests.operator.test_operator import NFD
from tests.operator.world import Json, World, simulated

AGENT = DEPLOY_LABELS[OperandName.AGENT]
PRODUCT, COUNT, SHARED = "nvidia.com/gpu.product", "nvidia.com/gpu.count", "nvidia.com/gpu.family"
STATE = "nvidia.com/mig.config.state"
LABELS = {PRODUCT: "NVIDIA-L4", COUNT: "2", SHARED: "ada"}


@pytest.mark.parametrize(
    ("value", "has_pod", "over"),
    [
        ("true", False, False),
        (PAUSED, False, False),
        ("false", False, True),
        (None, False, True),
        (None, True, False),
    ],
)
def test_when_it_is_over(value: str | None, has_pod: bool, over: bool) -> None:
    labels = {AGENT: value} if value is not None else {}
    assert is_over(labels, {HAS_AGENT: "true"}, has_pod=has_pod) is over
    assert not is_over(labels, {}, has_pod=has_pod)


def test_it_is_noted_once_for_who_gets_one() -> None:
    assert noted({AGENT: "true"}, {}) == {HAS_AGENT: "true"}
    assert noted({AGENT: "true"}, {HAS_AGENT: "true"}) == noted({AGENT: PAUSED}, {}) == noted({}, {}) == {}


async def nobodys_policy(world: World) -> None:
    await world.admin.delete(GPUPOLICIES, "p")


async def no_gpus(world: World) -> None:
    await world.admin.patch(NODES, "a", {"metadata": {"labels": {NFD: None}}})


async def not_wanted(world: World) -> None:
    await world.policy(agent={"enabled": False}, validator={"enabled": False})


async def not_by_its_user(world: World) -> None:
    await world.admin.patch(NODES, "a", {"metadata": {"labels": {AGENT: "false"}}})


WAYS = [nobodys_policy, no_gpus, not_wanted, not_by_its_user]
Way = Callable[[World], Awaitable[None]]


async def begun(world: World) -> None:
    """A node whose agent has said all it says, one label of which a user says too."""
    world.agents_labels = LABELS
    await world.node("a", {"zone": "b"})
    await world.policy()
    await world.until_validated("a")
    await world.admin.patch(NODES, "a", {"metadata": {"labels": {STATE: "success"}}})
    users = {"metadata": {"name": "a", "labels": {SHARED: "ada"}}}
    await world.admin.apply(NODES, users, field_manager="user", force=True)
    assert LABELS.items() <= (await world.labels("a")).items()


async def marks(world: World) -> Json:
    metadata = (await world.admin.get(NODES, "a"))["metadata"]
    return {**metadata["labels"], **metadata.get("annotations", {})}


async def is_clean(world: World) -> bool:
    left = await marks(world)
    return not left.keys() & {PRODUCT, COUNT, STATE, HAS_AGENT}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_its_labels_go_after_it(way: Way) -> None:
    async def test(world: World) -> None:
        await begun(world)
        await way(world)
        await world.until(lambda: is_clean(world))
        left = await marks(world)
        assert (left[SHARED], left["zone"]) == ("ada", "b")
        assert "agent" not in await world.pods("a")
        await asyncio.sleep(60)
        assert await is_clean(world)

    simulated(test)


def test_an_agent_that_is_exchanged_keeps_them() -> None:
    async def test(world: World) -> None:
        await begun(world)
        pods = await world.admin.list(PODS, NAMESPACE, label_selector="app.kubernetes.io/component=agent")
        assert pods.items
        for pod in pods.items:
            await world.admin.delete(PODS, pod["metadata"]["name"], NAMESPACE)
        for _ in range(40):
            assert PRODUCT in await world.labels("a")
            await asyncio.sleep(0.25)
        # Nor does a driver's upgrade take them off.
        await world.admin.patch(NODES, "a", {"metadata": {"labels": {AGENT: PAUSED}}})
        await asyncio.sleep(10)
        assert PRODUCT in await world.labels("a")

    simulated(test)


def test_labels_that_no_agent_of_ours_wrote_stay() -> None:
    """A node whose agent somebody else runs, or NVIDIA's feature discovery."""

    async def test(world: World) -> None:
        await world.node("a", gpus=False)
        body = {"metadata": {"name": "a", "labels": LABELS}}
        await world.admin.apply(NODES, body, field_manager="aliquot-node-labels", force=True)
        await world.policy()
        await asyncio.sleep(30)
        await world.admin.delete(GPUPOLICIES, "p")
        await asyncio.sleep(30)
        assert LABELS.items() <= (await world.labels("a")).items()

    simulated(test)


@pytest.mark.parametrize("is_heard", [True, False], ids=["after it", "before it"])
@pytest.mark.parametrize("way", [nobodys_policy, no_gpus], ids=lambda way: way.__name__)
def test_an_operator_that_is_killed_at_any_write_of_it(way: Way, is_heard: bool) -> None:
    async def test(world: World) -> None:
        await begun(world)
        await way(world)
        deaths = 0
        while not await is_clean(world):
            # One who dies at the first of its writes each time does the same for ever.
            world.gate.die_at(1 + deaths % 3, is_heard=is_heard)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await world.gate.died.wait()
            deaths += world.gate.died.is_set()
            await world.kill()
            world.gate.live_on()
            world.start()
            assert deaths < 60
        assert deaths > 1
        assert (await marks(world))[SHARED] == "ada"

    simulated(test)
