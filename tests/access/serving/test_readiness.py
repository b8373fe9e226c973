"""What a server says that it cannot do."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from aliquot.access.api.door import Reachable
from aliquot.access.serving.clusters import Connected
from aliquot.access.serving.readiness import Readiness
from aliquot.kube import errors
from aliquot.sql.failures import Unreachable
from tests.access.broker.world import World, in_a_world


def test_each_that_is_missing_is_named_with_why_and_comes_back() -> None:
    async def body(world: World) -> None:
        answers: dict[str, Exception | None] = {"one": None, "two": None}

        def connected(name: str) -> Connected:
            async def server_time_s() -> float:
                if (problem := answers[name]) is not None:
                    raise problem
                if name == "three":
                    await asyncio.sleep(3600)
                return 0.0

            client = SimpleNamespace(server_time_s=server_time_s)
            return Connected(name, cast(Any, client), cast(Any, None), Reachable(name, "", ""))

        policies, checkpointing = SimpleNamespace(problem=""), SimpleNamespace(problem="")
        readiness = Readiness(
            world.store,
            cast(Any, policies),
            cast(Any, checkpointing),
            [connected(one) for one in answers],
            world.outage,
        )
        assert readiness.reasons()["database"] == "not looked at yet"
        await readiness.look()
        assert set(readiness.reasons().values()) == {""}

        write = world.store.write

        async def full(work: Any) -> Any:
            raise Unreachable("database or disk is full")

        world.store.write = full  # type: ignore[method-assign]
        answers["two"] = errors.Unavailable("no route to host", code=0)
        policies.problem, checkpointing.problem = "policy.yaml:3: no", "the stored log does not go on"
        await readiness.look()
        assert readiness.reasons() == {
            "database": "database or disk is full",
            "cluster one": "",
            "cluster two": "no route to host",
            "policy": "policy.yaml:3: no",
            "log": "the stored log does not go on",
            "journal": "",
        }
        world.store.write = write  # type: ignore[method-assign]
        answers["two"] = None
        await readiness.look()
        assert readiness.reasons()["cluster two"] == readiness.reasons()["database"] == ""

    in_a_world(body)


def test_who_hangs_is_not_waited_for() -> None:
    async def body(world: World) -> None:
        async def hangs() -> float:
            await asyncio.sleep(3600)
            return 0.0

        cluster = Connected(
            "one", cast(Any, SimpleNamespace(server_time_s=hangs)), cast(Any, None), Reachable("one", "", "")
        )
        fine = cast(Any, SimpleNamespace(problem=""))
        readiness = Readiness(world.store, fine, fine, [cluster], world.outage)
        await readiness.look()
        assert readiness.reasons()["cluster one"] == "no answer within 5 s"

    in_a_world(body)
