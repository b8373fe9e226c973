"""What queues and users had, through a scheduler's life and the next one's, against an API in memory, on virtual time."""

import asyncio
from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.kube.api.core import Pod
from aliquot.kube.api.queue import Queue, QueueAmounts, QueueUsage, QueueUserUsage
from aliquot.kube.cache import Cache
from aliquot.kube.resources import PODS
from aliquot.kube.resources import QUEUES as QUEUE
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pod import CPU, Amounts
from aliquot.scheduler.core.queues.history import NOBODY, History
from aliquot.scheduler.core.queues.terms import GPU, of_model
from aliquot.scheduler.explaining import Answer, Subject, explain
from aliquot.scheduler.queues import Unreadable
from aliquot.scheduler.settings import Settings
from aliquot.scheduler.testing import pod as a_pod
from aliquot.scheduler.usage import WRITE_S, UsageHistory, users_of
from tests.scheduler.fake_api import FakeApi, Json, World, simulate
from tests.scheduler.running import node, pod, running, scheduler, until
from tests.scheduler.test_queue_status import QUEUES, queue, shown, writes
from tests.scheduler.worlds import counted
from tests.scheduler.worlds import queue as a_queue

HOUR = 3600.0


def of_user(name: str, leaf: str, user: str = "", *, gpus: int = 1) -> Json:
    made = pod(name, gpus=gpus)
    made["metadata"]["labels"] = {"aliquot.dev/queue": leaf, **({"aliquot.dev/user": user} if user else {})}
    return made


def usage(api: FakeApi, name: str) -> dict[str, Any]:
    found: dict[str, Any] = shown(api, name).get("usage", {})
    return found


def had(api: FakeApi, name: str) -> float:
    return _gpus(usage(api, name).get("average", {}).get("gpu", "0"))


def users(api: FakeApi, name: str) -> dict[str, float]:
    return {one["name"]: _gpus(one["average"]["gpu"]) for one in usage(api, name).get("users", ())}


def _gpus(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def past(written: Json, at_s: float, name: str = "a") -> Json:
    return {**queue(name), "status": {"usage": {"at": rfc3339(at_s), "halfLife": "1h", **written}}}


def placed(api: FakeApi) -> list[str]:
    return [key.partition("/")[2] for key, _ in api.binds]


def test_what_was_had_is_written_now_and_then_and_by_whom() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("n", gpus=8))
        api.put("queues", queue("top"))
        api.put("queues", queue("a", "top"))
        api.put("queues", queue("b", "top"))
        api.put("pods", of_user("one", "a", "ann", gpus=4))
        api.put("pods", of_user("two", "a", gpus=2))
        async with running(scheduler(world, settings=Settings(usage_half_life_s=HOUR))):
            await until(lambda: bool(api.node_of("two")))
            await asyncio.sleep(60)
            before = writes(api, "a")
            await asyncio.sleep(HOUR)
            assert writes(api, "a") - before <= HOUR / WRITE_S
            assert usage(api, "a")["halfLife"] == "1h"
            assert had(api, "a") == pytest.approx(3, abs=0.3)
            assert had(api, "top") == had(api, "a")
            assert users(api, "a") == {"ann": pytest.approx(2, abs=0.2)}
            # Of the queue above the users are not told, and of who had nothing nothing is.
            assert users(api, "top") == {}
            assert usage(api, "b") == {}
            for name in ("one", "two"):
                api.delete("pods", f"default/{name}")
            await asyncio.sleep(HOUR)
            assert had(api, "a") == pytest.approx(1.5, abs=0.2)
            await asyncio.sleep(20 * HOUR)
            assert usage(api, "a") == {}
            before = writes(api, "a")
            await asyncio.sleep(HOUR)
            assert writes(api, "a") == before

    simulate(scenario, within_s=100 * HOUR, kinds=QUEUES)


def test_what_a_queue_had_is_what_its_users_had_at_the_same_moment() -> None:
    async def scenario(world: World) -> None:
        client, history = world.client(), History(60.0, world.clock.now())
        accounts = Accounts([a_queue("a")], counted, history)
        found = UsageHistory(
            clock=world.clock,
            pods=Cache(client, PODS, Pod),
            queues=Cache(client, QUEUE, Queue),
            accounts=accounts,
        )
        one = a_pod("one", gpu=4)
        accounts.place(one.key, JobSpec(one.key, None, "a", user="ann"), one.shape)
        found.look()
        # Between two looks.
        await asyncio.sleep(30)
        found.tell_time()
        written = found.shown({"a": None})["a"]
        assert written is not None and written.average is not None and written.average.gpu not in ("", "0")
        assert [user.average for user in written.users] == [written.average]

    simulate(scenario)


def test_a_long_half_life_is_written_more_seldom() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("n", gpus=8))
        api.put("queues", queue("a"))
        api.put("pods", of_user("one", "a", gpus=4))
        async with running(scheduler(world, settings=Settings(usage_half_life_s=100 * HOUR))):
            await until(lambda: had(api, "a") > 0, within_s=600)
            before = writes(api, "a")
            await asyncio.sleep(10 * HOUR)
            assert writes(api, "a") - before == pytest.approx(10, abs=1)

    simulate(scenario, within_s=100 * HOUR, kinds=QUEUES)


def test_nothing_is_remembered_unless_it_is_asked_for() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("n", gpus=8))
        # Left by one that did.
        api.put("queues", past({"average": {"gpu": "7"}}, world.clock.now()))
        api.put("pods", of_user("one", "a", "ann"))
        async with running(scheduler(world)):
            await until(lambda: shown(api, "a").get("allocated", {}).get("gpu") == "1")
            assert usage(api, "a") == {}

    simulate(scenario, within_s=100 * HOUR, kinds=QUEUES)


@pytest.mark.parametrize(
    ("a", "served"),
    [
        # Both had nothing: who came first, then in turn.
        ({}, ["a0", "b0", "a1", "b1"]),
        ({"average": {"gpu": "4"}}, ["b0", "b1", "b2", "b3"]),
        # Nobody's hand but the scheduler's: what cannot be read is as if it were not there.
        ({"average": {"gpu": "many"}}, ["a0", "b0", "a1", "b1"]),
        ({"average": {"gpu": "4"}, "at": "yesterday"}, ["a0", "b0", "a1", "b1"]),
        # From a clock that is ahead.
        ({"average": {"gpu": "4"}, "at": "2036-01-01T00:00:00Z"}, ["b0", "b1", "b2", "b3"]),
    ],
)
def test_who_starts_goes_on_with_what_is_written(a: Json, served: list[str]) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("n", gpus=4))
        api.put("queues", past(a, world.clock.now()))
        api.put("queues", queue("b"))
        for number in range(4):
            api.put("pods", of_user(f"a{number}", "a"))
            api.put("pods", of_user(f"b{number}", "b"))
        async with running(scheduler(world, settings=Settings(usage_half_life_s=HOUR))):
            await until(lambda: len(api.binds) == 4)
        assert sorted(placed(api)) == sorted(served)

    simulate(scenario, within_s=100 * HOUR, kinds=QUEUES)


def test_a_user_who_had_much_waits_after_a_restart_as_before() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("n", gpus=2))
        api.put("queues", queue("a"))
        api.put("pods", of_user("long", "a", "ann", gpus=2))
        async with running(scheduler(world, settings=Settings(usage_half_life_s=HOUR))):
            await until(lambda: bool(api.node_of("long")))
            await asyncio.sleep(2 * HOUR)
        api.delete("pods", "default/long")
        for number in range(2):
            api.put("pods", of_user(f"ann{number}", "a", "ann"))
        for number in range(2):
            api.put("pods", of_user(f"bob{number}", "a", "bob"))
        async with running(scheduler(world, seed=1, settings=Settings(usage_half_life_s=HOUR))):
            await until(lambda: len(api.binds) == 3)
        assert sorted(placed(api)[1:]) == ["bob0", "bob1"]

    simulate(scenario, within_s=100 * HOUR, kinds=QUEUES)


def test_what_runs_while_no_scheduler_does_is_had() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("n", gpus=4))
        api.put("queues", queue("a"))
        api.put("pods", of_user("one", "a", gpus=4))
        async with running(scheduler(world, settings=Settings(usage_half_life_s=HOUR))):
            await until(lambda: had(api, "a") > 0)
        await asyncio.sleep(HOUR)
        async with running(scheduler(world, seed=1, settings=Settings(usage_half_life_s=HOUR))):
            await until(lambda: had(api, "a") > 1)
            assert had(api, "a") == pytest.approx(2, abs=0.1)

    simulate(scenario, within_s=100 * HOUR, kinds=QUEUES)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (QueueUsage(), {NOBODY: {}}),
        (QueueUsage(average=QueueAmounts(gpu="1500m", cpu="2")), {NOBODY: {GPU: 1500, CPU: 2000}}),
        (
            QueueUsage(
                average=QueueAmounts(gpu="3", gpu_models={"L4": "1"}),
                users=[QueueUserUsage(name="ann", average=QueueAmounts(gpu="2", gpu_models={"L4": "1"}))],
            ),
            {NOBODY: {GPU: 1000, of_model("L4"): 0}, "ann": {GPU: 2000, of_model("L4"): 1000}},
        ),
        # Rounded, the parts may be more than the whole.
        (
            QueueUsage(
                average=QueueAmounts(gpu="1"),
                users=[QueueUserUsage(name="ann", average=QueueAmounts(gpu="1001m"))],
            ),
            {NOBODY: {GPU: 0}, "ann": {GPU: 1001}},
        ),
    ],
)
def test_what_is_nobodys_is_the_rest(written: QueueUsage, expected: dict[str, Amounts]) -> None:
    assert users_of(written) == expected


def test_an_amount_that_is_none_is_named() -> None:
    with pytest.raises(Unreadable, match=r"gpu: 'many' is not a quantity"):
        users_of(QueueUsage(average=QueueAmounts(gpu="many")))


def test_explain_says_what_was_had_and_what_that_does() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("n", gpus=4))
        written = {"average": {"gpu": "3"}, "users": [{"name": "ann", "average": {"gpu": "2"}}]}
        api.put("queues", past(written, world.clock.now()))
        api.put("queues", queue("b"))
        for number in range(4):
            api.put("pods", of_user(f"b{number}", "b", gpus=1))
            running_pod = of_user(f"a{number}", "a", "bob")
            api.put("pods", {**running_pod, "spec": {**running_pod["spec"], "nodeName": "n"}})
        api.put("pods", of_user("waits", "a", "ann"))
        subject = Subject("pod", "default", "waits")
        found: Answer = await explain(
            world.client(9), subject, clock=world.clock, names=("default-scheduler",)
        )
        assert found.usage is not None
        assert found.usage.told == (
            "3 GPUs on average (half-life 1h), user ann 2 of it: in turns queue a is due 0.8, not 2"
        )
        assert (found.usage.had, found.usage.user, found.usage.user_had) == ("3", "ann", "2")

    simulate(scenario, within_s=100 * HOUR, kinds=QUEUES)


def test_explain_says_nothing_of_it_where_it_does_not_count() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("n", gpus=4))
        api.put("queues", queue("a"))
        api.put("pods", of_user("waits", "a", "ann", gpus=5))
        subject = Subject("pod", "default", "waits")
        found = await explain(world.client(9), subject, clock=world.clock, names=("default-scheduler",))
        assert found.usage is None

    simulate(scenario, within_s=100 * HOUR, kinds=QUEUES)
