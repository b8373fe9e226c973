"""Devices offered as one of a GPUClass: under that name alone, and only once nobody has them under another."""

import asyncio
from collections.abc import Callable

import pytest

from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.gpunode import Sharing, SliceClass, WantedGPU, WantedSharing
from aliquot.node.advertise import device_of
from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import resolve
from tests.node.fake_api import pod
from tests.node.kubelet import Refused
from tests.node.machines import NODE, cut
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


def _deleted(site: Site) -> None:
    site.api.gpu_nodes.remove(NODE)


def _unnamed(site: Site) -> None:
    site.api.want(WantedGPU(uuid=site.gpus[0].uuid))


def _renamed(site: Site) -> None:
    other = [SliceClass(start=start, class_name="other") for start in (0, 1)]
    site.api.want(WantedGPU(uuid=site.gpus[0].uuid, slice_classes=other))


CHANGES = pytest.mark.parametrize("change", [_deleted, _unnamed, _renamed])


async def _two_small_slices(site: Site) -> None:
    (gpu,) = site.gpus
    cut(site.driver, gpu, ("1g.10gb", 0), ("1g.10gb", 1))
    small = [SliceClass(start=start, class_name="small") for start in (0, 1)]
    site.api.want(WantedGPU(uuid=gpu.uuid, slice_classes=small))
    await asyncio.sleep(15)
    assert site.offered() == {SMALL: 2}


def _slice(site: Site, start: int) -> AssignedDevice:
    uuid = site.gpus[0].uuid
    return AssignedDevice(container="main", resource=SMALL, gpu=uuid, profile="1g.10gb", start=start)


@CHANGES
def test_what_a_bound_pod_was_promised_keeps_its_name_until_the_pod_has_it(
    change: Callable[[Site], None],
) -> None:
    async def scenario(site: Site) -> None:
        await _two_small_slices(site)
        site.api.pods.put(pod("a", SMALL, assigned=[_slice(site, 1)]))
        change(site)
        # Kubelet is slow to take the pod in.
        await asyncio.sleep(20)
        assert site.offered()[SMALL] == 1
        held = await site.kubelet.admit("a", SMALL)
        await asyncio.sleep(3)
        instance = site.gpu_status(0).instances[1]
        assert (held, instance.resource, instance.pods) == ((instance.uuid,), SMALL, ["default/a"])

        site.kubelet.release("a")
        site.api.pods.remove("default/a")
        await asyncio.sleep(15)
        assert SMALL not in site.offered()
        assert sum(site.offered().values()) == 2

    run_site("h100-80gb:1:mig", scenario)


def test_what_was_promised_to_a_pod_that_is_gone_changes_its_name() -> None:
    async def scenario(site: Site) -> None:
        await _two_small_slices(site)
        site.api.pods.put(pod("a", SMALL, assigned=[_slice(site, 1)]))
        _unnamed(site)
        await asyncio.sleep(20)
        assert site.offered() == {SLICE: 1, SMALL: 1}
        site.api.pods.remove("default/a")
        await asyncio.sleep(15)
        assert site.offered() == {SLICE: 2}

    run_site("h100-80gb:1:mig", scenario)


def test_pods_that_are_taken_in_in_another_order_than_they_were_bound_each_get_a_device() -> None:
    async def scenario(site: Site) -> None:
        await _two_small_slices(site)
        for start, name in enumerate("ab"):
            site.api.pods.put(
                pod(name, SMALL, assigned=[_slice(site, start)], bound_at=1_767_225_600 + start)
            )
        _deleted(site)
        await asyncio.sleep(15)
        first = await site.kubelet.admit("b", SMALL)
        await asyncio.sleep(15)
        assert first != await site.kubelet.admit("a", SMALL)

    run_site("h100-80gb:1:mig", scenario)


def test_a_pod_without_an_assignment_may_be_given_any_device_of_the_name_and_all_keep_it() -> None:
    async def scenario(site: Site) -> None:
        await _two_small_slices(site)
        site.api.pods.put(pod("a", SMALL))
        _unnamed(site)
        await asyncio.sleep(15)
        assert site.offered() == {SMALL: 2}
        await site.kubelet.admit("a", SMALL)
        await asyncio.sleep(15)
        assert site.offered() == {SLICE: 1}
        with pytest.raises(Refused):
            await site.kubelet.admit("b", SMALL)

    run_site("h100-80gb:1:mig", scenario)


def test_promised_shares_are_offered_until_the_pod_has_them_though_others_hold_some() -> None:
    async def scenario(site: Site) -> None:
        (gpu,) = site.gpus
        sharing = WantedSharing(strategy=Sharing.TIME_SLICING, replicas=4)
        site.api.want(WantedGPU(uuid=gpu.uuid, sharing=sharing, class_name="small"))
        await asyncio.sleep(3)
        await site.kubelet.admit("a", SMALL)
        share = AssignedDevice(container="main", resource=SMALL, gpu=gpu.uuid, shares=2)
        site.api.pods.put(pod("b", SMALL, 2, assigned=[share]))
        _unnamed(site)
        await asyncio.sleep(15)
        assert site.offered() == {SMALL: 4}
        await site.kubelet.admit("b", SMALL, 2)
        await asyncio.sleep(3)
        # As long as somebody has it nobody else is sent for it.
        assert site.offered() == {}
        for name in "ab":
            site.kubelet.release(name)
        site.api.pods.remove("default/b")
        await asyncio.sleep(15)
        assert site.offered() == {GPU: 1}

    run_site("h100-80gb:1", scenario)


def test_a_started_agent_changes_no_name_before_it_knows_the_pods() -> None:
    async def scenario(site: Site) -> None:
        await _two_small_slices(site)
        await site.stop_agent()
        site.api.pods.is_synced = False
        site.api.pods.put(pod("a", SMALL, assigned=[_slice(site, 1)]))
        _unnamed(site)
        await site.start_agent()
        await asyncio.sleep(10)
        assert site.offered() == {SMALL: 2}
        site.api.pods.is_synced = True
        await asyncio.sleep(15)
        assert site.offered() == {SLICE: 1, SMALL: 1}
        await site.kubelet.admit("a", SMALL)

    run_site("h100-80gb:1:mig", scenario)
