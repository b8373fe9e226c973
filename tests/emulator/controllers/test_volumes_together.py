"""Claims, volumes and classes against the API server, all controllers running, on virtual time."""

import asyncio
from typing import Any

import pytest

from aliquot.kube import errors
from aliquot.kube.resources import (
    EVENTS,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    STATEFULSETS,
    STORAGECLASSES,
)
from tests.emulator.controllers.conftest import Cluster, Simulate

POD = {"containers": [{"name": "main", "image": "i"}]}


def claim(name: str = "c", size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": asked}


def volume(name: str, size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    whole = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": size},
        "hostPath": {"path": "/d"},
        **spec,
    }
    return {"metadata": {"name": name}, "spec": whole}


def user(name: str = "p", claim_name: str = "c") -> dict[str, Any]:
    mounted = [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}]
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {**POD, "volumes": mounted}}


async def phase(cluster: Cluster, wanted: str, name: str = "c") -> dict[str, Any]:
    async def right() -> Any:
        found = await cluster.client.get(PERSISTENTVOLUMECLAIMS, name, "default")
        return found if found["status"]["phase"] == wanted else None

    found: dict[str, Any] = await cluster.eventually(right)
    return found


async def volume_phase(cluster: Cluster, name: str, wanted: str) -> None:
    async def right() -> bool:
        found = await cluster.client.get(PERSISTENTVOLUMES, name)
        return bool(found["status"]["phase"] == wanted)

    await cluster.eventually(right)


async def told(cluster: Cluster, reason: str, name: str = "c") -> str:
    async def right() -> Any:
        for event in (await cluster.client.list(EVENTS, "default")).items:
            if event["reason"] == reason and event["involvedObject"]["name"] == name:
                return event["message"]
        return None

    return str(await cluster.eventually(right))


def test_the_default_class_waits_for_a_pod_and_then_makes_a_volume(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n")
        made = await cluster.client.create(PERSISTENTVOLUMECLAIMS, claim())
        assert made["spec"]["storageClassName"] == "standard"
        assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        assert "first consumer" in await told(cluster, "WaitForFirstConsumer")
        await cluster.client.create(PODS, user())
        assert await told(cluster, "WaitForPodScheduled") == "waiting for pod p to be scheduled"
        await cluster.client.bind("default", "p", "n")
        bound = await phase(cluster, "Bound")
        annotations = bound["metadata"]["annotations"]
        assert annotations["volume.kubernetes.io/selected-node"] == "n"
        assert annotations["pv.kubernetes.io/bind-completed"] == "yes"
        assert bound["status"]["capacity"] == {"storage": "1Gi"}
        name = bound["spec"]["volumeName"]
        assert name == f"pvc-{bound['metadata']['uid']}"
        await volume_phase(cluster, name, "Bound")
        await told(cluster, "ExternalProvisioning")
        assert await told(cluster, "ProvisioningSucceeded") == f"Successfully provisioned volume {name}"

    simulate(scenario)


def test_claims_are_held_while_pods_use_them_and_take_their_volume_along(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n")
        await cluster.client.create(PERSISTENTVOLUMECLAIMS, claim())
        await cluster.client.create(PODS, user())
        await cluster.client.bind("default", "p", "n")
        name = (await phase(cluster, "Bound"))["spec"]["volumeName"]
        await volume_phase(cluster, name, "Bound")
        await cluster.client.delete(PERSISTENTVOLUMECLAIMS, "c", "default")
        await cluster.client.delete(PERSISTENTVOLUMES, name)
        await volume_phase(cluster, name, "Bound")
        assert (await phase(cluster, "Bound"))["metadata"]["deletionTimestamp"]
        await cluster.client.delete(PODS, "p", "default", grace_period_s=0)

        async def gone() -> bool:
            claim_gone = await cluster.gone(PERSISTENTVOLUMECLAIMS, "c", "default")
            return claim_gone and await cluster.gone(PERSISTENTVOLUMES, name)

        await cluster.eventually(gone)

    simulate(scenario)


def test_a_deleted_claim_takes_a_volume_that_was_made_for_it(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        now = {"metadata": {"name": "now"}, "provisioner": "aliquot.dev/simulated"}
        await cluster.client.create(STORAGECLASSES, now)
        kept = {**now, "metadata": {"name": "kept"}, "reclaimPolicy": "Retain"}
        await cluster.client.create(STORAGECLASSES, kept)
        for name in ("now", "kept"):
            await cluster.client.create(PERSISTENTVOLUMECLAIMS, claim(name, storageClassName=name))
        volumes = {
            name: (await phase(cluster, "Bound", name))["spec"]["volumeName"] for name in ("now", "kept")
        }
        for name, found in volumes.items():
            await volume_phase(cluster, found, "Bound")
            await cluster.client.delete(PERSISTENTVOLUMECLAIMS, name, "default")
        await cluster.eventually(lambda: cluster.gone(PERSISTENTVOLUMES, volumes["now"]))
        await volume_phase(cluster, volumes["kept"], "Released")

    simulate(scenario)


def test_static_volumes_are_bound_once(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(PERSISTENTVOLUMECLAIMS, claim("a", storageClassName=""))
        await cluster.client.create(PERSISTENTVOLUMECLAIMS, claim("b", storageClassName=""))
        assert "no storage class is set" in await told(cluster, "FailedBinding", "a")
        await cluster.client.create(PERSISTENTVOLUMES, volume("v", "5Gi"))

        async def one() -> Any:
            claims = (await cluster.client.list(PERSISTENTVOLUMECLAIMS, "default")).items
            return [found["metadata"]["name"] for found in claims if found["status"]["phase"] == "Bound"]

        [winner] = await cluster.eventually(one)
        await volume_phase(cluster, "v", "Bound")
        assert (await phase(cluster, "Bound", winner))["status"]["capacity"] == {"storage": "5Gi"}
        await cluster.client.delete(PERSISTENTVOLUMECLAIMS, winner, "default")
        await volume_phase(cluster, "v", "Released")
        # Released is not available: who cleans it up frees it.
        await cluster.client.patch(PERSISTENTVOLUMES, "v", {"spec": {"claimRef": None}})
        await phase(cluster, "Bound", "b" if winner == "a" else "a")

    simulate(scenario)


def test_bound_claims_grow(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        larger = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
        fast = {"metadata": {"name": "fast"}, "provisioner": "aliquot.dev/simulated"}
        await cluster.client.create(STORAGECLASSES, {**fast, "allowVolumeExpansion": True})
        await cluster.client.create(STORAGECLASSES, {**fast, "metadata": {"name": "fixed"}})
        await cluster.client.create(PERSISTENTVOLUMECLAIMS, claim(storageClassName="fast"))
        await cluster.client.create(PERSISTENTVOLUMECLAIMS, claim("fixed", storageClassName="fixed"))
        await phase(cluster, "Bound")
        await phase(cluster, "Bound", "fixed")
        with pytest.raises(errors.Forbidden, match="only dynamically provisioned pvc can be resized"):
            await cluster.client.patch(PERSISTENTVOLUMECLAIMS, "fixed", larger, "default")
        await cluster.client.patch(PERSISTENTVOLUMECLAIMS, "c", larger, "default")

        async def grown() -> bool:
            found = await cluster.client.get(PERSISTENTVOLUMECLAIMS, "c", "default")
            held = await cluster.client.get(PERSISTENTVOLUMES, found["spec"]["volumeName"])
            return bool(found["status"]["capacity"] == held["spec"]["capacity"] == {"storage": "3Gi"})

        await cluster.eventually(grown)
        await told(cluster, "VolumeResizeSuccessful")

    simulate(scenario)


def test_a_lost_volume_is_told_of(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(PERSISTENTVOLUMES, volume("v"))
        await cluster.client.create(PERSISTENTVOLUMECLAIMS, claim(storageClassName=""))
        await phase(cluster, "Bound")
        await volume_phase(cluster, "v", "Bound")
        await cluster.client.patch(PERSISTENTVOLUMES, "v", {"metadata": {"finalizers": None}})
        await cluster.client.delete(PERSISTENTVOLUMES, "v")
        await phase(cluster, "Lost")
        assert "Data on the volume is lost!" in await told(cluster, "ClaimLost")

    simulate(scenario)


def test_stateful_sets_and_ephemeral_volumes_get_their_claims(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n")
        template = {"metadata": {"labels": {"app": "db"}}, "spec": POD}
        spec = {
            "replicas": 1,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": template,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim()["spec"]}],
        }
        await cluster.client.create(
            STATEFULSETS, {"metadata": {"name": "db", "namespace": "default"}, "spec": spec}
        )
        await cluster.eventually(cluster.pods)
        await cluster.client.bind("default", "db-0", "n")
        await phase(cluster, "Bound", "data-db-0")
        scratch = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim()["spec"]}}}
        own = {"metadata": {"name": "p", "namespace": "default"}, "spec": {**POD, "volumes": [scratch]}}
        await cluster.client.create(PODS, own)
        await cluster.client.bind("default", "p", "n")
        made = await phase(cluster, "Bound", "p-scratch")
        assert made["metadata"]["ownerReferences"][0]["kind"] == "Pod"
        await cluster.client.delete(PODS, "p", "default", grace_period_s=0)
        await cluster.eventually(lambda: cluster.gone(PERSISTENTVOLUMECLAIMS, "p-scratch", "default"))

    simulate(scenario)


@pytest.mark.parametrize("seed", range(4))
def test_no_volume_is_lost_or_given_out_twice_in_a_storm(simulate: Simulate, seed: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        now = {"metadata": {"name": "now"}, "provisioner": "aliquot.dev/simulated"}
        await cluster.client.create(STORAGECLASSES, now)
        cluster.weather.storm()
        names = [f"c{place}" for place in range(8)]
        for place, name in enumerate(names):
            await cluster.client.create(PERSISTENTVOLUMES, volume(f"v{place}"))
            storage_class = "now" if place % 2 else ""
            await cluster.client.create(PERSISTENTVOLUMECLAIMS, claim(name, storageClassName=storage_class))
            await asyncio.sleep(0.5)
            if place % 3 == 0:
                await cluster.restart_controllers()
        cluster.weather.calm()
        held = {name: (await phase(cluster, "Bound", name))["spec"]["volumeName"] for name in names}
        assert len(set(held.values())) == len(names)
        for name, found in held.items():
            await volume_phase(cluster, found, "Bound")
            reference = (await cluster.client.get(PERSISTENTVOLUMES, found))["spec"]["claimRef"]
            assert reference["name"] == name
        provisioned = [
            one
            for one in (await cluster.client.list(PERSISTENTVOLUMES)).items
            if one["metadata"]["name"].startswith("pvc-")
        ]
        assert len(provisioned) == 4

    simulate(scenario, seed)
