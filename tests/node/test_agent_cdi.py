"""CDI specs follow the devices; what no spec describes is not handed out."""

import asyncio
import json
from pathlib import Path
from typing import Any

from aliquot.node.cdi.writer import CdiFiles
from aliquot.node.host import Host
from aliquot.node.plugin_config.file import DeviceListStrategy
from aliquot.node.plugin_config.settings import Companion, Settings
from tests.node.fake_api import wanted
from tests.node.machines import virtual
from tests.node.site import Site
from tests.node.test_companions import CHANNEL, laid_out

CDI = Settings(device_list_strategies=(DeviceListStrategy.CDI_CRI,))


def described(directory: Path) -> set[str]:
    spec: Any = json.loads((directory / "k8s.device-plugin.nvidia.com-gpu.json").read_text())
    return {one["name"] for one in spec["devices"]}


async def started(directory: Path, gpus: str) -> Site:
    site = Site(gpus, CDI)
    site.host = Host(CdiFiles(directory), driver_here=False)
    return await site.start()


def test_a_new_slice_is_described_before_it_is_offered(tmp_path: Path) -> None:
    async def main() -> None:
        site = await started(tmp_path, "h100-80gb:1:mig")
        assert described(tmp_path) == set()
        site.api.want(wanted(site.gpus[0], ("3g.40gb", 4)))
        for _ in range(200):
            await asyncio.sleep(0.05)
            offered = site.kubelet.offered.get("nvidia.com/mig-3g.40gb")
            if offered:
                break
        assert offered
        assert set(offered) <= described(tmp_path)
        (answer,) = (await site.kubelet.allocate("nvidia.com/mig-3g.40gb", list(offered))).cdi_devices
        assert answer.name.partition("=")[2] in described(tmp_path)
        site.api.want(wanted(site.gpus[0]))
        await asyncio.sleep(60)
        assert described(tmp_path) == set()
        await site.stop()

    virtual(main())


def test_without_the_imex_channel_that_is_required_nothing_is_handed_out(tmp_path: Path) -> None:
    async def main() -> None:
        asked = Settings(companions=(Companion.IMEX_CHANNEL, Companion.GDRCOPY), imex_required=True)
        site = Site("h100-80gb:1", asked)
        site.host = Host(CdiFiles(tmp_path / "cdi"), root=tmp_path)
        await site.start()
        assert site.offered() == {}
        assert site.api.condition("Configured")[:2] == ("False", "NoIMEXChannel")
        laid_out(tmp_path, CHANNEL)
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/gpu": 1}
        answer = await site.kubelet.allocate("nvidia.com/gpu", [site.gpus[0].uuid])
        assert answer.envs["NVIDIA_IMEX_CHANNELS"] == "0"
        assert "NVIDIA_GDRCOPY" not in answer.envs
        assert [device.container_path for device in answer.devices] == [f"/{CHANNEL}"]
        await site.stop()

    virtual(main())


def test_without_its_spec_no_device_is_handed_out_and_it_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "cdi").write_text("in the way")
        site = await started(tmp_path / "cdi", "h100-80gb:1")
        assert site.offered() == {}
        assert site.api.condition("Configured")[:2] == ("False", "CDINotWritten")
        (tmp_path / "cdi").unlink()
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/gpu": 1}
        assert described(tmp_path / "cdi") == {site.gpus[0].uuid, "0", "all"}
        await site.stop()

    virtual(main())
