"""After an uninstall a cluster is as it was, also where it was interrupted, and where no operator runs any more."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from aliquot.access.cluster import installation as access
from aliquot.admission.installation import install_policies
from aliquot.admission.registration import CONFIGURATIONS, SECRET
from aliquot.emulator.versions import Surface
from aliquot.installation import applying, hook, leaving, rendering
from aliquot.installation.leaving import Options
from aliquot.installation.rendering import Offers
from aliquot.installation.values import Values
from aliquot.kube import crds, errors, roles
from aliquot.kube.client import Client
from aliquot.kube.resources import (
    CONFIGMAPS,
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    GPUNODES,
    GPUPOLICIES,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    RUNTIMECLASSES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    key,
)
from aliquot.kube.roles import LEASES_IN, NAMESPACE
from aliquot.operator.core.upgrade.memory import Memory, encode
from tests.installation.conftest import Start, client_of

Json = dict[str, Any]

BEFORE = {"zone": "b", "nvidia.com/mig.config": "all-balanced"}
OF_OPERATOR = {"app.kubernetes.io/name": "aliquot", "app.kubernetes.io/managed-by": "aliquot-operator"}


async def lived_in(client: Client, offers: Offers = Offers()) -> None:  # noqa: B008
    """An installation as it is in the middle of a driver's upgrade."""
    async for _ in applying.apply(client, rendering.objects(Values(), offers), policy=None, dry_run=False):
        pass
    await client.create(GPUPOLICIES, {"metadata": {"name": "all"}})
    await client.patch(GPUPOLICIES, "all", {"status": {"nodes": {"total": 3}}}, subresource="status")
    for name, memory, cordoned in (
        ("quiet", None, False),
        ("under-way", Memory(cordoned=True, revision="1"), True),
        ("closed-before", Memory(revision="1"), True),
    ):
        labels = {
            "aliquot.dev/gpu-policy": "all",
            "aliquot.dev/driver-pool": "ubuntu24.04",
            "aliquot.dev/pci-10de.present": "true",
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.deploy.driver": "true",
            "nvidia.com/gpu.deploy.device-plugin": "paused-for-driver-upgrade",
            "nvidia.com/gpu.deploy.dcgm-exporter": "false",
            "nvidia.com/gpu-driver-upgrade-state": "drain-required",
        }
        annotations = {"aliquot.dev/driver-upgrade": encode(memory)} if memory else {}
        metadata = {"name": name, "labels": {**BEFORE, **labels}, "annotations": annotations}
        await client.create(NODES, {"metadata": metadata, "spec": {"unschedulable": cordoned}})
        features = {"name": name, "labels": {"nvidia.com/gpu.product": "NVIDIA-L4"}}
        await client.apply(NODES, {"metadata": features}, field_manager="aliquot-node-labels")
        await client.apply(GPUNODES, {"metadata": {"name": name}}, field_manager="aliquot-operator")
        condition = {
            "type": "DriverReady",
            "status": "True",
            "reason": "Ready",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        status = {"metadata": {"name": name}, "status": {"conditions": [condition]}}
        await client.apply(GPUNODES, status, field_manager="aliquot-operator", subresource="status")
    await client.create(
        DAEMONSETS,
        {
            "metadata": {"name": "aliquot-all-driver", "namespace": NAMESPACE, "labels": OF_OPERATOR},
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "main", "image": "driver"}]},
                },
            },
        },
    )
    port = {"metadata": {"name": "aliquot-all-exporter", "namespace": NAMESPACE, "labels": OF_OPERATOR}}
    await client.create(SERVICES, {**port, "spec": {"ports": [{"port": 9400}]}})
    await client.create(
        RUNTIMECLASSES, {"metadata": {"name": "nvidia", "labels": OF_OPERATOR}, "handler": "nvidia"}
    )
    for name in ("aliquot-operator", "aliquot-scheduler"):
        await client.create(LEASES, {"metadata": {"name": name, "namespace": LEASES_IN}})
    await client.create(SECRETS, {"metadata": {"name": SECRET, "namespace": NAMESPACE}})
    await client.create(CONFIGURATIONS, {"metadata": {"name": "aliquot-gpu-class"}})


async def left(client: Client, options: Options = Options(gone_s=0)) -> list[str]:  # noqa: B008
    """In a cluster without the controller of namespaces: nobody waits for ours."""
    return [line async for line in leaving.leave(client, options)]


async def nodes_are_as_they_were(client: Client) -> None:
    for node in (await client.list(NODES)).items:
        metadata = node["metadata"]
        labels = metadata["labels"]
        assert labels == {**BEFORE, "nvidia.com/gpu.deploy.dcgm-exporter": "false"}, metadata["name"]
        assert not metadata.get("annotations")
        assert bool(node["spec"].get("unschedulable")) is (metadata["name"] == "closed-before")


async def is_gone(client: Client, resource: Any, name: str, namespace: str | None = None) -> bool:
    try:
        found = await client.get(resource, name, namespace)
    except errors.NotFound:
        return True
    return "deletionTimestamp" in found["metadata"]


async def nothing_is_left(client: Client) -> None:
    await nodes_are_as_they_were(client)
    assert [one async for one in applying.installed(client) if one[0] is not NAMESPACES] == []
    assert await is_gone(client, NAMESPACES, NAMESPACE)
    for namespaced in (DEPLOYMENTS, DAEMONSETS, SERVICES):
        assert (await client.list(namespaced, NAMESPACE)).items == []
    assert await is_gone(client, RUNTIMECLASSES, "nvidia")
    assert (await client.list(LEASES, LEASES_IN)).items == []
    assert (await client.list(CONFIGURATIONS)).items == []
    assert await is_gone(client, SECRETS, SECRET, NAMESPACE)


@pytest.mark.parametrize("offers", [Offers(), Offers("")], ids=["policies", "webhook"])
async def test_nothing_is_left_but_kinds_and_what_users_have(start: Start, offers: Offers) -> None:
    _, client = await start(Surface("1.36"))
    await lived_in(client, offers)
    told = await left(client)
    assert "Node under-way: uncordoned, given back" in told
    assert "Node closed-before: given back" in told
    await nothing_is_left(client)
    assert (await client.list(GPUNODES)).items == []
    assert not (await client.get(GPUPOLICIES, "all")).get("status")
    for definition in crds.ALL:
        await client.get(CRDS, definition["metadata"]["name"])
    assert await left(client) == []


@pytest.mark.parametrize(
    "apply",
    [roles.install, install_policies, lambda client: access.install(client, [roles.NAMESPACE_OBJECT])],
    ids=["roles", "policies", "break-glass"],
)
async def test_what_is_applied_over_an_installation_stays_a_part_of_it(
    start: Start, apply: Callable[[Client], Awaitable[Any]]
) -> None:
    """`aliquot up` brings roles and policies at each start, and break glass its namespace."""
    _, client = await start(Surface("1.36"))
    await lived_in(client)
    before = [(resource.kind, key(one)) async for resource, one in applying.installed(client)]
    await apply(client)
    assert [(resource.kind, key(one)) async for resource, one in applying.installed(client)] == before
    await left(client)
    await nothing_is_left(client)


async def test_a_purge_takes_the_kinds_too(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await lived_in(client)
    await left(client, Options(purge=True, gone_s=0))
    await nothing_is_left(client)
    for definition in crds.ALL:
        assert await is_gone(client, CRDS, definition["metadata"]["name"])


async def test_wherever_it_stops_it_can_be_begun_again(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await lived_in(client)
    for steps in range(1, 200):
        count = 0
        async with aclosing(leaving.leave(client, Options(gone_s=0))) as lines:
            async for _ in lines:
                count += 1
                if count == steps % 3 + 1:
                    break
        if not count:
            break
    await nothing_is_left(client)


async def test_what_it_says_before_is_what_it_does(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await lived_in(client)
    before = (await client.list(NODES)).resource_version
    planned = [line async for line in leaving.plan(client, Options())]
    assert (await client.list(NODES)).resource_version == before
    assert "keep GPUPolicy all; its status goes" in planned
    assert any(line.startswith("Node under-way: uncordon, take off ") for line in planned)
    done = await left(client)
    deleted = {line.removesuffix(": deleted") for line in done if line.endswith(": deleted")}
    assert {line.removeprefix("delete ") for line in planned if line.startswith("delete ")} <= deleted


async def test_a_namespace_with_objects_of_others_stays(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await lived_in(client)
    await client.create(CONFIGMAPS, {"metadata": {"name": "device-plugin-config", "namespace": NAMESPACE}})
    told = await left(client)
    assert told[-1] == f"keep Namespace {NAMESPACE}, where others have ConfigMap device-plugin-config"
    assert not await is_gone(client, CONFIGMAPS, "device-plugin-config", NAMESPACE)
    assert f"Namespace {NAMESPACE}: deleted" in await left(client, Options(purge=True, gone_s=0))


@pytest.mark.parametrize(
    ("labels", "goes"),
    [
        pytest.param({"app.kubernetes.io/part-of": "aliquot"}, True, id="of a release that is gone"),
        pytest.param({"app.kubernetes.io/part-of": "fleet"}, False, id="of another chart"),
    ],
)
async def test_a_namespace_that_helm_left(start: Start, labels: dict[str, str], goes: bool) -> None:
    _, client = await start(Surface("1.36"))
    metadata = {"name": NAMESPACE, "labels": {**labels, "app.kubernetes.io/managed-by": "Helm"}}
    await client.create(NAMESPACES, {"metadata": metadata})
    await left(client)
    assert await is_gone(client, NAMESPACES, NAMESPACE) is goes


async def test_a_gpunode_that_a_user_wrote_keeps_what_he_wrote(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await lived_in(client)
    wish = {"metadata": {"name": "quiet"}, "spec": {"partitioning": "static"}}
    await client.apply(GPUNODES, wish, field_manager="kubectl")
    await left(client)
    (kept,) = (await client.list(GPUNODES)).items
    assert kept["metadata"]["name"] == "quiet"
    assert kept["spec"] == {"partitioning": "static"}
    assert not kept.get("status")


async def test_pods_of_a_dead_node_are_not_waited_for_without_end(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await lived_in(client)
    metadata = {"name": "stuck", "namespace": NAMESPACE, "labels": OF_OPERATOR}
    await client.create(SERVICEACCOUNTS, {"metadata": {"name": "default", "namespace": NAMESPACE}})
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "main", "image": "i"}]}}
    await client.create(PODS, pod)
    told = await left(client, Options(pods_s=0.1, gone_s=0))
    assert f"not gone within 0 s, and left to their nodes: {NAMESPACE}/stuck" in told
    await nodes_are_as_they_were(client)


async def test_the_hook_has_the_rights_that_it_needs_and_leaves_the_rest_to_helm(start: Start) -> None:
    api, client = await start(Surface("1.36"))
    await lived_in(client)
    await roles.install(client, [part for role in hook.RIGHTS for part in (role, roles.bound(role))])
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated")
    account = client_of(api, f"system:serviceaccount:{NAMESPACE}:{hook.ACCOUNT}", *groups)
    await left(account, Options(nodes_only=True))
    await nodes_are_as_they_were(client)
    assert (await client.list(GPUNODES)).items == []
    assert not (await client.get(GPUPOLICIES, "all")).get("status")
    assert (await client.list(DAEMONSETS, NAMESPACE)).items == []
    assert (await client.list(CONFIGURATIONS)).items == []
    await client.get(SECRETS, SECRET, NAMESPACE)
    kinds = {resource.kind async for resource, _ in applying.installed(client)}
    assert {"ClusterRole", "ServiceAccount", "Namespace"} <= kinds


async def test_a_namespace_that_somebody_keeps_is_told(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await lived_in(client)
    assert (await left(client))[-1] == f"Namespace {NAMESPACE}: not gone within 0 s: see its conditions"
