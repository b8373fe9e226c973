import asyncio

import pytest
from sqlalchemy import text

from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.log.checkpoints import Inconsistent, open_checkpoint
from aliquot.access.log.notes import new_key
from aliquot.access.log.verify import ED25519
from aliquot.access.notify.messages import message_of_checkpoint
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


def test_once_a_day_security_gets_one_to_keep_however_many_servers_there_are() -> None:
    async def body(world: World) -> None:
        servers = [asyncio.create_task(Checkpointing(world.store, KEY).run()) for _ in range(3)]
        await world.broker.ask(ASK, caller("dev"))
        await asyncio.sleep(60)
        (kept,) = world.others.kept
        assert open_checkpoint(kept.note, [KEY.public]).size == kept.size
        last = await world.store.read(lambda tx: tx.log.last_checkpoint())
        assert last is not None
        message = message_of_checkpoint(kept)
        assert message.data["note"] == last.note
        for one in servers:
            one.cancel()
        await world.die()
        await asyncio.sleep(24 * 3600)
        await world.start()
        again = asyncio.create_task(Checkpointing(world.store, KEY).run())
        silent = asyncio.create_task(Checkpointing(world.store, KEY, daily=False).run())
        await asyncio.sleep(60)
        assert len(world.others.kept) == 2
        again.cancel()
        silent.cancel()

    in_a_world(body)
