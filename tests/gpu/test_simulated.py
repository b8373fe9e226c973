import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aliquot.clock import VirtualTimeLoop
from aliquot.gpu import boards
from aliquot.gpu.driver import DriverError, MigState, Placement, ReturnCode, XidEvent
from aliquot.gpu.inventory import parse, parse_gpus
from aliquot.gpu.layout import Geometry, Slice
from aliquot.gpu.simulated import SimulatedDriver

ONE, DOUBLE, TWO, THREE, FOUR = 19, 15, 14, 9, 5


def node(gpus: str = "h100-80gb:1:mig", name: str = "n") -> SimulatedDriver:
    return SimulatedDriver(parse_gpus(gpus), node=name)


def cut(driver: SimulatedDriver, gpu: str, profile_id: int, start: int | None) -> str:
    """UUID of the MIG device."""
    gi_id = driver.create_gpu_instance(gpu, profile_id, start).gi_id
    return driver.create_compute_instance(gpu, gi_id, None).uuid


# --- always the same ---


def test_a_node_has_the_same_uuids_at_every_start() -> None:
    assert [gpu.uuid for gpu in node("h100-80gb:8").gpus()] == [
        gpu.uuid for gpu in node("h100-80gb:8").gpus()
    ]


def test_gpus_with_nvlink_are_in_the_clique_of_their_node() -> None:
    node = parse("nodes: [{name: n, clique: 7, gpus: [{board: gb200}, {board: l4}]}]", source="f").node("n")
    one, other = SimulatedDriver(node.gpus, node=node.name, fabric=node.fabric).gpus()
    assert one.fabric is not None and one.fabric.clique_id == 7
    assert other.fabric is None


def test_two_nodes_have_different_uuids() -> None:
    assert {gpu.uuid for gpu in node("l4:4", "a").gpus()}.isdisjoint(
        gpu.uuid for gpu in node("l4:4", "b").gpus()
    )


def test_another_board_in_the_same_place_is_another_gpu() -> None:
    before, after = node("l4:2").gpus(), node("l4:1,t4:1").gpus()
    assert before[0].uuid == after[0].uuid
    assert before[1].uuid != after[1].uuid


def test_the_same_calls_give_the_same_mig_uuids() -> None:
    runs = []
    for _ in range(2):
        driver = node()
        gpu = driver.gpus()[0].uuid
        runs.append([cut(driver, gpu, ONE, None) for _ in range(7)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 7


def test_a_slice_made_again_is_another_device() -> None:
    driver = node()
    gpu = driver.gpus()[0].uuid
    first = cut(driver, gpu, ONE, 0)
    gi_id = driver.instances(gpu)[0].gi_id
    driver.destroy_compute_instance(gpu, gi_id, 0)
    driver.destroy_gpu_instance(gpu, gi_id)
    assert cut(driver, gpu, ONE, 0) != first
    assert driver.instances(gpu)[0].gi_id == gi_id


# --- the driver's own choices ---


@pytest.mark.parametrize(
    ("gpus", "profile_id", "starts"),
    [
        ("h100-80gb:1:mig", ONE, [6, 4, 5, 0, 1, 2, 3]),
        ("h100-80gb:1:mig", DOUBLE, [6, 4, 0, 2]),
        ("h100-80gb:1:mig", TWO, [4, 0, 2]),
        ("h100-80gb:1:mig", THREE, [4, 0]),
        ("a30-24gb:1:mig", 14, [0, 1, 2, 3]),
    ],
)
def test_left_to_itself_it_blocks_as_little_as_it_can(gpus: str, profile_id: int, starts: list[int]) -> None:
    driver = node(gpus)
    gpu = driver.gpus()[0].uuid
    assert [driver.create_gpu_instance(gpu, profile_id, None).placement.start for _ in starts] == starts


def test_left_to_itself_small_ones_first_block_a_large_one() -> None:
    driver = node()
    gpu = driver.gpus()[0].uuid
    for profile_id in (ONE, ONE, TWO):
        driver.create_gpu_instance(gpu, profile_id, None)
    with pytest.raises(DriverError) as caught:
        driver.create_gpu_instance(gpu, THREE, None)
    assert caught.value.code is ReturnCode.INSUFFICIENT_RESOURCES


@pytest.mark.parametrize(
    ("gpus", "profile_id", "start", "gi_id"),
    [
        ("h100-80gb:1:mig", 0, 0, 0),
        ("h100-80gb:1:mig", FOUR, 0, 1),
        ("h100-80gb:1:mig", THREE, 4, 2),
        ("h100-80gb:1:mig", TWO, 0, 3),
        ("h100-80gb:1:mig", DOUBLE, 6, 6),
        ("h100-80gb:1:mig", ONE, 0, 7),
        ("h100-80gb:1:mig", ONE, 6, 13),
        ("a30-24gb:1:mig", 14, 0, 3),
        ("rtx-pro-6000-96gb:1:mig", 14, 9, 6),
    ],
)
def test_instance_ids_follow_the_placement(gpus: str, profile_id: int, start: int, gi_id: int) -> None:
    driver = node(gpus)
    assert driver.create_gpu_instance(driver.gpus()[0].uuid, profile_id, start).gi_id == gi_id


@pytest.mark.parametrize("key", [b.key for b in boards.boards() if b.mig and b.mig.instance_profiles()])
def test_every_board_can_be_filled_with_each_of_its_profiles(key: str) -> None:
    for profile in node(f"{key}:1:mig").instance_profiles(node(f"{key}:1:mig").gpus()[0].uuid):
        driver = node(f"{key}:1:mig")
        gpu = driver.gpus()[0].uuid
        for _ in range(profile.max_instances):
            cut(driver, gpu, profile.profile_id, None)
        with pytest.raises(DriverError) as caught:
            driver.create_gpu_instance(gpu, profile.profile_id, None)
        assert caught.value.code is ReturnCode.INSUFFICIENT_RESOURCES
        names = {c.name for instance in driver.instances(gpu) for c in instance.compute_instances}
        assert names == {profile.name}


def test_what_the_catalogue_does_not_know_of_a_board_stays_unknown() -> None:
    (gpu,) = node("h100-80gb").gpus()
    assert (gpu.pci_device_id, gpu.pci_subsystem_id) == (0x233010DE, None)


@pytest.mark.parametrize("key", ["rtx-pro-5000-48gb", "rtx-pro-4500-32gb", "thor-igpu"])
def test_where_placements_are_not_published_mig_is_not_offered(key: str) -> None:
    driver = node(key)
    (gpu,) = driver.gpus()
    assert (gpu.mig, gpu.pci_device_id) == (MigState.UNSUPPORTED, None)
    calls: list[Callable[[], object]] = [
        lambda: driver.instance_profiles(gpu.uuid),
        lambda: driver.set_mig_mode(gpu.uuid, True),
    ]
    for call in calls:
        with pytest.raises(DriverError) as caught:
            call()
        assert caught.value.code is ReturnCode.NOT_SUPPORTED


# --- troubles ---


def test_a_gpu_in_mig_mode_runs_nothing_itself() -> None:
    driver = node()
    with pytest.raises(DriverError) as caught:
        driver.start_process(driver.gpus()[0].uuid, pid=1)
    assert caught.value.code is ReturnCode.NOT_SUPPORTED


def test_processes_need_a_device_that_is_there() -> None:
    driver = node()
    calls: list[Callable[[], object]] = [
        lambda: driver.start_process("MIG-gone", pid=1),
        lambda: driver.stop_process(1),
    ]
    for call in calls:
        with pytest.raises(DriverError) as caught:
            call()
        assert caught.value.code is ReturnCode.NOT_FOUND


def test_a_gpu_falls_off_the_bus_with_its_xid() -> None:
    driver = node("l4:2")
    gpu = driver.gpus()[1].uuid
    driver.lose_gpu(gpu)
    assert driver.wait_event(0) == XidEvent(gpu, 79)
    assert len(driver.gpus()) == 1


@pytest.mark.parametrize(
    ("gpus", "before", "after"),
    [
        ("a100-40gb", MigState.ENABLED, MigState.ENABLED),
        ("h100-80gb", MigState.ENABLED, MigState.DISABLED),
        ("b200-180gb", MigState.ENABLED, MigState.DISABLED),
    ],
)
def test_only_ampere_remembers_the_mode_over_a_reboot(gpus: str, before: MigState, after: MigState) -> None:
    driver = node(f"{gpus}:1:mig")
    gpu = driver.gpus()[0].uuid
    device = cut(driver, gpu, ONE, 0)
    driver.start_process(device, pid=1)
    assert driver.gpus()[0].mig is before
    driver.reboot()
    assert driver.gpus()[0].mig is after
    assert driver.instances(gpu) == ()
    assert driver.processes(gpu) == ()


def test_a_reboot_applies_a_mode_that_waited() -> None:
    driver = node("a100-40gb")
    driver.set_mig_mode(driver.gpus()[0].uuid, True)
    driver.reboot()
    assert driver.gpus()[0].mig is MigState.ENABLED


def test_a_reboot_brings_lost_gpus_back_and_forgets_events() -> None:
    driver = node("l4:2")
    driver.lose_gpu(driver.gpus()[0].uuid)
    driver.reboot()
    assert len(driver.gpus()) == 2
    assert driver.wait_event(0) is None


def test_a_waiting_thread_is_woken_by_an_event() -> None:
    driver = node("l4")
    gpu = driver.gpus()[0].uuid
    seen: list[XidEvent | None] = []
    waiter = threading.Thread(target=lambda: seen.append(driver.wait_event(60)))
    waiter.start()
    driver.inject_xid(gpu, 13)
    waiter.join(timeout=30)
    assert seen == [XidEvent(gpu, 13)]


def test_polled_with_zero_it_runs_on_a_virtual_loop() -> None:
    loop = VirtualTimeLoop()
    driver = node("l4")

    async def poll() -> XidEvent | None:
        return driver.wait_event(0)

    try:
        assert loop.run_until_complete(poll()) is None
    finally:
        loop.close()


# --- state ---


def test_a_saved_state_holds_modes_instances_and_losses_but_no_processes() -> None:
    driver = node("h100-80gb:2:mig,a100-40gb")
    first, second, third = (gpu.uuid for gpu in driver.gpus())
    driver.start_process(cut(driver, first, THREE, 4), pid=1)
    driver.set_mig_mode(third, True)
    driver.lose_gpu(second)
    again = node("h100-80gb:2:mig,a100-40gb")
    again.restore(driver.save())
    assert again.instances(first) == driver.instances(first)
    assert [(gpu.uuid, gpu.mig) for gpu in again.gpus()] == [
        (first, MigState.ENABLED),
        (third, MigState.PENDING_ENABLE),
    ]
    assert again.processes(first) == ()
    assert len(driver.processes(first)) == 1


def test_a_restored_node_goes_on_counting_its_devices() -> None:
    driver = node()
    gpu = driver.gpus()[0].uuid
    before = cut(driver, gpu, ONE, 0)
    again = node()
    again.restore(driver.save())
    gi_id = again.instances(gpu)[0].gi_id
    again.destroy_compute_instance(gpu, gi_id, 0)
    assert again.create_compute_instance(gpu, gi_id, None).uuid != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (node("l4").save(), "not that of 'n' and its inventory"),
        (node("h100-80gb:2:mig").save(), "not that of 'n' and its inventory"),
        (node(name="other").save(), "not that of 'n' and its inventory"),
        (node().save().replace('"version":1', '"version":2'), "not that of 'n' and its inventory"),
        (node().save()[:-5], "damaged state of the simulated GPUs of 'n'"),
        ("{}", "damaged state of the simulated GPUs of 'n'"),
        (
            node().save().replace('"instances":[]', '"instances":[{"gi_id":7,"profile_id":19,"start":7}]'),
            "damaged state of the simulated GPUs of 'n': impossible layout",
        ),
    ],
)
def test_a_state_that_is_not_this_nodes_is_refused(text: str, message: str) -> None:
    driver = node()
    before = driver.save()
    with pytest.raises(ValueError, match=message):
        driver.restore(text)
    assert driver.save() == before


def test_with_a_state_file_the_next_process_finds_what_the_last_one_left(tmp_path: Path) -> None:
    path = tmp_path / "gpus.json"
    driver = SimulatedDriver(parse_gpus("h100-80gb:1:mig"), node="n", state_file=path)
    gpu = driver.gpus()[0].uuid
    cut(driver, gpu, TWO, 2)
    again = SimulatedDriver(parse_gpus("h100-80gb:1:mig"), node="n", state_file=path)
    assert again.instances(gpu) == driver.instances(gpu)
    assert again.instances(gpu)[0].placement == Placement(2, 2)


class AnyCalls(RuleBasedStateMachine):
    """Whatever is asked in whatever order, the layout stays legal and a refusal changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.driver = node("h100-80gb:1:mig")
        self.gpu = self.driver.gpus()[0].uuid
        mig = boards.board("h100-80gb").mig
        assert mig
        self.geometry = Geometry(mig.instance_profiles())

    def ask(self, call: object, *arguments: object) -> None:
        before = self.driver.save()
        try:
            call(self.gpu, *arguments)  # type: ignore[operator]
        except DriverError:
            assert self.driver.save() == before

    @rule(profile_id=st.sampled_from([19, 20, 15, 14, 9, 5, 0, 3]), start=st.none() | st.integers(0, 7))
    def create(self, profile_id: int, start: int | None) -> None:
        self.ask(self.driver.create_gpu_instance, profile_id, start)

    @rule(gi_id=st.integers(0, 14))
    def destroy(self, gi_id: int) -> None:
        self.ask(self.driver.destroy_gpu_instance, gi_id)

    @rule(gi_id=st.integers(0, 14), profile_id=st.none() | st.integers(0, 8))
    def create_compute(self, gi_id: int, profile_id: int | None) -> None:
        self.ask(self.driver.create_compute_instance, gi_id, profile_id)

    @rule(gi_id=st.integers(0, 14), ci_id=st.integers(0, 3))
    def destroy_compute(self, gi_id: int, ci_id: int) -> None:
        self.ask(self.driver.destroy_compute_instance, gi_id, ci_id)

    @rule(enabled=st.booleans())
    def set_mode(self, enabled: bool) -> None:
        self.ask(self.driver.set_mig_mode, enabled)

    @rule()
    def reset(self) -> None:
        self.ask(self.driver.reset_gpu)

    @rule(data=st.data())
    def run(self, data: st.DataObject) -> None:
        devices = [c.uuid for i in self.driver.instances(self.gpu) for c in i.compute_instances]
        if devices:
            self.driver.start_process(data.draw(st.sampled_from(devices)), pid=1)

    @rule()
    def stop(self) -> None:
        if self.driver.processes(self.gpu):
            self.driver.stop_process(1)

    @invariant()
    def layout_is_legal(self) -> None:
        instances = self.driver.instances(self.gpu)
        assert self.geometry.legal([Slice(i.profile_id, i.placement.start) for i in instances])
        assert len({i.gi_id for i in instances}) == len(instances)

    @invariant()
    def devices_are_told_apart(self) -> None:
        uuids = [c.uuid for i in self.driver.instances(self.gpu) for c in i.compute_instances]
        assert len(set(uuids)) == len(uuids)

    @invariant()
    def whoever_runs_still_has_a_device(self) -> None:
        there = {(i.gi_id, c.ci_id) for i in self.driver.instances(self.gpu) for c in i.compute_instances}
        assert all((p.gi_id, p.ci_id) in there for p in self.driver.processes(self.gpu))


TestAnyCalls = AnyCalls.TestCase
TestAnyCalls.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
