import asyncio
import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.kube.queue import WorkQueue
from tests.kube.fake_api import virtual


def test_keys_come_in_order_and_once() -> None:
    async def main() -> None:
        queue = WorkQueue(random.Random(1))
        for key in ("a", "b", "a", "c", "b"):
            queue.add(key)
        assert len(queue) == 3
        assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]

    virtual(main())


def test_a_key_added_while_in_hand_comes_back_once_when_done() -> None:
    async def main() -> None:
        queue = WorkQueue(random.Random(1))
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert len(queue) == 1
        assert await queue.get() == "a"
        queue.done("a")
        assert len(queue) == 0

    virtual(main())


def test_a_key_taken_again_before_it_is_done_is_not_lost() -> None:
    async def main() -> None:
        queue = WorkQueue(random.Random(1))
        queue.add("a")
        await queue.get()
        queue.add("a")
        queue.done("a")
        await queue.get()
        queue.add("a")
        queue.done("a")
        assert await queue.get() == "a"

    virtual(main())


def test_of_several_delays_the_earliest_counts() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delays in ([5, 3, 9], [3, 5], [9, 8, 3]):
            queue = WorkQueue(random.Random(1))
            began = loop.time()
            for delay in delays:
                queue.add_after("a", delay)
            await queue.get()
            assert loop.time() - began == 3
            queue.done("a")
            await asyncio.sleep(20)
            assert len(queue) == 0

    virtual(main())


def test_retries_wait_longer_and_longer_until_forgotten() -> None:
    async def main() -> None:
        queue = WorkQueue(random.Random(1), first_delay_s=1, max_delay_s=10)
        delays = [queue.retry("a") for _ in range(8)]
        assert all(
            low / 2 <= delay <= low for delay, low in zip(delays, [1, 2, 4, 8, 10, 10, 10, 10], strict=True)
        )
        queue.forget("a")
        assert queue.retry("a") <= 1

    virtual(main())


def test_hurry_makes_delayed_keys_ready() -> None:
    async def main() -> None:
        queue = WorkQueue(random.Random(1))
        queue.add_after("b", 100)
        queue.add_after("a", 50)
        queue.hurry()
        assert [await queue.get(), await queue.get()] == ["b", "a"]
        assert asyncio.get_running_loop().time() == 0

    virtual(main())


keys = st.sampled_from("abc")
steps = st.one_of(
    st.tuples(st.just("add"), keys),
    st.tuples(st.just("add_after"), keys, st.floats(0, 5)),
    st.tuples(st.just("retry"), keys),
    st.tuples(st.just("sleep"), st.floats(0, 3)),
    st.tuples(st.just("hurry")),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(steps, max_size=40), st.integers(1, 4), st.integers(0, 1000))
def test_no_key_is_in_two_hands_and_none_is_lost(script: list[Any], workers: int, seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        loop = asyncio.get_running_loop()
        queue = WorkQueue(rng, max_delay_s=10)
        in_hand: set[str] = set()
        taken: Counter[str] = Counter()
        begun_at: dict[str, float] = {}
        wanted_at: dict[str, float] = {}

        async def work() -> None:
            while True:
                key = await queue.get()
                assert key not in in_hand
                in_hand.add(key)
                taken[key] += 1
                begun_at[key] = loop.time()
                await asyncio.sleep(rng.choice([0, 0, 0.5, 2]))
                in_hand.discard(key)
                queue.done(key)

        asked: Counter[str] = Counter()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work()) for _ in range(workers)]
            for step, *arguments in script:
                if step in ("add", "add_after", "retry"):
                    asked[arguments[0]] += 1
                    wanted_at[arguments[0]] = loop.time()
                    getattr(queue, step)(*arguments)
                elif step == "sleep":
                    await asyncio.sleep(arguments[0])
                else:
                    queue.hurry()
            await asyncio.sleep(100)
            for key, when in wanted_at.items():
                assert begun_at[key] >= when, "not worked on since it was last asked for"
                assert taken[key] <= asked[key]
            assert len(queue) == 0
            for task in running:
                task.cancel()

    virtual(main())
