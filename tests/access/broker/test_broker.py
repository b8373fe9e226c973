import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from aliquot.access.broker.broker import No, NotThere, Unavailable
from aliquot.access.cluster.making import NotMade, NotRemoved
from aliquot.access.core.life.effects import Audience, News, Undelivered
from aliquot.access.core.life.events import Activate, Approve, Deny, Return, Revoke
from aliquot.access.core.life.facts import Fact, replay
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.refusals import Ground
from aliquot.access.log.entries import Sealed, parse
from aliquot.access.store.tables import outbox
from aliquot.access.store.transaction import Transaction
from aliquot.clock import VirtualClock, parse_rfc3339
from aliquot.kube import errors
from tests.access.broker.world import ASK, PEEK, World, caller, in_a_world
from tests.access.life.scenery import FIX, person, policy_of


async def agreed(world: World) -> Life:
    asked = await world.broker.ask(ASK, caller("dev"))
    for name in ("sara", "cleo"):
        asked = await approve(world, asked, name)
    return asked


async def approve(world: World, life: Life, name: str) -> Life:
    return await world.broker.put(life.id, Approve(by=person(name), digest=life.digest), caller(name))


async def activated(world: World, life: Life) -> Life:
    await world.broker.put(life.id, Activate(by=person("dev")), caller("dev"))
    return await world.until(life.id, Stage.ACTIVE)


async def begun(world: World) -> Life:
    return await activated(world, await agreed(world))


async def give_back(world: World, life: Life) -> None:
    await world.broker.put(life.id, Return(by=person("dev")), caller("dev"))


def test_from_asking_to_nothing_left() -> None:
    async def body(world: World) -> None:
        life = await agreed(world)
        assert life.stage is Stage.APPROVED
        assert not world.clusters.made
        life = await activated(world, life)
        assert set(world.clusters.made) == {life.id}
        credential = await world.broker.credential(life.id, caller("dev"))
        assert credential.token == "token"
        await give_back(world, life)
        life = await world.until(life.id, Stage.ENDED)
        assert life.end_reason is EndReason.RETURNED
        assert not world.clusters.made
        given = await world.store.read(lambda tx: tx.credentials(life.id))
        assert [one.id for one in given] == [credential.id]
        await asyncio.sleep(10)
        told = {one.news for one in world.others.told}
        assert {News.ASKED, News.APPROVED, News.ACTIVE, News.ENDING, News.ENDED} <= told

    in_a_world(body)


def test_it_ends_at_its_time() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        assert life.end_s is not None
        await asyncio.sleep(life.end_s - VirtualClock().now() - 1)
        assert (await world.life(life.id)).stage is Stage.ACTIVE
        life = await world.until(life.id, Stage.ENDED, most_s=10)
        assert life.end_reason is EndReason.EXPIRED

    in_a_world(body)


def test_what_is_done_in_a_cluster_is_in_the_log_before() -> None:
    async def body(world: World) -> None:
        seen = []

        async def before(what: str, grant: str) -> None:
            assert f"intends.{what}" in [one.action for one in await world.entries() if one.grant == grant]
            seen.append(what)

        world.clusters.before = before
        life = await begun(world)
        await world.broker.credential(life.id, caller("dev"))
        await give_back(world, life)
        await world.until(life.id, Stage.ENDED)
        assert seen == ["makeGrant", "mint", "removeGrant"]

    in_a_world(body)


def fact_of(sealed: Sealed) -> Fact:
    entry = parse(sealed.body)
    return Fact(
        action=entry.action,
        by=None,
        at_s=parse_rfc3339(entry.time),
        grant=entry.grant,
        request_digest=entry.request_digest,
        policy_digest=entry.policy_digest,
        before=None,
        after=Stage(entry.after),
        details=entry.details,
        personal={one.name: one.value for one in sealed.openings},
    )


def test_the_log_makes_the_database_again() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        denied = await world.broker.ask(ASK, caller("dave"))
        deny = Deny(by=person("sara"), digest=denied.digest, why="not now")
        await world.broker.put(denied.id, deny, caller("sara"))
        await world.broker.put(life.id, Revoke(by=person("max"), why="enough"), caller("max"))
        await world.until(life.id, Stage.ENDED)
        size = len(await world.entries())
        sealed = await world.store.read(lambda tx: list(tx.log.entries(0, size)))
        for one in (life, denied):
            facts = [fact_of(each) for each in sealed if each.grant == one.id and b'"changed"' in each.body]
            assert replay(facts) == await world.life(one.id)

    in_a_world(body)


def test_what_is_refused_is_told_and_logged() -> None:
    async def body(world: World) -> None:
        life = await world.broker.ask(ASK, caller("dev"))
        with pytest.raises(No, match="nobody approves what they asked for themselves") as no:
            await approve(world, life, "dev")
        assert no.value.refused.ground is Ground.FORBIDDEN
        with pytest.raises(No, match="not of those who may ask"):
            await world.broker.ask(ASK, caller("stranger"))
        with pytest.raises(NotThere):
            await world.broker.put("r" + "0" * 26, Activate(by=person("dev")), caller("dev"))
        said = [(one.action, one.actor.sub) for one in await world.entries()]
        assert ("refused.approve", "dev") in said
        assert ("refused.ask", "stranger") in said

    in_a_world(body)


def test_the_same_ask_again_is_the_same_request() -> None:
    async def body(world: World) -> None:
        first = await world.broker.ask(ASK, caller("dev"))
        again = await world.broker.ask(ASK, caller("dev"), request_id=first.id)
        assert again == first
        assert sum(one.action == "request.asked" for one in await world.entries()) == 1

    in_a_world(body)


def test_of_many_who_ask_at_once_no_more_get_it_than_may() -> None:
    async def body(world: World) -> None:
        world.others.policy = policy_of([replace(FIX, most_per_person=2, most_at_once=3)])
        done = await asyncio.gather(
            *(world.broker.ask(ASK, caller(name)) for name in ("dev", "dave") * 5), return_exceptions=True
        )
        lives = [one for one in done if isinstance(one, Life)]
        assert len(lives) == 3
        assert {one.refused.ground for one in done if isinstance(one, No)} == {Ground.LIMITED}

    in_a_world(body)


def test_two_who_approve_at_once_both_count() -> None:
    async def body(world: World) -> None:
        life = await world.broker.ask(ASK, caller("dev"))
        await asyncio.gather(approve(world, life, "sara"), approve(world, life, "cleo"))
        assert (await world.life(life.id)).stage is Stage.APPROVED

    in_a_world(body)


def test_who_may_not_have_it_any_more_is_out() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        dev = world.others.people.pop(person("dev"))
        moved_on = replace(dev, groups=frozenset())
        with pytest.raises(No, match="not of those who may ask"):
            await world.broker.credential(life.id, replace(caller("dev"), identity=moved_on))
        await asyncio.sleep(200)
        # It cannot be found out: there is nothing new, and nothing is taken away.
        assert (await world.life(life.id)).stage is Stage.ACTIVE
        world.others.people[person("dev")] = moved_on
        life = await world.until(life.id, Stage.ENDED)
        assert life.end_reason is EndReason.NOT_ELIGIBLE

    in_a_world(body)


def test_the_kill_switch_ends_all_at_once_and_takes_two_to_clear() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        asked = await world.broker.ask(ASK, caller("dave"))
        with pytest.raises(No, match="not of those who may pull"):
            await world.broker.pull(caller("dev"), "for fun", pull_id="0")
        switch = await world.broker.pull(caller("max"), "a breach", pull_id="1")
        assert switch.is_pulled
        assert (await world.until(life.id, Stage.ENDED)).end_reason is EndReason.KILLED
        assert (await world.life(asked.id)).stage is Stage.LAPSED
        with pytest.raises(No, match="kill switch is pulled"):
            await world.broker.ask(ASK, caller("dev"))
        assert (await world.broker.clear(caller("max"), pull=1)).is_pulled
        assert (await world.broker.clear(caller("max"), pull=1)).is_pulled
        assert not (await world.broker.clear(caller("mia"), pull=1)).is_pulled
        await world.broker.ask(ASK, caller("dev"))

    in_a_world(body)


def test_while_the_policy_cannot_be_read_nothing_is_given_and_what_is_there_can_be_ended() -> None:
    async def body(world: World) -> None:
        one, two = await begun(world), await begun(world)
        world.others.is_broken = True
        with pytest.raises(No, match="not known what templates"):
            await world.broker.ask(ASK, caller("dave"))
        with pytest.raises(No, match="not known what templates"):
            await world.broker.credential(one.id, caller("dev"))
        await asyncio.sleep(200)
        assert (await world.life(one.id)).stage is Stage.ACTIVE
        await world.broker.put(one.id, Revoke(by=person("max"), why="enough"), caller("max"))
        await world.until(one.id, Stage.ENDED)
        assert (await world.broker.pull(caller("max"), "a breach", pull_id="1")).is_pulled
        await world.until(two.id, Stage.ENDED)

    in_a_world(body)


def test_a_cluster_that_does_not_answer_is_asked_again() -> None:
    async def body(world: World) -> None:
        life = await agreed(world)
        world.clusters.problems = [errors.Unavailable("connection refused", code=503) for _ in range(3)]
        life = await activated(world, life)
        world.clusters.problems = [
            NotRemoved("a finalizer holds it"),
            errors.Unavailable("connection refused", code=503),
        ]
        await give_back(world, life)
        await world.until(life.id, Stage.ENDED)
        assert not world.clusters.made
        assert any(one.news is News.NOT_REMOVED and Audience.SECURITY in one.to for one in world.others.told)

    in_a_world(body)


@pytest.mark.parametrize("words", ["x" * 300_000, "a\0b", "a\ud800b", "two\nlines"])
def test_whatever_a_cluster_says_can_be_written_down(words: str) -> None:
    """It may be in somebody else's hands, and is not to take all others along."""

    async def body(world: World) -> None:
        life = await begun(world)
        world.clusters.problems = [NotRemoved(words), errors.Unavailable(words, code=503)]
        await give_back(world, life)
        await world.until(life.id, Stage.ENDED)
        (said,) = [
            one.details["failed"] for one in await world.entries() if one.action == "grant.not_removed"
        ]
        assert said.isprintable()
        assert said[0] == words[0]
        assert len(said) < 2000
        other = await agreed(world)
        world.clusters.problems = [NotMade(words)]
        await world.broker.put(other.id, Activate(by=person("dev")), caller("dev"))
        assert (await world.until(other.id, Stage.ENDED)).why.isprintable()

    in_a_world(body)


def test_what_a_cluster_refuses_ends() -> None:
    async def body(world: World) -> None:
        life = await agreed(world)
        world.clusters.problems = [NotMade("ClusterRole aliquot-bg:fix is not there")]
        await world.broker.put(life.id, Activate(by=person("dev")), caller("dev"))
        life = await world.until(life.id, Stage.ENDED)
        assert life.end_reason is EndReason.ACTIVATION_FAILED
        assert life.why == "ClusterRole aliquot-bg:fix is not there"

    in_a_world(body)


def test_a_credential_that_the_cluster_does_not_give_is_unavailable() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        world.clusters.problems = [errors.Unavailable("connection refused", code=503)]
        with pytest.raises(Unavailable, match="cluster prod-one: connection refused"):
            await world.broker.credential(life.id, caller("dev"))

    in_a_world(body)


def test_a_template_that_goes_while_a_credential_is_made_gives_none() -> None:
    async def body(world: World) -> None:
        life = await begun(world)
        write = world.store.write

        async def then_it_goes(work: Callable[[Transaction], Any]) -> Any:
            found = await write(work)
            world.others.policy = policy_of([])
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.store, "write", then_it_goes)
            with pytest.raises(Unavailable, match="template 'fix' has just gone"):
                await world.broker.credential(life.id, caller("dev"))
        assert not world.clusters.minted

    in_a_world(body)


def test_who_cannot_be_told_is_told_later_and_given_up_in_the_end() -> None:
    async def body(world: World) -> None:
        world.others.problems = [Undelivered("no answer") for _ in range(3)]
        await world.broker.ask(ASK, caller("dev"))
        await asyncio.sleep(60)
        assert [one.news for one in world.others.told] == [News.ASKED]
        world.others.problems = [Undelivered("no answer") for _ in range(50)]
        await world.broker.ask(ASK, caller("dave"))
        await asyncio.sleep(3000)
        assert "gave_up" in [one.action for one in await world.entries()]

    in_a_world(body)


def test_what_needs_nobody_goes_on_at_once() -> None:
    async def body(world: World) -> None:
        life = await world.broker.ask(PEEK, caller("dev"))
        assert life.stage is Stage.APPROVED
        emergency = await world.broker.ask(replace(ASK, emergency=True), caller("dev"))
        assert emergency.stage is Stage.ACTIVATING
        assert (await world.until(emergency.id, Stage.ACTIVE)).review is not None

    in_a_world(body)


@pytest.mark.parametrize("seed", range(25))
def test_whoever_dies_anywhere_is_carried_on_from_there(seed: int) -> None:
    async def body(world: World) -> None:
        rng = random.Random(seed)
        world.clusters.delay_s = 0.3
        life = await agreed(world)
        await world.broker.put(life.id, Activate(by=person("dev")), caller("dev"))
        is_back = False
        for _ in range(100):
            await asyncio.sleep(rng.uniform(0, 1.5))
            await world.die()
            await world.start()
            if not is_back and (await world.life(life.id)).stage is Stage.ACTIVE:
                assert set(world.clusters.made) == {life.id}
                is_back = True
                await give_back(world, life)
        await asyncio.sleep(30)
        assert (await world.life(life.id)).stage is Stage.ENDED
        assert not world.clusters.made
        with world.database.reading() as connection:
            assert connection.execute(select(outbox)).first() is None

    in_a_world(body, seed=seed)
