"""The agent as kubelet, the API and the driver see it, on virtual time."""

import asyncio
import re
from itertools import pairwise

import pytest

from aliquot.gpu.driver import DriverError, ReturnCode
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.gpunode import Health, MigMode, WantedGPU
from aliquot.node.advertise import MigStrategy
from tests.node.conftest import NODE, Refused, Site, cut, placed, pod, run_site, wanted

SEVENTH = "nvidia.com/mig-1g.10gb"
SEVEN = [("1g.10gb", start) for start in range(7)]


# --- serving ---


def test_whole_gpus_are_offered_ready_and_reported() -> None:
    async def scenario(site: Site) -> None:
        assert site.offered() == {"nvidia.com/gpu": 2}
        status = site.api.gpu_node.status
        assert [(gpu.ready, gpu.resource) for gpu in status.gpus] == [(True, "nvidia.com/gpu")] * 2
        assert site.api.condition("Ready") == ("True", "Serving", "2 GPUs are served to kubelet")
        owner = (site.api.gpu_node.metadata.owner_references or ())[0]
        assert (owner.kind, owner.name, owner.uid) == ("Node", "gpu-0", "node-uid")

    run_site("h100-80gb:2", scenario)


def test_every_name_that_could_appear_is_registered_with_no_devices() -> None:
    async def scenario(site: Site) -> None:
        assert {"nvidia.com/gpu", SEVENTH, "nvidia.com/mig-7g.80gb"} <= set(site.kubelet.registrations)
        assert site.kubelet.offered[SEVENTH] == {}

    run_site("h100-80gb:1", scenario)


def test_a_slice_made_by_hand_is_offered_without_a_restart() -> None:
    async def scenario(site: Site) -> None:
        before = list(site.kubelet.registrations)
        cut(site.driver, site.gpus[0], ("3g.40gb", 4), ("1g.10gb", 0))
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 1, SEVENTH: 1}
        assert site.kubelet.registrations == before
        assert [i.ready for i in site.gpu_status(0).instances] == [True, True]

    run_site("h100-80gb:1:mig", scenario)


def test_a_part_of_a_gpu_instance_gets_a_name_of_its_own() -> None:
    async def scenario(site: Site) -> None:
        gpu = site.gpus[0]
        made = site.driver.create_gpu_instance(gpu.uuid, 9, 4)
        site.driver.create_compute_instance(gpu.uuid, made.gi_id, 0)
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/mig-1c.3g.40gb": 1}

    run_site("h100-80gb:1:mig", scenario)


def test_allocate_names_the_devices_in_both_variables() -> None:
    async def scenario(site: Site) -> None:
        ids = site.kubelet.free("nvidia.com/gpu")
        answer = await site.kubelet.allocate("nvidia.com/gpu", ids)
        assert dict(answer.envs) == {
            "NVIDIA_VISIBLE_DEVICES": ",".join(ids),
            "ALIQUOT_VISIBLE_DEVICES_GPU": ",".join(ids),
        }
        assert not answer.devices

    run_site("l4:2", scenario)


def test_an_unknown_device_is_refused() -> None:
    async def scenario(site: Site) -> None:
        with pytest.raises(Refused, match=r"NOT_FOUND: nvidia.com/gpu has no device GPU-x on this node"):
            await site.kubelet.allocate("nvidia.com/gpu", ["GPU-x"])

    run_site("l4:1", scenario)


def test_the_holder_of_a_device_is_reported() -> None:
    async def scenario(site: Site) -> None:
        site.api.pods.put(pod("train"))
        (held,) = await site.kubelet.admit("train", "nvidia.com/gpu")
        await asyncio.sleep(1)
        assert [gpu.pods for gpu in site.api.gpu_node.status.gpus if gpu.uuid == held] == [["default/train"]]
        site.kubelet.release("train")
        site.api.pods.remove("default/train")
        await asyncio.sleep(1)
        assert all(gpu.pods == [] for gpu in site.api.gpu_node.status.gpus)

    run_site("l4:2", scenario)


# --- restarts and lost connections ---


def test_a_restarted_kubelet_gets_everything_again() -> None:
    async def scenario(site: Site) -> None:
        names = set(site.kubelet.registrations)
        site.kubelet.registrations.clear()
        await site.kubelet.restart()
        await asyncio.sleep(3)
        assert set(site.kubelet.registrations) == names
        assert site.offered() == {"nvidia.com/gpu": 1}
        assert site.gpu_status(0).ready

    run_site("h100-80gb:1", scenario)


def test_a_lost_socket_is_served_and_registered_again() -> None:
    async def scenario(site: Site) -> None:
        site.plugin_sockets.drop("aliquot-gpu.sock")
        await asyncio.sleep(3)
        assert site.kubelet.registrations == ["nvidia.com/gpu"] * 2
        assert site.offered() == {"nvidia.com/gpu": 1}

    run_site("l4:1", scenario)


def test_an_absent_kubelet_is_the_reason_for_not_being_ready() -> None:
    async def scenario(site: Site) -> None:
        await site.kubelet.stop()
        await asyncio.sleep(60)
        state, reason, message = site.api.condition("Ready")
        assert (state, reason) == ("False", "NotRegistered")
        assert message.startswith("nvidia.com/gpu: kubelet.sock is absent")
        assert not site.gpu_status(0).ready
        await site.kubelet.start()
        await asyncio.sleep(3)
        assert site.api.condition("Ready")[0] == "True"

    run_site("l4:1", scenario)


def test_devices_are_served_while_the_api_is_away() -> None:
    async def scenario(site: Site) -> None:
        site.api.down = True
        cut(site.driver, site.gpus[0], ("1g.10gb", 0))
        await asyncio.sleep(15)
        assert site.offered() == {SEVENTH: 1}
        site.api.down = False
        await asyncio.sleep(60)
        assert [i.profile for i in site.gpu_status(0).instances] == ["1g.10gb"]

    run_site("h100-80gb:1:mig", scenario)


def test_a_restarted_agent_keeps_the_transition_times() -> None:
    async def scenario(site: Site) -> None:
        before = site.api.gpu_node.status
        await asyncio.sleep(3600)
        await site.stop_agent()
        await site.start_agent()
        assert site.api.gpu_node.status == before

    run_site("h100-80gb:1", scenario)


def test_an_idle_agent_writes_nothing() -> None:
    async def scenario(site: Site) -> None:
        before = len(site.api.written)
        await asyncio.sleep(3600)
        assert len(site.api.written) == before

    run_site("h100-80gb:1", scenario)


def test_a_status_that_somebody_else_changed_is_written_again() -> None:
    async def scenario(site: Site) -> None:
        site.api.gpu_nodes.remove(NODE)
        await asyncio.sleep(1)
        assert site.gpu_status(0).ready

    run_site("l4:1", scenario)


# --- cutting ---


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

        monkeypatch.setattr(site.driver, "create_compute_instance", fails_twice)
        site.api.want(wanted(site.gpus[0], ("3g.40gb", 4)))
        await asyncio.sleep(2)
        status = site.gpu_status(0)
        assert status.reason == "DriverError"
        assert status.message == "creating compute profile 2 in the instance at slot 4: Unknown Error"
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


# --- health ---


def test_a_sick_slice_leaves_its_neighbours_alone_and_recovers() -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("3g.40gb", 0), ("3g.40gb", 4))
        await asyncio.sleep(15)
        sick = site.slice_ids(0)["3g.40gb", 4]
        site.driver.inject_xid(sick, 94)
        await asyncio.sleep(2)
        assert site.kubelet.offered["nvidia.com/mig-3g.40gb"][sick] is False
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 1}
        status = site.gpu_status(0)
        assert (status.health, status.reason) == (Health.HEALTHY, "XID94")
        assert status.message == "3g.40gb at slot 4: XID 94: contained memory error"
        with pytest.raises(Refused, match="cannot be allocated: XID 94"):
            await site.kubelet.allocate("nvidia.com/mig-3g.40gb", [sick])
        await asyncio.sleep(80)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 2}

    run_site("h100-80gb:1:mig", scenario)


def test_a_lost_gpu_fails_no_other() -> None:
    async def scenario(site: Site) -> None:
        site.driver.lose_gpu(site.gpus[0].uuid)
        await asyncio.sleep(15)
        assert site.kubelet.allocatable("nvidia.com/gpu") == {site.gpus[1].uuid}
        lost = site.gpu_status(0)
        assert (lost.health, lost.reason, lost.ready) == (Health.UNHEALTHY, "GPULost", False)
        assert site.api.condition("Ready")[:2] == ("True", "UnhealthyGPU")
        assert await site.kubelet.admit("train", "nvidia.com/gpu") == (site.gpus[1].uuid,)
        site.driver.reboot()
        await asyncio.sleep(40)
        assert site.offered() == {"nvidia.com/gpu": 2}

    run_site("l4:2", scenario)


def test_a_driver_that_does_not_answer_makes_everything_unhealthy_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(site: Site) -> None:
        def broken() -> object:
            raise DriverError(ReturnCode.UNINITIALIZED, "Uninitialized")

        with monkeypatch.context() as patched:
            patched.setattr(site.driver, "version", broken)
            await asyncio.sleep(15)
            assert site.offered() == {}
            assert site.api.condition("Ready") == ("False", "DriverNotAnswering", "Uninitialized")
        await asyncio.sleep(40)
        assert site.offered() == {"nvidia.com/gpu": 1}

    run_site("l4:1", scenario)


# --- strategies ---


def test_single_gives_every_slice_the_plain_name() -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("3g.40gb", 0), ("3g.40gb", 4))
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/gpu": 2}
        assert set(site.kubelet.registrations) == {"nvidia.com/gpu"}

    run_site("h100-80gb:1:mig", scenario, MigStrategy.SINGLE)


def test_single_on_unlike_gpus_offers_nothing_and_says_why() -> None:
    async def scenario(site: Site) -> None:
        assert site.offered() == {}
        assert site.api.condition("Ready") == (
            "False",
            "LayoutsDiffer",
            "MIG strategy single needs MIG on every GPU or on none: it is off on GPU 1",
        )

    run_site("h100-80gb:1:mig,h100-80gb:1", scenario, MigStrategy.SINGLE)


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

    run_site("h100-80gb:2:mig", scenario, MigStrategy.SINGLE)


def test_none_shows_a_gpu_in_mig_mode_as_unhealthy() -> None:
    async def scenario(site: Site) -> None:
        assert site.kubelet.offered == {"nvidia.com/gpu": {site.gpus[0].uuid: False}}
        assert site.gpu_status(0).reason == "NotUsable"

    run_site("h100-80gb:1:mig", scenario, MigStrategy.NONE)


# --- who chooses ---


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
