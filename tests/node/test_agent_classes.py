"""Devices offered as one of a GPUClass: under that name alone, and only once nobody has them under another."""

import asyncio

from aliquot.kube.api.gpunode import Sharing, SliceClass, WantedGPU, WantedSharing
from aliquot.node.advertise import device_of
from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import resolve
from tests.node.machines import cut
from tests.node.site import Site, run_site

GPU = "nvidia.com/gpu"
SLICE = "nvidia.com/mig-1g.10gb"
SMALL = "class.aliquot.dev/small"
SHARED_SLICES = resolve(
    Flags(), parse(f"sharing: {{timeSlicing: {{resources: [{{name: {SLICE}, replicas: 3}}]}}}}", source="f")
)


def test_a_slice_is_offered_as_one_of_a_class_and_back_again() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        cut(site.driver, gpu, ("1g.10gb", 0), ("1g.10gb", 1))
        await asyncio.sleep(15)
        assert site.offered() == {SLICE: 2}
        site.api.want(WantedGPU(uuid=gpu.uuid, slice_classes=[SliceClass(start=1, class_name="small")]))
        await asyncio.sleep(3)
        assert site.offered() == {SLICE: 1, SMALL: 1}
        held = await site.kubelet.admit("a", SMALL)
        await asyncio.sleep(3)
        first, second = site.gpu_status(0).instances
        assert (first.resource, first.pods) == (SLICE, [])
        assert (second.resource, second.ready, second.pods) == (SMALL, True, ["default/a"])
        assert held == (second.uuid,)

        site.api.want(WantedGPU(uuid=gpu.uuid))
        await asyncio.sleep(3)
        # Somebody has it: it keeps its name, and is given to nobody else.
        assert site.gpu_status(0).instances[1].resource == SMALL
        site.kubelet.release("a")
        await asyncio.sleep(15)
        assert site.offered() == {SLICE: 2}

    run_site("h100-80gb:1:mig", scenario)


def test_a_slice_of_a_class_is_not_shared_whatever_the_configuration_says() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        cut(site.driver, gpu, ("1g.10gb", 0), ("1g.10gb", 1))
        site.api.want(WantedGPU(uuid=gpu.uuid, slice_classes=[SliceClass(start=1, class_name="small")]))
        await asyncio.sleep(15)
        assert site.offered() == {SLICE: 3, SMALL: 1}

    run_site("h100-80gb:1:mig", scenario, settings=SHARED_SLICES)


def test_shares_of_a_gpu_are_offered_as_ones_of_a_class() -> None:
    async def scenario(site: Site) -> None:
        first, _second = site.gpus
        sharing = WantedSharing(strategy=Sharing.TIME_SLICING, replicas=4)
        site.api.want(WantedGPU(uuid=first.uuid, sharing=sharing, class_name="small"))
        await asyncio.sleep(3)
        assert site.offered() == {GPU: 1, SMALL: 4}
        (share,) = await site.kubelet.admit("a", SMALL)
        assert device_of(share) == first.uuid

    run_site("h100-80gb:2", scenario)
