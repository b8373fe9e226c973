import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from aliquot.clock import (
    Deadlock,
    Livelock,
    SystemClock,
    VirtualClock,
    VirtualTimeLoop,
    parse_rfc3339,
    rfc3339,
    rfc3339_micro,
)

T = TypeVar("T")

NEW_YEAR_2026 = 1_767_225_600.0


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def test_hours_pass_without_waiting() -> None:
    async def main() -> float:
        await asyncio.sleep(36_000)
        return asyncio.get_running_loop().time()

    assert run(main()) == 36_000


def test_timers_fire_in_order_of_time_not_of_creation() -> None:
    order: list[float] = []

    async def later(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        order.append(delay_s)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for delay_s in (3.0, 1.0, 2.0):
                group.create_task(later(delay_s))

    run(main())
    assert order == [1.0, 2.0, 3.0]


def test_time_stands_still_while_something_can_run() -> None:
    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0


def test_a_timeout_ends_a_wait_at_its_deadline() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main()) == 30


def test_a_wait_that_nothing_can_end_is_a_deadlock() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="no timer is pending"):
        run(main())


def test_the_clock_follows_the_loop() -> None:
    async def main() -> tuple[float, float]:
        clock = VirtualClock()
        before = clock.now()
        await asyncio.sleep(90.5)
        return before, clock.now()

    assert run(main()) == (NEW_YEAR_2026, NEW_YEAR_2026 + 90.5)


def test_the_clock_starts_where_it_is_told() -> None:
    async def main() -> float:
        return VirtualClock(start=1000.0).now()

    assert run(main()) == 1000.0


def test_sockets_are_refused() -> None:
    async def main() -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    with pytest.raises(RuntimeError):
        run(main())


def test_two_runs_are_equal() -> None:
    def once() -> list[tuple[str, float]]:
        trace: list[tuple[str, float]] = []

        async def worker(name: str, period_s: float) -> None:
            for _ in range(5):
                await asyncio.sleep(period_s)
                trace.append((name, asyncio.get_running_loop().time()))

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(worker("a", 0.3))
                group.create_task(worker("b", 0.5))

        run(main())
        return trace

    assert once() == once()


def test_the_system_clock_tells_this_century() -> None:
    assert datetime.fromtimestamp(SystemClock().now(), UTC).year >= 2026


@pytest.mark.parametrize(
    ("unix_s", "seconds", "micro"),
    [
        (0.0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
        (NEW_YEAR_2026 + 0.25, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.250000Z"),
        (NEW_YEAR_2026 + 59.999, "2026-01-01T00:00:59Z", "2026-01-01T00:00:59.999000Z"),
    ],
)
def test_times_are_written_as_kubernetes_writes_them(unix_s: float, seconds: str, micro: str) -> None:
    assert rfc3339(unix_s) == seconds
    assert rfc3339_micro(unix_s) == micro
    assert parse_rfc3339(micro) == pytest.approx(unix_s, abs=1e-6)


def test_a_time_in_another_zone_is_the_same_moment() -> None:
    assert parse_rfc3339("2026-01-01T02:00:00+02:00") == NEW_YEAR_2026


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError):
        parse_rfc3339("yesterday")
    with pytest.raises(ValueError, match="it has no time zone"):
        parse_rfc3339("2026-01-01T02:00:00")


def test_tasks_that_wake_each_other_for_ever_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aliquot.clock._MOST_TURNS", 1000)

    async def main() -> None:
        while True:  # noqa: ASYNC110 - a livelock, on purpose
            await asyncio.sleep(0)

    with pytest.raises(Livelock), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def test_a_timer_is_never_early() -> None:
    """Not even by the rounding of a sum: who waits until a time and asks for the time must find it come."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for step in range(1, 2000):
            due = loop.time() + 0.1 * step / 3
            try:
                async with asyncio.timeout_at(due):
                    await asyncio.Event().wait()
            except TimeoutError:
                assert loop.time() >= due

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
