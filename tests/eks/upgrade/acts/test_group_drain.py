"""A node group is emptied: by the rule alone, and on an emulated cluster with jobs that nobody can suspend."""

import asyncio
from typing import Any

import msgspec
import pytest

from aliquot.eks.estate.gangs import drawn
from aliquot.eks.estate.objects import Node, Pod
from aliquot.eks.upgrade.acts.gang_suspension import EVICT
from aliquot.eks.upgrade.acts.group_drain import AT_ONCE, GroupDrain, Seen, judged
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_removal import Seen as SeenRemoval
from aliquot.eks.upgrade.acts.group_removal import judged as judged_removal
from aliquot.eks.upgrade.doing import Attempt, Decision
from aliquot.eks.upgrade.gpu_roll.marks import CORDONED_BY
from aliquot.eks.upgrade.gpu_roll.reading import Scene
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Keep, Verdict, Wait, Writes
from aliquot.kube.resources import NODES, PODDISRUPTIONBUDGETS, PODS
from tests.eks.upgrade.acts.test_gangs import Trained, trained
from tests.eks.upgrade.gpu_roll.training import GPU, VOLCANO, Job

HOUR_S = 3600.0
ACT = GroupDrain(cluster="prod", group="gpu", instead="gpu-1-32", limit_s=HOUR_S)
LABEL = "eks.amazonaws.com/nodegroup"
REPLICAS = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "web", "controller": True}
DAEMONS = {**REPLICAS, "kind": "DaemonSet"}


def pod(name: str, owner: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    resources = {"limits": {GPU: "1"}} if more.pop("gpu", False) else {}
    meta = {"name": name, "namespace": "default", "labels": {"app": name}, **more.pop("meta", {})}
    if owner is not None:
        meta["ownerReferences"] = [owner]
    container = {"name": "c", "image": "i", "resources": resources}
    phase = more.pop("phase", "Running")
    spec = {"nodeName": "gpu-0", "containers": [container], **more}
    return {"metadata": meta, "spec": spec, "status": {"phase": phase}}


WEB, TRAIN = pod("web", REPLICAS), pod("train", gpu=True)
GOING = pod("web", REPLICAS, meta={"deletionTimestamp": "2026-10-01T00:00:00Z"})


def seen(
    *pods: dict[str, Any],
    cordoned: bool = True,
    budgets: tuple[dict[str, Any], ...] = (),
    other: str = "gpu-1-32",
) -> Seen:
    nodes = [
        {"metadata": {"name": f"{group}-0", "labels": {LABEL: group}}, "spec": {"unschedulable": on}}
        for group, on in (("gpu", cordoned), (other, False))
    ]
    there = msgspec.convert(list(pods), tuple[Pod, ...])
    scene = Scene(nodes=msgspec.convert(nodes, tuple[Node, ...]), pods=there, gangs=drawn(there, {}))
    return Seen(scene=scene, budgets=budgets)


def verdict(found: Seen, after_s: float = 0.0, act: GroupDrain = ACT, decided: str = "") -> Verdict:
    said = (Decision(kind=decided, step="s", by="ada", at_s=0.0),) if decided else ()
    attempt = Attempt(run="run-1", step="s", token="t", before=(), began_s=0.0, now_s=after_s, decisions=said)
    return judged(act, found, attempt)


def written(found: Verdict) -> list[str]:
    assert isinstance(found, Writes), found
    return [str(one) for one in found.writes]


def test_nodes_are_cordoned_before_anybody_leaves() -> None:
    found = verdict(seen(WEB, cordoned=False))
    assert written(found) == ["patch Node gpu-0"]
    assert isinstance(found, Writes)
    assert found.writes[0].body["metadata"]["annotations"] == {CORDONED_BY: "run-1"}


@pytest.mark.parametrize(
    "stays",
    [
        pod("of-its-node", DAEMONS),
        pod("mirror", meta={"annotations": {"kubernetes.io/config.mirror": "x"}}),
        pod("over", phase="Succeeded"),
        pod("elsewhere", REPLICAS, nodeName="gpu-1-32-0"),
        pod("nowhere", REPLICAS, nodeName=""),
    ],
    ids=lambda one: one["metadata"]["name"],
)
def test_who_belongs_to_the_node_has_ended_or_is_elsewhere_is_nobodys_business(stays: dict[str, Any]) -> None:
    assert isinstance(verdict(seen(stays)), Done)


def test_whom_nobody_can_suspend_is_waited_for_and_others_are_evicted_meanwhile() -> None:
    assert written(verdict(seen(TRAIN, WEB))) == ["create Pod default/web (eviction)"]
    found = verdict(seen(TRAIN), after_s=3599.0)
    assert isinstance(found, Wait)
    assert "Pod default/train (1 pod; nobody makes it anew)" in found.why


@pytest.mark.parametrize(
    ("act", "decided"),
    [(GroupDrain(**{**msgspec.structs.asdict(ACT), "may_evict": True}), ""), (ACT, EVICT)],
    ids=["planned", "decided"],
)
def test_it_is_evicted_if_somebody_said_so(act: GroupDrain, decided: str) -> None:
    assert written(verdict(seen(TRAIN), act=act, decided=decided)) == ["create Pod default/train (eviction)"]


def test_once_the_limit_is_over_a_person_decides() -> None:
    found = verdict(seen(TRAIN, WEB, GOING), after_s=3600.0)
    assert isinstance(found, Hold)
    assert "node group gpu is not empty after 1 h" in found.why
    assert "Pod default/train" in found.why
    assert "aliquot eks retry prod --gangs evict" in found.todo


def test_a_few_at_a_time() -> None:
    many = [pod(f"web-{number}", REPLICAS) for number in range(2 * AT_ONCE)]
    assert len(written(verdict(seen(*many)))) == AT_ONCE
    leaving = [
        {**one, "metadata": {**one["metadata"], **GOING["metadata"], "name": f"g-{number}"}}
        for number, one in enumerate(many)
    ]
    assert len(written(verdict(seen(*many, *leaving[: AT_ONCE - 3])))) == 3
    found = verdict(seen(*many, *leaving[:AT_ONCE]))
    assert isinstance(found, Wait)
    assert "(it is leaving)" in found.why


def test_whom_a_budget_holds_is_waited_for_by_name() -> None:
    budget = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": 0},
    }
    found = verdict(seen(WEB, budgets=(budget,)))
    assert isinstance(found, Wait)
    assert "pod default/web on gpu-0 (PodDisruptionBudget web lets none go)" in found.why


def test_who_asks_for_the_group_by_its_name_is_not_evicted_to_nowhere() -> None:
    found = verdict(seen(pod("bound", REPLICAS, nodeSelector={LABEL: "gpu"}), WEB))
    assert isinstance(found, Hold)
    assert "pod default/bound on gpu-0 asks for nodes of node group gpu by its name" in found.why


def test_nobody_is_evicted_to_a_group_that_is_gone() -> None:
    """Somebody has deleted it since it was made."""
    found = verdict(seen(WEB, TRAIN, other="cpu"))
    assert isinstance(found, Hold)
    assert "node group gpu-1-32 has no node that could take pod default/web on gpu-0" in found.why
    assert isinstance(verdict(seen(TRAIN, other="cpu")), Wait)
    assert isinstance(verdict(seen(other="cpu")), Done)


REMOVAL = GroupRemoval(cluster="prod", name="gpu", only_copy=False, first=ACT)


@pytest.mark.parametrize(
    ("status", "drained", "comes"),
    [
        ("ACTIVE", seen(), Call("eks", "DeleteNodegroup", {"clusterName": "prod", "nodegroupName": "gpu"})),
        ("ACTIVE", seen(WEB), Writes),
        ("ACTIVE", seen(TRAIN), Wait),
        ("DEGRADED", seen(cordoned=False), Writes),
        # EKS is at it, and nothing stops it.
        ("DELETING", seen(TRAIN), Keep),
        ("", None, Done),
    ],
    ids=["empty", "one came back", "a job came back", "a node came", "going", "gone"],
)
def test_no_group_goes_while_anybody_is_there(status: str, drained: Seen | None, comes: object) -> None:
    attempt = Attempt(run="run-1", step="s", token="t", before=(), began_s=0.0, now_s=0.0)
    found = judged_removal(REMOVAL, SeenRemoval(status=status, drained=drained), attempt)
    assert found == comes if isinstance(comes, Call) else isinstance(found, comes)  # type: ignore[arg-type]


@pytest.mark.parametrize("drained", [seen(), seen(WEB)], ids=["empty", "one came back"])
def test_no_group_goes_once_the_one_in_its_place_is_gone(drained: Seen) -> None:
    attempt = Attempt(run="run-1", step="s", token="t", before=(), began_s=0.0, now_s=0.0)
    there = SeenRemoval(status="ACTIVE", drained=drained, instead_gone=True)
    found = judged_removal(REMOVAL, there, attempt)
    assert isinstance(found, Hold)
    assert "gpu of prod stays: node group gpu-1-32, which was to have its place, is gone" in found.why
    # It is too late, or somebody has seen to it.
    for status, comes in (("DELETING", Keep), ("", Done)):
        over = msgspec.structs.replace(there, status=status)
        assert isinstance(judged_removal(REMOVAL, over, attempt), comes)


async def _kubelet(there: Trained) -> None:
    """Pods that are to go are gone a while later."""
    while True:
        await asyncio.sleep(7)
        for one in await there.training.pods():
            if "deletionTimestamp" in one["metadata"]:
                await there.world.kube.delete(PODS, one["metadata"]["name"], "default", grace_period_s=0)


@trained
async def test_a_group_with_a_job_of_hours_is_emptied_without_cutting_it(there: Trained) -> None:
    kube = there.world.kube
    await there.begin(Job(VOLCANO, "vj", 1), nodes=2)
    there.training.every_s = 120.0
    (worker,) = await there.training.pods("vj")
    for name in ("web-0", "web-1"):
        made = pod(
            name, {**REPLICAS, "uid": "u"}, nodeName="gpu-0", meta={"labels": {"app": "web", "job": ""}}
        )
        await kube.create(PODS, made)
        await kube.patch(PODS, name, {"status": {"phase": "Running"}}, "default", subresource="status")
    await kube.create(
        PODDISRUPTIONBUDGETS,
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        },
    )
    status = {"disruptionsAllowed": 1, "observedGeneration": 1, "expectedPods": 2}
    await kube.patch(PODDISRUPTIONBUDGETS, "web", {"status": status}, "default", subresource="status")

    async def end() -> None:
        """Its second pod may go once the first is back; the job ends after hours."""
        await asyncio.sleep(60)
        left = [one["metadata"]["name"] for one in await there.training.pods()]
        assert len(left) == 2, "one within the budget"
        again = {"status": {"disruptionsAllowed": 1, "disruptedPods": None}}
        await kube.patch(PODDISRUPTIONBUDGETS, "web", again, "default", subresource="status")
        await asyncio.sleep(HOUR_S / 3)
        (left_one,) = await there.training.pods()
        assert left_one["metadata"]["uid"] == worker["metadata"]["uid"]
        there.training.jobs.pop("vj")
        await kube.delete(PODS, worker["metadata"]["name"], "default", grace_period_s=0)

    await kube.create(NODES, {"metadata": {"name": "other-0", "labels": {LABEL: "other"}}})
    kubelet, ending = asyncio.create_task(_kubelet(there)), asyncio.create_task(end())
    held = await there.world.go(GroupDrain(cluster="prod", group="gpu", instead="other", limit_s=2 * HOUR_S))
    await ending
    kubelet.cancel()
    assert held is None
    assert any("Job.batch.volcano.sh" in line or "Job default/vj" in line for line in there.world.told)
    for node in (await kube.list(NODES, label_selector=f"{LABEL}=gpu")).items:
        assert node["metadata"]["annotations"][CORDONED_BY] == there.world.run
