"""The database is gone, or full: nothing is given, and what is to be ended ends."""

import asyncio
from typing import Any

import pytest

from aliquot.access.broker.broker import No, NotThere, Unavailable
from aliquot.access.cluster.making import NotRemoved
from aliquot.access.core.life.events import Activate
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.refusals import Ground
from aliquot.access.journal.file import InUse
from aliquot.sql.failures import Unreachable
from tests.access.broker.outages import MAX, activates, back, told
from tests.access.broker.test_broker import agreed, begun
from tests.access.broker.world import ASK, World, caller, in_a_world
from tests.access.life.scenery import person


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
