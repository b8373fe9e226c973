"""A whole upgrade whose canary is not well: held before any GPU node that works is touched, and each of the ways on."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from aliquot.clock import VirtualTimeLoop
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.plan import going_back, planning, targets, undoing
from aliquot.eks.plan import plan as plans
from aliquot.eks.plan.plan import Options, Plan
from aliquot.eks.upgrade.acts.approval import APPROVE
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.canaries import LEAVE_OUT
from aliquot.eks.upgrade.doing import Decision, Doors
from aliquot.eks.upgrade.journal import Journal
from aliquot.eks.upgrade.runner import LEASE_S, Runner
from aliquot.eks.upgrade.verdicts import Hold
from aliquot.eks.versions.minor import Minor
from tests.eks.upgrade.acts.worlds import MemoryVault
from tests.eks.upgrade.whole import Chance, Whole, whole
from tests.eks.upgrade.whole_lives import read

CANARY = "gpu-canary-1-32"
OPTIONS = Options(soak_s=0.0, allow_unchecked=True)


@dataclass
class Run:
    world: Whole
    journal: Journal
    plan: Plan
    id: str
    ends: str = "done"

    async def go(self) -> Hold | None:
        api, kube = self.world.door(Chance(self.world.rng))
        doors = Doors(api=api, clock=self.world.clock, client=kube, vault=MemoryVault())
        runner = Runner(doors, self.journal, self.id, self.plan.steps, owner="me", ends=self.ends)
        held = await runner.go()
        self.journal.release(self.id, "me")
        return held

    async def back(self, ends: str) -> Hold | None:
        """As `rollback` and `abort --leave` do it."""
        standing = self.journal.standing(self.id)
        undo = undoing.left(self.plan.steps, standing)
        way = self.plan
        if ends == "rolled back":
            estate = await read(self.world)
            lead = await targets.read(self.world.api, estate, Minor(1, 31), OPTIONS, region="eu-west-1")
            way = going_back.plan(estate, lead, OPTIONS, undo=undo)
        turned = plans.instead(
            way, way.steps if ends == "rolled back" else undo, [one.step for one in standing]
        )
        now_s = self.world.clock.now()
        self.journal.lease(self.id, "me", now_s, LEASE_S)
        steps = [step.id for step in turned.steps]
        self.journal.turn(self.id, "me", plans.encode(turned), steps, ends=ends, by="ada", now_s=now_s)
        self.plan, self.ends = turned, ends
        return await self.go()

    def decide(self, kind: str) -> None:
        self.journal.decide(
            self.id, Decision(kind=kind, step="", by="ada", at_s=0.0, body={"hash": self.plan.id})
        )

    @property
    def groups(self) -> dict[str, str]:
        """With the minor of each."""
        found = self.world.account.world.clusters["prod"].nodegroups
        return {name: group.told["version"] for name, group in found.items()}


async def _begun(world: Whole) -> Run:
    estate = await read(world)
    lead = await targets.read(world.api, estate, Minor(1, 32), OPTIONS, region="eu-west-1")
    plan = planning.plan(estate, Minor(1, 32), lead, OPTIONS)
    journal = Journal("sqlite://")
    journal.begin(plan.id, "prod", plans.encode(plan), [step.id for step in plan.steps], world.clock.now())
    run = Run(world, journal, plan, plan.id)
    run.decide(APPROVE)
    return run


def _no_capacity(world: Whole) -> None:
    fault = Fault(
        kind=Kind.FAIL, operation="CreateNodegroup", code="AsgInstanceLaunchFailures", after=0, times=1
    )
    world.account.world.faults.waiting.append(fault)


def _no_gpus(world: Whole) -> None:
    world.cluster.blind.add(CANARY)


NO_CAPACITY = (_no_capacity, "gpu-canary-1-32 of prod is CREATE_FAILED: AsgInstanceLaunchFailures")
NO_GPUS = (_no_gpus, "0 nvidia.com/gpu, others of its group had 8")


@pytest.mark.parametrize(
    ("ill", "says", "way"),
    [
        (*NO_CAPACITY, "retry"),
        (*NO_CAPACITY, "rollback"),
        (*NO_GPUS, "leave it out"),
        (*NO_GPUS, "abort"),
    ],
    ids=["no-capacity-retry", "no-capacity-rollback", "no-gpus-leave-out", "no-gpus-abort"],
)
def test_it_is_held_and_gone_whichever_way_is_taken(
    ill: Callable[[Whole], None], says: str, way: str
) -> None:
    loop = VirtualTimeLoop()
    try:
        loop.run_until_complete(_taken(ill, says, way))
    finally:
        loop.close()


async def _taken(ill: Callable[[Whole], None], says: str, way: str) -> None:
    async with whole(1, cpus=1) as world:
        run = await _begun(world)
        ill(world)
        held = await run.go()
        assert held is not None
        assert says in held.why
        assert "aliquot eks retry CLUSTER --no-gpu-canary" in held.todo
        assert run.groups == {"cpu": "1.32", "gpu": "1.31", CANARY: "1.32"}
        assert world.cluster.workers, "nobody was suspended"
        world.cluster.blind.clear()
        match way:
            case "retry" | "leave it out":
                if way == "leave it out":
                    run.decide(LEAVE_OUT)
                run.journal.retry(run.id, world.clock.now())
                assert await run.go() is None
                assert run.groups == {"cpu": "1.32", "gpu": "1.32"}
            case "abort":
                assert await run.back("left") is None
                assert run.groups == {"cpu": "1.32", "gpu": "1.31"}
            case "rollback":
                assert await run.back("rolled back") is None
                assert run.groups == {"cpu": "1.31", "gpu": "1.31"}
                rolled = [step.act.name for step in run.plan.steps if isinstance(step.act, GroupRoll)]
                assert rolled == ["cpu"]
        asked = world.api.calls
        twice = 2 if way == "retry" else 1
        assert (asked["eks:CreateNodegroup"], asked["eks:DeleteNodegroup"]) == (twice, twice)
        assert not world.cluster.cut
