"""Findings reach the log and security, each once, however often they are found and by whom."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.access.core.life.effects import Undelivered
from aliquot.access.core.notices import AGAIN_S, GONE_S, MOST_TOLD_AN_HOUR, Notice, is_news
from aliquot.sql.failures import Unreachable
from tests.access.broker.world import World, in_a_world

BYPASS = Notice(
    source="agent",
    sort="bypass",
    cluster="prod-one",
    about="RoleBinding shop/mine",
    why="it binds an account of ours",
)


@pytest.mark.parametrize(
    ("told_s", "seen_s", "now_s", "is_told"),
    [
        (None, 0.0, 0.0, True),
        (0.0, 0.0, 60.0, False),
        (0.0, AGAIN_S - 301, AGAIN_S - 1, False),
        (0.0, AGAIN_S - 300, AGAIN_S, True),
        (0.0, 600.0, 600 + GONE_S - 1, False),
        (0.0, 600.0, 600 + GONE_S, True),
    ],
)
def test_what_is_news(told_s: float | None, seen_s: float, now_s: float, is_told: bool) -> None:
    assert is_news(told_s=told_s, seen_s=seen_s, now_s=now_s) is is_told


async def seen(world: World) -> list[Any]:
    return [one for one in await world.entries() if one.action == "finding.seen"]


def test_what_stands_is_told_once_a_day_and_committed_to_by_the_log() -> None:
    async def body(world: World) -> None:
        for _ in range(10):
            await world.notices.tell([BYPASS, replace(BYPASS, why="in other words")])
            await asyncio.sleep(60)
        (entry,) = await seen(world)
        assert entry.actor.sub == "agent"
        assert entry.details == {
            "source": "agent",
            "sort": "bypass",
            "cluster": "prod-one",
            "about": "RoleBinding shop/mine",
        }
        assert set(entry.commitments) == {"why"}
        assert [one.notice.about for one in world.others.noticed] == [BYPASS.about]
        await world.die()
        for _ in range(24 * 6):
            await world.notices.tell([BYPASS])
            await asyncio.sleep(600)
        await world.start()
        await asyncio.sleep(10)
        assert len(await seen(world)) == 2
        assert len(world.others.noticed) == 2

    in_a_world(body)


def test_each_object_is_a_finding_of_its_own_and_a_flood_is_told_as_one() -> None:
    async def body(world: World) -> None:
        many = [
            replace(BYPASS, about=f"RoleBinding shop/{number}") for number in range(MOST_TOLD_AN_HOUR * 3)
        ]
        await world.notices.tell(many)
        await asyncio.sleep(600)
        assert len(await seen(world)) == len(many)
        told = [one.notice for one in world.others.noticed]
        assert len(told) == MOST_TOLD_AN_HOUR + 1
        assert [one.sort for one in told].count("too many") == 1

    in_a_world(body)


def test_while_the_database_is_gone_it_is_kept() -> None:
    async def body(world: World) -> None:
        write, silent = world.store.write, True

        async def writes(work: Any) -> Any:
            if silent:
                raise Unreachable("gone")
            return await write(work)

        world.store.write = writes  # type: ignore[method-assign]
        await world.notices.tell([BYPASS])
        await asyncio.sleep(60)
        assert await seen(world) == []
        silent = False
        await asyncio.sleep(10)
        assert len(await seen(world)) == 1

    in_a_world(body)


def test_whoever_cannot_be_reached_is_tried_again_and_then_the_log_says_so() -> None:
    async def body(world: World) -> None:
        world.others.problems = [Undelivered("no answer")] * 3
        await world.notices.tell([BYPASS])
        await asyncio.sleep(60)
        assert len(world.others.noticed) == 1
        world.others.problems = [Undelivered("no answer")] * 20
        await world.notices.tell([replace(BYPASS, about="another")])
        await asyncio.sleep(700)
        assert [one.action for one in await world.entries()].count("finding.untold") == 1

    in_a_world(body)


def test_names_that_cannot_be_written_are_written_otherwise() -> None:
    async def body(world: World) -> None:
        await world.notices.tell([replace(BYPASS, about="\ud800", why="x" * 100_000)])
        (entry,) = await seen(world)
        assert entry.details["about"] == "?"

    in_a_world(body)
