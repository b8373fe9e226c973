import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.controller import Controller
from aliquot.kube.resources import PODS
from tests.kube.fake_api import FakeApi, client_of, pod, virtual


@asynccontextmanager
async def running(*runnables: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(runnable.run()) for runnable in runnables]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def test_every_key_is_reconciled() -> None:
    async def main() -> None:
        done: list[str] = []

        async def reconcile(key: str) -> None:
            await asyncio.sleep(1)
            done.append(key)

        controller = Controller("test", reconcile, rng=random.Random(1), workers=2)
        for key in "abcd":
            controller.enqueue(key)
        async with running(controller):
            await asyncio.sleep(2.5)
        assert done == ["a", "b", "c", "d"]

    virtual(main())


def test_the_seconds_it_returns_are_when_it_is_called_again() -> None:
    async def main() -> None:
        times: list[float] = []

        async def reconcile(key: str) -> float | None:
            times.append(asyncio.get_running_loop().time())
            return 10.0 if len(times) < 3 else None

        controller = Controller("test", reconcile, rng=random.Random(1))
        controller.enqueue("a")
        async with running(controller):
            await asyncio.sleep(100)
        assert times == [0, 10, 20]

    virtual(main())


def test_a_failure_is_retried_with_growing_delays_and_logged_once() -> None:
    async def main() -> None:
        times: list[float] = []

        async def reconcile(key: str) -> None:
            times.append(asyncio.get_running_loop().time())
            if len(times) < 8:
                raise errors.Unavailable("down", code=503)

        controller = Controller("test", reconcile, rng=random.Random(1))
        controller.enqueue("a")
        with capture_logs() as logs:
            async with running(controller):
                await asyncio.sleep(100)
        assert len(times) == 8
        waits = [after - before for before, after in itertools.pairwise(times)]
        assert all(after > before for before, after in itertools.pairwise(waits))
        assert [log["error"] for log in logs if log["log_level"] == "warning"] == ["Unavailable: down"]

    virtual(main())


def test_after_a_success_the_next_failure_is_a_first_one() -> None:
    async def main() -> None:
        calls = 0

        async def reconcile(key: str) -> None:
            nonlocal calls
            calls += 1
            if calls != 10:
                raise errors.Unavailable("down", code=503)

        controller = Controller("test", reconcile, rng=random.Random(1))
        controller.enqueue("a")
        async with running(controller):
            await asyncio.sleep(100)
            assert calls == 10
            controller.enqueue("a")
            await asyncio.sleep(0.1)
            assert calls > 11

    virtual(main())


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (errors.Conflict("moved on", code=409), "debug"),
        (errors.Forbidden("no", code=403), "warning"),
        (ValueError("bug"), "error"),
    ],
)
def test_how_loud_a_failure_is(error: Exception, level: str) -> None:
    async def main() -> None:
        async def reconcile(key: str) -> None:
            raise error

        controller = Controller("test", reconcile, rng=random.Random(1))
        controller.enqueue("a")
        with capture_logs() as logs:
            async with running(controller):
                await asyncio.sleep(0.001)
        assert [log["log_level"] for log in logs] == [level]

    virtual(main())


def test_a_call_that_hangs_is_cancelled_and_retried() -> None:
    async def main() -> None:
        calls = 0

        async def reconcile(key: str) -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                await asyncio.sleep(1e6)

        controller = Controller("test", reconcile, rng=random.Random(1), timeout_s=5)
        controller.enqueue("a")
        with capture_logs() as logs:
            async with running(controller):
                await asyncio.sleep(10)
        assert calls == 2
        assert logs[0]["error"] == "TimeoutError: not done within 5 s"

    virtual(main())


def test_run_again_it_finishes_what_was_cut_off_or_delayed() -> None:
    async def main() -> None:
        done: list[str] = []
        slow = True

        async def reconcile(key: str) -> float | None:
            if key == "cut off" and slow:
                await asyncio.sleep(50)
            done.append(key)
            return 1000.0 if key == "delayed" and slow else None

        controller = Controller("test", reconcile, rng=random.Random(1), workers=2)
        controller.enqueue("cut off")
        controller.enqueue("delayed")
        async with running(controller):
            await asyncio.sleep(1)
        assert done == ["delayed"]
        slow = False
        async with running(controller):
            await asyncio.sleep(1)
        assert sorted(done) == ["cut off", "delayed", "delayed"]

    virtual(main())


def test_it_watches_caches_and_may_map_objects_to_other_keys() -> None:
    async def main() -> None:
        seen: list[str] = []

        async def reconcile(key: str) -> None:
            seen.append(key)

        api = FakeApi()
        api.put(PODS, pod("a", node="n1"))
        cache = Cache(client_of(api), PODS, Pod)
        own = Controller("pods", reconcile, rng=random.Random(1))
        nodes = Controller("nodes", reconcile, rng=random.Random(1))
        own.watch(cache)
        nodes.watch(cache, lambda obj: [obj.spec.node_name])
        async with running(cache, own, nodes):
            await asyncio.sleep(1)
            assert sorted(seen) == ["default/a", "n1"]
            seen.clear()
            api.put(PODS, pod("a", node="n2"))
            await asyncio.sleep(1)
            assert sorted(seen) == ["default/a", "n1", "n2"]

    virtual(main())
