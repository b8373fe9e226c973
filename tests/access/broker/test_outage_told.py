"""The database is back: it is told once what was ended meanwhile, whoever dies on the way and whatever has become of the journal."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from aliquot.access.broker import drafts
from aliquot.access.broker.broker import Unavailable
from aliquot.access.broker.outage import Taken
from aliquot.access.core.life.events import Activate, Revoke
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.journal.file import damaged
from aliquot.access.journal.records import Ended
from aliquot.access.log.entries import Draft
from aliquot.sql.failures import Unreachable
from tests.access.broker.outages import MAX, activates, back, told
from tests.access.broker.test_broker import agreed, begun, give_back
from tests.access.broker.world import ASK, PEEK, World, caller, in_a_world
from tests.access.life.scenery import person
from tests.sql.servers import OwnServer


def test_one_that_ended_otherwise_is_told_so() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_gone = True
        await world.outage.revoke(life.id, MAX, "enough")
        await asyncio.sleep(2 * 3600)
        await back(world)
        found = await world.until(life.id, Stage.ENDED)
        assert found.end_reason is EndReason.EXPIRED
        (entry,) = await told(world)
        assert entry.details["outcome"] == "over_already"

    in_a_world(body)


def test_one_that_is_over_by_then_through_somebody_else_is_told_so() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_full = True
        await world.outage.revoke(life.id, MAX, "enough")
        world.database.is_full = False
        await give_back(world, life)
        await asyncio.sleep(5)
        assert (await world.until(life.id, Stage.ENDED)).end_reason is EndReason.RETURNED
        assert [one.details["outcome"] for one in await told(world)] == ["over_already"]

    in_a_world(body)


def test_one_that_a_restored_database_does_not_know_is_told_and_stays_gone() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_gone = True
        await world.outage.revoke(life.id, MAX, "enough")
        await world.restored()
        await back(world)
        (entry,) = await told(world)
        assert (entry.grant, entry.details["outcome"], entry.after) == (life.id, "unknown", "")
        assert [(one.notice.source, one.notice.about) for one in world.others.noticed] == [
            ("journal", life.id)
        ]
        assert not world.clusters.made

    in_a_world(body)


@pytest.mark.parametrize("stage", [Stage.PENDING, Stage.APPROVED])
def test_one_that_has_not_begun_in_a_restored_database_never_does(stage: Stage) -> None:
    async def body(world: World) -> None:
        life = await (world.broker.ask(ASK, caller("dev")) if stage is Stage.PENDING else agreed(world))
        assert life.stage is stage
        world.database.is_gone = True
        await world.outage.revoke(life.id, MAX, "enough")
        await back(world)
        found = await world.life(life.id)
        assert found.stage is (Stage.DENIED if stage is Stage.PENDING else Stage.ENDED)
        assert found.ended_by == person("max")
        assert [one.details["outcome"] for one in await told(world)] == ["ended"]

    in_a_world(body)


def test_who_may_not_any_more_by_then_did_it_all_the_same() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_gone = True
        await world.outage.revoke(life.id, caller("rita"), "enough")
        world.others.people.pop(person("rita"))
        await back(world)
        assert (await world.until(life.id, Stage.ENDED)).ended_by == person("rita")

    in_a_world(body)


def test_a_postgresql_that_is_stopped_in_the_midst_of_it(own_server: OwnServer) -> None:
    async def body(world: World) -> None:
        one, two = await begun(world), await begun(world)
        own_server.stop()
        with pytest.raises(Unreachable):
            await world.broker.credential(one.id, caller("dev"))
        await world.outage.revoke(one.id, MAX, "enough")
        assert set(world.clusters.made) == {two.id}
        await world.die()
        await world.start()
        await world.outage.pull(MAX, "a breach", pull_id="1")
        assert not world.clusters.made
        own_server.start()
        await back(world)
        assert (await world.until(one.id, Stage.ENDED)).end_reason is EndReason.REVOKED
        assert (await world.until(two.id, Stage.ENDED)).end_reason is EndReason.KILLED
        assert [one.details["act"] for one in await told(world)] == ["revoked", "pulled"]

    in_a_world(body, url=own_server.url)


def test_one_that_cannot_be_told_keeps_back_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        one, two = await begun(world), await begun(world)
        world.database.is_gone = True
        await world.outage.revoke(one.id, MAX, "enough")
        await world.outage.revoke(two.id, MAX, "enough")
        drafted = drafts.of_journaled

        def broken(act: Ended, *rest: Any) -> Draft:
            if act.grant == one.id:
                raise RuntimeError("a fault of ours")
            return drafted(act, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(drafts, "of_journaled", broken)
            world.database.is_gone = False
            assert (await world.until(two.id, Stage.ENDED)).ended_by == person("max")
            await world.die()
            await world.start()
            assert world.outage.state().waiting == 1
            with pytest.raises(Unavailable, match="ended while the database was gone"):
                await world.broker.credential(one.id, caller("dev"))
        await back(world)
        assert (await world.until(one.id, Stage.ENDED)).ended_by == person("max")

    in_a_world(body)


# --- wherever it dies ---


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


Deed = Callable[[World, Life], Awaitable[Taken]]


async def revokes(world: World, life: Life) -> Taken:
    return await world.outage.revoke(life.id, MAX, "enough")


async def pulls(world: World, life: Life) -> Taken:
    return await world.outage.pull(MAX, "a breach", pull_id="1")


@pytest.mark.parametrize("deed", [revokes, pulls])
@pytest.mark.parametrize("count", range(25))
def test_whoever_dies_at_any_moment_ends_it_once(deed: Deed, count: int) -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.clusters.before = lambda *_: turns(3)
        world.database.is_gone = True
        ending = asyncio.create_task(_ended(deed, world, life))
        await turns(count)
        ending.cancel()
        await world.die()
        was_journaled = bool(world.journal.load_again())
        assert was_journaled or life.id in world.clusters.made
        await world.start()
        await turns(count)
        await world.die()
        world.database.is_gone = False
        await world.start()
        await turns(count)
        await world.die()
        await world.start()
        await asyncio.sleep(30)
        if not was_journaled:
            # Nobody was told that it was done.
            assert (await world.life(life.id)).stage is Stage.ACTIVE
            return
        found = await world.until(life.id, Stage.ENDED)
        assert found.end_reason is (EndReason.REVOKED if deed is revokes else EndReason.KILLED)
        assert not world.clusters.made
        assert len(await told(world)) == 1
        assert not world.journal.load_again()

    in_a_world(body)


async def _ended(deed: Deed, world: World, life: Life) -> None:
    await deed(world, life)


def test_a_record_that_stays_in_the_journal_is_told_once_and_kills_nothing_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def body(world: World) -> None:
        await begun(world)
        world.database.is_gone = True
        await world.outage.pull(MAX, "a breach", pull_id="1")
        world.journal.is_full = True
        world.database.is_gone = False
        await asyncio.sleep(5)
        assert world.journal.load_again()
        await world.broker.clear(MAX, pull=1)
        assert not (await world.broker.clear(caller("mia"), pull=1)).is_pulled
        life = await activates(world)
        await world.die()
        await world.start()
        await asyncio.sleep(120)
        assert (await world.life(life.id)).stage is Stage.ACTIVE
        assert len(await told(world)) == 1
        assert not (await world.store.read(lambda tx: tx.switch)).is_pulled

    in_a_world(body)


def test_while_the_journal_is_damaged_nothing_is_given_and_ending_goes_on() -> None:
    async def body(world: World) -> None:
        one, two = await begun(world), await begun(world)
        other = await world.broker.ask(PEEK, caller("dev"))
        world.database.is_gone = True
        await world.outage.revoke(one.id, MAX, "enough")
        await world.die()
        path = world.journal.path
        path.write_bytes(path.read_bytes().replace(b"enough", b"Enough"))
        world.database.is_gone = False
        for _ in range(2):
            await world.start()
            assert "journal.damaged-1" in world.outage.state().damage
            with pytest.raises(Unavailable, match=r"nothing is given: .*damaged-1"):
                await world.broker.credential(two.id, caller("dev"))
            await world.die()
        await world.start()
        await world.broker.put(other.id, Activate(by=person("dev")), caller("dev"))
        await world.broker.put(two.id, Revoke(by=person("max"), why="enough"), MAX)
        await world.until(two.id, Stage.ENDED)
        assert other.id not in world.clusters.made
        await world.die()
        for aside in damaged(path):
            aside.unlink()
        await world.start()
        await world.until(other.id, Stage.ACTIVE)

    in_a_world(body)


def test_that_the_database_cannot_be_told_is_said_once_a_minute_and_once_when_it_is_over() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_gone = True
        with capture_logs() as logs:
            await world.outage.revoke(life.id, MAX, "enough")
            await asyncio.sleep(50)
            assert said(logs, "the database has still to be told") == 1
            await asyncio.sleep(100)
            assert said(logs, "the database has still to be told") == 3
            await back(world)
            await asyncio.sleep(100)
            assert said(logs, "the database has still to be told") == 3
            assert said(logs, "the database takes again what it is told") == 1

    in_a_world(body)


def said(logs: list[Any], what: str) -> int:
    return sum(one["event"] == what for one in logs)
