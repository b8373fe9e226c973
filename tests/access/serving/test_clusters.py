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


def test_what_was_ended_while_the_database_was_gone_is_not_to_be_there_whatever_it_says() -> None:
    async def body(api: Api) -> None:
        world = api.world
        grant = (await api.active())["id"]
        agent = Asking()
        one = Connected(CLUSTER, cast(Any, None), cast(Any, agent), Reachable(CLUSTER, "", ""))
        policies = cast(Any, SimpleNamespace(last=world.others.policy))
        task = asyncio.create_task(look_after(one, world.store, policies, world.outage))
        await asyncio.sleep(1)
        assert [spec.id for spec in agent.told[-1]] == [grant]
        world.database.is_full = True
        assert (await api.post("max", f"/v1/grants/{grant}:revoke", {"why": "enough"})).status == 202
        await asyncio.sleep(61)
        assert agent.told[-1] == []
        world.database.is_gone = True
        looks = len(agent.told)
        await asyncio.sleep(120)
        assert len(agent.told) == looks, "of the others nothing is known"
        assert (await api.post("max", "/v1/killswitch:pull", {"why": "a breach"})).status == 202
        await asyncio.sleep(120)
        assert len(agent.told) > looks
        assert agent.told[-1] == []
        task.cancel()
        await asyncio.wait([task])

    with_api(body)
