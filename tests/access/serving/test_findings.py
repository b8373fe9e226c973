"""Of what an agent finds, what security is told."""

import asyncio

import pytest

from aliquot.access.cluster.findings import Finding, Sort
from aliquot.access.core.life.events import Return
from aliquot.access.core.life.stages import Stage
from aliquot.access.serving.findings import SETTLING_S, notices, tell
from aliquot.kube import roles
from aliquot.kube.resources import EVENTS
from tests.access.broker.test_broker import begun
from tests.access.broker.world import CLUSTER, World, caller, in_a_world
from tests.access.life.scenery import person

GRANT = "r" + "0" * 26


def finding(sort: Sort, grant: str = GRANT) -> Finding:
    return Finding(sort, roles.ROLE_BINDINGS, "shop", f"aliquot-bg-{grant}", grant, "as the test says")


@pytest.mark.parametrize(
    ("sort", "moving", "is_told"),
    [
        (Sort.LEFT_OVER, {}, True),
        (Sort.LEFT_OVER, {GRANT: False}, True),
        (Sort.LEFT_OVER, {GRANT: True}, False),
        (Sort.MISSING, {GRANT: True}, False),
        (Sort.CHANGED, {GRANT: False}, True),
        (Sort.BYPASS, {GRANT: True}, True),
    ],
)
def test_what_is_under_way_is_no_finding(sort: Sort, moving: dict[str, bool], is_told: bool) -> None:
    told = notices([finding(sort)], "one", moving)
    assert [one.about for one in told] == [f"RoleBinding shop/aliquot-bg-{GRANT}"] * is_told


def test_an_alarm_of_the_sentinel_is_known_by_what_it_says() -> None:
    alarm = Finding(Sort.ALARM, EVENTS, "home", "PastDue", "", "Job shop/x had to be deleted", ours=False)
    (told,) = notices([alarm], "one", {})
    assert (told.source, told.about) == ("sentinel", "PastDue: Job shop/x had to be deleted")


def test_a_grant_is_under_way_while_it_was_just_made_or_still_has_to_be_taken_away() -> None:
    async def body(world: World) -> None:
        async def is_told(sort: Sort) -> bool:
            before = len(await world.entries())
            await tell([finding(sort, life.id)], CLUSTER, world.store, world.notices)
            return any(one.action == "finding.seen" for one in (await world.entries())[before:])

        life = await begun(world)
        assert not await is_told(Sort.MISSING)
        await asyncio.sleep(SETTLING_S)
        assert await is_told(Sort.MISSING)
        world.clusters.problems = [OSError("no answer")] * 1000
        await world.broker.put(life.id, Return(by=person("dev")), caller("dev"))
        await asyncio.sleep(SETTLING_S * 2)
        assert not await is_told(Sort.LEFT_OVER)
        world.clusters.problems = []
        await world.until(life.id, Stage.ENDED)
        await asyncio.sleep(SETTLING_S)
        assert await is_told(Sort.LEFT_OVER)

    in_a_world(body)
