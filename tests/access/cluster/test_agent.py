"""The agent: what it finds and puts right, and what it does when told things twice and out of order."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from aliquot.access.cluster import credentials, entering, heartbeat, making
from aliquot.access.cluster.agent import Agent
from aliquot.access.cluster.credentials import NotMinted
from aliquot.access.cluster.findings import ALARMS_S, Finding, Sort
from aliquot.access.cluster.making import NotMade
from aliquot.access.cluster.naming import LABEL, NAMESPACE, object_name
from aliquot.access.cluster.sentinel import Sentinel
from aliquot.access.core import times
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.rules import Rule
from aliquot.emulator.faults import Error
from aliquot.emulator.faults import Rule as Fault
from aliquot.kube import roles
from aliquot.kube.client import Propagation
from aliquot.kube.resources import JOBS, PODS, SECRETS, SERVICEACCOUNTS, Resource
from tests.access.cluster.test_making import ALL_OF_ONE, ours
from tests.access.cluster.world import NODES, POD_LOGS, START_S, World, grant_id, run, spec

NAME = object_name(grant_id(1))
ACCOUNT = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
VIEW = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}


class Broker:
    """Who knows which grants there are to be."""

    def __init__(self, world: World, *live: GrantSpec) -> None:
        self.live = list(live)
        self.told: list[Finding] = []
        self.agent = Agent(world.agent, tell=self._tell)

    async def _tell(self, found: Sequence[Finding]) -> None:
        self.told += found

    async def specs(self) -> Sequence[GrantSpec]:
        return tuple(self.live)

    async def sweep(self) -> list[tuple[Sort, str]]:
        return sorted((one.sort, one.resource.kind) for one in await self.agent.sweep(self.specs))


GONE: list[tuple[Resource, str]] = [
    (SECRETS, NAMESPACE),
    (SERVICEACCOUNTS, NAMESPACE),
    (roles.ROLE_BINDINGS, "shop"),
    (JOBS, "shop"),
    (JOBS, NAMESPACE),
]


@pytest.mark.parametrize(("resource", "namespace"), GONE)
def test_what_is_missing_of_an_active_grant_is_made_anew(resource: Resource, namespace: str) -> None:
    async def main(world: World) -> None:
        broker = Broker(world, spec())
        await broker.agent.make(spec(), 1)
        assert await broker.sweep() == []
        await world.root.delete(resource, NAME, namespace, propagation=Propagation.BACKGROUND)
        await asyncio.sleep(5)
        assert (Sort.MISSING, resource.kind) in await broker.sweep()
        assert await broker.sweep() == []
        assert await ours(world) == ALL_OF_ONE
        given = await broker.agent.mint(spec())
        assert await world.status_with(given.token) == 200

    run(main)


def test_what_was_changed_is_told_and_put_right() -> None:
    async def main(world: World) -> None:
        broker = Broker(world, spec())
        await broker.agent.make(spec(), 1)
        await world.root.patch(JOBS, NAME, {"spec": {"activeDeadlineSeconds": 99_999}}, "shop")
        assert await broker.sweep() == [(Sort.CHANGED, "Job")]
        assert [str(one) for one in broker.told] == [f"changed: Job shop/{NAME}: its end"]
        assert await broker.sweep() == []

    run(main, guarded=False)


def test_a_role_that_was_widened_is_told_for_as_long_as_somebody_has_it() -> None:
    async def main(world: World) -> None:
        broker = Broker(world, spec())
        await broker.agent.make(spec(), 1)
        found = await world.root.get(roles.CLUSTER_ROLES, POD_LOGS.name)
        more = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
        await world.root.patch(roles.CLUSTER_ROLES, POD_LOGS.name, {"rules": [*found["rules"], more]})
        for _ in range(2):
            assert await broker.sweep() == [(Sort.CHANGED, "ClusterRole")]
        with pytest.raises(NotMade, match="or more"):
            await broker.agent.make(spec(2), 1)
        await world.root.patch(roles.CLUSTER_ROLES, POD_LOGS.name, {"rules": found["rules"]})
        assert await broker.sweep() == []

    run(main)


def test_what_is_of_no_grant_is_told_and_taken_away() -> None:
    async def main(world: World) -> None:
        broker = Broker(world, spec(1), spec(2))
        for number in (1, 2):
            await broker.agent.make(spec(number), 1)
        broker.live = [spec(2)]
        found = await broker.sweep()
        assert {sort for sort, _ in found} == {Sort.LEFT_OVER}
        assert len(found) == len(ALL_OF_ONE)
        assert await ours(world) == ALL_OF_ONE
        assert await broker.sweep() == []

    run(main)


def bypass(name: str, *subjects: dict[str, str], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "roleRef": VIEW, "subjects": list(subjects)}


GROUP = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"}
ALL_OF_OURS = {**GROUP, "name": f"system:serviceaccounts:{NAMESPACE}"}
AS_USER = {**GROUP, "kind": "User", "name": f"system:serviceaccount:{NAMESPACE}:{NAME}"}


@pytest.mark.parametrize(
    ("made", "stays"),
    [
        (bypass("aliquot-bg-mine", GROUP), False),
        (bypass("mine", GROUP, labels={LABEL: "x"}), False),
        (bypass(object_name(grant_id(7)), GROUP, labels={LABEL: grant_id(7)}), False),
        (bypass("mine", GROUP, labels={LABEL: grant_id(1)}), False),
        (bypass("mine", ACCOUNT), True),
        (bypass("mine", GROUP, ALL_OF_OURS), True),
        (bypass("mine", AS_USER), True),
    ],
)
def test_access_that_no_grant_gave_is_told(made: dict[str, Any], stays: bool) -> None:
    async def main(world: World) -> None:
        broker = Broker(world, spec())
        await broker.agent.make(spec(), 1)
        name = made["metadata"]["name"]
        await world.root.create(roles.CLUSTER_ROLE_BINDINGS, made)
        assert await broker.sweep() == [(Sort.BYPASS, "ClusterRoleBinding")]
        left = [one["metadata"]["name"] for one in (await world.root.list(roles.CLUSTER_ROLE_BINDINGS)).items]
        assert (name in left) is stays
        # The grant whose label it took is left as it was.
        assert set(ALL_OF_ONE) <= set(await ours(world))

    run(main, guarded=False)


def test_other_bindings_are_nobodys_business() -> None:
    async def main(world: World) -> None:
        broker = Broker(world)
        await world.root.create(roles.CLUSTER_ROLE_BINDINGS, bypass("theirs", GROUP))
        assert await broker.sweep() == []

    run(main)


def test_a_grant_that_has_ended_is_not_repaired() -> None:
    async def main(world: World) -> None:
        broker = Broker(world, spec(), spec(2, namespace="", role=NODES.name, rules=NODES.rules))
        for one in broker.live:
            await broker.agent.make(one, 1)
        await asyncio.sleep(START_S + 3700 - world.clock.now())
        assert await broker.sweep() == [(Sort.LEFT_OVER, "ClusterRoleBinding")]
        assert await ours(world) == []

    run(main)


def test_what_may_not_be_made_now_is_told_and_stays_away() -> None:
    """It was ended, and the journal that said so was altered."""

    async def main(world: World) -> None:
        broker = Broker(world, spec())
        await broker.agent.make(spec(), 1)
        await making.remove(world.agent, grant_id(1), "shop")
        await broker.agent.sweep(broker.specs, lambda grant: "the journal is damaged")
        assert Sort.MISSING in {one.sort for one in broker.told}
        assert await ours(world) == []
        await broker.sweep()
        assert await ours(world) == ALL_OF_ONE

    run(main)


def test_what_was_removed_is_not_made_by_an_older_order() -> None:
    async def main(world: World) -> None:
        agent = Broker(world).agent
        await agent.make(spec(), 1)
        await agent.remove(spec().id, "shop", 2)
        with pytest.raises(NotMade, match="taken away since"):
            await agent.make(spec(), 1)
        assert await ours(world) == []

    run(main)


SHELL = (Rule(("",), ("pods/exec",), ("create",), ("web-0",)),)


def test_nobody_is_let_into_a_pod_that_nobody_has_seen() -> None:
    async def main(world: World) -> None:
        agent = Broker(world).agent
        with pytest.raises(NotMade, match="there is no pod web-0"):
            await agent.make(spec(role="", rules=SHELL), 1)
        with pytest.raises(NotMinted, match="there is no pod web-0"):
            await agent.mint(spec(role="", rules=SHELL))
        assert await ours(world) == []

    run(main)


def test_nobody_is_let_into_a_pod_that_is_stronger_than_their_grant() -> None:
    async def main(world: World) -> None:
        agent = Broker(world).agent
        container = {"name": "main", "image": "web:1"}
        pod = {"metadata": {"name": "web-0"}, "spec": {"containers": [container]}}
        await world.root.create(PODS, pod, "shop")
        # Under the agent's own rights.
        assert await entering.why_not(world.agent, spec(role="", rules=SHELL)) == ""
        subject = {"kind": "ServiceAccount", "name": "default", "namespace": "shop"}
        await world.root.create(roles.CLUSTER_ROLE_BINDINGS, roles.binding("view", subject, name="later"))
        for refused, ask in (
            (NotMade, agent.make(spec(role="", rules=SHELL), 1)),
            (NotMinted, agent.mint(spec(role="", rules=SHELL))),
        ):
            with pytest.raises(refused, match="pod web-0 runs as ServiceAccount default, which may get"):
                await ask
        assert await ours(world) == []

    run(main)


def test_a_removal_overtakes_a_making() -> None:
    async def main(world: World) -> None:
        agent = Broker(world).agent
        world.weather.app.set_rules(Fault(verbs=("create",), delay_seconds=1.0))
        making_it = asyncio.create_task(agent.make(spec(), 1))
        await asyncio.sleep(3.5)
        removing = asyncio.create_task(agent.remove(spec().id, "shop", 2))
        await asyncio.gather(making_it, removing, return_exceptions=True)
        assert await ours(world) == []

    run(main)


def test_a_grant_revoked_while_another_is_made_does_not_wait_for_it() -> None:
    async def main(world: World) -> None:
        agent = Broker(world).agent
        await agent.make(spec(1), 1)
        given = await agent.mint(spec(1))
        assert await world.status_with(given.token) == 200
        world.weather.app.set_rules(Fault(verbs=("create",), delay_seconds=8.0))
        slow = [asyncio.create_task(agent.make(spec(number), 1)) for number in (2, 1)]
        await asyncio.sleep(1)
        await making.revoke(world.agent, spec(1).id)
        await asyncio.sleep(times.WORST_AFTER_REVOKE_S)
        assert await world.status_with(given.token) == 401
        await asyncio.gather(*slow, return_exceptions=True)

    run(main)


def test_it_runs_in_bad_weather_and_its_heart_beats() -> None:
    async def main(world: World) -> None:
        broker = Broker(world, spec(end_s=START_S + 7000))
        await broker.agent.make(broker.live[0], 1)
        world.weather.storm()
        running = asyncio.create_task(broker.agent.run(broker.specs))
        for _ in range(20):
            await making.revoke(world.root, grant_id(1))
            await asyncio.sleep(130)
        world.weather.calm()
        await asyncio.sleep(130)
        assert await ours(world) == ALL_OF_ONE
        age_s = await heartbeat.age_s(world.root, world.clock.now())
        assert age_s is not None
        assert age_s <= heartbeat.EVERY_S + 1
        await credentials.mint(world.agent, broker.live[0])
        running.cancel()

    run(main)


def test_what_the_sentinel_tells_is_found_for_as_long_as_it_goes_on() -> None:
    async def main(world: World) -> None:
        broker = Broker(world)
        watching = Sentinel(world.sentinel, rng=random.Random(1))
        task = asyncio.create_task(watching.run())
        await asyncio.sleep(30)
        # Nobody beats, and something of ours says no end.
        await world.root.create(
            SECRETS,
            {"metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {LABEL: grant_id(1)}}},
        )
        await asyncio.sleep(90)
        assert await broker.sweep() == [(Sort.ALARM, "Event"), (Sort.ALARM, "Event")]
        assert {one.name for one in broker.told} == {"BrokerSilent", "PastDue"}
        task.cancel()
        await asyncio.sleep(ALARMS_S)
        assert await broker.sweep() == []

    run(main, guarded=False)


def test_an_end_in_time_is_no_alarm() -> None:
    async def main(world: World) -> None:
        broker = Broker(world, spec())
        await broker.agent.make(spec(), 1)
        await heartbeat.beat(world.agent)
        task = asyncio.create_task(Sentinel(world.sentinel, rng=random.Random(1)).run())
        await asyncio.sleep(spec().end_s - world.agent.clock.now() - 30)
        await heartbeat.beat(world.agent)
        await asyncio.sleep(60)
        assert not await ours(world)
        broker.live = []
        await broker.agent.sweep(broker.specs)
        assert [one.name for one in broker.told if one.name != "BrokerSilent"] == []
        task.cancel()

    run(main)


def test_an_agent_that_may_not_read_events_looks_all_the_same() -> None:
    async def main(world: World) -> None:
        broker = Broker(world, spec())
        await broker.agent.make(spec(), 1)
        world.weather.app.set_rules(Fault(verbs=("list",), resources=("events",), error=Error(status=403)))
        assert await broker.sweep() == []

    run(main)
