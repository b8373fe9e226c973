import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from aliquot.node.driver_access import DriverAccess, to_the_end
from tests.node.machines import virtual

CALL_S = 1.0


class Machine:
    """Calls take a second each, and leave in `diary` when they began and ended."""

    def __init__(self) -> None:
        self.diary: list[tuple[float, str]] = []
        self.access = DriverAccess(self.slowly)

    async def slowly(self, function: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        (name,) = arguments
        self.diary.append((loop.time(), f"{name} begins"))
        await asyncio.sleep(CALL_S)
        self.diary.append((loop.time(), f"{name} ends"))
        return function(*arguments)

    def call(self, how: str, name: str) -> Coroutine[Any, Any, str]:
        """`shared`, `alone`, `beside` or `mode` and the UUID of a GPU, or the UUID alone."""
        if how == "shared":
            return self.access.call(str, name)
        if how == "alone":
            return self.access.call_alone(str, name)
        if how.startswith("beside "):
            return self.access.call_beside(how.removeprefix("beside "), str, name)
        if how.startswith("mode "):
            return self.access.call_for_mode(how.removeprefix("mode "), str, name)
        return self.access.call_on(how, str, name)


@pytest.mark.parametrize(
    ("calls", "begin"),
    [
        pytest.param(["GPU-1", "GPU-2"], [0, 0], id="two GPUs side by side"),
        pytest.param(["GPU-1", "GPU-1", "GPU-2"], [0, 1, 0], id="one GPU: one after the other"),
        pytest.param(["shared", "GPU-1", "shared"], [0, 0, 0], id="what concerns no GPU waits for none"),
        pytest.param(["GPU-1", "alone"], [0, 1], id="a reset waits for the call under way"),
        pytest.param(["alone", "GPU-1", "shared"], [0, 1, 1], id="nothing begins during a reset"),
        pytest.param(["GPU-1", "alone", "GPU-2"], [0, 1, 2], id="a reset that waits is not overtaken"),
        pytest.param(["alone", "alone"], [0, 1], id="two resets"),
        pytest.param(
            ["GPU-1", "beside GPU-1", "beside GPU-2"], [0, 1, 0], id="beside: not into what is under way"
        ),
        pytest.param(["beside GPU-1", "GPU-1"], [0, 0], id="beside: nobody waits for it"),
        pytest.param(["beside GPU-1", "alone"], [0, 1], id="but for a reset"),
        pytest.param(["mode GPU-1", "mode GPU-2", "mode GPU-1"], [0, 0, 1], id="modes change side by side"),
        pytest.param(["mode GPU-1", "GPU-2", "GPU-1"], [0, 0, 1], id="a mode: others go on"),
        pytest.param(["mode GPU-1", "shared", "GPU-2"], [0, 1, 1], id="nobody counts GPUs during it"),
        pytest.param(["shared", "mode GPU-1", "alone"], [0, 1, 2], id="and it waits for who does"),
        pytest.param(["GPU-1", "GPU-1", "alone"], [0, 2, 1], id="nor by the next call on a GPU"),
    ],
)
def test_who_waits_for_whom(calls: list[str], begin: list[float]) -> None:
    async def main() -> dict[str, float]:
        machine = Machine()
        async with asyncio.TaskGroup() as tasks:
            for number, how in enumerate(calls):
                tasks.create_task(machine.call(how, str(number)))
        return {what.split()[0]: when for when, what in machine.diary if what.endswith("begins")}

    began = virtual(main())
    assert [began[str(number)] for number in range(len(calls))] == begin


@pytest.mark.parametrize("how", ["shared", "alone", "GPU-1"])
def test_who_is_cancelled_waits_for_the_call_that_has_begun(how: str) -> None:
    async def main() -> list[tuple[float, str]]:
        machine = Machine()
        first = asyncio.ensure_future(machine.call(how, "first"))
        await asyncio.sleep(0.3)
        first.cancel()
        second = asyncio.ensure_future(machine.call("alone", "second"))
        await asyncio.sleep(0.3)
        first.cancel()  # whoever is impatient
        with suppress(asyncio.CancelledError):
            await first
        assert first.cancelled()
        await second
        return machine.diary

    assert virtual(main()) == [
        (0, "first begins"),
        (1, "first ends"),
        (1, "second begins"),
        (2, "second ends"),
    ]


@pytest.mark.parametrize("how", ["shared", "alone", "GPU-1"])
def test_who_is_cancelled_while_waiting_is_in_nobodys_way(how: str) -> None:
    async def main() -> list[tuple[float, str]]:
        machine = Machine()
        first = asyncio.ensure_future(machine.call("alone", "first"))
        await asyncio.sleep(0.1)
        waiting = asyncio.ensure_future(machine.call(how, "waiting"))
        last = asyncio.ensure_future(machine.call("alone", "last"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait((first, waiting, last))
        assert waiting.cancelled()
        await machine.call("GPU-1", "after")
        return [entry for entry in machine.diary if entry[1].endswith("begins")]

    assert virtual(main()) == [(0, "first begins"), (1, "last begins"), (2, "after begins")]


def test_what_a_call_raises_arrives_and_bars_nobody() -> None:
    async def main() -> str:
        machine = Machine()
        with pytest.raises(ValueError, match="invalid literal"):
            await machine.access.call_alone(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            await machine.access.call_on("GPU-1", int, "x")
        return await machine.call("alone", "y")

    assert virtual(main()) == "y"


def test_a_call_that_fails_after_its_caller_was_cancelled_is_nobodys_complaint() -> None:
    async def main() -> list[dict[str, Any]]:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        task = asyncio.ensure_future(to_the_end(Machine().slowly, int, "x"))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()
        del task
        return complaints

    assert virtual(main()) == []
