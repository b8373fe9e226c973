"""A sick device leaves, its neighbours stay, and there is a way back."""

import asyncio

import pytest

from aliquot.gpu.driver import DriverError, ReturnCode
from aliquot.kube.api.gpunode import Health
from tests.node.conftest import Refused, Site, cut, run_site


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
