"""Shares under MPS: offered when their daemon answers, and no longer."""

import asyncio
from pathlib import Path

import pytest

from aliquot.node.mps import daemons
from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import Settings, resolve
from tests.node.fake_api import wanted
from tests.node.machines import cut, placed, virtual
from tests.node.mps.control import FakeControl
from tests.node.site import Site

GPU = "nvidia.com/gpu"


@pytest.fixture(autouse=True)
def no_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemons, "mount_shm", lambda path: None)


def settings(root: Path, more: str = "", name: str = "gpu") -> Settings:
    text = f"sharing: {{mps: {{{more} resources: [{{name: {name}, replicas: 4}}]}}}}"
    return resolve(Flags(mps_root=str(root)), parse(text, source="f"))


async def started(root: Path, gpus: str = "h100-80gb:2", more: str = "", name: str = "gpu") -> Site:
    site = Site(gpus, settings(root, more, name))
    site.mps_control = FakeControl()
    return await site.start()


def control(site: Site) -> FakeControl:
    assert isinstance(site.mps_control, FakeControl)
    return site.mps_control


def pipes(site: Site, root: Path) -> set[str]:
    return {str(root / gpu.uuid / "pipe") for gpu in site.gpus}


def directories(root: Path) -> set[str]:
    """Devices that have a place for a daemon."""
    return {pipe.parent.name for pipe in root.glob("*/pipe")}


def test_each_gpu_has_a_daemon_of_its_own_before_it_is_offered(tmp_path: Path) -> None:
    async def main() -> None:
        site = await started(tmp_path)
        assert control(site).running == pipes(site, tmp_path)
        assert directories(tmp_path) == {gpu.uuid for gpu in site.gpus}
        assert site.offered() == {GPU: 8}
        answer = await site.kubelet.allocate(GPU, [f"{site.gpus[0].uuid}::0"])
        (pipe,) = (m.host_path for m in answer.mounts if m.container_path.endswith("/pipe"))
        assert pipe in control(site).running
        await site.stop()
        # Its clients may still be there: an agent that goes ends no daemon.
        assert control(site).running == pipes(site, tmp_path)

    virtual(main())


def test_a_daemon_that_cannot_start_is_said_and_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site("h100-80gb:1", settings(tmp_path))
        site.mps_control = FakeControl()
        control(site).fault = "An instance of this daemon is already running"
        await site.start()
        assert site.offered() == {}
        control(site).fault = ""
        await asyncio.sleep(60)
        assert site.offered() == {GPU: 4}
        await site.stop()

    virtual(main())


def test_a_daemon_that_died_is_started_again(tmp_path: Path) -> None:
    async def main() -> None:
        site = await started(tmp_path)
        control(site).running.clear()
        control(site).fault = "no more"
        await asyncio.sleep(5)
        assert site.offered() == {}
        control(site).fault = ""
        await asyncio.sleep(60)
        assert site.offered() == {GPU: 8}
        await site.stop()

    virtual(main())


def test_a_new_agent_finds_the_daemons_that_run_and_ends_those_of_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        site = await started(tmp_path)
        await site.stop_agent()
        site.settings = Settings(mps_root=str(tmp_path))
        before = set(control(site).running)
        site.settings = settings(tmp_path)
        await site.start_agent()
        assert control(site).running == before
        await site.stop_agent()
        site.settings = Settings(mps_root=str(tmp_path))
        await site.start_agent()
        await asyncio.sleep(15)
        assert control(site).running == set()
        assert site.offered() == {GPU: 2}
        assert directories(tmp_path) == set()
        await site.stop()

    virtual(main())


def test_the_compute_mode_is_changed_where_it_is_asked_for_and_always_restored(tmp_path: Path) -> None:
    async def main() -> None:
        site = await started(tmp_path, more="exclusiveProcess: true,")
        assert [site.driver.exclusive(gpu.uuid) for gpu in site.gpus] == [True, True]
        await site.stop_agent()
        site.settings = Settings(mps_root=str(tmp_path))
        await site.start_agent()
        await asyncio.sleep(15)
        assert [site.driver.exclusive(gpu.uuid) for gpu in site.gpus] == [False, False]
        await site.stop()

    virtual(main())


def test_without_the_option_the_compute_mode_is_nobody_s_business(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site("h100-80gb:1", settings(tmp_path))
        site.driver.set_exclusive(site.gpus[0].uuid, True)
        site.mps_control = FakeControl()
        await site.start()
        assert site.driver.exclusive(site.gpus[0].uuid)
        await site.stop()

    virtual(main())


def test_a_slice_goes_though_its_mps_server_is_on_it(tmp_path: Path) -> None:
    async def main() -> None:
        site = await started(tmp_path, "h100-80gb:1:mig", name="mig-3g.40gb")
        (gpu,) = site.gpus
        cut(site.driver, gpu, ("3g.40gb", 0))
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 4}
        (pipe,) = control(site).running
        (instance,) = site.driver.instances(gpu.uuid)
        (compute,) = instance.compute_instances
        site.driver.start_process(compute.uuid, pid=77)
        control(site).servers[pipe] = (77,)
        control(site).ended = lambda: site.driver.stop_process(77)
        await asyncio.sleep(5)
        site.api.want(wanted(gpu, ("7g.80gb", 0)))
        await asyncio.sleep(60)
        assert placed(site.driver, gpu) == {("7g.80gb", 0)}
        assert control(site).running == set()
        await site.stop()

    virtual(main())
