"""Another device plugin on the node: its GPUs are not cut and not given twice."""

import asyncio

from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import Settings, resolve
from tests.node.fake_api import wanted
from tests.node.machines import placed, virtual
from tests.node.site import Site, run_site

GPU, SHARED = "nvidia.com/gpu", "nvidia.com/gpu.shared"


def settings(text: str) -> Settings:
    return resolve(Flags(), parse(text, source="f"))


def sliced(replicas: int) -> Settings:
    return settings(f"sharing: {{timeSlicing: {{resources: [{{name: gpu, replicas: {replicas}}}]}}}}")


def serve_elsewhere(site: Site, *ids: str, resource: str = SHARED) -> None:
    """As kubelet lists the devices of a plugin that is not ours."""
    site.kubelet.offered[resource] = dict.fromkeys(ids, True)


def test_a_gpu_that_another_plugin_serves_is_left_alone_until_that_plugin_is_gone() -> None:
    async def scenario(site: Site) -> None:
        first, second = site.gpus
        serve_elsewhere(site, f"{first.uuid}::0", f"{first.uuid}::1")
        await asyncio.sleep(30)
        assert site.kubelet.allocatable(GPU) == {second.uuid}
        status = site.gpu_status(0)
        assert (status.reason, status.ready) == ("OtherDevicePlugin", False)
        assert site.api.condition("SoleProvider") == (
            "False",
            "OtherDevicePlugin",
            f"GPU 0: kubelet lists it as {SHARED} for another device plugin: remove that plugin from this node",
        )
        serve_elsewhere(site)
        await asyncio.sleep(15)
        assert site.offered() == {GPU: 2}
        assert site.api.condition("SoleProvider")[0] == "True"

    run_site("h100-80gb:2", scenario)


def test_it_is_not_cut_either() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        serve_elsewhere(site, gpu.uuid, resource="nvidia.com/training")
        await asyncio.sleep(15)
        site.api.want(wanted(gpu, ("7g.80gb", 0), mig=True))
        await asyncio.sleep(60)
        assert placed(site.driver, gpu) == set()
        assert site.api.condition("MIGConfigured")[:2] == ("False", "OtherDevicePlugin")
        serve_elsewhere(site, resource="nvidia.com/training")
        await asyncio.sleep(60)
        assert placed(site.driver, gpu) == {("7g.80gb", 0)}

    run_site("h100-80gb:1:mig", scenario)


def test_what_a_pod_has_from_a_plugin_that_is_gone_is_not_given_to_another() -> None:
    async def main() -> None:
        site = Site("h100-80gb:2")
        first, second = site.gpus
        await site.kubelet.start()
        site.kubelet.hold("old", "nvidia.com/quarter", (f"{first.uuid}::3",))
        await site.start_agent()
        try:
            await asyncio.sleep(15)
            assert site.kubelet.allocatable(GPU) == {second.uuid}
            status = site.gpu_status(0)
            assert (status.reason, status.pods) == ("HeldOtherwise", ["default/old"])
            site.kubelet.release("old")
            await asyncio.sleep(15)
            assert site.offered() == {GPU: 2}
        finally:
            await site.stop()

    virtual(main())


def test_our_own_past_is_no_neighbour() -> None:
    """An agent that was killed offered shares; kubelet lists them for a moment after the next one has started."""

    async def scenario(site: Site) -> None:
        await site.stop_agent()
        serve_elsewhere(site, f"{site.gpus[0].uuid}::0")
        await site.start_agent()
        await asyncio.sleep(3)
        serve_elsewhere(site)
        changes = len(site.kubelet.updates[GPU])
        await asyncio.sleep(30)
        assert site.offered() == {GPU: 1}
        assert site.api.condition("SoleProvider")[0] == "True"
        assert len(site.kubelet.updates[GPU]) == changes

    run_site("h100-80gb:1", scenario)


def test_a_kubelet_that_is_slow_to_hear_of_a_new_cut_is_no_neighbour() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        site.api.want(wanted(gpu, ("7g.80gb", 0)))
        await asyncio.sleep(30)
        site.kubelet.deaf.clear()
        site.api.want(wanted(gpu, ("3g.40gb", 0)))
        await asyncio.sleep(60)
        assert site.api.condition("SoleProvider")[0] == "True"
        site.kubelet.deaf.set()
        await asyncio.sleep(400)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 1}
        assert site.api.condition("SoleProvider")[0] == "True"

    run_site("h100-80gb:1:mig", scenario)


def test_fewer_shares_are_no_neighbour() -> None:
    async def scenario(site: Site) -> None:
        held = await site.kubelet.admit("a", GPU)
        site.kubelet.deaf.clear()
        await site.stop_agent()
        site.settings = sliced(2)
        await site.start_agent()
        await asyncio.sleep(30)
        assert site.api.condition("SoleProvider")[0] == "True"
        site.kubelet.deaf.set()
        await asyncio.sleep(30)
        assert len(held) == 1
        assert site.offered() == {}
        site.kubelet.release("a")
        await asyncio.sleep(30)
        assert site.api.condition("SoleProvider")[0] == "True"
        assert site.offered() == {GPU: 2}

    run_site("h100-80gb:1", scenario, sliced(4))
