"""The MIG strategies as kubelet sees them."""

import asyncio

from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.plugin_config.settings import Settings
from tests.node.fake_api import wanted
from tests.node.machines import cut, placed
from tests.node.site import Site, run_site

SEVEN = [("1g.10gb", start) for start in range(7)]


def test_single_gives_every_slice_the_plain_name() -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("3g.40gb", 0), ("3g.40gb", 4))
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/gpu": 2}
        assert set(site.kubelet.registrations) == {"nvidia.com/gpu"}

    run_site("h100-80gb:1:mig", scenario, Settings(mig_strategy=MigStrategy.SINGLE))


def test_single_on_unlike_gpus_offers_nothing_and_says_why() -> None:
    async def scenario(site: Site) -> None:
        assert site.offered() == {}
        assert site.api.condition("Ready") == (
            "False",
            "LayoutsDiffer",
            "MIG strategy single needs MIG on every GPU or on none: it is off on GPU 1",
        )

    run_site("h100-80gb:1:mig,h100-80gb:1", scenario, Settings(mig_strategy=MigStrategy.SINGLE))


def test_single_keeps_a_held_slice_that_it_no_longer_offers() -> None:
    """While GPUs differ nothing is offered, but pods still hold what they got before."""

    async def scenario(site: Site) -> None:
        for gpu in site.gpus:
            cut(site.driver, gpu, ("7g.80gb", 0))
        await asyncio.sleep(15)
        (held,) = await site.kubelet.admit("train", "nvidia.com/gpu")
        index = next(g.index for g in site.gpus if held in site.slice_ids(g.index).values())
        await asyncio.sleep(60)
        site.api.want(wanted(site.gpus[1 - index], *SEVEN), wanted(site.gpus[index], *SEVEN))
        await asyncio.sleep(60)
        assert placed(site.driver, site.gpus[1 - index]) == set(SEVEN)
        assert placed(site.driver, site.gpus[index]) == {("7g.80gb", 0)}
        assert site.gpu_status(index).reason == "InUse"

    run_site("h100-80gb:2:mig", scenario, Settings(mig_strategy=MigStrategy.SINGLE))


def test_none_shows_a_gpu_in_mig_mode_as_unhealthy() -> None:
    async def scenario(site: Site) -> None:
        assert site.kubelet.offered == {"nvidia.com/gpu": {site.gpus[0].uuid: False}}
        assert site.gpu_status(0).reason == "NotUsable"

    run_site("h100-80gb:1:mig", scenario, Settings(mig_strategy=MigStrategy.NONE))
