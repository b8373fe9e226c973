"""Gangs that fall below their minimum, against an API in memory, on virtual time: what is told, and who is evicted."""

import asyncio

from aliquot.scheduler.stale_gangs import TELL_AFTER_S
from tests.scheduler.fake_api import FakeApi, Json, Refused, World, simulate
from tests.scheduler.running import node, running, scheduler, until
from tests.scheduler.test_group_status import GROUPS, about, condition, group, member, shown

OTHERS = "podgroups.scheduling.x-k8s.io"
NAMES = ("p0", "p1", "p2")


def told(api: FakeApi) -> str:
    found = [one["message"] for one in shown(api, "train").get("conditions", ()) if one["type"] == "Stale"]
    return found[0] if found else ""


def stale(api: FakeApi) -> tuple[str, str]:
    return condition(api, "train", "Stale")


def evicted(api: FakeApi) -> list[str]:
    return sorted(key.removeprefix("default/") for key in api.evictions)


def owned(name: str) -> Json:
    made = member(name, "train")
    made["metadata"]["ownerReferences"] = [
        {"apiVersion": "example.com/v1", "kind": "Trainer", "name": "t", "uid": "t", "controller": True}
    ]
    return made


def a_gang(api: FakeApi) -> None:
    api.put("nodes", node("a", gpus=3))
    api.put("podgroups", group("train", 3))
    for name in NAMES:
        api.put("pods", owned(name))


async def placed(api: FakeApi) -> None:
    await until(lambda: all(api.node_of(name) for name in NAMES))
    await until(lambda: condition(api, "train") == ("True", "Scheduled"))


def test_it_is_told_beforehand_and_then_what_is_left_goes() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        a_gang(api)
        async with running(scheduler(world)):
            await placed(api)
            api.delete("pods", "default/p1")
            await until(lambda: stale(api) == ("True", "BelowMinimum"), within_s=1, after_s=0)
            assert about(api, "train")[1:] == []
            await until(lambda: "since" in told(api), within_s=10)
            message = told(api)
            assert message.startswith("below its minimum since 2026-01-01T00:00:")
            assert "1 more pod is needed, and none has been made" in message
            assert "what is left of it is evicted at 2026-01-01T00:01:" in message
            assert "nobody makes it anew" not in message
            await until(lambda: ("BelowMinimum", message) in about(api, "train"))
            took_s = await until(lambda: evicted(api) == ["p0", "p2"], within_s=70)
            assert 50 < took_s < 60
            await until(lambda: len(api.events("StaleGang")) == 2)
            assert set(api.events("StaleGang")) == {
                "default/podgroup.aliquot.dev:train is below its minimum for more than its grace period of 60 s: "
                "1 more pod is needed, and none has been made; what is left of it goes"
            }
            for name in ("p0", "p2"):
                api.delete("pods", f"default/{name}")
            await until(lambda: stale(api) == ("False", "Waiting"))
            for name in NAMES:
                api.put("pods", owned(name))
            await placed(api)
            await until(lambda: stale(api) == ("False", "Scheduled"))
            await asyncio.sleep(120)
        assert evicted(api) == ["p0", "p2"]

    simulate(scenario, kinds=GROUPS)


def test_a_successor_that_comes_in_time_ends_it() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        a_gang(api)
        async with running(scheduler(world)):
            await placed(api)
            api.put("nodes", node("a", gpus=2))
            api.delete("pods", "default/p1")
            api.put("pods", owned("p3"))
            await until(lambda: "1 more pod is needed, and waits for room" in told(api), within_s=10)
            api.put("nodes", node("a", gpus=3))
            await until(lambda: stale(api) == ("False", "Scheduled"))
            await asyncio.sleep(120)
        assert evicted(api) == []

    simulate(scenario, kinds=GROUPS)


def test_one_that_is_taken_away_is_not_told_to_be_stale() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        a_gang(api)
        async with running(scheduler(world)):
            await placed(api)
            for name in NAMES:
                api.update(
                    "pods",
                    f"default/{name}",
                    lambda obj: obj["metadata"].update(deletionTimestamp="2026-01-01T00:01:00Z"),
                )
            for name in NAMES:
                await asyncio.sleep(1)
                api.delete("pods", f"default/{name}")
            await asyncio.sleep(120)
        assert (stale(api), evicted(api)) == (("", ""), [])

    simulate(scenario, kinds=GROUPS)


def test_a_member_that_should_have_ended_and_does_not_is_missing() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        a_gang(api)
        async with running(scheduler(world)):
            await placed(api)
            # Its node does not answer.
            api.update(
                "pods",
                "default/p1",
                lambda obj: obj["metadata"].update(deletionTimestamp="2026-01-01T00:02:00Z"),
            )
            await asyncio.sleep(100)
            assert (stale(api), evicted(api)) == (("", ""), [])
            await until(lambda: "evicted at 2026-01-01T00:03:00Z" in told(api))
            took_s = await until(lambda: evicted(api) == ["p0", "p2"])
            assert 30 < took_s <= 60

    simulate(scenario, kinds=GROUPS)


def test_what_may_not_go_stays_and_says_why() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        a_gang(api)
        api.guarded = {"default/p2"}
        async with running(scheduler(world)):
            await placed(api)
            api.delete("pods", "default/p1")
            await until(
                lambda: "it is time to evict what is left of it, but pod default/p2 stays" in told(api)
            )
            assert evicted(api) == []
            api.guarded = set()
            await until(lambda: evicted(api) == ["p0", "p2"], within_s=180)

    simulate(scenario, kinds=GROUPS)


def test_whom_nobody_makes_anew_is_named() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=3))
        api.put("podgroups", group("train", 3))
        for name in NAMES:
            api.put("pods", member(name, "train"))
        async with running(scheduler(world)):
            await placed(api)
            api.delete("pods", "default/p1")
            await until(
                lambda: told(api).endswith("Pod default/p0 has no controller: nobody makes it anew"),
                within_s=10,
            )
            await until(lambda: evicted(api) == ["p0", "p2"])

    simulate(scenario, kinds=GROUPS)


def test_who_starts_anew_knows_from_the_group_that_it_had_been_whole() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        a_gang(api)
        async with running(scheduler(world, 1)):
            await placed(api)
            api.delete("pods", "default/p1")
            await until(lambda: condition(api, "train")[0] == "False")
        async with running(scheduler(world, 2)):
            await asyncio.sleep(50)
            assert (stale(api), evicted(api)) == (("True", "BelowMinimum"), [])
            await until(lambda: evicted(api) == ["p0", "p2"], within_s=20)

    simulate(scenario, kinds=GROUPS)


def test_one_that_fell_while_nobody_looked() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        a_gang(api)
        async with running(scheduler(world, 1)):
            await placed(api)
        api.delete("pods", "default/p1")
        async with running(scheduler(world, 2)):
            await until(lambda: evicted(api) == ["p0", "p2"], within_s=70)

    simulate(scenario, kinds=GROUPS)


def test_one_that_has_yet_to_become_whole_is_left_alone() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        a_gang(api)
        async with running(scheduler(world, 1)):
            await placed(api)
        # It takes more than it ever had, as of before the next scheduler looks.
        api.update("podgroups", "default/train", lambda obj: obj["spec"].update(minMember=4))
        api.update("podgroups", "default/train", lambda obj: obj["metadata"].update(generation=2))
        async with running(scheduler(world, 2)):
            await asyncio.sleep(300)
        assert (stale(api), evicted(api)) == (("", ""), [])

    simulate(scenario, kinds=GROUPS)


def test_groups_of_others_get_an_event_and_what_is_left_of_them_goes_too() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=3))
        api.put(OTHERS, group("train", 3))
        for name in NAMES:
            made = owned(name)
            made["metadata"]["labels"] = {"scheduling.x-k8s.io/pod-group": "train"}
            api.put("pods", made)
        async with running(scheduler(world)):
            await until(lambda: all(api.node_of(name) for name in NAMES))
            api.delete("pods", "default/p1")
            await until(
                lambda: [reason for reason, _ in about(api, "train")] == ["BelowMinimum"], within_s=10
            )
            await until(lambda: evicted(api) == ["p0", "p2"], within_s=70)

    simulate(scenario, kinds=(*GROUPS, OTHERS))


def test_of_two_that_fell_one_after_the_other_each_is_told_in_its_time() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=4))
        for name in ("first", "second"):
            api.put("podgroups", group(name, 2))
            for pod in (f"{name}-0", f"{name}-1"):
                api.put("pods", member(pod, name))
        async with running(scheduler(world)):
            await until(
                lambda: all(condition(api, name) == ("True", "Scheduled") for name in ("first", "second"))
            )
            api.delete("pods", "default/first-0")
            await asyncio.sleep(TELL_AFTER_S / 2)
            api.delete("pods", "default/second-0")
            # Time has to pass while the one was told and the other is to be.
            await asyncio.sleep(2 * TELL_AFTER_S)
            for name in ("first", "second"):
                assert [reason for reason, _ in about(api, name)].count("BelowMinimum") == 1

    simulate(scenario, kinds=GROUPS)


def test_one_of_which_a_bind_is_refused_for_good_does_not_hold_its_room_for_ever() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        a_gang(api)

        def refuse(name: str) -> None:
            if name == "default/p2":
                raise Refused(403, "Forbidden", "a policy says no")

        api.before_bind = refuse
        async with running(scheduler(world)):
            await until(lambda: len(api.binds) == 2)
            # It is tried again and again meanwhile: a decision that may be refused makes nothing whole.
            took_s = await until(lambda: evicted(api) == ["p0", "p1"], within_s=120)
            assert took_s > 50
            assert [reason for reason, _ in about(api, "train")].count("BelowMinimum") == 1
            assert "a policy says no" in api.condition("p2")[2]

    simulate(scenario, kinds=GROUPS)
