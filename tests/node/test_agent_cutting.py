"""The agent brings MIG modes and slices from the wish to the deed, and touches nothing in use."""

import asyncio
import re
from itertools import pairwise

import pytest

from aliquot.gpu.driver import DriverError, ReturnCode
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.gpunode import MigMode, WantedGPU
from tests.node.fake_api import pod, wanted
from tests.node.machines import cut, placed
from tests.node.site import Site, run_site

SEVENTH = "nvidia.com/mig-1g.10gb"
SEVEN = [("1g.10gb", start) for start in range(7)]


def test_mig_is_switched_on_and_slices_are_cut_as_wanted() -> None:
    async def scenario(site: Site) -> None:
        site.api.want(wanted(site.gpus[0], *SEVEN, mig=True))
        await asyncio.sleep(10)
        assert placed(site.driver, site.gpus[0]) == set(SEVEN)
        assert site.offered() == {"nvidia.com/gpu": 1, SEVENTH: 7}
        status = site.gpu_status(0)
        assert (status.mig_mode, status.resource, status.reason) == (MigMode.ENABLED, "", "")
        assert [(i.start, i.size, i.ready) for i in status.instances] == [(n, 1, True) for n in range(7)]
        assert site.api.condition("MIGConfigured")[:2] == ("True", "AsWanted")
        assert site.api.gpu_node.status.observed_generation == site.api.gpu_node.metadata.generation

    run_site("h100-80gb:2", scenario)


def test_a_board_that_needs_it_is_reset_for_its_mode() -> None:
    async def scenario(site: Site) -> None:
        site.api.want(wanted(site.gpus[0], ("3g.20gb", 4), mig=True))
        await asyncio.sleep(10)
        assert site.gpu_status(0).mig_mode is MigMode.ENABLED
        assert site.offered() == {"nvidia.com/mig-3g.20gb": 1}

    run_site("a100-40gb:1", scenario)


def test_mig_is_switched_off_when_nobody_uses_its_slices() -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], *SEVEN)
        await asyncio.sleep(15)
        site.api.want(WantedGPU(uuid=site.gpus[0].uuid, mig=False))
        await asyncio.sleep(10)
        assert site.offered() == {"nvidia.com/gpu": 1}
        assert site.gpu_status(0).mig_mode is MigMode.DISABLED

    run_site("h100-80gb:1:mig", scenario)


def test_without_a_wish_nothing_is_touched() -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], *SEVEN)
        site.api.want(WantedGPU(uuid=site.gpus[0].uuid))
        await asyncio.sleep(30)
        assert placed(site.driver, site.gpus[0]) == set(SEVEN)
        assert site.api.condition("MIGConfigured")[:2] == ("True", "AsWanted")

    run_site("h100-80gb:1:mig", scenario)


def test_slices_that_stay_are_not_made_anew() -> None:
    async def scenario(site: Site) -> None:
        site.api.want(wanted(site.gpus[0], ("1g.10gb", 0), ("1g.10gb", 1)))
        await asyncio.sleep(10)
        before = site.slice_ids(0)
        site.api.want(wanted(site.gpus[0], ("1g.10gb", 0), ("3g.40gb", 4)))
        await asyncio.sleep(10)
        after = site.slice_ids(0)
        assert set(after) == {("1g.10gb", 0), ("3g.40gb", 4)}
        assert after["1g.10gb", 0] == before["1g.10gb", 0]

    run_site("h100-80gb:1:mig", scenario)


def test_a_slice_leaves_kubelets_list_before_it_is_destroyed() -> None:
    async def scenario(site: Site) -> None:
        site.api.want(wanted(site.gpus[0], ("7g.80gb", 0)))
        await asyncio.sleep(10)
        uuid = site.slice_ids(0)["7g.80gb", 0]
        site.kubelet.deaf.clear()
        site.api.want(wanted(site.gpus[0]))
        await asyncio.sleep(10)
        assert placed(site.driver, site.gpus[0]) == {("7g.80gb", 0)}, "kubelet still would hand it out"
        assert site.api.condition("MIGConfigured")[:2] == ("False", "Withdrawing")
        site.kubelet.deaf.set()
        await asyncio.sleep(5)
        assert placed(site.driver, site.gpus[0]) == set()
        last_update = site.kubelet.updates["nvidia.com/mig-7g.80gb"]
        assert {uuid: False} in last_update
        assert last_update[-1] == {}

    run_site("h100-80gb:1:mig", scenario)


def test_a_kubelet_that_never_lets_go_gets_its_slice_back() -> None:
    async def scenario(site: Site) -> None:
        site.api.want(wanted(site.gpus[0], ("7g.80gb", 0)))
        await asyncio.sleep(10)
        site.kubelet.deaf.clear()
        site.api.want(wanted(site.gpus[0]))
        await asyncio.sleep(32)
        state, reason, message = site.api.condition("MIGConfigured")
        assert (state, reason) == ("False", "NotReleased")
        assert re.search(r"kubelet still lists MIG-\S+ as allocatable", message)
        site.kubelet.deaf.set()
        await asyncio.sleep(1)
        assert site.offered() == {"nvidia.com/mig-7g.80gb": 1}
        await asyncio.sleep(30)
        assert placed(site.driver, site.gpus[0]) == set()

    run_site("h100-80gb:1:mig", scenario)


async def _holding(site: Site) -> str:
    """A pod on the 7g.80gb slice, which then is not wanted any more."""
    site.api.want(wanted(site.gpus[0], ("7g.80gb", 0)))
    await asyncio.sleep(10)
    site.api.pods.put(pod("train", "nvidia.com/mig-7g.80gb"))
    (uuid,) = await site.kubelet.admit("train", "nvidia.com/mig-7g.80gb")
    site.api.pods.put(pod("train", "nvidia.com/mig-7g.80gb", phase="Running"))
    await asyncio.sleep(2)
    site.api.want(wanted(site.gpus[0], *SEVEN))
    await asyncio.sleep(120)
    return uuid


def test_a_slice_that_a_pod_holds_is_kept_and_the_pod_named() -> None:
    async def scenario(site: Site) -> None:
        await _holding(site)
        assert placed(site.driver, site.gpus[0]) == {("7g.80gb", 0)}
        status = site.gpu_status(0)
        assert (status.reason, status.message) == (
            "InUse",
            "7g.80gb at slot 0 is in use by default/train",
        )
        assert site.api.condition("MIGConfigured")[:2] == ("False", "InUse")
        site.kubelet.release("train")
        site.api.pods.remove("default/train")
        await asyncio.sleep(10)
        assert placed(site.driver, site.gpus[0]) == set(SEVEN)

    run_site("h100-80gb:1:mig", scenario)


def test_a_kubelet_that_forgot_its_pods_for_a_moment_costs_no_slice() -> None:
    """Right after its restart kubelet lists nobody; the API still shows the pod."""

    async def scenario(site: Site) -> None:
        await _holding(site)
        site.kubelet.release("train")
        await asyncio.sleep(30)
        assert placed(site.driver, site.gpus[0]) == {("7g.80gb", 0)}

    run_site("h100-80gb:1:mig", scenario)


def test_a_slice_with_a_process_is_kept() -> None:
    async def scenario(site: Site) -> None:
        (instance,) = cut(site.driver, site.gpus[0], ("7g.80gb", 0))
        site.driver.start_process(instance.compute_instances[0].uuid, pid=77)
        site.api.want(wanted(site.gpus[0]))
        await asyncio.sleep(60)
        assert site.gpu_status(0).message == "7g.80gb at slot 0 is in use by process 77"
        site.driver.stop_process(77)
        await asyncio.sleep(15)
        assert placed(site.driver, site.gpus[0]) == set()

    run_site("h100-80gb:1:mig", scenario)


@pytest.mark.parametrize(
    ("pods", "message"),
    [
        (1, "1g.10gb at slot 0 is in use by default/p0"),
        (
            3,
            "1g.10gb at slot 0 is in use by default/p0; 1g.10gb at slot 1 is in use by default/p1; "
            "1g.10gb at slot 2 is in use by default/p2",
        ),
        (
            5,
            "1g.10gb at slot 0 is in use by default/p0; 1g.10gb at slot 1 is in use by default/p1; "
            "1g.10gb at slot 2 is in use by default/p2; and 2 more",
        ),
    ],
)
def test_mig_is_not_switched_off_under_pods_and_they_are_named(pods: int, message: str) -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], *SEVEN)
        await asyncio.sleep(15)
        for start in range(pods):
            site.kubelet.hold(f"p{start}", SEVENTH, (site.slice_ids(0)["1g.10gb", start],))
        site.api.want(WantedGPU(uuid=site.gpus[0].uuid, mig=False))
        await asyncio.sleep(15)
        assert site.gpu_status(0).mig_mode is MigMode.ENABLED
        assert site.api.condition("MIGConfigured") == ("False", "InUse", f"GPU 0: {message}")

    run_site("h100-80gb:1:mig", scenario)


def test_a_slice_is_kept_for_the_pod_that_is_bound_for_it() -> None:
    async def scenario(site: Site) -> None:
        gpu = site.gpus[0]
        site.api.want(wanted(gpu, ("1g.10gb", 0), ("1g.10gb", 1)))
        await asyncio.sleep(10)
        slice_1 = AssignedDevice(container="main", resource=SEVENTH, gpu=gpu.uuid, profile="1g.10gb", start=1)
        site.api.pods.put(pod("soon", SEVENTH, assigned=[slice_1]))
        site.api.want(wanted(gpu))
        await asyncio.sleep(30)
        assert site.gpu_status(0).message == (
            "1g.10gb at slot 1 is in use by default/soon, which is bound here for it"
        )
        assert await site.kubelet.admit("soon", SEVENTH) == (site.slice_ids(0)["1g.10gb", 1],)

    run_site("h100-80gb:1:mig", scenario)


def test_a_pod_of_another_scheduler_keeps_every_slice_that_it_might_get() -> None:
    async def scenario(site: Site) -> None:
        site.api.want(wanted(site.gpus[0], ("1g.10gb", 0), ("1g.10gb", 1)))
        await asyncio.sleep(10)
        site.api.pods.put(pod("foreign", SEVENTH))
        site.api.want(wanted(site.gpus[0], ("1g.10gb", 0)))
        await asyncio.sleep(30)
        assert "default/foreign, which is bound here and may get it" in site.gpu_status(0).message
        await site.kubelet.admit("foreign", SEVENTH)

    run_site("h100-80gb:1:mig", scenario)


def test_a_device_chosen_while_it_is_withdrawn_is_given_and_stays() -> None:
    """Kubelet did not know yet: to refuse would fail the pod for good."""

    async def scenario(site: Site) -> None:
        site.api.want(wanted(site.gpus[0], ("7g.80gb", 0)))
        await asyncio.sleep(10)
        site.kubelet.deaf.clear()
        site.api.want(wanted(site.gpus[0]))
        await asyncio.sleep(5)
        (uuid,) = await site.kubelet.admit("quick", "nvidia.com/mig-7g.80gb")
        site.kubelet.deaf.set()
        await asyncio.sleep(60)
        assert site.slice_ids(0) == {("7g.80gb", 0): uuid}
        assert site.offered() == {"nvidia.com/mig-7g.80gb": 1}

    run_site("h100-80gb:1:mig", scenario)


def test_nothing_is_cut_until_the_pods_are_known() -> None:
    async def scenario(site: Site) -> None:
        site.api.pods.is_synced = False
        site.api.want(wanted(site.gpus[0], *SEVEN))
        await asyncio.sleep(60)
        assert placed(site.driver, site.gpus[0]) == set()
        assert site.gpu_status(0).reason == "PodsUnknown"

    run_site("h100-80gb:1:mig", scenario)


@pytest.mark.parametrize(
    ("slices", "mig", "reason", "message"),
    [
        ([("9g.10gb", 0)], None, "UnknownProfile", "the board has no profile '9g.10gb'"),
        ([("3g.40gb", 1)], None, "BadStart", "3g.40gb cannot start at slot 1, only at 0, 4"),
        ([("4g.40gb", 0), ("1g.10gb", 3)], None, "Overlap", "1g.10gb at slot 3 overlaps 4g.40gb at slot 0"),
        ([("1g.10gb", 0)], False, "Contradiction", "slices are wanted with MIG off"),
    ],
)
def test_an_impossible_wish_is_refused_with_its_reason(
    slices: list[tuple[str, int]], mig: bool | None, reason: str, message: str
) -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("1g.10gb", 6))
        site.api.want(wanted(site.gpus[0], *slices, mig=mig))
        await asyncio.sleep(15)
        assert placed(site.driver, site.gpus[0]) == {("1g.10gb", 6)}
        status = site.gpu_status(0)
        assert (status.reason, status.message[: len(message)]) == (reason, message)
        assert site.api.condition("MIGConfigured")[:2] == ("False", reason)

    run_site("h100-80gb:1:mig", scenario)


@pytest.mark.parametrize(
    ("gpus", "mig", "reason"), [("l4:1", True, "MIGUnsupported"), ("h100-80gb:1", None, "MIGOff")]
)
def test_slices_need_mig(gpus: str, mig: bool | None, reason: str) -> None:
    async def scenario(site: Site) -> None:
        site.api.want(wanted(site.gpus[0], ("1g.10gb", 0), mig=mig))
        await asyncio.sleep(15)
        assert site.gpu_status(0).reason == reason
        assert site.offered() == {"nvidia.com/gpu": 1}

    run_site(gpus, scenario)


@pytest.mark.parametrize("gpus", ["h100-80gb:1", "a100-80gb:1"])
def test_for_slices_that_cannot_be_a_gpu_is_not_taken_out_of_service(gpus: str) -> None:
    async def scenario(site: Site) -> None:
        half, quarter = ("3g.40gb", 2), ("4g.40gb", 0)
        site.api.want(wanted(site.gpus[0], half, quarter, mig=True))
        await asyncio.sleep(10)
        assert site.api.condition("MIGConfigured")[:2] == ("False", "BadStart")
        assert site.gpu_status(0).mig_mode is MigMode.DISABLED
        assert site.offered() == {"nvidia.com/gpu": 1}

    run_site(gpus, scenario)


def test_a_wish_for_a_gpu_that_is_not_here_is_said() -> None:
    async def scenario(site: Site) -> None:
        site.api.want(WantedGPU(uuid="GPU-elsewhere", mig=True))
        await asyncio.sleep(5)
        assert site.api.condition("MIGConfigured") == (
            "False",
            "NoSuchGPU",
            "GPU-elsewhere: the node has no GPU of this UUID",
        )

    run_site("l4:1", scenario)


def test_a_step_that_fails_is_reported_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(site: Site) -> None:
        attempts: list[float] = []
        really = site.driver.create_compute_instance

        def fails_twice(gpu_uuid: str, gi_id: int, profile_id: int) -> object:
            attempts.append(site.clock.now())
            if len(attempts) <= 2:
                raise DriverError(ReturnCode.UNKNOWN, "Unknown Error")
            return really(gpu_uuid, gi_id, profile_id)

        def fails_once(gpu_uuid: str, profile_id: int, start: int | None) -> object:
            monkeypatch.undo()
            monkeypatch.setattr(site.driver, "create_compute_instance", fails_twice)
            raise DriverError(ReturnCode.UNKNOWN, "Unknown Error")

        monkeypatch.setattr(site.driver, "create_gpu_instance", fails_once)
        site.api.want(wanted(site.gpus[0], ("3g.40gb", 0)))
        await asyncio.sleep(2)
        assert site.gpu_status(0).message == "creating 3g.40gb at slot 0: Unknown Error"
        site.api.want(wanted(site.gpus[0], ("3g.40gb", 4)))
        await asyncio.sleep(2)
        status = site.gpu_status(0)
        assert status.reason == "DriverError"
        assert status.message == "creating a compute instance in the GPU instance at slot 4: Unknown Error"
        await asyncio.sleep(30)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 1}
        gaps = [round(later - earlier) for earlier, later in pairwise(attempts)]
        assert gaps == [5, 10]

    run_site("h100-80gb:1:mig", scenario)


@pytest.mark.parametrize("kills", range(0, 40, 3))
def test_an_agent_killed_at_any_moment_of_a_change_finishes_it(kills: int) -> None:
    """Cancelled after so many turns of the loop, then started again."""

    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("7g.80gb", 0))
        await asyncio.sleep(15)
        site.api.want(wanted(site.gpus[0], *SEVEN))
        await asyncio.sleep(0.02)
        for _ in range(kills):
            await asyncio.sleep(0)
        await site.stop_agent()
        await site.start_agent()
        await asyncio.sleep(60)
        assert site.offered() == {SEVENTH: 7}

    run_site("h100-80gb:1:mig", scenario)
