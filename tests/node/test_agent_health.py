"""A sick device leaves, its neighbours stay, and there is a way back."""

import asyncio

import pytest

from aliquot.gpu.driver import DriverError, RecoveryAction, ReturnCode, Telemetry
from aliquot.kube.api.gpunode import Health
from aliquot.node.health.policy import HealthPolicy
from aliquot.node.health.watch import FIGURES_S
from tests.node.fake_api import pod
from tests.node.kubelet import Refused
from tests.node.machines import cut, virtual
from tests.node.site import Site, run_site

GPU = "nvidia.com/gpu"


def test_a_sick_slice_leaves_its_neighbours_alone_and_recovers() -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("3g.40gb", 0), ("3g.40gb", 4))
        await asyncio.sleep(15)
        sick = site.slice_ids(0)["3g.40gb", 4]
        site.driver.inject_xid(sick, 94)
        await asyncio.sleep(2)
        assert site.kubelet.offered["nvidia.com/mig-3g.40gb"][sick] is False
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 1}
        status = site.gpu_status(0)
        assert (status.health, status.reason) == (Health.HEALTHY, "XID94")
        said = "XID 94: contained memory error; handed out again after 60 s without another"
        assert status.message == f"3g.40gb at slot 4: {said}"
        assert site.api.condition("GPUsHealthy") == (
            "False",
            "Unhealthy",
            f"GPU 0: 3g.40gb at slot 4: {said}",
        )
        with pytest.raises(Refused, match="cannot be allocated: XID 94"):
            await site.kubelet.allocate("nvidia.com/mig-3g.40gb", [sick])
        await asyncio.sleep(80)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 2}
        assert site.api.condition("GPUsHealthy")[:2] == ("True", "AllHealthy")
        device = f"3g.40gb at slot 4 of GPU 0 ({sick})"
        assert site.api.told() == [
            ("XID94", f"{device}: {said}", 1),
            ("Recovered", f"{device}: healthy and handed out again; it was XID94", 1),
        ]
        lines = (await site.metrics.text()).splitlines()
        counts = 'aliquot_health_changes_total{hostname="gpu-0",reason='
        assert {f'{counts}"XID94"}} 1', f'{counts}"Recovered"}} 1'} <= set(lines)

    run_site("h100-80gb:1:mig", scenario)


def test_a_lost_gpu_fails_no_other() -> None:
    async def scenario(site: Site) -> None:
        site.driver.lose_gpu(site.gpus[0].uuid)
        await asyncio.sleep(15)
        assert site.kubelet.allocatable("nvidia.com/gpu") == {site.gpus[1].uuid}
        lost = site.gpu_status(0)
        assert (lost.health, lost.reason, lost.ready) == (Health.UNHEALTHY, "GPULost", False)
        assert site.api.condition("Ready")[:2] == ("True", "UnhealthyGPU")
        assert await site.kubelet.admit("train", "nvidia.com/gpu") == (site.gpus[1].uuid,)
        site.driver.reboot()
        await asyncio.sleep(40)
        assert site.offered() == {"nvidia.com/gpu": 2}

    run_site("l4:2", scenario)


def test_a_driver_that_does_not_answer_makes_everything_unhealthy_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(site: Site) -> None:
        def broken() -> object:
            raise DriverError(ReturnCode.UNINITIALIZED, "Uninitialized")

        with monkeypatch.context() as patched:
            patched.setattr(site.driver, "version", broken)
            await asyncio.sleep(15)
            assert site.offered() == {}
            assert site.api.condition("Ready") == ("False", "DriverNotAnswering", "Uninitialized")
        await asyncio.sleep(40)
        assert site.offered() == {"nvidia.com/gpu": 1}

    run_site("l4:1", scenario)


def test_who_holds_a_sick_device_is_named_and_left_alone() -> None:
    async def scenario(site: Site) -> None:
        site.api.pods.put(pod("train", GPU))
        await asyncio.sleep(1)
        held = await site.kubelet.admit("train", GPU)
        site.driver.inject_xid(held[0], 48)
        await asyncio.sleep(15)
        sick = next(gpu for gpu in site.api.gpu_node.status.gpus if gpu.uuid == held[0])
        told = (
            "XID 48: double-bit ECC error; not handed out until the GPU is reset or the node rebooted; "
            "still held by default/train"
        )
        assert (sick.health, sick.message, sick.pods) == (Health.UNHEALTHY, told, ["default/train"])
        assert told in site.api.condition("GPUsHealthy")[2]
        assert site.api.evictions == []
        site.kubelet.release("train")
        site.api.pods.remove("default/train")
        await asyncio.sleep(15)
        assert "held" not in site.api.condition("GPUsHealthy")[2]

    run_site("l4:2", scenario)


def test_what_a_gpu_tells_of_its_memory_keeps_it_from_being_handed_out_until_it_is_mended() -> None:
    async def scenario(site: Site) -> None:
        sick = site.gpus[0].uuid
        site.driver.measure(sick, row_remap_pending=True, recovery_action=RecoveryAction.DRAIN_AND_RESET)
        await asyncio.sleep(FIGURES_S + 5)
        assert site.kubelet.allocatable(GPU) == {site.gpus[1].uuid}
        assert site.gpu_status(0).message == (
            "the driver asks for the GPU to be drained, then reset; a row of memory is replaced at the next reset; "
            "not handed out until the GPU is reset or the node rebooted"
        )
        site.driver.measure(sick, row_remap_pending=False, recovery_action=RecoveryAction.NONE)
        await asyncio.sleep(30)
        assert site.offered() == {GPU: 2}
        assert [(reason, count) for reason, _, count in site.api.told()] == [
            ("NeedsDrain", 1),
            ("RowRemapPending", 1),
            ("Recovered", 1),
        ]

    run_site("h100-80gb:2", scenario)


def test_figures_are_read_rarely() -> None:
    async def scenario(site: Site) -> None:
        asked = []
        telemetry = site.driver.telemetry

        def counted(gpu_uuid: str) -> Telemetry:
            asked.append(gpu_uuid)
            return telemetry(gpu_uuid)

        site.driver.telemetry = counted  # type: ignore[method-assign]
        await asyncio.sleep(10 * FIGURES_S)
        assert len(asked) == 10

    run_site("l4:1", scenario)


async def killed(site: Site) -> None:
    """Without a word: the API hears nothing of it."""
    site.api.down = True
    await site.stop_agent()
    site.api.down = False


def test_a_killed_agent_s_sick_devices_are_never_handed_out_by_the_next() -> None:
    async def scenario(site: Site) -> None:
        site.api.boot("boot-1")
        sick = site.gpus[0].uuid
        site.driver.inject_xid(sick, 48)
        await asyncio.sleep(5)
        before = site.gpu_status(0)
        await killed(site)
        site.kubelet.updates.clear()
        await site.start_agent()
        await asyncio.sleep(600)
        assert [update[sick] for update in site.kubelet.updates[GPU]] == [False] * len(
            site.kubelet.updates[GPU]
        )
        assert site.kubelet.updates[GPU]
        assert site.gpu_status(0) == before
        assert [reason for reason, _, _ in site.api.told()] == ["XID48"], "it is nothing new"

        await killed(site)
        site.api.boot("boot-2")
        await site.start_agent()
        await asyncio.sleep(30)
        assert site.offered() == {GPU: 2}
        assert [reason for reason, _, _ in site.api.told()] == ["XID48", "Recovered"]

    run_site("l4:2", scenario)


def test_a_sick_slice_stays_sick_when_the_agent_is_killed_and_heals_in_its_time() -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("3g.40gb", 0), ("3g.40gb", 4))
        await asyncio.sleep(15)
        sick = site.slice_ids(0)["3g.40gb", 4]
        site.driver.inject_xid(sick, 94)
        await asyncio.sleep(5)
        await killed(site)
        await site.start_agent()
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 1}
        await asyncio.sleep(80)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 2}

    run_site("h100-80gb:1:mig", scenario)


def test_an_api_that_is_away_at_the_start_does_not_keep_the_devices() -> None:
    async def main() -> None:
        site = Site("l4:1")
        site.api.gpu_nodes.is_synced = False
        await site.start()
        assert site.offered() == {GPU: 1}
        await site.stop()

    virtual(main())


def test_the_policy_decides_what_counts() -> None:
    async def main() -> None:
        site = Site("l4:1")
        site.health_policy = HealthPolicy(xids=False, watched=frozenset({31}))
        await site.start()
        site.driver.inject_xid(site.gpus[0].uuid, 48)
        await asyncio.sleep(15)
        assert site.offered() == {GPU: 1}
        site.driver.inject_xid(site.gpus[0].uuid, 31)
        await asyncio.sleep(15)
        assert site.offered() == {}
        await site.stop()

    virtual(main())
