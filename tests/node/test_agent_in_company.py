"""GPUs that a DRA driver publishes leave the agent's hands and come back; what a pod holds stays as it is."""

import asyncio

import pytest

from aliquot.gpu.driver import Gpu, TimeSlice
from aliquot.kube.api.gpunode import Sharing, WantedGPU, WantedSharing
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.api.resource_slice import (
    DeviceAttribute,
    ResourcePool,
    ResourceSlice,
    ResourceSliceSpec,
    SliceDevice,
)
from aliquot.node.plugin_config.file import Flags, MigStrategy, parse
from aliquot.node.plugin_config.settings import Settings, resolve
from tests.node.fake_api import wanted
from tests.node.kubelet import Refused
from tests.node.machines import NODE, cut, placed, virtual
from tests.node.site import Site, run_site

GPU = "nvidia.com/gpu"
PUBLISHED = "DRA driver gpu.nvidia.com publishes it in pool gpu-0"


def publish(site: Site, *gpus: Gpu, attribute: str = "uuid") -> None:
    site.api.slices.put(
        ResourceSlice(
            metadata=ObjectMeta(name="slice"),
            spec=ResourceSliceSpec(
                driver="gpu.nvidia.com",
                node_name=NODE,
                pool=ResourcePool(name=NODE),
                devices=tuple(
                    SliceDevice(
                        name=f"gpu-{gpu.minor}", attributes={attribute: DeviceAttribute(string=gpu.uuid)}
                    )
                    for gpu in gpus
                ),
            ),
        )
    )


def settings(text: str = "", *, strategy: MigStrategy = MigStrategy.MIXED) -> Settings:
    return resolve(Flags(mig_strategy=strategy), parse(text or "version: v1", source="f"))


def test_a_gpu_leaves_when_it_is_published_and_comes_back_when_the_slice_goes() -> None:
    async def scenario(site: Site) -> None:
        first, second = site.gpus
        assert site.api.condition("SoleProvider")[:2] == ("True", "Alone")
        publish(site, first)
        await asyncio.sleep(5)
        assert site.kubelet.offered[GPU] == {second.uuid: True}
        status = site.gpu_status(0)
        assert (status.reason, status.message) == ("PublishedByDRA", PUBLISHED)
        assert (status.resource, status.ready) == ("", False)
        assert site.gpu_status(1).ready
        assert site.api.condition("SoleProvider") == ("False", "PublishedByDRA", f"GPU 0: {PUBLISHED}")
        assert site.api.condition("Ready") == ("True", "Serving", "1 of 2 GPUs are served to kubelet")
        assert site.api.condition("Configured")[0] == "True"
        site.api.slices.remove("slice")
        await asyncio.sleep(5)
        assert site.offered() == {GPU: 2}
        assert (site.gpu_status(0).reason, site.gpu_status(0).ready) == ("", True)
        assert site.api.condition("SoleProvider")[:2] == ("True", "Alone")

    run_site("h100-80gb:2", scenario)


def test_what_a_pod_holds_stays_and_nobody_else_gets_it() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        held = await site.kubelet.admit("a", GPU)
        publish(site, gpu)
        await asyncio.sleep(15)
        status = site.gpu_status(0)
        assert (status.reason, status.pods, status.ready) == ("PublishedByDRA", ["default/a"], False)
        assert site.offered() == {}
        with pytest.raises(Refused, match=r"gpu\.nvidia\.com"):
            await site.kubelet.allocate(GPU, held)
        site.kubelet.release("a")
        await asyncio.sleep(15)
        assert site.kubelet.offered[GPU] == {}
        assert (site.gpu_status(0).pods, site.gpu_status(0).resource) == ([], "")

    run_site("h100-80gb:1", scenario)


def test_a_slice_that_goes_while_the_pod_stays_changes_nothing_for_it() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        await site.kubelet.admit("a", GPU)
        publish(site, gpu)
        await asyncio.sleep(15)
        site.api.slices.remove("slice")
        await asyncio.sleep(15)
        assert site.kubelet.offered[GPU] == {gpu.uuid: True}
        assert (site.gpu_status(0).reason, site.gpu_status(0).pods) == ("", ["default/a"])

    run_site("h100-80gb:1", scenario)


def test_a_gpu_whose_slice_goes_waits_for_the_pod_that_has_it_by_a_claim() -> None:
    async def scenario(site: Site) -> None:
        first, second = site.gpus
        publish(site, first)
        site.kubelet.claimed["train"] = f"gpu-{first.minor}"
        await asyncio.sleep(15)
        site.api.slices.remove("slice")
        await asyncio.sleep(30)
        assert site.kubelet.offered[GPU] == {second.uuid: True}
        assert site.gpu_status(0).reason == "HeldByClaim"
        assert site.api.condition("SoleProvider")[1] == "HeldByClaim"
        del site.kubelet.claimed["train"]
        await asyncio.sleep(15)
        assert site.offered() == {GPU: 2}

    run_site("h100-80gb:2", scenario)


def test_a_published_gpu_is_not_cut_and_the_wish_waits_with_the_reason() -> None:
    async def scenario(site: Site) -> None:
        first, second = site.gpus
        publish(site, first, attribute="parentUUID")
        site.api.want(*(wanted(gpu, ("7g.80gb", 0)) for gpu in (first, second)))
        await asyncio.sleep(60)
        assert placed(site.driver, first) == {("3g.40gb", 0)}
        assert placed(site.driver, second) == {("7g.80gb", 0)}
        assert site.offered() == {"nvidia.com/mig-7g.80gb": 1}
        assert site.api.condition("MIGConfigured") == ("False", "PublishedByDRA", f"GPU 0: {PUBLISHED}")
        site.api.slices.remove("slice")
        await asyncio.sleep(60)
        assert placed(site.driver, first) == {("7g.80gb", 0)}
        assert site.api.condition("MIGConfigured")[0] == "True"

    async def main() -> None:
        site = Site("h100-80gb:2:mig")
        cut(site.driver, site.gpus[0], ("3g.40gb", 0))
        await site.start()
        try:
            await scenario(site)
        finally:
            await site.stop()

    virtual(main())


def test_what_is_as_wanted_already_is_configured_whoever_publishes_it() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        site.api.want(wanted(gpu, ("7g.80gb", 0)))
        await asyncio.sleep(30)
        publish(site, gpu)
        await asyncio.sleep(30)
        assert site.api.condition("MIGConfigured")[0] == "True"
        assert site.gpu_status(0).reason == "PublishedByDRA"

    run_site("h100-80gb:1:mig", scenario)


def test_nothing_is_cut_before_it_is_known_what_is_published() -> None:
    async def main() -> None:
        site = Site("h100-80gb:1:mig")
        site.api.slices.is_synced = False
        (gpu,) = site.gpus
        site.api.want(wanted(gpu, ("7g.80gb", 0)))
        await site.start()
        try:
            await asyncio.sleep(30)
            assert placed(site.driver, gpu) == set()
            assert site.api.condition("MIGConfigured")[:2] == ("False", "CompanyUnknown")
            site.api.slices.is_synced = True
            await asyncio.sleep(30)
            assert placed(site.driver, gpu) == {("7g.80gb", 0)}
        finally:
            await site.stop()

    virtual(main())


def test_a_published_gpu_is_not_shared_and_its_time_slice_is_not_touched_any_more() -> None:
    async def scenario(site: Site) -> None:
        first, second = site.gpus
        assert site.offered() == {GPU: 4}
        publish(site, first)
        await asyncio.sleep(5)
        assert site.kubelet.offered[GPU] == {f"{second.uuid}::0": True, f"{second.uuid}::1": True}
        assert site.gpu_status(0).shares is None
        # What the other driver sets now is its own.
        assert site.driver.time_slice(first.uuid) is TimeSlice.SHORT
        site.driver.set_time_slice(first.uuid, TimeSlice.LONG)
        await asyncio.sleep(30)
        assert site.driver.time_slice(first.uuid) is TimeSlice.LONG
        site.api.slices.remove("slice")
        await asyncio.sleep(5)
        assert site.driver.time_slice(first.uuid) is TimeSlice.SHORT
        assert site.offered() == {GPU: 4}

    sliced = "sharing: {timeSlicing: {interval: short, resources: [{name: gpu, replicas: 2}]}}"
    run_site("h100-80gb:2", scenario, settings(sliced))


def test_a_wish_to_share_a_published_gpu_waits() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        publish(site, gpu)
        sharing = WantedSharing(strategy=Sharing.TIME_SLICING, replicas=3)
        site.api.want(WantedGPU(uuid=gpu.uuid, sharing=sharing))
        await asyncio.sleep(15)
        assert site.offered() == {}
        site.api.slices.remove("slice")
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/gpu.shared": 3}

    run_site("h100-80gb:1", scenario)


def test_a_published_gpu_does_not_count_for_the_strategy_single() -> None:
    async def scenario(site: Site) -> None:
        assert site.api.condition("Ready")[1] == "LayoutsDiffer"
        publish(site, site.gpus[0])
        await asyncio.sleep(5)
        assert site.offered() == {GPU: 1}
        assert site.api.condition("Ready")[:2] == ("True", "Serving")
        assert site.gpu_status(1).instances[0].ready

    async def main() -> None:
        site = Site("h100-80gb:1,h100-80gb:1:mig", settings(strategy=MigStrategy.SINGLE))
        cut(site.driver, site.gpus[1], ("7g.80gb", 0))
        await site.start()
        try:
            await scenario(site)
        finally:
            await site.stop()

    virtual(main())


def test_an_agent_that_starts_beside_a_dra_driver_never_offers_its_gpus() -> None:
    async def main() -> None:
        site = Site("h100-80gb:2")
        publish(site, site.gpus[0])
        await site.start()
        try:
            await asyncio.sleep(5)
            assert all(site.gpus[0].uuid not in update for update in site.kubelet.updates[GPU])
            assert site.offered() == {GPU: 1}
        finally:
            await site.stop()

    virtual(main())


def test_an_agent_that_starts_waits_a_moment_for_slices_that_come_late() -> None:
    async def main() -> None:
        site = Site("h100-80gb:2")
        site.api.slices.is_synced = False

        def come() -> None:
            publish(site, site.gpus[0])
            site.api.slices.is_synced = True

        asyncio.get_running_loop().call_later(1.0, come)
        await site.start()
        try:
            await asyncio.sleep(5)
            assert all(site.gpus[0].uuid not in update for update in site.kubelet.updates[GPU])
            assert site.offered() == {GPU: 1}
        finally:
            await site.stop()

    virtual(main())


def test_an_agent_that_was_away_when_the_gpu_was_published_lets_go_of_it() -> None:
    async def scenario(site: Site) -> None:
        first, second = site.gpus
        held = await site.kubelet.admit("a", GPU)
        await site.stop_agent()
        publish(site, first, second)
        await site.start_agent()
        await asyncio.sleep(15)
        assert site.offered() == {}
        index = [first.uuid, second.uuid].index(held[0])
        assert site.gpu_status(index).pods == ["default/a"]
        assert {gpu.reason for gpu in site.api.gpu_node.status.gpus} == {"PublishedByDRA"}
        message = f"GPU 0, 1: {PUBLISHED}"
        assert site.api.condition("SoleProvider") == ("False", "PublishedByDRA", message)
        site.kubelet.release("a")
        await asyncio.sleep(15)
        assert site.kubelet.offered[GPU] == {}

    run_site("h100-80gb:2", scenario)
