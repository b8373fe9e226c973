"""A cluster in which all is as it is to be is not written to, however its policy spells things."""

import asyncio
from typing import Any

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
_LONG_S = 3600.0


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
