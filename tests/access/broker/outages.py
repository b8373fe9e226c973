"""What tests of an outage share: how it ends, and what was told then."""

import asyncio

from aliquot.access.core.life.life import Life
from aliquot.access.log.entries import Entry
from tests.access.broker.test_broker import begun
from tests.access.broker.world import World, caller

MAX = caller("max")


async def told(world: World) -> list[Entry]:
    return [one for one in await world.entries() if one.action == "journal.merged"]


async def back(world: World) -> None:
    world.database.is_gone = world.database.is_full = False
    await asyncio.sleep(5)
    assert world.outage.state().waiting == 0


async def activates(world: World) -> Life:
    life = await begun(world)
    await world.broker.credential(life.id, caller("dev"))
    assert life.id in world.clusters.made
    return life
