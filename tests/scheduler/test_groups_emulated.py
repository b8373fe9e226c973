"""Kubernetes' own groups, as the API servers that have them take and give them: field for field."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml

from aliquot.clock import VirtualClock
from aliquot.emulator.versions import Surface
from aliquot.kube.api.core import Pod
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.crds import PODGROUP_CRD
from aliquot.kube.resources import CRDS, PODGROUPS, PODS, Resource
from aliquot.scheduler.grouping.membership import Membership
from aliquot.scheduler.groups import Groups
from tests.emulator.api import Api, on_virtual_time
from tests.scheduler.grouping.objects import shown
from tests.scheduler.grouping.test_doors import HALF, OURS, UPSTREAM, UPSTREAM_CHILD, UPSTREAM_SIBLING, WHOLE

GROUP = "scheduling.k8s.io"
SETTLED_S = 2.0
RARELY_S = 700.0


def resource(version: str, kind: str) -> Resource:
    return Resource(GROUP, version, f"{kind.lower()}s", kind)


async def create(api: Api, where: Resource, manifest: str) -> None:
    body: dict[str, Any] = yaml.safe_load(manifest)
    # The class has to be there for a server of these versions, not for us.
    body["spec"].pop("priorityClassName", None)
    await api.ok("POST", where.path("default"), {**body, "apiVersion": where.api_version})


async def create_pod(api: Api, **fields: Any) -> None:
    spec = {"containers": [{"name": "main", "image": "busybox"}], **fields.pop("spec", {})}
    metadata = {"name": "p", "namespace": "default", **fields}
    await api.ok("POST", PODS.path("default"), {"metadata": metadata, "spec": spec})


@contextlib.asynccontextmanager
async def following(api: Api) -> AsyncIterator[tuple[Groups, Cache[Pod]]]:
    transport = AsgiTransport(api.server.app, "admin", ("system:masters",))
    client = Client(transport, clock=VirtualClock(), rng=random.Random(1))
    pods = Cache(client, PODS, Pod)
    groups = Groups(client, rng=random.Random(1), pods=pods)
    tasks = [asyncio.create_task(pods.run()), asyncio.create_task(groups.run())]
    try:
        await asyncio.sleep(SETTLED_S)
        yield groups, pods
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await transport.close()


async def of_pod(groups: Groups, pods: Cache[Pod]) -> Membership:
    pod = pods.get("default/p")
    assert pod is not None
    groups.membership(pod)
    await asyncio.sleep(SETTLED_S)
    found = groups.membership(pod)
    assert found is not None
    return found


@pytest.mark.parametrize(("minor", "version"), [("1.36", "v1alpha2"), ("1.37", "v1beta1")])
def test_a_gang_of_kubernetes_own(minor: str, version: str) -> None:
    async def main(api: Api) -> None:
        await create(api, resource(version, "PodGroup"), UPSTREAM)
        await create_pod(api, spec={"schedulingGroup": {"podGroupName": "train"}})
        async with following(api) as (groups, pods):
            found = await of_pod(groups, pods)
        assert (found.job.key, shown(found.job.root), found.leaf) == (
            "default/podgroup.scheduling.k8s.io:train",
            "4",
            "train",
        )
        assert found.job.priority == 500
        assert found.job.root is not None and found.job.root.topology is not None
        assert found.job.root.topology.required == "topology.kubernetes.io/rack"

    on_virtual_time(main, surface=Surface(minor, frozenset({f"{GROUP}/{version}"})))


def test_a_tree_of_kubernetes_own() -> None:
    async def main(api: Api) -> None:
        for manifest in (WHOLE, HALF):
            await create(api, resource("v1alpha3", "CompositePodGroup"), manifest)
        for manifest in (UPSTREAM_CHILD, UPSTREAM_SIBLING):
            await create(api, resource("v1alpha3", "PodGroup"), manifest)
        await create_pod(api, spec={"schedulingGroup": {"podGroupName": "train"}})
        async with following(api) as (groups, pods):
            found = await of_pod(groups, pods)
        assert shown(found.job.root) == "1[composite:half:2[evaluate:1 train:4]]"
        assert found.job.key == "default/compositepodgroup.scheduling.k8s.io:whole"

    enabled = frozenset({f"{GROUP}/v1alpha3", f"{GROUP}/v1beta1"})
    on_virtual_time(main, surface=Surface("1.37", enabled))


def test_our_own_kind_where_it_is_installed_later() -> None:
    async def main(api: Api) -> None:
        await create_pod(api, labels={"aliquot.dev/pod-group": "train"})
        async with following(api) as (groups, pods):
            found = await of_pod(groups, pods)
            assert (found.job.key, found.job.refusal) == ("default/p", None)
            await api.ok("POST", CRDS.path(), PODGROUP_CRD)
            await create(api, PODGROUPS, OURS)
            await asyncio.sleep(RARELY_S)
            found = await of_pod(groups, pods)
        assert (found.job.key, shown(found.job.root)) == ("default/podgroup.aliquot.dev:train", "4")
        assert (found.job.queue, found.job.max_runtime_s) == ("research", 7200)

    on_virtual_time(main)
