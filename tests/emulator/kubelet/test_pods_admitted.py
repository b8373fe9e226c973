"""Which pods a kubelet takes, and the devices that they get."""

import asyncio

from aliquot.emulator.kubelet.machine import Machine
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES, PODS
from tests.emulator.kubelet.conftest import GPU, ScriptedPlugin, device
from tests.emulator.kubelet.site import NODE, ONE, ONE_GPU, RUN_5S, Site, on_a_node


def test_devices_are_allocated_and_seen_by_the_container() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("GPU-1", "GPU-2")
        await plugin.serve(site.plugins)
        await site.create(ONE_GPU)
        await site.until("Running")
        assert plugin.asked[-1][0] == "Allocate"
        await plugin.close()

    on_a_node(scenario)


def test_a_pod_runs_on_with_a_device_that_fails_and_shows_it() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("GPU-1")
        await plugin.serve(site.plugins)
        await site.create(ONE_GPU)
        await site.until("Running")

        async def health() -> str:
            await asyncio.sleep(0.1)
            (resource,) = (await site.container())["allocatedResourcesStatus"]
            return f"{resource['name']} {resource['resources'][0]['resourceID']} {resource['resources'][0]['health']}"

        assert await health() == "nvidia.com/gpu GPU-1 Healthy"
        plugin.list(device("GPU-1", healthy=False))
        assert await health() == "nvidia.com/gpu GPU-1 Unhealthy"
        plugin.list()
        assert await health() == "nvidia.com/gpu GPU-1 Unknown"
        assert (await site.container())["state"].keys() == {"running"}
        await plugin.close()

    on_a_node(scenario)


def test_a_pod_bound_right_after_a_device_appeared_runs_though_node_status_does_not_know() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin()
        await plugin.serve(site.plugins)
        await asyncio.sleep(11)
        assert await site.allocatable(GPU) == "0"
        plugin.list(device("GPU-1"))
        await asyncio.sleep(0.05)
        await site.create(ONE_GPU)
        await site.until("Running", limit_s=0.5)
        assert await site.allocatable(GPU) == "0"
        await asyncio.sleep(11)
        assert await site.allocatable(GPU) == "1"
        await plugin.close()

    on_a_node(scenario)


def test_more_devices_than_are_free_fail_the_pod_for_good() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a", "b", "c")
        await plugin.serve(site.plugins)
        await site.create(f"containers: [{{name: main, resources: {{limits: {{{GPU}: 9}}}}}}]")
        await site.until("Failed")
        plugin.list(*(device(str(number)) for number in range(9)))
        await asyncio.sleep(60)
        status = await site.status()
        text = (
            "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. "
            "Requested: 9, Available: 3, which is unexpected"
        )
        assert (status["phase"], status["reason"], status["message"]) == (
            "Failed",
            "UnexpectedAdmissionError",
            f"Pod was rejected: {text}",
        )
        assert ("UnexpectedAdmissionError", text) in await site.events()
        assert site.kubelet.runtime.pods() == ()
        await plugin.close()

    on_a_node(scenario)


def test_a_resource_nobody_registered_does_not_keep_a_pod_from_running() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE_GPU)
        await site.until("Running")

    on_a_node(scenario)


def test_a_failed_pod_s_devices_go_to_the_next() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a", "b")
        await plugin.serve(site.plugins)
        # While the first is being allocated the next arrives: it is looked at right after.
        plugin.delay_s = 0.5
        # Its second container cannot be served: what the first got must come back.
        two = f"{{name: x, resources: {{limits: {{{GPU}: 1}}}}}}, {{name: y, resources: {{limits: {{{GPU}: 2}}}}}}"
        await site.create(f"containers: [{two}]")
        await site.create(f"containers: [{{name: main, resources: {{limits: {{{GPU}: 2}}}}}}]", name="q")
        await site.until("Failed")
        await site.until("Running", "q")
        await plugin.close()

    on_a_node(scenario)


def test_devices_are_free_when_the_pod_has_ended_though_it_is_still_there() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a")
        await plugin.serve(site.plugins)
        await site.create(f"{ONE_GPU}, restartPolicy: Never", annotations=RUN_5S)
        await site.until("Succeeded")
        await site.create(ONE_GPU, name="q")
        await site.until("Running", "q")
        await plugin.close()

    on_a_node(scenario)


def test_pods_are_admitted_in_the_order_they_were_made() -> None:
    async def before(client: Client) -> None:
        # A list comes by name.
        for name in ("z-first", "a-second"):
            spec = {"nodeName": NODE, "containers": [{"name": "main", "image": "image:1"}]}
            await client.create(PODS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})
            await asyncio.sleep(2)

    async def scenario(site: Site) -> None:
        await site.until("Running", "z-first")
        await site.until("Failed", "a-second")
        assert (await site.status("a-second"))["reason"] == "OutOfpods"

    on_a_node(scenario, machine=Machine(NODE, pods=1), prepare=before)


def test_a_label_the_kubelet_has_not_seen_yet_does_not_fail_a_pod() -> None:
    async def scenario(site: Site) -> None:
        await site.client.patch(NODES, NODE, {"metadata": {"labels": {"fresh": "yes"}}})
        await site.create(f"{ONE}, nodeSelector: {{fresh: 'yes'}}")
        await site.until("Running")
        await site.create(f"{ONE}, nodeSelector: {{fresh: 'no'}}", name="q")
        await site.until("Failed", "q")
        assert (await site.status("q"))["reason"] == "NodeAffinity"

    on_a_node(scenario)


def test_a_node_without_room_refuses() -> None:
    async def scenario(site: Site) -> None:
        await site.create("containers: [{name: main, resources: {requests: {cpu: 7}}}]")
        await site.until("Running")
        await site.create("containers: [{name: main, resources: {requests: {cpu: 2}}}]", name="q")
        await site.until("Failed", "q")
        status = await site.status("q")
        assert (status["reason"], status["message"]) == (
            "OutOfcpu",
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 7000, capacity: 8000",
        )

    on_a_node(scenario)
