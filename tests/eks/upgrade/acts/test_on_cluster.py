"""Acts that look at the cluster, and write to it, on an emulated one."""

import gzip
import json
from typing import Any

from aliquot.eks.upgrade.acts.approval import Approval
from aliquot.eks.upgrade.acts.backup import VELERO, Backup
from aliquot.eks.upgrade.acts.cluster_counts import CountAfter, CountBefore
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.control_plane_health import ControlPlaneHealth
from aliquot.eks.upgrade.acts.fargate import FargateRestart
from aliquot.eks.upgrade.acts.freeze import Freeze, Unfreeze
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.platform import PlatformHealth
from aliquot.eks.upgrade.acts.preflight import Preflight
from aliquot.eks.upgrade.doing import Doors
from aliquot.eks.upgrade.frozen import KUSTOMIZATIONS
from aliquot.eks.versions.minor import Minor
from aliquot.kube.client import Client
from aliquot.kube.resources import (
    CONFIGMAPS,
    CRDS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
    Resource,
)
from tests.eks.upgrade.acts.worlds import World, client, deployment, on_virtual_time

HOP = "1.32"


async def serve(kube: Client, resource: Resource) -> None:
    """A kind of somebody else's, with whatever fields it has."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": free},
    }
    spec = {
        "group": resource.group,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "names": {"plural": resource.plural, "kind": resource.kind, "singular": resource.kind.lower()},
        "versions": [version],
    }
    await kube.create(CRDS, {"metadata": {"name": resource.name}, "spec": spec})


async def node(
    kube: Client, name: str, labels: dict[str, str], *, gpus: int = 0, version: str = "v1.31.4"
) -> None:
    await kube.create(NODES, {"metadata": {"name": name, "labels": labels}})
    status: dict[str, Any] = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": version},
        "allocatable": {"cpu": "4", "nvidia.com/gpu": str(gpus)},
    }
    await kube.patch(NODES, name, {"status": status}, subresource="status")


@on_virtual_time
async def test_gitops_stands_still_and_goes_on(world: World) -> None:
    await serve(world.kube, KUSTOMIZATIONS)
    for name, suspended in (("shop", False), ("old", True)):
        body = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"suspend": suspended, "path": name},
        }
        await world.kube.create(KUSTOMIZATIONS, body)
    await world.go(Freeze(), Approval("h"), Unfreeze())
    shop = await world.kube.get(KUSTOMIZATIONS, "shop", "default")
    assert shop["spec"] == {"suspend": True, "path": "shop"}
    assert "1 objects stand still" in world.told
    assert await world.approved("h") is None
    shop = await world.kube.get(KUSTOMIZATIONS, "shop", "default")
    assert shop["spec"] == {"suspend": False, "path": "shop"}
    assert "aliquot.dev/frozen-by" not in shop["metadata"].get("annotations", {})
    assert (await world.kube.get(KUSTOMIZATIONS, "old", "default"))["spec"]["suspend"], "a person did that"


@on_virtual_time
async def test_another_runs_freeze_is_not_ended(world: World) -> None:
    await serve(world.kube, KUSTOMIZATIONS)
    await world.kube.create(
        KUSTOMIZATIONS, {"metadata": {"name": "shop", "namespace": "default"}, "spec": {}}
    )
    assert await world.go(Freeze()) is None
    assert await world.go(Unfreeze()) is None
    assert (await world.kube.get(KUSTOMIZATIONS, "shop", "default"))["spec"]["suspend"]


@on_virtual_time
async def test_a_backup_has_all_but_what_is_secret(world: World) -> None:
    await world.kube.create(
        CONFIGMAPS, {"metadata": {"name": "shop", "namespace": "default"}, "data": {"a": "1"}}
    )
    await world.kube.create(
        SECRETS, {"metadata": {"name": "key", "namespace": "default"}, "stringData": {"k": "x"}}
    )
    world.account.nodegroup("cpu", 1)
    assert await world.go(Backup("prod", HOP)) is None
    files = world.vault.files
    lines = gzip.decompress(files["backup/prod/1.32/core/configmaps.jsonl.gz"]).decode().splitlines()
    shop = next(one for one in map(json.loads, lines) if one["metadata"]["name"] == "shop")
    assert (shop["apiVersion"], shop["kind"], shop["data"]) == ("v1", "ConfigMap", {"a": "1"})
    assert not [name for name in files if "secrets" in name]
    aws = json.loads(files["backup/prod/1.32/aws.json"])
    assert aws["cluster"]["version"] == "1.31"
    assert [one["nodegroupName"] for one in aws["nodegroups"]] == ["cpu"]
    assert json.loads(files["backup/prod/1.32/index.json"])["run"] == world.run


def test_backups_of_two_clusters_of_one_name_lie_apart() -> None:
    there = {
        Backup("prod", HOP, f"arn:aws:eks:{region}:{account}:cluster/prod").index
        for region in ("eu-west-1", "us-east-1")
        for account in ("123456789012", "210987654321")
    }
    assert len(there) == 4
    assert "backup/123456789012/eu-west-1/prod/1.32/index.json" in there


@on_virtual_time
async def test_velero_makes_one_too(world: World) -> None:
    await world.kube.create(NAMESPACES, {"metadata": {"name": "velero"}})
    await serve(world.kube, VELERO)
    failed = {"status": {"phase": "Failed", "failureReason": "no bucket"}}
    made = {"metadata": {"name": "aliquot-prod-before-1.32", "namespace": "velero"}, **failed}
    await world.kube.create(VELERO, made)
    held = await world.go(Backup("prod", HOP))
    assert held is not None
    assert "Velero's backup aliquot-prod-before-1.32: Failed no bucket" in held.why
    await world.kube.patch(VELERO, "aliquot-prod-before-1.32", {"status": {"phase": "Completed"}}, "velero")
    assert await world.again() is None
    assert "Velero has one, too" in world.told[-1]


@on_virtual_time
async def test_no_place_for_a_backup_holds(world: World) -> None:
    world.doors = Doors(api=world.doors.api, clock=world.clock, client=world.kube)
    held = await world.go(Backup("prod", HOP))
    assert held is not None
    assert held.todo == "give --data DIR, then go on"


@on_virtual_time
async def test_what_was_there_has_to_be_there_again(world: World) -> None:
    for name in ("a", "b"):
        await node(world.kube, name, {"eks.amazonaws.com/nodegroup": "gpu"}, gpus=8)
    await world.go(CountBefore(HOP), Approval("h"), CountAfter(HOP))
    assert world.journal.kept(world.run)[f"counts/{HOP}"]["resources"] == {"nvidia.com/gpu": 16}
    lost = {"status": {"allocatable": {"nvidia.com/gpu": "7"}}}
    await world.kube.patch(NODES, "b", lost, subresource="status")
    held = await world.approved("h")
    assert held is not None
    assert held.why == "not as it was before: nvidia.com/gpu: 15 of 16"
    found = {"status": {"allocatable": {"nvidia.com/gpu": "8"}}}
    await world.kube.patch(NODES, "b", found, subresource="status")
    assert await world.again() is None
    assert world.told[-1] == "all that there was is there"


@on_virtual_time
async def test_without_a_count_before_there_is_nothing_to_compare_with(world: World) -> None:
    held = await world.go(CountAfter(hop="1.32"))
    assert held is not None
    assert "how much there was before 1.32 is not in the journal" in held.why


@on_virtual_time
async def test_a_node_that_has_not_told_of_its_kubelet_is_not_behind(world: World) -> None:
    labels = {"eks.amazonaws.com/compute-type": "fargate"}
    await world.kube.create(NODES, {"metadata": {"name": "fargate-new", "labels": labels}})
    assert await world.go(FargateRestart(Minor(1, 32))) is None
    assert world.told[-1] == "on Fargate nothing is behind"


@on_virtual_time
async def test_an_api_server_that_is_well(world: World) -> None:
    version = json.loads(await world.kube.get_raw("/version"))["gitVersion"]
    minor = Minor.parse(version)
    assert await world.go(ControlPlaneHealth(minor)) is None
    assert world.told[-1] == f"the API server is {version}, and well"
    held = await world.go(ControlPlaneHealth(minor.next))
    assert held is not None
    assert f"it says that it is {version}, not {minor.next}" in held.why


@on_virtual_time
async def test_a_platform_that_is_not_well_any_more(world: World) -> None:
    for name in ("metrics-server", "karpenter"):
        await world.kube.create(DEPLOYMENTS, deployment(name, "kube-system", replicas=2))
    ready = {"status": {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}}
    await world.kube.patch(DEPLOYMENTS, "metrics-server", ready, "kube-system", subresource="status")
    await world.go(CountBefore(HOP), Approval("h"), PlatformHealth(Minor(1, 32)))
    await world.kube.patch(
        DEPLOYMENTS, "metrics-server", {"status": {"readyReplicas": 1}}, "kube-system", subresource="status"
    )
    held = await world.approved("h")
    assert held is not None
    assert held.why == "not well: kube-system/metrics-server: 1 of 2 ready"
    await world.kube.patch(DEPLOYMENTS, "metrics-server", ready, "kube-system", subresource="status")
    assert await world.again() is None
    assert (
        world.told[-1]
        == "1 of 2 parts of the platform are well; not well, and not before: kube-system/karpenter: 0 of 2 ready"
    )


@on_virtual_time
async def test_the_autoscalers_minor_is_told(world: World) -> None:
    await world.kube.create(DEPLOYMENTS, deployment("cluster-autoscaler", "kube-system", replicas=0))
    assert await world.go(PlatformHealth(Minor(1, 32))) is None
    assert "cluster-autoscaler:1.31.4 is not" in world.told[-1]


@on_virtual_time
async def test_fargate_rolls_what_has_an_owner(world: World) -> None:
    await node(world.kube, "fargate-1", {"eks.amazonaws.com/compute-type": "fargate"})
    made = await world.kube.create(DEPLOYMENTS, deployment("web"))
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    replica_set = deployment("web-1")
    replica_set["metadata"]["ownerReferences"] = [owner]
    set_ = await world.kube.create(REPLICASETS, replica_set)
    for name, owners in (
        (
            "web-1-a",
            [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "web-1",
                    "uid": set_["metadata"]["uid"],
                }
            ],
        ),
        ("alone", []),
    ):
        pod = {
            "metadata": {"name": name, "namespace": "default", "ownerReferences": owners},
            "spec": {"nodeName": "fargate-1", "containers": [{"name": "c", "image": "web"}]},
        }
        await world.kube.create(PODS, pod)
    held = await world.go(FargateRestart(Minor(1, 32)))
    assert held is not None
    assert "pods of old kubelets: Deployment default/web" in held.why
    web = await world.kube.get(DEPLOYMENTS, "web", "default")
    assert "kubectl.kubernetes.io/restartedAt" in web["spec"]["template"]["metadata"]["annotations"]
    await world.kube.delete(PODS, "web-1-a", "default", grace_period_s=0)
    assert await world.again() is None
    assert "nobody makes these pods anew, so they stay as they are: default/alone" in world.told[-1]


@on_virtual_time
async def test_a_right_that_is_missing_holds(world: World) -> None:
    nobody = client(world.server, world.clock, "nobody", "system:authenticated")
    world.doors = Doors(api=world.doors.api, clock=world.clock, client=nobody, vault=world.vault)
    held = await world.go(Freeze())
    assert held is not None
    assert "the API server refuses it" in held.why


@on_virtual_time
async def test_preflight_holds_with_what_blocks(world: World) -> None:
    world.account.free["subnet-a"] = 4
    held = await world.go(Preflight("prod", Minor(1, 31), Minor(1, 32)))
    assert held is not None
    assert "subnet-a: 4 addresses are free" in held.why
    assert "aliquot eks preflight prod --to 1.32 shows all" in held.todo


@on_virtual_time
async def test_a_roll_that_pods_hold_up_names_them(world: World) -> None:
    world.account.nodegroup("cpu", 1)
    (machine,) = world.account.fleet.machines
    world.account.fleet.never_drained.add(machine)
    pod = {
        "metadata": {"name": "web-1", "namespace": "default"},
        "spec": {"nodeName": machine, "containers": [{"name": "c", "image": "web"}]},
    }
    await world.kube.create(PODS, pod)
    release = world.account.world.known.release("AL2023_x86_64_STANDARD", "1.32")
    up = ControlPlane("prod", Minor(1, 31), Minor(1, 32))
    held = await world.go(up, GroupRoll(cluster="prod", name="cpu", minor=Minor(1, 32), release=release))
    assert held is not None
    assert "PodEvictionFailure" in held.why
    assert held.why.endswith(f"there stay pod default/web-1 on {machine}")
