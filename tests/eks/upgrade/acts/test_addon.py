"""An add-on is done once it is as well as it was before, whatever build EKS says that it has."""

from typing import Any

import msgspec
import pytest

from aliquot.eks.upgrade.acts.addon import AddonBuild, Conflicts, Seen, judged
from aliquot.eks.upgrade.acts.addon_workloads import Rollout
from aliquot.eks.upgrade.doing import Attempt
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Keep, Verdict, Wait
from aliquot.kube.resources import DEPLOYMENTS
from tests.eks.fake.worlds import ROLE
from tests.eks.upgrade.acts.worlds import World, deployment, on_virtual_time

OLD, NEW = "v1.11.4-eksbuild.53", "v1.11.4-eksbuild.54"
NEWER = "v1.12.4-eksbuild.31"
ACT = AddonBuild("prod", "coredns", NEW)
WELL: dict[str, Any] = {"ill": False, "missing": {}}
ILL: dict[str, Any] = {"ill": True, "missing": {"Deployment kube-system/coredns": 1}}
FEW = "InsufficientNumberOfReplicas: none is ready"


def pods(updated: int, available: int, *, seen: bool = True) -> tuple[Rollout, ...]:
    return (
        Rollout(
            name="Deployment kube-system/coredns",
            wanted=2,
            updated=updated,
            available=available,
            seen=seen,
        ),
    )


@pytest.mark.parametrize(
    ("status", "build", "workloads", "before", "minutes", "verdict", "says"),
    [
        ("ACTIVE", NEW, (), WELL, 5, Done, "it is so"),
        ("ACTIVE", NEW, pods(2, 2), WELL, 5, Done, "it is so"),
        ("DEGRADED", NEW, (), WELL, 5, Wait, FEW),
        ("DEGRADED", NEW, (), WELL, 21, Hold, FEW),
        # Nobody looked before: what is there already has to be well.
        ("DEGRADED", NEW, (), None, 21, Hold, FEW),
        ("UPDATE_FAILED", NEW, (), WELL, 5, Call, ""),
        ("CREATE_FAILED", NEW, (), WELL, 5, Call, ""),
        ("ACTIVE", NEW, pods(1, 2), WELL, 5, Wait, "of 2 pods 1 are new, 2 available"),
        ("ACTIVE", NEW, pods(2, 1), WELL, 21, Hold, "of 2 pods 2 are new, 1 available"),
        ("ACTIVE", NEW, pods(2, 2, seen=False), WELL, 5, Wait, "coredns"),
        # As before.
        ("DEGRADED", NEW, pods(2, 1), ILL, 5, Done, "it is so"),
        ("DEGRADED", NEW, pods(2, 0), ILL, 21, Hold, "0 available"),
        ("ACTIVE", OLD, (), None, 0, Keep, ""),
        ("DEGRADED", OLD, (), WELL, 0, Call, ""),
    ],
)
def test_what_an_addon_ends_as(
    status: str,
    build: str,
    workloads: tuple[Rollout, ...],
    before: dict[str, Any] | None,
    minutes: float,
    verdict: type[Verdict],
    says: str,
) -> None:
    issues = (FEW,) if status == "DEGRADED" else ()
    seen = Seen(status=status, build=build, issues=issues, workloads=workloads)
    found = judged(ACT, seen, attempt(before, minutes))
    assert type(found) is verdict
    words = {Wait: "why", Done: "told", Hold: "why"}.get(type(found))
    if words is not None:
        assert says in getattr(found, words)


def attempt(before: dict[str, Any] | None, minutes: float = 0) -> Attempt:
    kept = {} if before is None else {"s/addon-before": before}
    return Attempt(run="r", step="s", token="t", before=(), began_s=0.0, now_s=minutes * 60, kept=kept)


def test_how_it_was_before_is_kept_as_it_was() -> None:
    seen = Seen(status="DEGRADED", build=OLD, workloads=pods(2, 1))
    found = judged(ACT, seen, attempt(None))
    assert isinstance(found, Keep)
    assert found.value == ILL
    assert msgspec.json.decode(msgspec.json.encode(found.value)) == ILL


def coredns(world: World) -> dict[str, Any]:
    told: dict[str, Any] = world.account.world.clusters["prod"].addons["coredns"].told
    return told


def created(world: World, **more: Any) -> None:
    world.account.call("CreateAddon", clusterName="prod", addonName="coredns", **more)
    coredns(world)["status"] = "ACTIVE"
    world.account.world.clusters["prod"].addons["coredns"].due_s = None


@on_virtual_time
async def test_one_that_eks_calls_degraded_is_not_done(world: World) -> None:
    created(world)
    issue = {"code": "InsufficientNumberOfReplicas", "message": "none is ready", "resourceIds": ["coredns"]}
    coredns(world)["health"] = {"issues": [issue]}
    held = await world.go(AddonBuild("prod", "coredns", OLD))
    assert held is not None
    assert held.why == f"add-on coredns of prod to {OLD}: it is DEGRADED, {FEW}"
    coredns(world)["health"] = {"issues": []}
    assert await world.again() is None


@on_virtual_time
async def test_one_whose_pods_do_not_come_is_not_done(world: World) -> None:
    created(world)
    await world.kube.create(DEPLOYMENTS, deployment("coredns", "kube-system", replicas=2) | meta())

    async def rolled(available: int) -> None:
        made = await world.kube.get(DEPLOYMENTS, "coredns", "kube-system")
        status = {
            "observedGeneration": made["metadata"]["generation"],
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": available,
            "availableReplicas": available,
        }
        await world.kube.patch(
            DEPLOYMENTS, "coredns", {"status": status}, "kube-system", subresource="status"
        )

    await rolled(1)
    held = await world.go(AddonBuild("prod", "coredns", OLD))
    assert held is not None
    assert "Deployment kube-system/coredns: of 2 pods 2 are new, 1 available" in held.why
    await rolled(2)
    assert await world.again() is None


def meta() -> dict[str, Any]:
    return {"metadata": {"name": "coredns", "namespace": "kube-system"}}


@on_virtual_time
async def test_what_is_changed_while_it_is_held_counts_at_the_next_attempt(world: World) -> None:
    """With NONE it fails until the change is moved into the configuration values."""
    created(world, configurationValues='{"replicaCount": 2}', serviceAccountRoleArn=ROLE)
    world.account.world.clusters["prod"].told["version"] = "1.33"
    addon = world.account.world.clusters["prod"].addons["coredns"]
    addon.drifted = True
    act = AddonBuild("prod", "coredns", NEWER, configuration='{"replicaCount": 2}', conflicts=Conflicts.NONE)
    held = await world.go(act)
    assert held is not None
    assert "ConfigurationConflict" in held.why
    assert "move the change into its configuration values" in held.todo
    addon.drifted = False
    addon.told["configurationValues"] = '{"replicaCount": 3}'
    assert await world.again() is None
    assert (coredns(world)["addonVersion"], coredns(world)["configurationValues"]) == (
        NEWER,
        '{"replicaCount": 3}',
    )
    assert coredns(world)["serviceAccountRoleArn"] == ROLE
