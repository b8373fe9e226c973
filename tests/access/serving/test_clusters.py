"""Looking after clusters: each by itself."""

import asyncio
from typing import Any, cast

from aliquot.access.api.door import Reachable
from aliquot.access.serving.clusters import Connected, look_after
from aliquot.clock import VirtualTimeLoop
from aliquot.sql.failures import Unreachable


class Agent:
    def __init__(self) -> None:
        self.wrong: list[Exception] = [
            AttributeError("'NoneType' object has no attribute 'startswith'"),
            Unreachable("gone"),
        ]
        self.looks = 0

    async def run(self, *_: Any) -> None:
        async with asyncio.TaskGroup():
            self.looks += 1
            if self.wrong:
                raise self.wrong.pop(0)
            await asyncio.sleep(3600)


class Outage:
    def why_not(self, grant: str) -> str:
        return ""


def test_what_one_cluster_says_takes_no_other_along() -> None:
    async def main() -> None:
        agent = Agent()
        reachable = Reachable(name="prod", server="https://prod", certificate_authority="")
        one = Connected("prod", cast(Any, None), cast(Any, agent), reachable)
        looking = asyncio.create_task(look_after(one, cast(Any, None), cast(Any, None), cast(Any, Outage())))
        await asyncio.sleep(60)
        assert not looking.done()
        assert agent.looks == 3
        looking.cancel()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
