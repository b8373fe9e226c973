"""Nodes of Karpenter are rolled on an emulated cluster, where a small model of it makes, empties and ends them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aliquot.eks.estate.karpenter import DO_NOT_DISRUPT, NODECLAIMS, NODECLASSES
from aliquot.eks.estate.places import pool
from aliquot.eks.upgrade.acts.freeze import Freeze, Unfreeze
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.node_class import NodeClassReady
from aliquot.eks.upgrade.acts.pool_health import PoolHealth
from aliquot.eks.upgrade.acts.pool_roll import PoolRoll
from aliquot.eks.versions.minor import Minor
from aliquot.kube.resources import PODS
from tests.eks.upgrade.acts.worlds import World, on_virtual_time
from tests.eks.upgrade.karpenter_model import Karpenter, Kind

TO = Minor(1, 32)
WEB = (Freeze(), PoolRoll(name="web", minor=TO), PoolHealth(name="web", minor=TO), Unfreeze())


class Pooled:
    def __init__(self, world: World) -> None:
        self.world = world
        self.karpenter = Karpenter(world.kube, world.clock)
        self.minor = "1.31"

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Karpenter, in the background."""

        async def live() -> None:
            while True:
                await self.karpenter.settle(self.minor)
                await asyncio.sleep(15)

        task = asyncio.create_task(live())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def raised(self) -> None:
        """The control plane is, and Karpenter has not looked yet."""
        await asyncio.sleep(200)
        self.minor = "1.32"


def pooled(test: Callable[[Pooled], Awaitable[None]]) -> Callable[[], None]:
    async def within(world: World) -> None:
        there = Pooled(world)
        await there.karpenter.begin("1.31", default="al2023@latest")
        async with there.living():
            await test(there)

    within.__name__, within.__doc__ = test.__name__, test.__doc__
    return on_virtual_time(within)


@pooled
async def test_a_pool_is_replaced_within_its_budget_and_drift_has_nothing_to_do(there: Pooled) -> None:
    await there.karpenter.pool("web", "default", "2")
    await there.karpenter.run("web", Kind("web", pods=5))
    await there.raised()
    assert await there.karpenter.minors() == {"web": ["1.31"] * 5}
    assert await there.world.go(*WEB) is None
    assert await there.karpenter.minors() == {"web": ["1.32"] * 5}
    assert there.karpenter.drifted == 0
    assert there.karpenter.away <= 2, "one that its budget lets go, and one that has just been made anew"
    batches = [name for name in there.world.journal.kept(there.world.run) if "/batch/" in name]
    assert len(batches) == 3, "two at a time, as before it stood still"
    assert there.karpenter.deleted == sorted(there.karpenter.deleted), "the oldest first"
    assert any("Karpenter looks for those of 1.32" in line for line in there.world.told)
    await asyncio.sleep(600)
    assert there.karpenter.drifted == 0


@pooled
async def test_pods_that_do_not_leave_are_named(there: Pooled) -> None:
    await there.karpenter.pool("web", "default", "2")
    await there.karpenter.run("web", Kind("web", pods=1))
    await there.raised()
    (pod,) = (await there.world.kube.list(PODS, "default")).items
    name = pod["metadata"]["name"]
    mark: dict[str, Any] = {"metadata": {"annotations": {DO_NOT_DISRUPT: "true"}}}
    await there.world.kube.patch(PODS, name, mark, "default")
    held = await there.world.go(Freeze(), PoolRoll(name="web", minor=TO, leave_s=200.0), *WEB[2:])
    assert held is not None
    assert f"there stay pod default/{name} on node-web-" in held.why
    assert f"({DO_NOT_DISRUPT} keeps Karpenter from evicting it)" in held.why
    mark["metadata"]["annotations"][DO_NOT_DISRUPT] = None
    await there.world.kube.patch(PODS, name, mark, "default")
    assert await there.world.again() is None
    assert await there.karpenter.minors() == {"web": ["1.32"]}


@pooled
async def test_a_class_of_somebodys_own_images_is_asked_for_and_nothing_goes_twice(there: Pooled) -> None:
    async def named(image: str) -> None:
        there.karpenter.images["own"] = image
        terms = {"spec": {"amiSelectorTerms": [{"id": image}]}}
        await there.world.kube.patch(NODECLASSES, "own", terms)
        await asyncio.sleep(30)

    await there.world.kube.create(
        NODECLASSES, {"metadata": {"name": "own"}, "spec": {"amiSelectorTerms": [{"id": "ami-1"}]}}
    )
    there.karpenter.images["own"] = "ami-own-1.31"
    await there.karpenter.pool("web", "own", "1")
    await there.karpenter.run("web", Kind("web", pods=2))
    await there.raised()
    held = await there.world.go(*WEB)
    assert held is not None
    assert "EC2NodeClass own (AMIs by id) selects ami-own-1.31, which the nodes have" in held.why
    assert there.karpenter.deleted == []
    # What is named then is another image, and of the old minor, too.
    await named("ami-b-1.31")
    held = await there.world.again()
    assert held is not None
    assert "selects ami-b-1.31, which the nodes have that are to go" in held.why
    assert len(there.karpenter.deleted) == 1
    await named("ami-own-1.32")
    assert await there.world.again() is None
    assert await there.karpenter.minors() == {"web": ["1.32"] * 2}
    assert len(there.karpenter.deleted) == 3


@pooled
async def test_gangs_are_suspended_whole_and_their_nodes_go_together(there: Pooled) -> None:
    await there.karpenter.pool("gpu", "default", "1")
    await there.karpenter.run("sweep", Kind("gpu", pods=3, job=True))
    await there.raised()
    places = (pool("gpu"),)
    acts = (
        Freeze(),
        NodeClassReady(pool="gpu", minor=TO),
        SuspendGangs(cluster="prod", places=places, minor=TO, leave_s=120.0),
        PoolRoll(name="gpu", minor=TO, at_once=True),
        ResumeGangs(places=places),
        PoolHealth(name="gpu", minor=TO),
        Unfreeze(),
    )
    assert await there.world.go(*acts) is None
    assert await there.karpenter.minors() == {"gpu": ["1.32"] * 3}
    assert (there.karpenter.cut, there.karpenter.starts, there.karpenter.drifted) == ([], 2, 0)
    assert (await there.world.kube.list(NODECLAIMS)).items[0]["status"]["imageID"] == "ami-1.32"
