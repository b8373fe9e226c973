"""Acts that ask AWS alone, on the fake."""

import asyncio

from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.upgrade.acts.approval import Approval
from aliquot.eks.upgrade.acts.cluster_counts import CountBefore
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.insights_refresh import InsightsRefresh
from aliquot.eks.upgrade.acts.rollback_readiness import RollbackReadiness
from aliquot.eks.upgrade.acts.soak import Soak
from aliquot.eks.upgrade.acts.support_policy import SupportPolicy
from aliquot.eks.upgrade.doing import Decision
from aliquot.eks.versions.minor import Minor
from tests.eks.upgrade.acts.worlds import World, on_virtual_time

_HOUR_S, _DAY_S = 3600.0, 86400.0
UP = ControlPlane("prod", Minor(1, 31), Minor(1, 32))
BACK = ControlPlane("prod", Minor(1, 32), Minor(1, 31))


@on_virtual_time
async def test_insights_are_looked_at_anew(world: World) -> None:
    await world.go(Soak("prod", 600))
    assert await world.go(InsightsRefresh("prod")) is None
    assert world.told[-1] == "EKS has looked at prod anew"
    asked = world.doors.api.calls["eks:StartInsightsRefresh"]  # type: ignore[attr-defined]
    assert asked == 1


@on_virtual_time
async def test_it_waits_until_this_very_plan_is_approved(world: World) -> None:
    held = await world.go(Approval("h1"))
    assert held is not None
    assert "nobody has approved it yet" in held.why
    world.journal.decide(
        world.run, Decision(kind="approve", step="", by="ada", at_s=0.0, body={"hash": "h0"})
    )
    assert await world.again() is not None
    world.journal.decide(
        world.run, Decision(kind="approve", step="", by="ada", at_s=0.0, body={"hash": "h1"})
    )
    assert await world.again() is None
    assert world.told[-1] == "approved by ada"


@on_virtual_time
async def test_support_becomes_extended_once(world: World) -> None:
    world.account.world.clusters["prod"].told["upgradePolicy"] = {"supportType": "STANDARD"}
    assert await world.go(SupportPolicy("prod", "EXTENDED")) is None
    assert world.account.world.clusters["prod"].told["upgradePolicy"] == {"supportType": "EXTENDED"}
    assert await world.go(SupportPolicy("prod", "EXTENDED")) is None
    assert world.doors.api.calls["eks:UpdateClusterConfig"] == 1  # type: ignore[attr-defined]


@on_virtual_time
async def test_a_soak_takes_its_time_and_hears_of_ills(world: World) -> None:
    began = world.clock.now()
    assert await world.go(Soak("prod", 2 * _HOUR_S)) is None
    assert world.clock.now() - began >= 2 * _HOUR_S
    issue = {"code": "Ec2SecurityGroupNotFound", "message": "it is gone", "resourceIds": ["sg-1"]}
    world.account.world.clusters["prod"].told["health"] = {"issues": [issue]}
    held = await world.go(Soak("prod", 2 * _HOUR_S))
    assert held is not None
    assert "prod: Ec2SecurityGroupNotFound: it is gone" in held.why
    assert await world.go(CountBefore("1.32", "prod"), Soak("prod", 2 * _HOUR_S, "1.32")) is None
    assert world.told[-1].endswith("for 2 h; as before the hop: prod: Ec2SecurityGroupNotFound: it is gone")


@on_virtual_time
async def test_back_within_seven_days(world: World) -> None:
    held = await world.go(RollbackReadiness("prod", Minor(1, 30)))
    assert held is not None
    assert "there is nothing to go back to" in held.why
    assert await world.go(UP) is None
    await asyncio.sleep(3 * _DAY_S)
    assert await world.go(RollbackReadiness("prod", Minor(1, 31)), BACK) is None
    assert world.account.world.clusters["prod"].minor == "1.31"


@on_virtual_time
async def test_not_back_after_them(world: World) -> None:
    assert await world.go(UP) is None
    await asyncio.sleep(8 * _DAY_S)
    held = await world.go(RollbackReadiness("prod", Minor(1, 31)))
    assert held is not None
    assert "came to 1.32 8.0 days ago: EKS goes back within seven" in held.why
    held = await world.go(RollbackReadiness("prod", Minor(1, 30)))
    assert held is not None
    assert "back leads to 1.31, one minor and no further" in held.why


@on_virtual_time
async def test_not_back_while_nodes_are_newer(world: World) -> None:
    world.account.nodegroup("cpu", 1)
    assert await world.go(UP) is None
    world.account.world.clusters["prod"].nodegroups["cpu"].told["version"] = "1.32"
    held = await world.go(InsightsRefresh("prod"), RollbackReadiness("prod", Minor(1, 31)))
    assert held is not None
    assert "newer than 1.31: cpu" in held.why


@on_virtual_time
async def test_a_lost_answer_makes_no_second_refresh(world: World) -> None:
    await world.go(Soak("prod", 600))
    world.account.world.faults.waiting.append(
        Fault(kind=Kind.LOSE, operation="StartInsightsRefresh", code="", after=0, times=1)
    )
    assert await world.go(InsightsRefresh("prod")) is None
    assert world.doors.api.calls["eks:StartInsightsRefresh"] == 1  # type: ignore[attr-defined]
