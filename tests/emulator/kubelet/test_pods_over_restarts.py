"""Pods while their kubelet, or their machine, is started again."""

import asyncio

from aliquot.clock import parse_rfc3339
from aliquot.kube.resources import NODES, PODS
from tests.emulator.kubelet.conftest import GPU, ScriptedPlugin, device
from tests.emulator.kubelet.site import NODE, ONE, ONE_GPU, RUN_5S, Site, on_a_node


def test_pods_run_on_while_kubelet_restarts() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a")
        await plugin.serve(site.plugins)
        created = await site.create(ONE_GPU)
        await site.until("Running")
        (before,) = (await site.status())["containerStatuses"]
        site.kubelet.restart(down_s=5)
        await asyncio.sleep(10)
        (after,) = (await site.status())["containerStatuses"]
        # Nobody tells of the device until the plugin is back.
        assert after.pop("allocatedResourcesStatus")[0]["resources"][0]["health"] == "Unknown"
        before.pop("allocatedResourcesStatus")
        assert after == before
        assert await site.allocatable(GPU) == "0"
        # The plugin is back, and its one device is still taken.
        await plugin.serve(site.plugins)
        await site.create(ONE_GPU, name="q")
        await site.until("Failed", "q")
        assert "Requested: 1, Available: 0" in (await site.status("q"))["message"]
        assert [run.attempt for run in site.kubelet.runtime.containers(created["metadata"]["uid"])] == [0]
        await plugin.close()

    on_a_node(scenario)


def test_a_pod_whose_device_is_gone_runs_on_until_its_container_ends() -> None:
    """As with a real kubelet: a container found running has what it needs, and is asked no more. To put another
    board into a machine it has to go down, and a reboot is what ends the pod."""

    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a")
        await plugin.serve(site.plugins)
        await site.create(ONE_GPU)
        await site.until("Running")
        await plugin.close()
        site.kubelet.restart(down_s=5)
        await asyncio.sleep(10)
        other = ScriptedPlugin("b")
        await other.serve(site.plugins)
        await asyncio.sleep(20)
        (container,) = (await site.status())["containerStatuses"]
        assert "running" in container["state"]
        assert container["allocatedResourcesStatus"][0]["resources"] == [
            {"resourceID": "a", "health": "Unknown"}
        ]
        site.kubelet.reboot(down_s=5)
        await site.until("Failed")
        assert (await site.status())["reason"] == "UnexpectedAdmissionError"
        await other.close()

    on_a_node(scenario)


def test_a_running_pod_is_not_judged_again_when_kubelet_restarts() -> None:
    async def scenario(site: Site) -> None:
        await site.client.patch(NODES, NODE, {"metadata": {"labels": {"zone": "a"}}})
        await site.create(f"{ONE}, nodeSelector: {{zone: a}}")
        await site.until("Running")
        await site.client.patch(NODES, NODE, {"metadata": {"labels": {"zone": "b"}}})
        site.kubelet.restart()
        await asyncio.sleep(20)
        assert await site.phase() == "Running"

    on_a_node(scenario)


def test_pods_keep_their_addresses_when_kubelet_restarts() -> None:
    async def scenario(site: Site) -> None:
        for name in ("a", "b", "c"):
            await site.create(ONE, name=name)
            await site.until("Running", name)
        site.kubelet.restart()
        await asyncio.sleep(1)
        await site.create(ONE, name="d")
        await site.until("Running", "d")
        addresses = [(await site.status(name))["podIP"] for name in ("a", "b", "c", "d")]
        assert addresses == ["10.244.0.2", "10.244.0.3", "10.244.0.4", "10.244.0.5"]

    on_a_node(scenario)


def test_a_pod_on_the_host_s_network_has_the_host_s_address() -> None:
    async def scenario(site: Site) -> None:
        await site.create(f"{ONE}, hostNetwork: true")
        await site.until("Running")
        status = await site.status()
        assert (status["podIP"], status["hostIP"]) == ("127.0.0.1", "127.0.0.1")

    on_a_node(scenario)


def test_a_restart_that_changes_nothing_writes_nothing_new() -> None:
    async def scenario(site: Site) -> None:
        await site.create("initContainers: [{name: i}], containers: [{name: main}]")
        await site.until("Running")
        before = await site.pod()
        site.kubelet.restart(down_s=5)
        await asyncio.sleep(10)
        assert await site.pod() == before

    on_a_node(scenario)


def test_what_ended_while_kubelet_was_down_is_found() -> None:
    async def scenario(site: Site) -> None:
        await site.create(f"{ONE}, restartPolicy: Never", annotations=RUN_5S)
        await site.until("Running")
        site.kubelet.restart(down_s=60)
        await asyncio.sleep(30)
        assert await site.phase() == "Running"
        await site.until("Succeeded")
        terminated = (await site.container())["state"]["terminated"]
        assert parse_rfc3339(terminated["finishedAt"]) - parse_rfc3339(terminated["startedAt"]) == 5

    on_a_node(scenario)


def test_what_was_deleted_while_kubelet_was_down_is_ended() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE)
        await site.until("Running")
        site.kubelet.restart(down_s=10)
        await asyncio.sleep(1)
        await site.client.delete(PODS, "p", "default", grace_period_s=0)
        await asyncio.sleep(20)
        assert site.kubelet.runtime.pods() == ()

    on_a_node(scenario)


def test_a_reboot_ends_containers_and_starts_them_again() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE, name="always")
        await site.create(f"{ONE}, restartPolicy: Never", name="never")
        await site.until("Running", "always")
        await site.until("Running", "never")
        boot_id = (await site.node())["status"]["nodeInfo"]["bootID"]
        site.kubelet.reboot(down_s=30)
        await site.until("Failed", "never")
        await site.until("Running", "always")
        container = await site.container("always")
        assert container["restartCount"] == 1
        assert container["lastState"]["terminated"]["exitCode"] == 255
        assert (await site.node())["status"]["nodeInfo"]["bootID"] != boot_id
        assert "Rebooted" in {reason for reason, _ in await site.events()}

    on_a_node(scenario)


def test_a_pod_with_devices_is_refused_after_a_reboot_until_its_plugin_is_back() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a")
        await plugin.serve(site.plugins)
        await site.create(ONE_GPU)
        await site.until("Running")
        gate = {"type": "example.com/gate", "status": "True"}
        await site.client.patch(
            PODS,
            "p",
            {"status": {"conditions": [*(await site.status())["conditions"], gate]}},
            "default",
            subresource="status",
        )
        site.kubelet.reboot(down_s=30)
        await plugin.close()
        await site.until("Failed")
        status = await site.status()
        assert (status["reason"], status["message"]) == (
            "UnexpectedAdmissionError",
            "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices "
            "nvidia.com/gpu, which is unexpected",
        )
        # Nothing is left of the life before: a Failed pod is never Ready, and no container of it runs.
        left = ("phase", "reason", "message", "qosClass", "startTime", "conditions", "observedGeneration")
        assert status.keys() == set(left)
        assert [condition["type"] for condition in status["conditions"]] == ["example.com/gate"]

    on_a_node(scenario)


def test_a_stopped_kubelet_leaves_its_containers_alone() -> None:
    async def scenario(site: Site) -> None:
        created = await site.create(ONE)
        await site.until("Running")
        site.kubelet.stop()
        await asyncio.sleep(1)
        assert site.plugins.generation("kubelet.sock") is None
        assert site.kubelet.runtime.containers(created["metadata"]["uid"])[0].running

    on_a_node(scenario)


async def _end_its_life(site: Site, plugin: ScriptedPlugin) -> None:
    """The machine goes down and comes back, and the plugin with it does not."""
    site.kubelet.reboot(down_s=5)
    await plugin.close()
    await asyncio.sleep(5)


def test_a_patient_kubelet_does_not_judge_a_pod_before_its_devices_are_listed() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a")
        await plugin.serve(site.plugins)
        await site.create(ONE_GPU)
        await site.until("Running")
        await _end_its_life(site, plugin)
        await asyncio.sleep(8)
        # Nobody else waits for the plugin, and nobody gets what is the pod's.
        await site.create(ONE, name="q")
        await site.until("Running", "q", limit_s=1)
        assert (await site.status("q"))["podIP"] == "10.244.0.3"
        # A list without them says no more than no list does.
        plugin.list()
        await plugin.serve(site.plugins)
        assert (await site.container())["restartCount"] == 0
        plugin.list(device("a"))
        await asyncio.sleep(0.1)
        container = await site.container()
        assert (container["restartCount"], container["state"].keys()) == (1, {"running"})
        assert (await site.status())["podIP"] == "10.244.0.2"
        await plugin.close()

    on_a_node(scenario, plugin_patience_s=10)


def test_the_patience_with_plugins_has_an_end() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a")
        await plugin.serve(site.plugins)
        await site.create(ONE_GPU)
        await site.until("Running")
        await _end_its_life(site, plugin)
        assert 9 < await site.until("Failed") < 11
        assert (await site.status())["reason"] == "UnexpectedAdmissionError"
        # What it had is free again.
        await site.create(ONE, name="q")
        await site.until("Running", "q")
        await plugin.serve(site.plugins)
        await site.create(ONE_GPU, name="r")
        await site.until("Running", "r")
        await plugin.close()

    on_a_node(scenario, plugin_patience_s=10)


def test_a_pod_that_waits_for_its_devices_can_be_deleted() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a")
        await plugin.serve(site.plugins)
        await site.create(ONE_GPU)
        await site.until("Running")
        await _end_its_life(site, plugin)
        await site.client.delete(PODS, "p", "default")
        await site.until("", limit_s=1)

    on_a_node(scenario, plugin_patience_s=10)


def test_a_pod_whose_container_runs_waits_for_no_plugin() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a")
        await plugin.serve(site.plugins)
        await site.create(f"{ONE_GPU}, restartPolicy: Never", annotations={"aliquot.dev/run-for": "20s"})
        await site.until("Running")
        site.kubelet.restart(down_s=5)
        await plugin.close()
        await asyncio.sleep(15.5)
        # It was not admitted too late to be seen ending.
        await site.until("Succeeded", limit_s=5)

    on_a_node(scenario, plugin_patience_s=3600)
