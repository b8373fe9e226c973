"""Shares as kubelet sees them, from the offer to the answer."""

import asyncio

import pytest

from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.gpunode import Sharing, WantedGPU, WantedSharing
from aliquot.node.advertise import device_of
from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import Settings, resolve
from tests.node.fake_api import pod, wanted
from tests.node.kubelet import Refused
from tests.node.machines import cut, placed
from tests.node.site import Site, run_site

GPU = "nvidia.com/gpu"
SHARED = "nvidia.com/gpu.shared"


def settings(text: str) -> Settings:
    return resolve(Flags(mps_root="/run/mps"), parse(text, source="f"))


def sliced(replicas: int, more: str = "") -> Settings:
    return settings(f"sharing: {{timeSlicing: {{{more} resources: [{{name: gpu, replicas: {replicas}}}]}}}}")


def test_each_share_is_offered_and_reported() -> None:
    async def scenario(site: Site) -> None:
        assert site.offered() == {SHARED: 8}
        held = await site.kubelet.admit("a", SHARED, 3)
        await asyncio.sleep(15)
        index = next(gpu.index for gpu in site.gpus if gpu.uuid == device_of(held[0]))
        status = site.gpu_status(index)
        assert (status.resource, status.ready, status.pods) == (SHARED, True, ["default/a"])
        assert status.shares.strategy is Sharing.TIME_SLICING
        assert status.shares.replicas == 4
        assert [(one.pod, one.shares) for one in status.shares.held] == [("default/a", 3)]

    run_site("h100-80gb:2", scenario, sliced(4, "renameByDefault: true,"))


def test_shares_of_one_container_are_of_one_gpu_and_pods_are_spread() -> None:
    async def scenario(site: Site) -> None:
        gpus = []
        for name in ("a", "b", "c", "d"):
            held = await site.kubelet.admit(name, GPU, 2)
            assert len({device_of(share) for share in held}) == 1
            gpus.append(device_of(held[0]))
        assert gpus[0] != gpus[1]
        assert sorted(gpus) == sorted([gpu.uuid for gpu in site.gpus] * 2)

    run_site("h100-80gb:2", scenario, sliced(4))


def test_packed_pods_fill_one_gpu_first() -> None:
    async def scenario(site: Site) -> None:
        held = [await site.kubelet.admit(name, GPU) for name in ("a", "b", "c", "d", "e")]
        used = [device_of(share) for (share,) in held]
        assert len(set(used[:4])) == 1
        assert used[4] != used[0]

    packed = settings(
        "flags: {plugin: {sharedDevicesAllocationPolicy: packed}}\n"
        "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 4}]}}"
    )
    run_site("h100-80gb:2", scenario, packed)


def test_the_scheduler_s_gpu_is_where_the_shares_come_from() -> None:
    async def scenario(site: Site) -> None:
        chosen = site.gpus[1].uuid
        first = AssignedDevice(container="main", resource=GPU, gpu=chosen, shares=2)
        site.api.pods.put(pod("a", count=2, assigned=[first]))
        site.api.pods.put(pod("b", count=2, assigned=[first], bound_at=1_800_000_000))
        # Somebody whom nobody placed is not given what they are to get.
        other = await site.kubelet.admit("other", GPU)
        assert {device_of(share) for share in other} == {site.gpus[0].uuid}
        held = [await site.kubelet.admit(name, GPU, 2) for name in ("a", "b")]
        assert {device_of(share) for shares in held for share in shares} == {chosen}
        assert len({*held[0], *held[1]}) == 4

    run_site("h100-80gb:2", scenario, sliced(4))


def test_shares_of_two_gpus_are_refused_with_a_reason() -> None:
    async def scenario(site: Site) -> None:
        first, second = (gpu.uuid for gpu in site.gpus)
        with pytest.raises(Refused, match="a container's shares are of one GPU or slice"):
            await site.kubelet.allocate(GPU, [f"{first}::0", f"{second}::0"])

    run_site("h100-80gb:2", scenario, sliced(2))


def test_a_sick_gpu_takes_all_its_shares_and_no_others() -> None:
    async def scenario(site: Site) -> None:
        site.driver.inject_xid(site.gpus[0].uuid, 48)
        await asyncio.sleep(5)
        assert site.offered() == {GPU: 2}
        sick = [share for share, healthy in site.kubelet.offered[GPU].items() if not healthy]
        assert sick == [f"{site.gpus[0].uuid}::0", f"{site.gpus[0].uuid}::1"]

    run_site("h100-80gb:2", scenario, sliced(2))


def test_a_slice_whose_share_is_held_is_not_cut_away() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        cut(site.driver, gpu, ("3g.40gb", 0))
        await asyncio.sleep(15)
        await site.kubelet.admit("a", "nvidia.com/mig-3g.40gb")
        site.api.want(wanted(gpu, ("7g.80gb", 0)))
        await asyncio.sleep(60)
        assert placed(site.driver, gpu) == {("3g.40gb", 0)}
        assert site.gpu_status(0).reason == "InUse"
        site.kubelet.release("a")
        await asyncio.sleep(60)
        assert placed(site.driver, gpu) == {("7g.80gb", 0)}

    shared = settings("sharing: {mps: {resources: [{name: mig-3g.40gb, replicas: 2}]}}")
    run_site("h100-80gb:1:mig", scenario, shared)


def test_gpunode_shares_a_gpu_and_makes_it_whole_again() -> None:
    async def scenario(site: Site) -> None:
        uuid = site.gpus[0].uuid
        assert site.offered() == {GPU: 2}
        site.api.want(WantedGPU(uuid=uuid, sharing=WantedSharing(strategy=Sharing.TIME_SLICING, replicas=3)))
        await asyncio.sleep(5)
        assert site.offered() == {GPU: 1, SHARED: 3}
        assert site.api.condition("MIGConfigured")[:2] == ("True", "AsWanted")
        site.api.want(WantedGPU(uuid=uuid, sharing=WantedSharing()))
        await asyncio.sleep(5)
        assert site.offered() == {GPU: 2}

    run_site("h100-80gb:2", scenario)


@pytest.mark.parametrize(("root", "told"), [("/run/mps", True), ("", False)])
def test_whether_there_could_be_shares_under_mps_is_reported(root: str, told: bool) -> None:
    async def scenario(site: Site) -> None:
        assert site.api.gpu_node.status.mps is told

    run_site("h100-80gb:1", scenario, Settings(mps_root=root))
