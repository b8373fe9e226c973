"""One GPU is lost: everything goes on for the others, and it comes back by itself."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aliquot.node.cdi.writer import CdiFiles
from aliquot.node.host import Host
from aliquot.node.plugin_config.file import DeviceListStrategy
from aliquot.node.plugin_config.settings import Settings
from tests.node.fake_api import wanted
from tests.node.kubelet import Refused
from tests.node.machines import virtual
from tests.node.site import Site, run_site

GPU = "nvidia.com/gpu"
AFTER_S = 15.0


def with_one_lost(gpus: str, scenario: Any) -> None:
    """Plays the scenario with `lost`, the UUID of the first GPU, and those of the others."""

    async def main(site: Site) -> None:
        lost, *others = (gpu.uuid for gpu in site.gpus)
        site.api.label()
        await asyncio.sleep(3)
        site.driver.lose_gpu(lost)
        await asyncio.sleep(AFTER_S)
        await scenario(site, lost, others)

    run_site(gpus, main)


def test_preferences_and_allocations_go_on() -> None:
    async def scenario(site: Site, lost: str, others: list[str]) -> None:
        assert site.kubelet.allocatable(GPU) == set(others)
        preferred = await site.kubelet.preferred(GPU, others, 2)
        assert len(set(preferred)) == 2 and set(preferred) <= set(others)
        # Kubelet may ask before it knows.
        assert set(await site.kubelet.preferred(GPU, [lost, *others], 3)) <= {lost, *others}
        answer = await site.kubelet.allocate(GPU, others)
        assert set(answer.envs["NVIDIA_VISIBLE_DEVICES"].split(",")) == set(others)
        with pytest.raises(Refused, match=f"{lost} cannot be allocated: "):
            await site.kubelet.allocate(GPU, [lost, others[0]])
        assert await site.kubelet.admit("train", GPU) in [(uuid,) for uuid in others]

    with_one_lost("h100-80gb:4", scenario)


def test_the_others_keep_their_links_figures_and_labels() -> None:
    async def scenario(site: Site, lost: str, others: list[str]) -> None:
        for index in (1, 2, 3):
            peers = {link.peer for link in site.gpu_status(index).links}
            assert set(others) - {site.gpus[index].uuid} <= peers
        text = await site.metrics.text()
        powers = [line for line in text.splitlines() if line.startswith("DCGM_FI_DEV_POWER_USAGE{")]
        assert [lost in line for line in powers] == [False] * 3
        assert all(any(uuid in line for line in powers) for uuid in others)
        assert site.api.node_label("nvidia.com/gpu.count") == "4"

    with_one_lost("h100-80gb:4", scenario)


def test_the_others_slices_are_still_cut() -> None:
    async def scenario(site: Site, _lost: str, others: list[str]) -> None:
        site.api.want(wanted(site.gpus[1], ("3g.40gb", 0), mig=True))
        await asyncio.sleep(60)
        assert site.offered()["nvidia.com/mig-3g.40gb"] == 1

    with_one_lost("h100-80gb:2", scenario)


def described(directory: Path) -> str:
    (spec,) = directory.iterdir()
    return spec.read_text()


def test_cdi_specs_still_describe_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site("l4:2", Settings(device_list_strategies=(DeviceListStrategy.CDI_CRI,)))
        site.host = Host(CdiFiles(tmp_path), driver_here=False)
        await site.start()
        lost, other = (gpu.uuid for gpu in site.gpus)
        site.driver.lose_gpu(lost)
        await asyncio.sleep(AFTER_S)
        assert other in described(tmp_path)
        (device,) = (await site.kubelet.allocate(GPU, [other])).cdi_devices
        assert device.name.endswith(f"={other}")
        await site.stop()

    virtual(main())


def test_it_comes_back_and_both_are_told_once() -> None:
    async def scenario(site: Site, lost: str, others: list[str]) -> None:
        site.driver.reboot()
        await asyncio.sleep(300)
        assert site.kubelet.allocatable(GPU) == {lost, *others}
        device = f"GPU 0 ({lost})"
        again = "handed out again once it has answered for 10 s"
        lost_message = f"{device}: the driver no longer lists this GPU; {again}"
        assert sorted(site.api.told()) == [
            ("GPULost", lost_message, 1),
            ("Recovered", f"{device}: healthy and handed out again; it was XID79", 1),
            (
                "XID79",
                f"{device}: XID 79: the GPU has fallen off the bus; "
                "not handed out until the GPU is reset or the node rebooted",
                1,
            ),
        ]
        assert site.api.condition("GPUsHealthy")[0] == "True"

    with_one_lost("l4:2", scenario)


def test_one_that_was_lost_before_the_agent_started_is_served_when_it_is_back() -> None:
    async def main() -> None:
        site = Site("l4:2")
        site.driver.lose_gpu(site.gpus[0].uuid)
        await site.start()
        assert site.offered() == {GPU: 1}
        assert site.api.condition("GPUsHealthy") == (
            "False",
            "Unhealthy",
            f"GPU 0: {site.gpus[0].uuid}: GPU is lost",
        )
        site.driver.reboot()
        await asyncio.sleep(AFTER_S)
        assert site.offered() == {GPU: 2}
        assert site.api.condition("GPUsHealthy")[0] == "True"
        await site.stop()

    virtual(main())
