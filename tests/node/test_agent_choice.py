"""Who chooses the device: the scheduler where it did, the agent where nobody did."""

import asyncio

from aliquot.kube.api.assignment import AssignedDevice
from tests.node.fake_api import pod
from tests.node.site import Site, run_site


def test_the_scheduler_s_choice_is_what_kubelet_gets() -> None:
    async def scenario(site: Site) -> None:
        chosen = site.gpus[2].uuid
        site.api.pods.put(
            pod("train", assigned=[AssignedDevice(container="main", resource="nvidia.com/gpu", gpu=chosen)])
        )
        assert await site.kubelet.admit("train", "nvidia.com/gpu") == (chosen,)

    run_site("l4:4", scenario)


def test_two_pods_asked_for_in_quick_succession_get_both_choices() -> None:
    """Between the two nobody has looked at pod-resources."""

    async def scenario(site: Site) -> None:
        chosen = [site.gpus[3].uuid, site.gpus[1].uuid]
        for order, uuid in enumerate(chosen):
            device = AssignedDevice(container="main", resource="nvidia.com/gpu", gpu=uuid)
            site.api.pods.put(pod(f"p{order}", assigned=[device], bound_at=1_767_225_600 + order))
        assert [await site.kubelet.admit(f"p{n}", "nvidia.com/gpu") for n in range(2)] == [
            (uuid,) for uuid in chosen
        ]

    run_site("l4:4", scenario)


def test_a_pod_without_an_assignment_leaves_assigned_devices_to_others() -> None:
    async def scenario(site: Site) -> None:
        device = AssignedDevice(container="main", resource="nvidia.com/gpu", gpu=site.gpus[0].uuid)
        two = [device, AssignedDevice(container="main", resource="nvidia.com/gpu", gpu=site.gpus[1].uuid)]
        site.api.pods.put(pod("gang", count=2, assigned=two))
        assert await site.kubelet.admit("other", "nvidia.com/gpu") == (site.gpus[2].uuid,)
        assert set(await site.kubelet.admit("gang", "nvidia.com/gpu", 2)) == {g.uuid for g in site.gpus[:2]}

    run_site("l4:3", scenario)


def test_a_lost_gpu_does_not_keep_a_pod_from_linked_ones() -> None:
    async def scenario(site: Site) -> None:
        site.driver.lose_gpu(site.gpus[0].uuid)
        await asyncio.sleep(15)
        chosen = await site.kubelet.admit("train", "nvidia.com/gpu", 2)
        assert set(chosen) == {site.gpus[1].uuid, site.gpus[2].uuid}

    run_site("v100-32gb:8", scenario)
