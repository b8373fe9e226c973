"""pod-resources: what monitoring and the node agent see of allocations."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import pytest

from aliquot.kube.kubeletapi.podresources_pb2 import (
    AllocatableResourcesRequest,
    ContainerDevices,
    GetPodResourcesRequest,
    ListPodResourcesRequest,
    PodResources,
)
from aliquot.kube.kubeletapi.sockets import Connection
from aliquot.kube.resources import PODS
from tests.emulator.kubelet.conftest import GPU, ScriptedPlugin, device, virtual
from tests.emulator.kubelet.site import Site, emulated_node

ONE_GPU = f"{{name: main, resources: {{limits: {{{GPU}: 1}}}}}}"


def on_a_node(scenario: Callable[[Site, ScriptedPlugin, Connection], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(600), emulated_node() as site:
            plugin = ScriptedPlugin()
            plugin.list(
                device("a", numa=(0,)), device("b", numa=(0, 1)), device("c"), device("d", healthy=False)
            )
            await plugin.serve(site.plugins)
            connection = site.pod_resources.connect("kubelet.sock")
            await scenario(site, plugin, connection)
            await connection.close()
            await plugin.close()

    virtual(main())


def rows(devices: list[ContainerDevices]) -> list[tuple[str, tuple[str, ...], list[int]]]:
    return [(d.resource_name, tuple(d.device_ids), [node.ID for node in d.topology.nodes]) for d in devices]


async def listed(connection: Connection) -> dict[str, PodResources]:
    answer = await connection.pod_resources.List(ListPodResourcesRequest(), timeout=5)
    return {entry.name: entry for entry in answer.pod_resources}


async def allocatable(connection: Connection) -> list[tuple[str, tuple[str, ...], list[int]]]:
    answer = await connection.pod_resources.GetAllocatableResources(AllocatableResourcesRequest(), timeout=5)
    return rows(list(answer.devices))


def test_allocatable_are_the_healthy_devices_one_row_for_each_numa_node() -> None:
    async def scenario(site: Site, plugin: ScriptedPlugin, connection: Connection) -> None:
        assert await allocatable(connection) == [
            (GPU, ("a",), [0]),
            (GPU, ("b",), [0]),
            (GPU, ("b",), [1]),
            (GPU, ("c",), []),
        ]

    on_a_node(scenario)


def test_a_new_device_is_allocatable_before_node_status_knows() -> None:
    async def scenario(site: Site, plugin: ScriptedPlugin, connection: Connection) -> None:
        plugin.list(device("new"))
        await asyncio.sleep(0.01)
        assert await allocatable(connection) == [(GPU, ("new",), [])]
        assert await site.allocatable(GPU) is None

    on_a_node(scenario)


def test_a_held_device_stays_allocatable_until_it_is_withdrawn_and_listed_with_its_pod() -> None:
    async def scenario(site: Site, plugin: ScriptedPlugin, connection: Connection) -> None:
        plugin.list(device("a", numa=(1,)))
        await asyncio.sleep(0.01)
        await site.create(f"containers: [{ONE_GPU}, {{name: other}}]")
        await site.until("Running")
        assert await allocatable(connection) == [(GPU, ("a",), [1])]
        plugin.list()
        await asyncio.sleep(0.01)
        assert await allocatable(connection) == []
        entry = (await listed(connection))["p"]
        assert (entry.namespace, [c.name for c in entry.containers]) == ("default", ["main", "other"])
        assert rows(list(entry.containers[0].devices)) == [(GPU, ("a",), [1])]
        assert rows(list(entry.containers[1].devices)) == []

    on_a_node(scenario)


def test_sidecars_are_listed_and_init_containers_are_not() -> None:
    async def scenario(site: Site, plugin: ScriptedPlugin, connection: Connection) -> None:
        init = "initContainers: [{name: once}, {name: side, restartPolicy: Always}]"
        await site.create(f"{init}, containers: [{{name: main}}]")
        await site.until("Running")
        assert [c.name for c in (await listed(connection))["p"].containers] == ["side", "main"]

    on_a_node(scenario)


def test_pods_that_have_ended_or_were_refused_are_not_listed() -> None:
    async def scenario(site: Site, plugin: ScriptedPlugin, connection: Connection) -> None:
        await site.create(
            f"containers: [{ONE_GPU}], restartPolicy: Never",
            name="done",
            annotations={"aliquot.dev/run-for": "1s"},
        )
        await site.until("Succeeded", "done")
        await site.create(
            f"containers: [{{name: main, resources: {{limits: {{{GPU}: 9}}}}}}]", name="refused"
        )
        await site.until("Failed", "refused")
        await site.create(f"containers: [{ONE_GPU}]", name="runs")
        await site.until("Running", "runs")
        assert list(await listed(connection)) == ["runs"]

    on_a_node(scenario)


def test_one_pod_can_be_asked_for() -> None:
    async def scenario(site: Site, plugin: ScriptedPlugin, connection: Connection) -> None:
        await site.create(f"containers: [{ONE_GPU}]")
        await site.until("Running")
        request = GetPodResourcesRequest(pod_name="p", pod_namespace="default")
        answer = await connection.pod_resources.Get(request, timeout=5)
        assert answer.pod_resources == (await listed(connection))["p"]
        await site.client.delete(PODS, "p", "default")
        await site.until("")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await connection.pod_resources.Get(request, timeout=5)
        assert caught.value.details() == "pod p in namespace default not found"

    on_a_node(scenario)
