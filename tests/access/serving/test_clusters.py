"""What an agent is told of which grants are to be there: never nothing because nobody knows."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from aliquot.access.api.door import Reachable
from aliquot.access.cluster.agent import Live
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.life.stages import Stage
from aliquot.access.serving.clusters import Connected, look_after
from aliquot.access.store.database import Unreachable
from tests.access.api.calling import Api, with_api
from tests.access.broker.world import CLUSTER


class Asking:
    """An agent that asks what is to be there, and fails as it fails."""

    def __init__(self) -> None:
        self.told: list[Sequence[GrantSpec]] = []

    async def run(self, live: Live) -> None:
        async with asyncio.TaskGroup():
            while True:
                self.told.append(await live())
                await asyncio.sleep(60)


def test_grants_that_run_are_told_and_silence_of_the_database_is_not_taken_for_none() -> None:
    async def body(api: Api) -> None:
        world = api.world
        found = await api.active()
        agent = Asking()
        one = Connected(CLUSTER, cast(Any, None), cast(Any, agent), Reachable(CLUSTER, "", ""))
        policies = SimpleNamespace(last=world.others.policy)
        read, silent = world.store.read, True

        async def reads(work: Any) -> Any:
            if silent:
                raise Unreachable("gone")
            return await read(work)

        store = SimpleNamespace(read=reads)
        task = asyncio.create_task(look_after(one, cast(Any, store), cast(Any, policies), world.outage))
        await asyncio.sleep(30)
        assert agent.told == []
        silent = False
        await asyncio.sleep(10)
        assert [[spec.id for spec in specs] for specs in agent.told] == [[found["id"]]]
        await api.post("dev", f"/v1/grants/{found['id']}:return")
        await world.until(found["id"], Stage.ENDED)
        await asyncio.sleep(60)
        assert agent.told[-1] == []
        task.cancel()
        await asyncio.wait([task])

    with_api(body)
