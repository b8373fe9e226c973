import asyncio

import pytest
from sqlalchemy import text

from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.log.checkpoints import Inconsistent, open_checkpoint
from aliquot.access.log.notes import new_key
from aliquot.access.log.verify import ED25519
from tests.access.broker.world import ASK, World, caller, in_a_world

KEY = new_key("access.example.com/log", ED25519, bytes(32))


def test_the_log_is_signed_soon_and_again_as_it_grows() -> None:
    async def body(world: World) -> None:
        task = asyncio.create_task(Checkpointing(world.store, KEY).run())
        sizes = []
        for name in ("dev", "dave"):
            await world.broker.ask(ASK, caller(name))
            await asyncio.sleep(15)
            last = await world.store.read(lambda tx: tx.log.last_checkpoint())
            assert last is not None
            sizes.append(open_checkpoint(last.note, [KEY.public]).size)
        assert 0 < sizes[0] < sizes[1] == len(await world.entries())
        task.cancel()

    in_a_world(body)


def test_a_log_that_was_changed_is_not_signed() -> None:
    async def body(world: World) -> None:
        checkpointing = Checkpointing(world.store, KEY)
        await world.broker.ask(ASK, caller("dev"))
        await checkpointing.sign()
        await world.broker.ask(ASK, caller("dave"))
        with world.database.writing() as connection:
            connection.execute(text("DROP TRIGGER log_nodes_update"))
            connection.execute(text("UPDATE log_nodes SET hash = x'00'"))
        with pytest.raises(Inconsistent):
            await checkpointing.sign()

    in_a_world(body)
