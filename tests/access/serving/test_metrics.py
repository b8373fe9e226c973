"""The figures of an installation, by a world whose grants come and go."""

import asyncio
import re
from typing import Any

import pytest

from aliquot.access.audit.intake import Intake
from aliquot.access.broker.broker import No
from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.broker.waking import Waking
from aliquot.access.core.life.events import Return
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.notices import Notice
from aliquot.access.log.notes import new_key
from aliquot.access.log.verify import ED25519
from aliquot.access.serving.metrics import Metrics
from aliquot.access.store.standing import Witnessed
from aliquot.sql.failures import Unreachable
from tests.access.broker.test_broker import begun
from tests.access.broker.world import ASK, CLUSTER, World, caller, in_a_world
from tests.access.life.scenery import person

KEY = new_key("access.example.com/log", ED25519, bytes(32))


class Scraped(dict[str, float]):
    """By name and labels, without the prefix that all have."""

    @classmethod
    def of(cls, text: str) -> "Scraped":
        found = re.findall(r"^aliquot_access_(\S+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
        return cls({name: float(value) for name, value in found})


def metrics(world: World, reasons: dict[str, str] | None = None) -> Metrics:
    return Metrics(world.store, lambda: reasons or {"database": ""}, journal=lambda: 3)


async def scrape(one: Metrics) -> Scraped:
    return Scraped.of(await one.text())


def test_a_grant_from_its_asking_to_its_end() -> None:
    async def body(world: World) -> None:
        one = metrics(world)
        await one.look()
        life = await begun(world)
        seen = await scrape(one)
        assert seen[f'grants_active{{template="fix",cluster="{CLUSTER}"}}'] == 1
        assert seen['requests{stage="active"}'] == 1
        assert seen['requests{stage="pending"}'] == 0
        assert seen["approvals_total"] == 2
        assert seen['events_total{action="request.asked"}'] == 1
        assert seen["activation_seconds_count"] == 1
        assert seen["revocation_seconds_count"] == 0
        assert seen["journal_waiting"] == 3
        world.clusters.delay_s = 7.0
        await world.broker.put(life.id, Return(by=person("dev")), caller("dev"))
        await asyncio.sleep(5)
        seen = await scrape(one)
        assert seen['effects_waiting{kind="RemoveGrant"}'] == 1
        assert 4 < seen['effects_oldest_age_seconds{kind="RemoveGrant"}'] <= 5
        await world.until(life.id, Stage.ENDED)
        await asyncio.sleep(10)
        seen = await scrape(one)
        assert seen['effects_waiting{kind="RemoveGrant"}'] == 0
        assert seen['revocation_seconds_bucket{le="5.0"}'] == 0
        assert seen['revocation_seconds_bucket{le="10.0"}'] == 1
        assert "grants_active" not in str(list(seen))

    in_a_world(body)


def test_what_fails_is_refused_or_found() -> None:
    async def body(world: World) -> None:
        one = metrics(world, {"database": "", "policy": "broken"})
        await one.look()
        with pytest.raises(No):
            await world.broker.ask(ASK, caller("stranger"))
        await world.notices.tell(
            [Notice(source="agent", sort="bypass", cluster=CLUSTER, about="RoleBinding shop/x", why="it is")]
        )
        world.clusters.problems = [OSError("no answer")] * 5
        asyncio.get_running_loop().create_task(begun(world))
        await asyncio.sleep(4)
        seen = await scrape(one)
        assert seen['refusals_total{what="ask",ground="forbidden"}'] == 1
        assert seen[f'findings_total{{source="agent",sort="bypass",cluster="{CLUSTER}"}}'] == 1
        assert seen['effects_failing{kind="MakeGrant"}'] == 1
        assert seen['ready{check="policy"}'] == 0
        assert seen['ready{check="database"}'] == 1
        await asyncio.sleep(120)

    in_a_world(body)


def test_how_far_the_log_is_signed_and_by_whom() -> None:
    async def body(world: World) -> None:
        one = metrics(world)
        await begun(world)
        seen = await scrape(one)
        size = len(await world.entries())
        assert (seen["log_entries"], seen["log_unsigned_entries"]) == (size, size)
        await Checkpointing(world.store, KEY).sign()
        await world.store.write(lambda tx: tx.witness("w1", Witnessed(size, tx.now_s, "silent")))
        seen = await scrape(one)
        assert seen["log_unsigned_entries"] == 0
        assert seen["log_checkpoint_timestamp_seconds"] > 0
        assert seen['witness_current_timestamp_seconds{witness="w1"}'] > 0
        assert seen['witness_failing{witness="w1"}'] == 1

    in_a_world(body)


def test_when_something_last_came_of_an_audit_log() -> None:
    async def body(world: World) -> None:
        one = metrics(world)
        await Intake(world.store, Waking()).take(CLUSTER, [])
        seen = await scrape(one)
        now_s = await world.store.read(lambda tx: tx.now_s)
        assert seen[f'audit_log_delivered_timestamp_seconds{{cluster="{CLUSTER}"}}'] == pytest.approx(now_s)

    in_a_world(body)


def test_while_the_database_is_gone_there_are_the_last_figures() -> None:
    async def body(world: World) -> None:
        one = metrics(world)
        await begun(world)
        before = await scrape(one)

        async def gone(work: Any) -> Any:
            raise Unreachable("gone")

        world.store.read = gone  # type: ignore[method-assign]
        assert await scrape(one) == before
        assert (await scrape(metrics(world)))["journal_waiting"] == 3

    in_a_world(body)
