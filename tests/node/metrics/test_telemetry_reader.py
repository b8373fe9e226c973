"""GPUs are asked at a scrape: not too often, and one that hangs keeps nobody waiting. On virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aliquot.node.driver_access import DriverAccess
from aliquot.node.metrics.telemetry_reader import AT_MOST_EVERY_S, LIMIT_S, TelemetryReader
from tests.node.machines import machine, virtual
from tests.node.site import Site, run_site


class Bench:
    """A machine whose GPUs may hang: their calls then wait until they are let go."""

    def __init__(self, gpus: str) -> None:
        self.driver = machine(gpus)
        self.uuids = [gpu.uuid for gpu in self.driver.gpus()]
        self.asked: list[str] = []
        self.hanging: dict[str, asyncio.Event] = {}
        self.access = DriverAccess(self.call)
        self.reader = TelemetryReader(self.driver, self.access)

    async def call(self, function: Callable[..., Any], gpu_uuid: str) -> Any:
        if function == self.driver.telemetry:
            self.asked.append(gpu_uuid)
            if gpu_uuid in self.hanging:
                await self.hanging[gpu_uuid].wait()
        return function(gpu_uuid)

    def hang(self, index: int) -> Callable[[], None]:
        """Returns what lets it go."""
        let_go = self.hanging[self.uuids[index]] = asyncio.Event()
        return let_go.set

    async def read(self) -> tuple[list[int], float]:
        """Which GPUs answered, and how long that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await self.reader.read(self.uuids)
        return [self.uuids.index(uuid) for uuid in found], loop.time() - began


def test_within_a_second_the_gpus_are_asked_once() -> None:
    async def main() -> None:
        bench = Bench("l4:2")
        await asyncio.gather(*(bench.read() for _ in range(5)))
        await asyncio.sleep(AT_MOST_EVERY_S - 0.01)
        await bench.read()
        assert bench.asked == bench.uuids
        await asyncio.sleep(0.01)
        await bench.read()
        assert bench.asked == bench.uuids * 2

    virtual(main())


def test_one_that_hangs_is_waited_for_once_and_the_others_answer() -> None:
    async def main() -> None:
        bench = Bench("l4:3")
        let_go = bench.hang(1)
        assert await bench.read() == ([0, 2], LIMIT_S)
        for _ in range(3):
            await asyncio.sleep(AT_MOST_EVERY_S)
            assert await bench.read() == ([0, 2], 0), "not asked again, not waited for again"
        assert bench.asked.count(bench.uuids[1]) == 1
        let_go()
        await asyncio.sleep(AT_MOST_EVERY_S)
        assert await bench.read() == ([0, 1, 2], 0)
        assert bench.asked.count(bench.uuids[1]) == 2, "what came too late says what was"

    virtual(main())


def test_the_agent_asks_a_gpu_whose_telemetry_hangs() -> None:
    async def main() -> None:
        bench = Bench("l4:1")
        let_go = bench.hang(0)
        reading = asyncio.create_task(bench.read())
        await asyncio.sleep(0)
        async with asyncio.timeout(0.1):
            assert await bench.access.call_on(bench.uuids[0], bench.driver.processes, bench.uuids[0]) == ()
        let_go()
        await reading

    virtual(main())


def test_a_lost_gpu_is_left_out_at_once() -> None:
    async def main() -> None:
        bench = Bench("l4:2")
        bench.driver.lose_gpu(bench.uuids[0])
        assert await bench.read() == ([1], 0)

    virtual(main())


def test_who_breaks_off_does_not_take_the_answer_from_the_others() -> None:
    async def main() -> None:
        bench = Bench("l4:1")
        let_go = bench.hang(0)
        first, second = (asyncio.create_task(bench.read()) for _ in range(2))
        await asyncio.sleep(1)
        first.cancel()
        let_go()
        assert await second == ([0], 1)

    virtual(main())


def test_without_gpus_there_is_nothing_to_ask() -> None:
    async def main() -> None:
        bench = Bench("l4:1")
        bench.uuids = []
        assert await bench.read() == ([], 0)

    virtual(main())


def test_the_agent_goes_on_while_a_gpu_hangs_in_a_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    hung: list[str] = []

    async def call(function: Callable[..., Any], *arguments: Any) -> Any:
        if getattr(function, "__name__", "") == "telemetry" and arguments[0] in hung:
            await asyncio.Event().wait()
        return function(*arguments)

    async def scenario(site: Site) -> None:
        first, second = (gpu.uuid for gpu in site.gpus)
        hung.append(first)
        text = await site.metrics.text()
        up = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("aliquot_gpu_up{")]
        assert up == ["0", "1"]
        site.driver.lose_gpu(second)
        await asyncio.sleep(15)
        assert [site.gpu_status(index).ready for index in (0, 1)] == [True, False]
        assert await site.kubelet.admit("train", "nvidia.com/gpu") == (first,)

    monkeypatch.setattr("tests.node.site.directly", call)
    run_site("l4:2", scenario)
