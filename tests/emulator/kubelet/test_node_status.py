"""The node as it appears in the API: registration, status, Lease."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aliquot.clock import parse_rfc3339
from aliquot.emulator.kubelet.machine import Machine, Readiness, conditions
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import LEASES, NODES
from tests.emulator.kubelet.conftest import GPU, ScriptedPlugin, device, virtual
from tests.emulator.kubelet.site import NODE, Site, emulated_node

MACHINE = Machine(NODE, labels={"accelerator": "h100"}, address="192.0.2.7", cpu="8", memory="16Gi", pods=20)


def on_a_node(scenario: Callable[[Site], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(7200):
            async with emulated_node(**options) as site:
                await scenario(site)

    virtual(main())


def test_a_new_node_registers_whole() -> None:
    async def scenario(site: Site) -> None:
        node = await site.node()
        assert node["metadata"]["labels"] == {
            "accelerator": "h100",
            "kubernetes.io/hostname": NODE,
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/os": "linux",
        }
        status = node["status"]
        assert {c["type"]: c["status"] for c in status["conditions"]} == {
            "MemoryPressure": "False",
            "DiskPressure": "False",
            "PIDPressure": "False",
            "Ready": "True",
        }
        assert status["addresses"] == [
            {"type": "InternalIP", "address": "192.0.2.7"},
            {"type": "Hostname", "address": NODE},
        ]
        assert len(status["nodeInfo"]) == 10
        assert all(status["nodeInfo"].values())
        assert (status["capacity"]["cpu"], status["capacity"]["pods"]) == ("8", "20")
        assert (status["capacity"]["memory"], status["allocatable"]["memory"]) == ("16Gi", "16284Mi")

    on_a_node(scenario, machine=MACHINE)


def test_registration_is_one_write() -> None:
    async def scenario(site: Site) -> None:
        writes = [(method, path) for method, path in site.faults.seen if method != "GET" and "/nodes" in path]
        assert writes == [("POST", "/api/v1/nodes")]

    on_a_node(scenario, machine=MACHINE)


def test_what_others_wrote_on_the_node_stays() -> None:
    async def somebody(client: Client) -> None:
        await client.create(
            NODES,
            {
                "metadata": {"name": NODE, "labels": {"team": "blue", "accelerator": "old"}},
                "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}], "unschedulable": True},
            },
        )
        status = {
            "capacity": {"example.com/dongle": "3"},
            "conditions": [{"type": "FrequentReboots", "status": "False"}],
        }
        await client.patch(NODES, NODE, {"status": status}, subresource="status")

    async def scenario(site: Site) -> None:
        node = await site.node()
        assert node["metadata"]["labels"]["team"] == "blue"
        assert node["metadata"]["labels"]["accelerator"] == "h100"
        assert [taint["key"] for taint in node["spec"]["taints"] if taint["key"] == "gpu"] == ["gpu"]
        assert node["spec"]["unschedulable"] is True
        assert "example.com/dongle" in node["status"]["capacity"]
        assert "FrequentReboots" in {c["type"] for c in node["status"]["conditions"]}

    on_a_node(scenario, machine=MACHINE, prepare=somebody)


def test_a_node_is_not_made_anew_when_kubelet_restarts() -> None:
    async def scenario(site: Site) -> None:
        before = (await site.node())["metadata"]["uid"]
        site.kubelet.restart(down_s=5)
        await asyncio.sleep(20)
        assert (await site.node())["metadata"]["uid"] == before

    on_a_node(scenario, machine=MACHINE)


def test_a_deleted_node_registers_again_only_when_kubelet_starts() -> None:
    async def scenario(site: Site) -> None:
        await site.client.delete(NODES, NODE)
        # As the garbage collector does: it belongs to the Node.
        await site.client.delete(LEASES, NODE, "kube-node-lease")
        # A change makes kubelet write its status, and so does the report period.
        plugin = ScriptedPlugin("a")
        await plugin.serve(site.plugins)
        await asyncio.sleep(700)
        for resource, namespace in ((NODES, ""), (LEASES, "kube-node-lease")):
            with pytest.raises(errors.NotFound):
                await site.client.get(resource, NODE, namespace)
        site.kubelet.restart()
        await asyncio.sleep(15)
        assert (await site.node())["metadata"]["labels"]["accelerator"] == "h100"
        await plugin.close()

    on_a_node(scenario, machine=MACHINE)


def test_a_node_that_somebody_makes_in_place_of_a_deleted_one_is_reported() -> None:
    async def scenario(site: Site) -> None:
        await site.client.delete(NODES, NODE)
        await site.client.delete(LEASES, NODE, "kube-node-lease")
        made = await site.client.create(NODES, {"metadata": {"name": NODE}})
        await asyncio.sleep(15)
        conditions = (await site.node())["status"]["conditions"]
        assert ("Ready", "True") in {(c["type"], c["status"]) for c in conditions}
        (owner,) = (await site.client.get(LEASES, NODE, "kube-node-lease"))["metadata"]["ownerReferences"]
        assert owner["uid"] == made["metadata"]["uid"]

    on_a_node(scenario, machine=MACHINE)


def test_devices_reach_the_status_within_the_period() -> None:
    async def scenario(site: Site) -> None:
        plugin = ScriptedPlugin("a", "b")
        await plugin.serve(site.plugins)
        assert await site.allocatable(GPU) is None
        await asyncio.sleep(10.5)
        assert await site.allocatable(GPU) == "2"
        plugin.list(device("a"), device("b", healthy=False))
        await asyncio.sleep(10.5)
        assert await site.allocatable(GPU) == "1"
        assert (await site.node())["status"]["capacity"][GPU] == "2"
        await plugin.close()
        await asyncio.sleep(400)
        # Forgotten by kubelet, and still there with nothing to give.
        assert await site.allocatable(GPU) == "0"
        assert (await site.node())["status"]["capacity"][GPU] == "0"

    on_a_node(scenario, machine=MACHINE)


def test_devices_of_an_unknown_earlier_life_count_for_nothing() -> None:
    async def earlier(client: Client) -> None:
        await client.create(NODES, {"metadata": {"name": NODE}})
        resources = {GPU: "8", "cpu": "1"}
        status = {"capacity": resources, "allocatable": resources}
        await client.patch(NODES, NODE, {"status": status}, subresource="status")

    async def scenario(site: Site) -> None:
        assert await site.allocatable(GPU) == "0"
        assert await site.allocatable("cpu") == "8"

    on_a_node(scenario, machine=MACHINE, prepare=earlier)


def test_an_unchanged_status_is_written_every_five_minutes() -> None:
    async def scenario(site: Site) -> None:
        await asyncio.sleep(20)
        before = site.faults.writes(f"/nodes/{NODE}/status")
        await asyncio.sleep(250)
        assert site.faults.writes(f"/nodes/{NODE}/status") == before
        await asyncio.sleep(60)
        assert site.faults.writes(f"/nodes/{NODE}/status") == before + 1

    on_a_node(scenario, machine=MACHINE)


def test_the_lease_is_renewed() -> None:
    async def scenario(site: Site) -> None:
        await asyncio.sleep(1)
        lease = await site.client.get(LEASES, NODE, "kube-node-lease")
        node = await site.node()
        assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseDurationSeconds"]) == (NODE, 40)
        (owner,) = lease["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Node", node["metadata"]["uid"])
        for _ in range(12):
            await asyncio.sleep(10)
            renewed = await site.client.get(LEASES, NODE, "kube-node-lease")
            assert site.clock.now() - parse_rfc3339(renewed["spec"]["renewTime"]) < 11

    on_a_node(scenario, machine=MACHINE)


def test_no_lease_is_renewed_while_kubelet_is_down() -> None:
    async def scenario(site: Site) -> None:
        site.kubelet.restart(down_s=100)
        await asyncio.sleep(1)
        before = (await site.client.get(LEASES, NODE, "kube-node-lease"))["spec"]["renewTime"]
        await asyncio.sleep(90)
        assert (await site.client.get(LEASES, NODE, "kube-node-lease"))["spec"]["renewTime"] == before

    on_a_node(scenario, machine=MACHINE)


def test_registration_outlasts_a_server_that_is_away() -> None:
    async def scenario(site: Site) -> None:
        site.faults.lose = lambda request: True
        await asyncio.sleep(120)
        with pytest.raises(errors.NotFound):
            await site.node()
        site.faults.lose = lambda request: False
        await asyncio.sleep(20)
        assert (await site.node())["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.2"

    async def main() -> None:
        async with emulated_node(wait=False) as site:
            await scenario(site)

    virtual(main())


def test_a_change_of_readiness_has_a_time_of_its_own() -> None:
    before = {c["type"]: c for c in conditions(Readiness(False, "KubeletNotReady", "starting"), {}, 100.0)}
    after = {c["type"]: c for c in conditions(Readiness(True), before, 160.0)}
    assert after["Ready"]["lastTransitionTime"] == "1970-01-01T00:02:40Z"
    assert after["DiskPressure"]["lastTransitionTime"] == "1970-01-01T00:01:40Z"
    assert after["DiskPressure"]["lastHeartbeatTime"] == "1970-01-01T00:02:40Z"


def test_ids_follow_from_the_name() -> None:
    one, again, other = (Machine(name).node_info("r", "b") for name in ("a", "a", "b"))
    assert one == again
    assert one["machineID"] != other["machineID"]


def test_a_kubelet_that_tells_at_once_writes_devices_before_its_time_and_once() -> None:
    async def scenario(site: Site) -> None:
        await asyncio.sleep(1)
        before = site.faults.writes(f"/nodes/{NODE}/status")
        plugin = ScriptedPlugin("a", "b")
        await plugin.serve(site.plugins)
        await asyncio.sleep(0.5)
        assert await site.allocatable(GPU) == "2"
        assert site.faults.writes(f"/nodes/{NODE}/status") == before + 1
        await plugin.close()

    on_a_node(scenario, tells_at_once=True)
