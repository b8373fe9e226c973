"""On a bare API server in memory, whose controllers are played."""

import asyncio

from aliquot.cli.earlier_installation import wait_until_gone
from aliquot.kube import crds
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, NAMESPACES, PODS, SERVICEACCOUNTS
from aliquot.kube.roles import NAMESPACE
from tests.cli.test_earlier_nodes import with_client

KEPT = ["example.com/kept"]


async def begun(client: Client) -> "asyncio.Task[None]":
    waiting = asyncio.create_task(wait_until_gone(client))
    await asyncio.sleep(10)
    return waiting


def test_nobody_waits_in_a_new_cluster_or_for_what_stays() -> None:
    async def main(client: Client) -> None:
        await wait_until_gone(client)
        await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        await crds.install(client)
        await wait_until_gone(client)

    with_client(main)


def test_a_namespace_that_goes_is_waited_for_and_pods_that_nobody_ends_are_forgotten() -> None:
    async def main(client: Client) -> None:
        await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        await client.create(SERVICEACCOUNTS, {"metadata": {"name": "default", "namespace": NAMESPACE}})
        for name in ("going", "other"):
            body = {
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"nodeName": "a", "containers": [{"name": "main", "image": "x"}]},
            }
            await client.create(PODS, body)
        await client.delete(PODS, "going", NAMESPACE)
        await client.delete(NAMESPACES, NAMESPACE)
        waiting = await begun(client)
        assert not waiting.done()
        assert [one["metadata"]["name"] for one in (await client.list(PODS, NAMESPACE)).items] == ["other"]
        nothing = {"spec": {"finalizers": None}}
        await client.patch(NAMESPACES, NAMESPACE, nothing, subresource="finalize")
        await waiting

    with_client(main)


def test_definitions_of_ours_that_go_are_waited_for() -> None:
    async def main(client: Client) -> None:
        await crds.install(client)
        name = crds.GPUPOLICY_CRD["metadata"]["name"]
        await client.patch(CRDS, name, {"metadata": {"finalizers": KEPT}})
        await client.delete(CRDS, name)
        waiting = await begun(client)
        assert not waiting.done()
        await client.patch(CRDS, name, {"metadata": {"finalizers": None}})
        await waiting

    with_client(main)
