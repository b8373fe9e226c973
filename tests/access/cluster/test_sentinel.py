"""The sentinel deletes what is past due, with nobody else alive, and nothing else."""

import asyncio
import random
from typing import Any

import pytest

from aliquot.access.cluster import heartbeat, making, sentinel
from aliquot.access.cluster.naming import ENDS_AT, LABEL, NAMESPACE, Ours, object_name
from aliquot.access.cluster.sentinel import EVERY_S, WHOLE_EVERY, Sentinel, condemned
from aliquot.clock import rfc3339, rfc3339_milli
from aliquot.emulator.faults import Error
from aliquot.emulator.faults import Rule as Fault
from aliquot.kube import roles
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.errors import Conflict
from aliquot.kube.resources import CONFIGMAPS, EVENTS, SECRETS
from tests.access.cluster.test_making import ours
from tests.access.cluster.world import NODES, START_S, World, grant_id, run, spec

WIDE: dict[str, Any] = {"namespace": "", "role": NODES.name, "rules": NODES.rules}
NAME = object_name(grant_id(1))
IN_TIME_S = EVERY_S * 1.2 + 2


def of(world: World) -> Sentinel:
    return Sentinel(world.sentinel, rng=random.Random(1))


@pytest.mark.parametrize(
    ("name", "labels", "annotations", "is_condemned"),
    [
        (NAME, {LABEL: grant_id(1)}, {ENDS_AT: rfc3339_milli(START_S - 0.001)}, True),
        (NAME, {LABEL: grant_id(1)}, {ENDS_AT: rfc3339_milli(START_S)}, True),
        (NAME, {LABEL: grant_id(1)}, {ENDS_AT: rfc3339_milli(START_S + 0.001)}, False),
        (NAME, {LABEL: grant_id(1)}, {}, True),
        (NAME, {LABEL: grant_id(1)}, None, True),
        (NAME, {LABEL: grant_id(1)}, {ENDS_AT: "never"}, True),
        (NAME, None, {ENDS_AT: rfc3339(START_S - 1)}, True),
        ("other", {LABEL: "anything"}, {ENDS_AT: rfc3339(START_S - 1)}, True),
        ("other", {LABEL: ""}, None, True),
        ("other", None, {ENDS_AT: rfc3339(START_S - 1)}, False),
        ("other", {"app": "x"}, None, False),
        ("aliquot-bg:pod-logs", None, None, False),
    ],
)
def test_condemned(
    name: str, labels: dict[str, str] | None, annotations: dict[str, str] | None, is_condemned: bool
) -> None:
    seen = Ours(metadata=ObjectMeta(name=name, labels=labels, annotations=annotations))
    assert bool(list(condemned(SECRETS, [seen], START_S))) is is_condemned


def test_all_of_a_grant_goes_with_only_the_sentinel_and_the_api_server() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        await making.make(world.agent, spec(2, end_s=START_S + 7000, **WIDE))
        await making.make(world.agent, spec(3, **WIDE))
        world.stop_controllers()
        watching = asyncio.create_task(of(world).run())
        await asyncio.sleep(START_S + 3600 - 1 - world.clock.now())
        assert len(await ours(world)) == 5 + 4 + 4
        await asyncio.sleep(1 + IN_TIME_S)
        assert len(await ours(world)) == 4
        await asyncio.sleep(3400)
        assert await ours(world) == []
        watching.cancel()

    run(main)


def test_an_outage_is_outlived() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec(**WIDE))
        world.stop_controllers()
        watching = asyncio.create_task(of(world).run())
        world.weather.refused = 1.0
        await asyncio.sleep(4000)
        world.weather.refused = 0.0
        await asyncio.sleep(300)
        assert await ours(world) == []
        watching.cancel()

    run(main)


@pytest.mark.parametrize("verb", ["list", "delete"])
@pytest.mark.parametrize("resource", ["secrets", "jobs", "rolebindings"])
def test_what_cannot_be_done_keeps_nothing_else_from_being_done(verb: str, resource: str) -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        world.stop_controllers()
        await asyncio.sleep(3601)
        world.weather.app.set_rules(
            Fault(verbs=(verb,), resources=(resource, f"{resource}.*"), error=Error(status=403))
        )
        watching = of(world)
        await watching.look()
        kinds = {kind.lower() + "s" for kind, _ in await ours(world)}
        assert kinds == {resource}
        assert "failures_total 0" not in await watching.metrics()
        assert watching.waits_for()
        world.weather.calm()
        await watching.look()
        assert await ours(world) == []
        assert not watching.waits_for()

    run(main)


def test_a_slow_clock_lengthens_nothing() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        world.stop_controllers()
        world.server_clock.offset_s = 3600
        await of(world).look()
        assert await ours(world) == []

    run(main)


def test_an_end_that_was_moved_meanwhile_is_left_alone() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        secret = await world.root.get(SECRETS, NAME, NAMESPACE, into=Ours)
        await making.make(world.agent, spec(end_s=START_S + 5000))
        with pytest.raises(Conflict, match=r"precondition|cannot be fulfilled"):
            await making.delete(world.sentinel, SECRETS, secret)

    run(main)


def test_one_that_lost_its_label_is_found_by_its_name() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec(**WIDE))
        await world.root.patch(roles.CLUSTER_ROLE_BINDINGS, NAME, {"metadata": {"labels": None}})
        world.stop_controllers()
        watching = of(world)
        await watching.look()
        await asyncio.sleep(3601)
        for _ in range(WHOLE_EVERY):
            await watching.look()
        assert await ours(world) == []

    run(main, guarded=False)


def test_others_are_not_touched() -> None:
    async def main(world: World) -> None:
        metadata = {"name": "theirs", "annotations": {ENDS_AT: rfc3339(START_S)}}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
        await world.root.create(
            roles.ROLE_BINDINGS, {"metadata": metadata, "roleRef": role, "subjects": [subject]}, "shop"
        )
        await world.root.create(CONFIGMAPS, {"metadata": {"name": "aliquot-bg-x"}}, NAMESPACE)
        for _ in range(WHOLE_EVERY + 1):
            await of(world).look()
        await world.root.get(roles.ROLE_BINDINGS, "theirs", "shop")
        await world.root.get(CONFIGMAPS, "aliquot-bg-x", NAMESPACE)

    run(main)


def test_a_silent_broker_is_told() -> None:
    async def main(world: World) -> None:
        watching = of(world)
        running = asyncio.create_task(watching.run())

        async def told() -> list[str]:
            listed = await world.root.list(EVENTS, NAMESPACE)
            return [one["message"] for one in listed.items if one["reason"] == "BrokerSilent"]

        await asyncio.sleep(10)
        assert "there has been no heartbeat" in (await told())[0]
        assert "broker_silent 1" in await watching.metrics()
        for _ in range(8):
            await heartbeat.beat(world.agent)
            await asyncio.sleep(heartbeat.EVERY_S)
        assert "broker_silent 0" in await watching.metrics()
        assert len(await told()) == 1
        await asyncio.sleep(heartbeat.OLD_S)
        assert "broker_silent 1" in await watching.metrics()
        assert "more than 60 s old" in (await told())[1]
        running.cancel()

    run(main)


def test_it_is_not_ready_before_a_first_look() -> None:
    async def main(world: World) -> None:
        watching = of(world)
        assert watching.waits_for()
        await watching.look()
        assert not watching.waits_for()
        assert sentinel.EVERY_S <= 5

    run(main)
