import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest

from aliquot.cli.supervisor import FIRST_DELAY_S, LONGEST_DELAY_S, STEADY_AFTER_S, Supervisor
from aliquot.clock import VirtualTimeLoop


def on_virtual_time(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main)


def test_a_component_that_fails_is_started_again_with_growing_delays() -> None:
    starts: list[float] = []

    async def component() -> None:
        starts.append(asyncio.get_running_loop().time())
        raise RuntimeError("broken")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            supervisor = Supervisor(group)
            supervisor.start("x", component)
            await asyncio.sleep(300)
            await supervisor.stop("x")

    on_virtual_time(main())
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps[:3] == pytest.approx([FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S])
    assert max(gaps) == LONGEST_DELAY_S


def test_a_killed_component_is_cancelled_and_comes_back() -> None:
    record: list[str] = []

    async def component() -> None:
        record.append("start")
        try:
            await asyncio.Event().wait()
        finally:
            record.append("end")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            supervisor = Supervisor(group)
            supervisor.start("x", component)
            await asyncio.sleep(STEADY_AFTER_S + 1)
            supervisor.kill("x")
            await asyncio.sleep(1)
            assert record == ["start", "end", "start"]
            assert supervisor.restarts == {"x": 1}
            await supervisor.stop("x")

    on_virtual_time(main())
    assert record == ["start", "end", "start", "end"]


def test_a_killed_component_gets_no_time_to_take_its_leave() -> None:
    record: list[str] = []

    async def component() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            record.append("leaving")
            await asyncio.sleep(0.001)
            record.append("left")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            supervisor = Supervisor(group)
            supervisor.start("x", component)
            await asyncio.sleep(1)
            supervisor.kill("x")
            await asyncio.sleep(1)
            assert record == ["leaving"]
            await supervisor.stop("x")

    on_virtual_time(main())
    assert record == ["leaving", "leaving", "left"]
