"""A GPU node that is tried before those that work: no pod comes to it, DaemonSets do, and it has to offer what the others offer."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.upgrade.acts.canary_node import CanaryNode, Seen, judged
from aliquot.eks.upgrade.acts.gpu_restore import STARTUP_TAINT, Given
from aliquot.eks.upgrade.canaries import LEAVE_OUT
from aliquot.eks.upgrade.doing import Attempt, Decision
from aliquot.eks.upgrade.gpu_roll.layouts import CONFIG, SeenNode
from aliquot.eks.upgrade.gpu_roll.marks import CORDONED_BY, RESTORED_FROM
from aliquot.eks.upgrade.node_health import Pod
from aliquot.eks.upgrade.verdicts import Done, Hold, Wait, Writes
from aliquot.eks.versions.minor import Minor
from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.kube.resources import NODES
from tests.eks.upgrade.acts.worlds import World, on_virtual_time

CANARY = "gpu-canary-1-32"
ACT = CanaryNode(cluster="prod", name=CANARY, of="gpu", minor=Minor(1, 32), driver="580", limit_s=300.0)
DRIVER = "nvidia.com/cuda.driver-version.full"
ATTEMPT = Attempt(run="r", step="s", token="t", before=(), began_s=0.0, now_s=0.0)
LATE = replace(ATTEMPT, now_s=301.0)
TAINT = {"key": STARTUP_TAINT, "effect": "NoSchedule"}
OLD = tuple(
    SeenNode(
        name=f"old-{number}",
        labels={DRIVER: "570.133.20", "team": "vision"},
        resources={"nvidia.com/gpu": 8},
        kubelet="v1.31.4-eks-1",
        ready=True,
    )
    for number in range(2)
)
WELL = SeenNode(
    name="new-0",
    version="7",
    labels={DRIVER: "580.65.06"},
    annotations={CORDONED_BY: "r", RESTORED_FROM: "-"},
    resources={"nvidia.com/gpu": 8},
    kubelet="v1.32.4-eks-1",
    ready=True,
    unschedulable=True,
)


def pod(name: str, owner: str = "ReplicaSet", waiting: str = "") -> Pod:
    told: dict[str, Any] = {
        "metadata": {"name": name, "namespace": "ml", "ownerReferences": [{"kind": owner, "name": "x"}]},
        "spec": {"nodeName": "new-0"},
        "status": {"phase": "Running"},
    }
    if waiting:
        told["status"]["containerStatuses"] = [{"name": "c", "state": {"waiting": {"reason": waiting}}}]
    return msgspec.convert(told, Pod)


def seen(*nodes: SeenNode, pods: tuple[Pod, ...] = (), others: tuple[SeenNode, ...] = OLD) -> Seen:
    return Seen(nodes=nodes, others=others, given=Given(group="gpu"), pods=pods)


def test_it_is_cordoned_before_the_taint_goes_and_only_then_cut() -> None:
    came = replace(WELL, annotations={}, unschedulable=False, taints=(TAINT,))
    patches = []
    for node in (
        came,
        replace(came, unschedulable=True),
        replace(came, unschedulable=True, taints=()),
    ):
        verdict = judged(ACT, seen(node), ATTEMPT)
        assert isinstance(verdict, Writes)
        (write,) = verdict.writes
        patches.append(write.body)
    cordon, taint, cut = patches
    assert cordon == {"metadata": {"annotations": {CORDONED_BY: "r"}}, "spec": {"unschedulable": True}}
    assert taint == {"metadata": {"resourceVersion": "7"}, "spec": {"taints": []}}
    # What one node was given is that node's, and no canary's.
    assert cut == {"metadata": {"labels": {}, "annotations": {RESTORED_FROM: "-"}}}


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        (seen(), "no node of node group gpu-canary-1-32 is there yet"),
        (seen(replace(WELL, ready=False)), "node new-0 is not ready"),
        (seen(replace(WELL, kubelet="v1.31.4")), "its kubelet is v1.31.4, not 1.32"),
        (seen(replace(WELL, resources={})), "0 nvidia.com/gpu, others of its group had 8"),
        (seen(replace(WELL, resources={"nvidia.com/gpu": 7})), "7 nvidia.com/gpu, others of its group had 8"),
        (seen(replace(WELL, labels={DRIVER: "570.133.20"})), "and its release has one of 580"),
        (
            seen(WELL, pods=(pod("plugin", "DaemonSet", "CrashLoopBackOff"),)),
            "pod ml/plugin on new-0: CrashLoopBackOff",
        ),
        (seen(WELL, pods=(pod("train-0"),)), "pod ml/train-0 came to new-0 before that was cordoned"),
    ],
)
def test_what_it_lacks_is_waited_for_and_then_held(found: Seen, lacks: str) -> None:
    waits = judged(ACT, found, ATTEMPT)
    assert isinstance(waits, Wait)
    assert lacks in waits.why
    held = judged(ACT, found, LATE)
    assert isinstance(held, Hold)
    assert held.why.startswith("the canary of gpu is not well: ")
    assert lacks in held.why
    assert held.todo == (
        "node group gpu is as it was: put that right, then retry; or go on without a canary "
        "(aliquot eks retry CLUSTER --no-gpu-canary); or go back, which removes it"
    )


@pytest.mark.parametrize(
    "found",
    [
        seen(WELL),
        seen(WELL, pods=(pod("plugin", "DaemonSet"),)),
        # Nobody tells of drivers here.
        seen(replace(WELL, labels={}), others=tuple(replace(one, labels={}) for one in OLD)),
    ],
)
def test_one_that_is_well(found: Seen) -> None:
    verdict = judged(ACT, found, LATE)
    assert isinstance(verdict, Done)
    assert "it offers 8 nvidia.com/gpu" in verdict.told


def test_a_person_goes_on_without_it() -> None:
    decision = Decision(kind=LEAVE_OUT, step="", by="ada", at_s=0.0)
    verdict = judged(ACT, seen(), replace(LATE, decisions=(decision,)))
    assert verdict == Done("left out, as ada decided")


async def _node(
    world: World, name: str, group: str, minor: str, *taints: dict[str, str], **labels: str
) -> None:
    meta = {"name": name, "labels": {GROUP_LABEL: group, **labels}}
    await world.kube.create(NODES, {"metadata": meta, "spec": {"taints": list(taints)}})
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": f"v{minor}.4-eks-1"},
        "allocatable": {"cpu": "8", **({"nvidia.com/mig-1g.10gb": "7"} if labels else {})},
    }
    await world.kube.patch(NODES, name, {"status": status}, subresource="status")


async def _daemons(world: World, open_: list[str]) -> None:
    """Device plugin and MIG manager, whose pods the taint keeps away. Notes when a pod that waits would have come."""
    while True:
        node = await world.kube.get(NODES, "new-0")
        spec, labels = node["spec"], node["metadata"]["labels"]
        kept_away = any(one["key"] == STARTUP_TAINT for one in spec.get("taints", ()))
        if not kept_away and not spec.get("unschedulable"):
            open_.append("new-0")
        if not kept_away and labels.get(CONFIG) == "all-1g.10gb" and MIG_STATE not in labels:
            offers = {"status": {"allocatable": {"nvidia.com/mig-1g.10gb": "7"}}}
            await world.kube.patch(NODES, "new-0", offers, subresource="status")
            await world.kube.patch(NODES, "new-0", {"metadata": {"labels": {MIG_STATE: "success"}}})
        await asyncio.sleep(0.2)


@on_virtual_time
async def test_on_a_cluster_it_is_cut_as_the_others_are_and_no_pod_could_come(world: World) -> None:
    world.account.nodegroup("gpu", 2)
    world.account.nodegroup(CANARY, 1)
    for number in range(2):
        await _node(world, f"old-{number}", "gpu", "1.31", **{CONFIG: "all-1g.10gb", MIG_STATE: "success"})
    await _node(world, "new-0", CANARY, "1.32", TAINT)
    open_: list[str] = []
    daemons = asyncio.create_task(_daemons(world, open_))
    assert await world.go(ACT) is None
    daemons.cancel()
    await asyncio.gather(daemons, return_exceptions=True)
    assert open_ == []
    assert "it offers 7 nvidia.com/mig-1g.10gb" in world.told[-1]
    assert not (await world.kube.get(NODES, "old-0"))["spec"].get("unschedulable")
