"""Nodes, namespaces and garbage against the API server, all controllers running, on virtual time."""

import asyncio
from typing import Any

from aliquot.clock import rfc3339, rfc3339_micro
from aliquot.emulator.controllers import nodes
from aliquot.emulator.controllers.cluster_roles import CLUSTERROLES
from aliquot.kube.client import Propagation
from aliquot.kube.resources import (
    CONFIGMAPS,
    CRDS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    SERVICEACCOUNTS,
    Resource,
)
from tests.emulator.controllers.conftest import Cluster, Simulate

WIDGETS = Resource("example.com", "v1", "widgets", "Widget")


def named(name: str, namespace: str = "", **metadata: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, **metadata}
    return {"metadata": {**found, "namespace": namespace} if namespace else found}


def pod(name: str, node: str = "", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "i"}]
    placed = {"nodeName": node} if node else {}
    return {**named(name, "default"), "spec": {"containers": containers, **placed, **spec}}


def test_every_namespace_has_its_account_and_certificate(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(NAMESPACES, named("team"))

        async def furnished() -> bool:
            await cluster.client.get(SERVICEACCOUNTS, "default", "team")
            found = await cluster.client.get(CONFIGMAPS, "kube-root-ca.crt", "team")
            return bool(found["data"] == {"ca.crt": "PEM"})

        await cluster.eventually(furnished)
        await cluster.client.delete(SERVICEACCOUNTS, "default", "team")
        await cluster.client.patch(
            CONFIGMAPS, "kube-root-ca.crt", {"data": {"ca.crt": "x", "y": "z"}}, "team"
        )
        await cluster.eventually(furnished)

    simulate(scenario)


def test_a_deleted_namespace_is_emptied_first(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(NAMESPACES, named("team"))
        await cluster.client.create(
            CONFIGMAPS, {**named("held", "team", finalizers=["example.com/x"]), "data": {}}
        )
        await cluster.client.create(CONFIGMAPS, {**named("free", "team"), "data": {}})
        await cluster.client.delete(NAMESPACES, "team")

        async def waiting() -> bool:
            found = await cluster.client.get(NAMESPACES, "team")
            said = {one["type"]: one for one in found["status"].get("conditions", ())}
            return found["status"]["phase"] == "Terminating" and (
                "example.com/x in 1" in said["NamespaceFinalizersRemaining"]["message"]
            )

        await cluster.eventually(waiting)
        assert await cluster.gone(CONFIGMAPS, "free", "team")
        await cluster.client.patch(CONFIGMAPS, "held", {"metadata": {"finalizers": None}}, "team")
        await cluster.eventually(lambda: cluster.gone(NAMESPACES, "team"))

    simulate(scenario)


async def taints(cluster: Cluster, name: str = "n1") -> list[tuple[str, str]]:
    node = await cluster.client.get(NODES, name)
    return sorted((one["key"], one["effect"]) for one in node["spec"].get("taints", ()))


async def readiness(cluster: Cluster, name: str = "n1") -> str:
    node = await cluster.client.get(NODES, name)
    return str(next(one["status"] for one in node["status"]["conditions"] if one["type"] == "Ready"))


def test_a_silent_node_loses_its_pods_in_time(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n1")
        patient = [{"operator": "Exists"}]
        await cluster.client.create(PODS, pod("normal", "n1"))
        await cluster.client.create(PODS, pod("patient", "n1", tolerations=patient))
        for found in await cluster.pods():
            await cluster.run_pod(found)
        await asyncio.sleep(39)
        assert await readiness(cluster) == "True"
        await asyncio.sleep(3)
        assert await readiness(cluster) == "Unknown"
        assert await taints(cluster) == [(nodes.UNREACHABLE, "NoExecute"), (nodes.UNREACHABLE, "NoSchedule")]

        async def pods_not_ready() -> bool:
            return all(
                one["status"] == "False"
                for found in await cluster.pods()
                for one in found["status"]["conditions"]
                if one["type"] == "Ready"
            )

        await cluster.eventually(pods_not_ready)
        await asyncio.sleep(295)
        assert len(await cluster.pods()) == 2
        await asyncio.sleep(10)
        left = [found["metadata"]["name"] for found in await cluster.pods()]
        assert left == ["patient"]
        # Nobody ends it, as the kubelet is silent; it is marked.
        normal = await cluster.client.get(PODS, "normal", "default")
        assert "deletionTimestamp" in normal["metadata"]
        reasons = [one.get("reason") for one in normal["status"]["conditions"]]
        assert "DeletionByTaintManager" in reasons

    simulate(scenario)


def test_a_node_that_is_heard_again_is_cleared(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n1")
        await cluster.client.create(PODS, pod("normal", "n1"))
        await asyncio.sleep(45)
        assert await readiness(cluster) == "Unknown"
        await cluster.beat("n1")

        async def cleared() -> bool:
            return await readiness(cluster) == "True" and await taints(cluster) == []

        await cluster.eventually(cleared)
        # A Lease alone keeps it alive.
        lease = {**named("n1", "kube-node-lease"), "spec": {"holderIdentity": "n1"}}
        await cluster.client.create(LEASES, lease)
        for _ in range(40):
            await asyncio.sleep(10)
            renewed = {"spec": {"renewTime": rfc3339_micro(cluster.clock.now())}}
            await cluster.client.patch(LEASES, "n1", renewed, "kube-node-lease")
        assert await readiness(cluster) == "True"
        assert len(await cluster.pods()) == 1

    simulate(scenario)


def test_controllers_that_were_away_give_nodes_their_grace(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n1")
        await asyncio.sleep(30)
        await cluster.restart_controllers()
        await asyncio.sleep(30)
        assert await readiness(cluster) == "True"
        await asyncio.sleep(15)
        assert await readiness(cluster) == "Unknown"

    simulate(scenario)


def test_cordoned_nodes_are_tainted(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n1")
        for cordoned, expected in ((True, [(nodes.UNSCHEDULABLE, "NoSchedule")]), (None, [])):
            await cluster.client.patch(NODES, "n1", {"spec": {"unschedulable": cordoned}})

            async def right(expected: list[tuple[str, str]] = expected) -> bool:
                return await taints(cluster) == expected

            await cluster.eventually(right)

    simulate(scenario)


def test_pods_of_a_node_that_is_gone_are_removed(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n1")
        await cluster.client.create(PODS, pod("a", "n1"))
        await cluster.client.delete(NODES, "n1")
        await asyncio.sleep(35)
        assert not await cluster.gone(PODS, "a", "default")
        await asyncio.sleep(40)
        assert await cluster.gone(PODS, "a", "default")

    simulate(scenario)


def reference(
    owner: dict[str, Any], api_version: str, kind: str, *, blocking: bool = False
) -> dict[str, Any]:
    meta = owner["metadata"]
    found = {"apiVersion": api_version, "kind": kind, "name": meta["name"], "uid": meta["uid"]}
    return {**found, "blockOwnerDeletion": True} if blocking else found


def test_objects_go_with_their_last_owner(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        owners = [await cluster.client.create(CONFIGMAPS, named(name, "default")) for name in ("o1", "o2")]
        references = [reference(owner, "v1", "ConfigMap") for owner in owners]
        await cluster.client.create(CONFIGMAPS, named("child", "default", ownerReferences=references))
        await cluster.client.delete(CONFIGMAPS, "o1", "default")
        await asyncio.sleep(5)
        child = await cluster.client.get(CONFIGMAPS, "child", "default")
        assert [one["name"] for one in child["metadata"]["ownerReferences"]] in (["o2"], ["o1", "o2"])
        await cluster.client.delete(CONFIGMAPS, "o2", "default")
        await cluster.eventually(lambda: cluster.gone(CONFIGMAPS, "child", "default"))

    simulate(scenario)


def test_an_owner_that_never_was_is_no_owner(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        owner = {"metadata": {"name": "ghost", "uid": "00000000-0000-4000-8000-000000000000"}}
        references = [reference(owner, "v1", "ConfigMap")]
        await cluster.client.create(CONFIGMAPS, named("child", "default", ownerReferences=references))
        await cluster.eventually(lambda: cluster.gone(CONFIGMAPS, "child", "default"))

    simulate(scenario)


def test_foreground_deletion_waits_for_what_blocks_it(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        owner = await cluster.client.create(CONFIGMAPS, named("owner", "default"))
        references = [reference(owner, "v1", "ConfigMap", blocking=True)]
        child = named("child", "default", ownerReferences=references, finalizers=["example.com/x"])
        await cluster.client.create(CONFIGMAPS, child)
        await asyncio.sleep(1)
        await cluster.client.delete(CONFIGMAPS, "owner", "default", propagation=Propagation.FOREGROUND)

        async def child_ends() -> bool:
            found = await cluster.client.get(CONFIGMAPS, "child", "default")
            return "deletionTimestamp" in found["metadata"]

        await cluster.eventually(child_ends)
        assert not await cluster.gone(CONFIGMAPS, "owner", "default")
        await cluster.client.patch(CONFIGMAPS, "child", {"metadata": {"finalizers": None}}, "default")
        await cluster.eventually(lambda: cluster.gone(CONFIGMAPS, "owner", "default"))

    simulate(scenario)


def widgets() -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    return {**named("widgets.example.com"), "spec": spec}


def test_custom_resources_own_and_are_owned(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(CRDS, widgets())
        owner = await cluster.client.create(WIDGETS, named("w1", "default"))
        references = [reference(owner, "example.com/v1", "Widget")]
        await cluster.client.create(WIDGETS, named("w2", "default", ownerReferences=references))
        await cluster.client.create(CONFIGMAPS, named("child", "default", ownerReferences=references))
        await asyncio.sleep(5)
        assert not await cluster.gone(CONFIGMAPS, "child", "default")
        await cluster.client.delete(WIDGETS, "w1", "default")
        await cluster.eventually(lambda: cluster.gone(CONFIGMAPS, "child", "default"))
        await cluster.eventually(lambda: cluster.gone(WIDGETS, "w2", "default"))

    simulate(scenario)


def test_events_are_forgotten_after_an_hour(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        stamp = rfc3339(cluster.clock.now())
        body = {
            **named("e", "default"),
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
        }
        await cluster.client.create(EVENTS, {**body, "lastTimestamp": stamp, "reason": "R", "message": "m"})
        await asyncio.sleep(3590)
        assert not await cluster.gone(EVENTS, "e", "default")
        await asyncio.sleep(80)
        assert await cluster.gone(EVENTS, "e", "default")

    simulate(scenario)


def test_aggregated_roles_show_what_they_gather(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
        rule = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}
        await cluster.client.create(CLUSTERROLES, {**named("widgets", labels=labels), "rules": [rule]})
        for name in ("view", "edit", "admin"):

            async def gathered(name: str = name) -> bool:
                return rule in (await cluster.client.get(CLUSTERROLES, name))["rules"]

            await cluster.eventually(gathered)

    simulate(scenario)
