"""The Node's labels follow what the agent finds and serves."""

import asyncio
from typing import Any

from aliquot.gpu.driver import Fabric
from aliquot.kube.api.gpunode import Sharing, WantedGPU, WantedSharing
from aliquot.node.labels.writer import TIMESTAMP
from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.plugin_config.settings import Settings
from tests.node.fake_api import wanted
from tests.node.site import Site, run_site

WITHIN_S = 2.0


async def labelled(site: Site) -> dict[str, str]:
    """The Node, once it is there, with the first labels."""
    site.api.label(rack="r1")
    await asyncio.sleep(WITHIN_S)
    return shown(site)


def shown(site: Site) -> dict[str, str]:
    node: Any = next(iter(site.api.node_objects.held.values()))
    return dict(node.metadata.labels)


def test_a_node_is_labelled() -> None:
    async def scenario(site: Site) -> None:
        found = await labelled(site)
        assert found["nvidia.com/gpu.product"] == "NVIDIA-L4"
        assert found["nvidia.com/gpu.count"] == "2"
        assert found["nvidia.com/gpu.machine"] == "unknown"
        assert found["rack"] == "r1"
        await asyncio.sleep(300)
        assert shown(site) == found
        assert len(site.api.labelled) == 1

    run_site("l4:2", scenario)


def test_labels_follow_a_cut_and_go_with_the_slices() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        before = await labelled(site)
        site.api.want(wanted(gpu, ("1g.10gb", 0), ("1g.10gb", 1), ("3g.40gb", 4)))
        await asyncio.sleep(WITHIN_S)
        found = shown(site)
        assert found["nvidia.com/mig-1g.10gb.count"] == "2"
        assert found["nvidia.com/mig-3g.40gb.product"] == "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb"
        assert int(found[TIMESTAMP]) > int(before[TIMESTAMP])
        await asyncio.sleep(30)
        site.api.want(wanted(gpu, mig=True))
        # The slices are first taken out of kubelet's hands.
        await asyncio.sleep(30)
        assert not [key for key in shown(site) if key.startswith("nvidia.com/mig-")]
        assert shown(site)["rack"] == "r1"

    run_site("h100-80gb:1:mig", scenario)


def test_under_single_a_cut_changes_what_a_gpu_is() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        assert (await labelled(site))["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3-MIG-INVALID"
        site.api.want(wanted(gpu, *(("1g.10gb", start) for start in range(7))))
        await asyncio.sleep(WITHIN_S)
        found = shown(site)
        assert found["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"
        assert (found["nvidia.com/gpu.count"], found["nvidia.com/gpu.multiprocessors"]) == ("7", "16")

    run_site("h100-80gb:1:mig", scenario, Settings(mig_strategy=MigStrategy.SINGLE))


def test_labels_follow_shares() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        assert (await labelled(site))["nvidia.com/gpu.replicas"] == "1"
        sharing = WantedSharing(strategy=Sharing.TIME_SLICING, replicas=4)
        site.api.want(WantedGPU(uuid=gpu.uuid, sharing=sharing))
        await asyncio.sleep(WITHIN_S)
        found = shown(site)
        assert (found["nvidia.com/gpu.replicas"], found["nvidia.com/gpu.sharing-strategy"]) == (
            "4",
            "time-slicing",
        )

    run_site("l4:1", scenario)


def test_the_clique_comes_when_the_fabric_is_there() -> None:
    async def scenario(site: Site) -> None:
        assert "nvidia.com/gpu.clique" not in await labelled(site)
        site.driver.join_fabric(Fabric("8a5b6c7d-0102-4304-8506-0708090a0b0c", 7))
        await asyncio.sleep(30)
        assert shown(site)["nvidia.com/gpu.clique"] == "8a5b6c7d-0102-4304-8506-0708090a0b0c.7"

    run_site("gb200:4", scenario)


def test_a_gpu_that_is_lost_is_still_counted() -> None:
    async def scenario(site: Site) -> None:
        found = await labelled(site)
        site.driver.lose_gpu(site.gpus[0].uuid)
        await asyncio.sleep(30)
        assert shown(site) == found

    run_site("l4:2", scenario)


def test_a_second_agent_labels_nothing_until_the_first_has_stopped() -> None:
    async def scenario(site: Site) -> None:
        first = site.agent_task
        assert first is not None
        found = await labelled(site)
        await site.start_agent()
        await asyncio.sleep(120)
        assert len(site.api.labelled) == 1
        first.cancel()
        await asyncio.sleep(3)
        assert len(site.api.labelled) == 2
        assert shown(site) == found

    run_site("l4:2", scenario)


def test_labels_stay_when_the_agent_stops() -> None:
    async def scenario(site: Site) -> None:
        found = await labelled(site)
        await site.stop_agent()
        await asyncio.sleep(60)
        assert shown(site) == found
        await site.start_agent()
        await asyncio.sleep(60)
        assert shown(site) == found

    run_site("l4:2", scenario)
