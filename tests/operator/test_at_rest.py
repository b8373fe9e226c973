"""A cluster in which all is as it is to be is not written to, however its policy spells things."""

import asyncio
from typing import Any

import pytest

from tests.operator.world import World, simulated

SPELLED: dict[str, Any] = {
    "nodeSelector": {"matchLabels": {}},
    "pods": {
        "labels": {"team": ""},
        "annotations": {"note": ""},
        "tolerations": [{"operator": "Exists"}, {"key": "a", "value": "", "effect": "NoSchedule"}],
        "imagePullSecrets": ["mirror"],
    },
    "toolkit": {"env": [{"name": "EMPTY", "value": ""}, {"name": "TWO", "value": "2"}], "args": []},
    "agent": {"resources": {"requests": {"cpu": "1000m", "memory": "0.5Gi"}, "limits": {"cpu": 2, "memory": "1024Mi"}}},
    "exporter": {"resources": {"requests": {}, "limits": {"memory": "1e9"}}},
    "validator": {"resources": {}},
}  # fmt: skip
_LONG_S = 1200.0


def test_nothing_is_written_once_all_nodes_are_validated() -> None:
    async def test(world: World) -> None:
        for name in ("a", "b"):
            await world.node(name)
        await world.policy(**SPELLED)
        await world.until_validated("a", "b")
        await asyncio.sleep(60.0)
        settled = len(world.gate.calls)
        await asyncio.sleep(_LONG_S)
        assert world.gate.calls[settled:] == []
        assert await world.told("DriftReverted") == []

    simulated(test)


def test_nor_by_one_that_starts_anew() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.policy(**SPELLED)
        await world.until_validated("a")
        await asyncio.sleep(60.0)
        await world.kill()
        settled = len(world.gate.calls)
        world.start()
        await asyncio.sleep(600.0)
        assert world.gate.calls[settled:] == []

    simulated(test)


@pytest.mark.parametrize("late_s", [0.3, 0.7, 1.1, 1.5, 1.9, 2.3])
def test_an_answer_that_comes_after_later_news_is_not_the_news(late_s: float) -> None:
    async def test(world: World) -> None:
        world.gate.answers_late_s = late_s
        await world.node("a")
        await world.policy(exporter={"enabled": False})
        await world.until_validated("a")

    simulated(test)
