"""A GPU that hangs keeps nobody waiting but once."""

import asyncio
from collections.abc import Callable
from typing import Any

from aliquot.gpu.driver import ReturnCode
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.driver_access import DriverAccess
from aliquot.node.inventory import Snapshot, observe_gpu, roll_call
from aliquot.node.observer import LIMIT_S, Observer
from tests.node.machines import machine, virtual


class Threads:
    """Runs calls at once, but those that hang until they are let go."""

    def __init__(self, hangs: Callable[..., bool]) -> None:
        self.hangs = hangs
        self.go_on = asyncio.Event()
        self.asked: list[str] = []

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.asked.append(function.__name__)
        if self.hangs(function, arguments):
            await self.go_on.wait()
        return function(*arguments)


def hangs_on(uuid: str) -> Callable[..., bool]:
    return lambda function, arguments: function is observe_gpu and arguments[1].uuid == uuid


def failures(snapshot: Snapshot) -> list[ReturnCode | None]:
    return [observed.failure.code if observed.failure else None for observed in snapshot.gpus]


def test_the_others_are_seen_and_the_one_that_hangs_is_waited_for_once() -> None:
    async def main() -> None:
        driver = machine("l4:3")
        threads = Threads(hangs_on(driver.gpus()[1].uuid))
        observer, loop = Observer(driver, DriverAccess(threads.run)), asyncio.get_running_loop()
        first = await observer.look(Snapshot(), patient=False)
        assert failures(first) == [None, ReturnCode.TIMEOUT, None]
        assert loop.time() == LIMIT_S
        asked = len(threads.asked)
        again = await observer.look(first, patient=False)
        assert failures(again) == [None, ReturnCode.TIMEOUT, None]
        assert loop.time() == LIMIT_S
        assert len(threads.asked) == asked + 3
        threads.go_on.set()
        await asyncio.sleep(1)
        assert failures(await observer.look(again, patient=False)) == [None, None, None]

    virtual(main())


def test_a_list_of_gpus_that_does_not_come_is_the_last_one() -> None:
    async def main() -> None:
        driver = machine("l4:2")
        threads = Threads(lambda function, arguments: False)
        observer = Observer(driver, DriverAccess(threads.run))
        first = await observer.look(Snapshot(), patient=False)
        threads.hangs = lambda function, arguments: function is roll_call
        assert (await observer.look(first, patient=False)).gpus == first.gpus
        threads.go_on.set()

    virtual(main())


def test_a_driver_that_never_answered_is_said() -> None:
    async def main() -> None:
        threads = Threads(lambda function, arguments: function is roll_call)
        seen = await Observer(machine("l4:1"), DriverAccess(threads.run)).look(Snapshot(), patient=False)
        assert seen.failure is not None
        assert seen.failure.code is ReturnCode.TIMEOUT
        threads.go_on.set()

    virtual(main())


def test_who_changes_a_gpu_is_waited_for() -> None:
    async def main() -> None:
        driver: SimulatedDriver = machine("l4:1")
        threads = Threads(hangs_on(driver.gpus()[0].uuid))
        observer = Observer(driver, DriverAccess(threads.run))
        asyncio.get_running_loop().call_later(120, threads.go_on.set)
        assert failures(await observer.look(Snapshot(), patient=True)) == [None]

    virtual(main())
