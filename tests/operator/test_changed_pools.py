"""A policy that wants drivers of another kind: nodes change their pool with their upgrade, and not before."""

import asyncio

from aliquot.operator.core.pools import POOL_LABEL
from tests.operator.world import World, simulated

PRECOMPILED = {"usePrecompiled": True}
ONE_BY_ONE = {"maxParallel": 1, "maxUnavailable": 1, "canary": {"nodes": 0}}


async def pool(world: World, node: str) -> str:
    return (await world.labels(node)).get(POOL_LABEL, "")


def test_nodes_go_over_one_by_one() -> None:
    async def test(world: World) -> None:
        for node in ("a", "b"):
            await world.node(node)
        await world.policy(upgrade=ONE_BY_ONE)
        await world.until_validated("a", "b")
        await world.policy(driver=PRECOMPILED, upgrade=ONE_BY_ONE)
        without = 0

        async def are_over() -> bool:
            nonlocal without
            here = [node for node in ("a", "b") if "driver" not in await world.pods(node)]
            without = max(without, len(here))
            return not {"ubuntu24.04"} & {await pool(world, node) for node in ("a", "b")}

        await world.until(are_over, within_s=600)
        assert without <= 1
        await world.until_validated("a", "b", within_s=300)
        await asyncio.sleep(60)
        (driver,) = [name for name in await world.daemon_sets() if "driver" in name]
        assert driver.startswith("aliquot-p-driver-ubuntu24-04-")
        assert (await pool(world, "a")) == (await pool(world, "b"))
        assert (await world.condition("p", "Ready"))[0] == "True"

    simulated(test)


def test_without_upgrades_they_stay_and_so_does_their_driver() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.policy(upgrade={"auto": False})
        await world.until_validated("a")
        await world.policy(upgrade={"auto": False}, driver=PRECOMPILED)
        await world.node("b")
        await world.until_validated("b")
        await asyncio.sleep(60)
        assert await pool(world, "a") == "ubuntu24.04"
        assert (await pool(world, "b")).startswith("ubuntu24.04-")
        assert await world.is_validated("a")
        assert len([name for name in await world.daemon_sets() if "driver" in name]) == 2

    simulated(test)
