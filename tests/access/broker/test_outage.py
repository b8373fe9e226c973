"""The database is gone, or full: nothing is given, what is to be ended ends, and the database is told once it is back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from aliquot.access.broker import drafts
from aliquot.access.broker.broker import No, NotThere, Unavailable
from aliquot.access.broker.outage import Taken
from aliquot.access.cluster.making import NotRemoved
from aliquot.access.core.life.events import Activate, Revoke
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.refusals import Ground
from aliquot.access.journal.file import InUse, damaged
from aliquot.access.journal.records import Ended
from aliquot.access.log.entries import Draft, Entry
from aliquot.sql.failures import Unreachable
from tests.access.broker.test_broker import agreed, begun, give_back
from tests.access.broker.world import ASK, PEEK, World, caller, in_a_world
from tests.access.life.scenery import person
from tests.sql.servers import OwnServer

MAX = caller("max")


async def told(world: World) -> list[Entry]:
    return [one for one in await world.entries() if one.action == "journal.merged"]


async def back(world: World) -> None:
    world.database.is_gone = world.database.is_full = False
    await asyncio.sleep(5)
    assert world.outage.state().waiting == 0


@pytest.mark.parametrize("how", ["is_gone", "is_full"])
def test_what_is_revoked_is_gone_at_once_and_the_database_is_told_afterwards(how: str) -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        setattr(world.database, how, True)
        at_s = asyncio.get_running_loop().time()
        taken = await world.outage.revoke(life.id, MAX, "enough")
        assert not world.clusters.made
        assert taken.is_written
        assert taken.removed_at_s is not None
        assert asyncio.get_running_loop().time() == at_s
        await asyncio.sleep(60)
        assert not world.clusters.made
        state = world.outage.state()
        assert (state.waiting, state.in_memory, state.not_removed) == (1, 0, 0)
        await back(world)
        found = await world.until(life.id, Stage.ENDED)
        assert (found.end_reason, found.ended_by, found.why) == (EndReason.REVOKED, person("max"), "enough")
        (entry,) = await told(world)
        assert entry.actor.sub == "max"
        assert (entry.before, entry.after) == ("active", "ending")
        assert entry.details["outcome"] == "ended"
        assert entry.details["removed"] == entry.details["journaled"] < entry.time
        assert set(entry.commitments) == {"why"}
        assert world.journal.load_again() == ()

    in_a_world(body)


def test_while_it_is_gone_nothing_is_given() -> None:
    async def body(world: World) -> None:
        life, other = await begun(world), await agreed(world)
        world.database.is_gone = True
        for attempt in (
            world.broker.ask(ASK, caller("dave")),
            world.broker.credential(life.id, caller("dev")),
            world.broker.put(other.id, Activate(by=person("dev")), caller("dev")),
        ):
            with pytest.raises(Unreachable):
                await attempt
        assert set(world.clusters.made) == {life.id}
        assert not world.clusters.minted

    in_a_world(body)


@pytest.mark.parametrize(
    ("name", "ground"), [("sara", None), ("rita", None), ("dev", Ground.FORBIDDEN), ("dave", "not there")]
)
def test_who_may_end_one(name: str, ground: object) -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_gone = True
        found: object = None
        try:
            await world.outage.revoke(life.id, caller(name), "enough")
        except No as no:
            found = no.refused.ground
        except NotThere:
            found = "not there"
        assert found == ground
        assert bool(world.clusters.made) == (ground is not None)

    in_a_world(body)


def test_its_holder_gives_it_back() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_full = True
        with pytest.raises(No, match="not yours"):
            await world.outage.give_back(life.id, MAX)
        await world.outage.give_back(life.id, caller("dev"))
        assert not world.clusters.made
        await back(world)
        assert (await world.until(life.id, Stage.ENDED)).end_reason is EndReason.RETURNED

    in_a_world(body)


def test_after_a_restart_the_cluster_says_whose_it_is() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_gone = True
        await world.die()
        await world.start()
        with pytest.raises(NotThere):
            await world.outage.revoke(life.id, caller("dave"), "enough")
        with pytest.raises(NotThere):
            await world.outage.revoke("r" + "0" * 26, MAX, "enough")
        taken = await world.outage.revoke(life.id, caller("sara"), "enough")
        assert taken.removed_at_s is not None
        await back(world)
        assert (await world.until(life.id, Stage.ENDED)).ended_by == person("sara")
        assert (await told(world))[0].details["knownBy"] == "cluster"

    in_a_world(body)


def test_where_nobody_can_say_whose_it_is_it_is_not_said_to_be_nobodys() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_gone = True
        await world.die()
        await world.start()
        world.clusters.is_silent = True
        with pytest.raises(Unavailable, match=r"cluster prod-one does not answer .*not known whose"):
            await world.outage.revoke(life.id, MAX, "enough")

    in_a_world(body)


def test_a_cluster_that_does_not_answer_is_asked_until_it_does() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_gone = world.clusters.is_silent = True
        taken = await world.outage.revoke(life.id, MAX, "enough")
        assert taken.is_written
        assert taken.removed_at_s is None
        assert taken.problem == "cluster prod-one: connection refused"
        await asyncio.sleep(30)
        assert world.outage.state().not_removed == 1
        world.clusters.is_silent = False
        await asyncio.sleep(5)
        assert not world.clusters.made
        assert world.outage.state().not_removed == 0
        again = await world.outage.revoke(life.id, MAX, "enough")
        assert again.act == taken.act

    in_a_world(body)


def test_a_journal_that_cannot_be_written_holds_nothing_up() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_full = world.journal.is_full = True
        taken = await world.outage.revoke(life.id, MAX, "enough")
        assert not world.clusters.made
        assert not taken.is_written
        assert world.outage.state().in_memory == 1
        world.journal.is_full = False
        await asyncio.sleep(5)
        assert world.outage.state().in_memory == 0
        await world.die()
        await world.start()
        assert world.outage.state().waiting == 1
        await back(world)
        assert (await world.until(life.id, Stage.ENDED)).ended_by == person("max")

    in_a_world(body)


def test_nor_one_that_another_server_has_taken_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_full = True

        def taken(*_: Any) -> None:
            raise InUse("journal is another server's")

        with monkeypatch.context() as patch:
            patch.setattr(world.journal, "append", taken)
            patch.setattr(world.journal, "empty", taken)
            assert not (await world.outage.revoke(life.id, MAX, "enough")).is_written
            assert not world.clusters.made
            await asyncio.sleep(5)
            assert world.outage.problem == "journal is another server's"
            await back(world)
            assert (await world.until(life.id, Stage.ENDED)).ended_by == person("max")

    in_a_world(body)


def test_what_was_kept_in_memory_alone_is_told_when_the_database_is_back() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.database.is_full = world.journal.is_full = True
        await world.outage.revoke(life.id, MAX, "enough")
        await back(world)
        assert (await world.until(life.id, Stage.ENDED)).ended_by == person("max")

    in_a_world(body)


# --- the kill switch ---


def test_the_kill_switch_ends_all_and_lets_nobody_in_until_two_clear_it() -> None:
    async def body(world: World) -> None:
        one, two = await begun(world), await begun(world)
        asked = await world.broker.ask(ASK, caller("dave"))
        world.database.is_gone = True
        with pytest.raises(No, match="not of those who may pull"):
            await world.outage.pull(caller("sara"), "for fun", pull_id="0")
        taken = await world.outage.pull(MAX, "a breach", pull_id="1")
        assert taken.removed_at_s is not None
        assert not world.clusters.made
        assert (await world.outage.pull(caller("mia"), "me too", pull_id="2")).act == taken.act
        await back(world)
        for life in (one, two):
            assert (await world.until(life.id, Stage.ENDED)).end_reason is EndReason.KILLED
        assert (await world.life(asked.id)).stage is Stage.LAPSED
        switch = await world.store.read(lambda tx: tx.switch)
        assert (switch.is_pulled, switch.pulled_by, switch.why) == (True, person("max"), "a breach")
        with pytest.raises(No, match="kill switch is pulled"):
            await world.broker.ask(ASK, caller("dev"))
        assert (await world.broker.clear(MAX, pull=1)).is_pulled
        assert not (await world.broker.clear(caller("mia"), pull=1)).is_pulled
        (entry,) = await told(world)
        assert entry.details["act"] == "pulled"
        await activates(world)

    in_a_world(body)


async def activates(world: World) -> Life:
    life = await begun(world)
    await world.broker.credential(life.id, caller("dev"))
    assert life.id in world.clusters.made
    return life


def test_after_a_pull_nothing_is_made_or_given_even_where_the_database_is_back_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def body(world: World) -> None:
        one, two = await begun(world), await agreed(world)
        spec = world.clusters.made[one.id]
        world.database.is_gone = True
        await world.outage.pull(MAX, "a breach", pull_id="1")
        # Whatever the cluster has.
        world.clusters.made[one.id] = spec
        # It is back, and the journal has not been told to it yet.
        with monkeypatch.context() as patch:

            async def not_yet(*_: Any, **__: Any) -> Any:
                raise Unreachable("not yet")

            patch.setattr(world.merging, "tell", not_yet)
            world.database.is_gone = False
            with pytest.raises(Unavailable, match="kill switch was pulled while the database was gone"):
                await world.broker.credential(one.id, caller("dev"))
            await world.broker.put(two.id, Activate(by=person("dev")), caller("dev"))
            await asyncio.sleep(300)
            assert (await world.life(two.id)).stage is Stage.ACTIVATING
            assert two.id not in world.clusters.made
            await world.die()
            await world.start()
            await asyncio.sleep(30)
            assert two.id not in world.clusters.made
        await back(world)
        await world.until(two.id, Stage.ENDED)
        assert two.id not in world.clusters.made
        assert not world.clusters.minted

    in_a_world(body)


def test_what_was_ended_is_not_given_before_the_database_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        one, two = await begun(world), await begun(world)
        world.database.is_gone = True
        await world.outage.revoke(one.id, MAX, "enough")
        with monkeypatch.context() as patch:

            async def not_yet(*_: Any, **__: Any) -> Any:
                raise Unreachable("not yet")

            patch.setattr(world.merging, "tell", not_yet)
            world.database.is_gone = False
            with pytest.raises(Unavailable, match="it was ended while the database was gone"):
                await world.broker.credential(one.id, caller("dev"))
            await world.broker.credential(two.id, caller("dev"))
            assert len(world.clusters.minted) == 1

    in_a_world(body)


def test_one_that_is_being_made_when_it_is_ended_is_not_left_behind() -> None:
    async def body(world: World) -> None:
        life = await agreed(world)
        world.clusters.delay_s = 3.0
        await world.broker.put(life.id, Activate(by=person("dev")), caller("dev"))
        await asyncio.sleep(1)
        world.database.is_gone = True
        await world.outage.revoke(life.id, MAX, "enough")
        await asyncio.sleep(20)
        assert not world.clusters.made
        await back(world)
        assert (await world.until(life.id, Stage.ENDED)).end_reason is EndReason.REVOKED
        assert not world.clusters.made

    in_a_world(body)


def test_nor_where_the_cluster_falls_silent_then() -> None:
    async def body(world: World) -> None:
        life, other = await agreed(world), await agreed(world)
        ended: list[str] = []
        in_vain = [NotRemoved("it cannot be deleted")] * 2

        async def meanwhile(what: str, grant: str) -> None:
            if what == "makeGrant" and grant == life.id and not ended:
                world.database.is_gone = True
                ended.append((await world.outage.revoke(life.id, MAX, "enough")).problem)
            elif what == "removeGrant" and in_vain:
                raise in_vain.pop()

        world.clusters.before = meanwhile
        await world.broker.put(life.id, Activate(by=person("dev")), caller("dev"))
        await asyncio.sleep(5)
        assert ended == ["it cannot be deleted"]
        await back(world)
        await world.until(life.id, Stage.ENDED)
        assert not world.clusters.made
        # What carries out goes on.
        await world.broker.put(other.id, Activate(by=person("dev")), caller("dev"))
        await world.until(other.id, Stage.ACTIVE)

    in_a_world(body)


# --- what the database has become ---


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
