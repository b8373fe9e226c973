"""What is looked at after a group's roll: its nodes, and somebody's own Job on them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.upgrade.acts.cluster_counts import CountBefore
from aliquot.eks.upgrade.acts.group_health import GroupHealth
from aliquot.eks.upgrade.acts.smoke_job import LABEL, SmokeJob, body_of
from aliquot.eks.upgrade.canaries import LEAVE_OUT
from aliquot.eks.upgrade.doing import Decision, Doors
from aliquot.eks.upgrade.verdicts import Hold
from aliquot.eks.versions.minor import Minor
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import JOBS, NODES, PODS
from aliquot.kube.transport import Request, Response, Transport
from tests.eks.upgrade.acts.worlds import World, on_virtual_time
from tests.eks.upgrade.gpu_roll.training import Answer

M132 = Minor(1, 32)
HEALTH = GroupHealth(cluster="prod", group="cpu", minor=M132, settle_s=120.0)
EXAMPLE = Path(__file__).parents[4] / "examples" / "eks" / "nccl-check.yaml"
MANIFEST: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
SMOKE = SmokeJob(name="nccl", manifest=MANIFEST, group="gpu", limit_s=600.0)


async def node(world: World, name: str, minor: str = "1.32", ready: str = "True") -> None:
    await world.kube.create(NODES, {"metadata": {"name": name, "labels": {GROUP_LABEL: "cpu"}}})
    status = {
        "conditions": [{"type": "Ready", "status": ready}],
        "nodeInfo": {"kubeletVersion": f"v{minor}.4-eks-1"},
        "allocatable": {"cpu": "8"},
    }
    await world.kube.patch(NODES, name, {"status": status}, subresource="status")


async def pod(world: World, name: str, status: Mapping[str, Any], on: str = "", owner: str = "") -> None:
    meta: dict[str, Any] = {"name": name, "namespace": "default"}
    if owner:
        meta["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": owner, "name": "x", "uid": "u", "controller": True}
        ]
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}]}
    if on:
        spec["nodeName"] = on
    await world.kube.create(PODS, {"metadata": meta, "spec": spec})
    await world.kube.patch(PODS, name, {"status": status}, "default", subresource="status")


CRASHES = {
    "phase": "Running",
    "containerStatuses": [
        {
            "name": "c",
            "image": "i",
            "imageID": "",
            "ready": False,
            "restartCount": 7,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        }
    ],
}


@on_virtual_time
async def test_a_group_that_is_well(world: World) -> None:
    world.account.nodegroup("cpu", 2)
    await node(world, "n1")
    await pod(world, "other", CRASHES, on="n1")
    await pod(world, "waits", {"phase": "Pending"})

    async def late() -> None:
        await asyncio.sleep(60)
        await node(world, "n2")

    coming = asyncio.create_task(late())
    assert await world.go(CountBefore("1.32"), HEALTH) is None
    await coming
    assert "node group cpu: 2 nodes of 1.32 are well" in world.told


@on_virtual_time
async def test_each_trouble_is_told(world: World) -> None:
    world.account.nodegroup("cpu", 4)
    await node(world, "old", minor="1.31")
    await node(world, "broken", ready="False")
    await node(world, "n1")
    await pod(world, "plugin", CRASHES, on="n1", owner="DaemonSet")
    held = await world.go(HEALTH)
    assert held is not None
    assert "node old: its kubelet is v1.31.4-eks-1, not 1.32" in held.why
    assert "node broken is not ready" in held.why
    assert "1 of 4 nodes are there and well" in held.why
    assert "pod default/plugin on n1: CrashLoopBackOff" in held.why


@on_virtual_time
async def test_who_waits_for_a_node_and_did_not_before_is_told(world: World) -> None:
    world.account.nodegroup("cpu", 1)
    await node(world, "n1")

    async def come() -> None:
        await asyncio.sleep(1)
        await pod(world, "waits", {"phase": "Pending"})

    # Kept before the pod comes; the health of the group is looked at until it has settled.
    waits = asyncio.create_task(come())
    bad = GroupHealth(cluster="prod", group="cpu", minor=Minor(1, 33), settle_s=30.0)
    held = await world.go(CountBefore("1.33"), bad)
    await waits
    assert held is not None
    assert "1 pod waits for a node, 0 did before (one is default/waits)" in held.why


class Logs:
    """A transport that knows what pods printed, and counts Jobs that are made."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.made = 0

    async def send(self, request: Request) -> Response:
        if request.path.endswith("/log"):
            return Answer(200)
        response = await self._inner.send(request)
        if request.method == "POST" and request.path.endswith("/jobs"):
            self.made += response.status == 201
        return response

    async def close(self) -> None:
        await self._inner.close()


def logged(world: World) -> Logs:
    logs = Logs(AsgiTransport(world.server.app, "upgrader", ["system:masters"]))
    kube = Client(logs, clock=world.clock, rng=world.kube.rng)
    world.doors = Doors(api=world.doors.api, clock=world.clock, client=kube, vault=world.vault)
    return logs


async def ends(world: World, condition: str, after_s: float = 30.0) -> None:
    await asyncio.sleep(after_s)
    (job,) = (await world.kube.list(JOBS, "default", label_selector=f"{LABEL}=nccl")).items
    name = job["metadata"]["name"]
    if condition == "Failed":
        labels = {"batch.kubernetes.io/job-name": name}
        meta = {"name": f"{name}-x", "namespace": "default", "labels": labels}
        await world.kube.create(
            PODS, {"metadata": meta, "spec": {"containers": [{"name": "nccl", "image": "i"}]}}
        )
        await world.kube.patch(
            PODS, f"{name}-x", {"status": {"phase": "Failed"}}, "default", subresource="status"
        )
    told = [{"type": condition, "status": "True", "message": "BackoffLimitExceeded"}]
    if condition == "Failed":
        told.insert(0, {"type": "FailureTarget", "status": "True"})
    status: dict[str, Any] = {"conditions": told, "startTime": "2026-10-01T08:00:00Z"}
    if condition == "Complete":
        status |= {"completionTime": "2026-10-01T08:00:30Z", "succeeded": 1}
        told.insert(0, {"type": "SuccessCriteriaMet", "status": "True"})
    await world.kube.patch(JOBS, name, {"status": status}, "default", subresource="status")


async def jobs(world: World) -> list[dict[str, Any]]:
    return (await world.kube.list(JOBS, "default")).items


@on_virtual_time
async def test_a_smoke_job_that_succeeds_is_made_once_and_gone(world: World) -> None:
    logs = logged(world)
    ending = asyncio.create_task(ends(world, "Complete"))
    assert await world.go(SMOKE) is None
    await ending
    assert logs.made == 1
    assert await jobs(world) == []
    assert "smoke job nccl succeeded" in world.told


@on_virtual_time
async def test_one_that_fails_holds_with_what_it_said_and_is_made_anew_on_retry(world: World) -> None:
    logs = logged(world)
    ending = asyncio.create_task(ends(world, "Failed"))
    held = await world.go(SMOKE)
    await ending
    assert held == Hold(
        "smoke job nccl failed: BackoffLimitExceeded: so be it",
        "put right what it found, then retry; or go back",
    )
    assert await jobs(world) == []
    ending = asyncio.create_task(ends(world, "Complete"))
    assert await world.again() is None
    await ending
    assert logs.made == 2


@on_virtual_time
async def test_one_that_does_not_end_is_given_up(world: World) -> None:
    logged(world)
    held = await world.go(SMOKE)
    assert held is not None
    assert "it has not ended after 600 s" in held.why
    assert await jobs(world) == []


@on_virtual_time
async def test_one_that_somebody_deletes_is_not_made_again(world: World) -> None:
    logs = logged(world)

    async def delete() -> None:
        await asyncio.sleep(20)
        (job,) = await jobs(world)
        await world.kube.delete(JOBS, job["metadata"]["name"], "default")

    deleting = asyncio.create_task(delete())
    held = await world.go(SMOKE)
    await deleting
    assert held is not None
    assert "somebody deleted it before its end" in held.why
    assert logs.made == 1


def test_what_is_made_of_a_manifest() -> None:
    manifest = {
        **MANIFEST,
        "spec": {**MANIFEST["spec"], "ttlSecondsAfterFinished": 5},
        "metadata": {"generateName": "x-"},
    }
    body = body_of(SmokeJob(name="nccl", manifest=manifest, group="gpu"), "nccl-1")
    assert body["metadata"] == {"name": "nccl-1", "namespace": "default", "labels": {LABEL: "nccl"}}
    assert "ttlSecondsAfterFinished" not in body["spec"]
    assert body["spec"]["template"]["spec"]["nodeSelector"] == {GROUP_LABEL: "gpu"}
    assert "nodeSelector" not in MANIFEST["spec"]["template"]["spec"], "what was given is left as it is"


def test_on_a_canary_it_runs_there_alone_and_does_not_mind_the_cordon() -> None:
    pods = {
        **MANIFEST["spec"]["template"]["spec"],
        "nodeSelector": {GROUP_LABEL: "gpu", "disk": "fast"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    }
    manifest = {**MANIFEST, "spec": {"template": {"spec": pods}}}
    body = body_of(
        SmokeJob(name="nccl", manifest=manifest, group="gpu-canary-1-32", canary_of="gpu"), "nccl-1"
    )
    spec = body["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {GROUP_LABEL: "gpu-canary-1-32", "disk": "fast"}
    assert spec["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists"},
        {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
    ]


@on_virtual_time
async def test_one_that_fails_on_a_canary_leads_on_without_it_or_back(world: World) -> None:
    logged(world)
    ending = asyncio.create_task(ends(world, "Failed"))
    held = await world.go(
        SmokeJob(name="nccl", manifest=MANIFEST, group="gpu-canary-1-32", canary_of="gpu", limit_s=600.0)
    )
    await ending
    assert held is not None
    assert held.why == "smoke job nccl failed on the canary of gpu: BackoffLimitExceeded: so be it"
    assert "aliquot eks retry CLUSTER --no-gpu-canary" in held.todo
    world.journal.decide(world.run, Decision(kind=LEAVE_OUT, step="", by="ada", at_s=0.0))
    assert await world.again() is None
    assert world.told[-1] == "left out, as ada decided"
    assert await jobs(world) == []


@pytest.mark.parametrize(
    ("name", "manifest", "says"),
    [
        ("x", {"apiVersion": "v1", "kind": "Pod"}, "its manifest is v1 Pod: give a batch/v1 Job"),
        ("x", {}, "give a batch/v1 Job"),
        ("x", {"apiVersion": "batch/v1", "kind": "Job"}, "has no spec.template.spec"),
        (
            "x",
            {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": 1}},
            "has no spec.template.spec",
        ),
        ("x" * 46, MANIFEST, "45 characters at most"),
    ],
)
def test_a_manifest_that_is_none(name: str, manifest: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SmokeJob(name=name, manifest=manifest)
