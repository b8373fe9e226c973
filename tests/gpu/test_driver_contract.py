"""What every driver promises, asked of the simulated one and of NVML alike."""

import dataclasses
from collections.abc import Callable
from typing import Protocol, TypeAlias

import pytest

from aliquot.gpu import boards
from aliquot.gpu.driver import (
    Driver,
    DriverError,
    DriverVersion,
    Fabric,
    GpuInstance,
    LinkKind,
    MigState,
    Placement,
    Process,
    ReturnCode,
    TimeSlice,
    XidEvent,
)
from aliquot.gpu.nvml import NvmlDriver
from aliquot.gpu.simulated import SimulatedDriver

BOTH: tuple[type[Driver], ...] = (SimulatedDriver, NvmlDriver)
"""For the type checker: each has every method of the interface, with its types."""

ONE, ONE_ME, ONE_DOUBLE, TWO, THREE, FOUR, SEVEN = 19, 20, 15, 14, 9, 5, 0


class Machine(Protocol):
    @property
    def driver(self) -> Driver: ...
    def start_process(self, device_uuid: str, pid: int, memory_mib: int | None = None) -> None: ...
    def stop_process(self, pid: int) -> None: ...
    def inject_xid(self, device_uuid: str, xid: int) -> None: ...
    def lose_gpu(self, gpu_uuid: str) -> None: ...
    def join_fabric(self, fabric: Fabric | None) -> None: ...
    def exclusive(self, gpu_uuid: str) -> bool: ...
    def time_slice(self, gpu_uuid: str) -> TimeSlice: ...


MakeMachine: TypeAlias = Callable[..., Machine]
"""Takes the GPUs as on the command line, and whether the driver is an `old_driver`."""


def code(call: Callable[[], object]) -> ReturnCode:
    with pytest.raises(DriverError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return caught.value.code


def cut(driver: Driver, gpu: str, profile_id: int, start: int) -> GpuInstance:
    """A slice with the compute instance that fills it."""
    instance = driver.create_gpu_instance(gpu, profile_id, start)
    driver.create_compute_instance(gpu, instance.gi_id, None)
    return next(i for i in driver.instances(gpu) if i.gi_id == instance.gi_id)


# --- what the node has ---


def test_the_version_is_told(machine: MakeMachine) -> None:
    assert machine("l4").driver.version() == DriverVersion("580.82.07", "13.0")


@pytest.mark.parametrize(
    "key", ["h100-80gb", "a100-40gb", "a30-24gb", "l4", "t4", "b200-180gb", "rtx-6000-ada"]
)
def test_a_gpu_is_described_as_the_catalogue_has_it(machine: MakeMachine, key: str) -> None:
    (gpu,) = machine(key).driver.gpus()
    board = boards.board(key)
    assert (gpu.board, gpu.product, gpu.memory_mib) == (board.key, board.product, board.memory_mib)
    assert (gpu.architecture, gpu.compute_capability) == (
        board.architecture,
        board.compute_capability_numbers,
    )
    assert (gpu.pci_device_id, gpu.pci_class) == (board.pci_device_id, board.pci_class_number)
    assert (gpu.index, gpu.minor, gpu.numa_node) == (0, 0, 0)
    assert gpu.uuid.startswith("GPU-")
    assert gpu.mig is (MigState.DISABLED if board.mig else MigState.UNSUPPORTED)


def test_gpus_come_by_index_with_their_numa_nodes(machine: MakeMachine) -> None:
    gpus = machine("h100-80gb:3,l4").driver.gpus()
    assert [(gpu.index, gpu.board, gpu.numa_node) for gpu in gpus] == [
        (0, "h100-80gb", 0),
        (1, "h100-80gb", 0),
        (2, "h100-80gb", 1),
        (3, "l4", 1),
    ]
    assert len({gpu.uuid for gpu in gpus} | {gpu.pci_bus_id for gpu in gpus}) == 8


@pytest.mark.parametrize(
    ("gpus", "lanes"),
    [("h100-80gb:8", 18), ("a100-40gb:8", 12), ("b200-180gb:8", 18), ("a100-40gb:4", 4), ("h100-80gb:4", 6)],
)
def test_boards_with_nvlink_reach_each_other_through_it(machine: MakeMachine, gpus: str, lanes: int) -> None:
    driver = machine(gpus).driver
    found = driver.gpus()
    for gpu in found:
        links = [link for link in driver.links(gpu.uuid) if link.kind is LinkKind.NVLINK]
        assert [link.peer_uuid for link in links] == [g.uuid for g in found if g != gpu]
        assert {link.lanes for link in links} == {lanes}


def test_boards_with_nvlink_have_their_pcie_path_as_well(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:4").driver
    links = driver.links(driver.gpus()[0].uuid)
    assert [link.kind for link in links if link.kind is not LinkKind.NVLINK] == [
        LinkKind.SAME_CPU,
        LinkKind.CROSS_CPU,
        LinkKind.CROSS_CPU,
    ]


def test_boards_with_nvlink_say_which_domain_they_have_joined(machine: MakeMachine) -> None:
    made = machine("gb200:2,l4")
    assert [gpu.fabric for gpu in made.driver.gpus()] == [None, None, None]
    domain = Fabric("8a5b6c7d-0102-4304-8506-0708090a0b0c", 7)
    made.join_fabric(domain)
    assert [gpu.fabric for gpu in made.driver.gpus()] == [domain, domain, None]


def test_pcie_boards_meet_at_their_cpu_or_between_cpus(machine: MakeMachine) -> None:
    driver = machine("l4:4").driver
    assert [(link.kind, link.lanes) for link in driver.links(driver.gpus()[0].uuid)] == [
        (LinkKind.SAME_CPU, 0),
        (LinkKind.CROSS_CPU, 0),
        (LinkKind.CROSS_CPU, 0),
    ]


def test_the_cube_mesh_of_eight_v100_has_six_links_on_each(machine: MakeMachine) -> None:
    driver = machine("v100-32gb:8").driver
    gpus = driver.gpus()
    for gpu in gpus:
        assert sum(link.lanes for link in driver.links(gpu.uuid)) == 6
    first = driver.links(gpus[0].uuid)
    assert [link.lanes for link in first if link.kind is LinkKind.NVLINK] == [1, 1, 2, 2]
    assert [link.kind for link in first if link.peer_uuid == gpus[5].uuid] == [LinkKind.CROSS_CPU]


def test_an_unknown_gpu_is_not_found(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    calls: list[Callable[[], object]] = [
        lambda: driver.links("GPU-x"),
        lambda: driver.instance_profiles("GPU-x"),
        lambda: driver.possible_placements("GPU-x", ONE),
        lambda: driver.instances("GPU-x"),
        lambda: driver.set_mig_mode("GPU-x", True),
        lambda: driver.reset_gpu("GPU-x"),
        lambda: driver.create_gpu_instance("GPU-x", ONE, 0),
        lambda: driver.destroy_gpu_instance("GPU-x", 7),
        lambda: driver.create_compute_instance("GPU-x", 7, 0),
        lambda: driver.destroy_compute_instance("GPU-x", 7, 0),
        lambda: driver.processes("GPU-x"),
    ]
    assert [code(call) for call in calls] == [ReturnCode.NOT_FOUND] * len(calls)


# --- profiles and placements ---


@pytest.mark.parametrize("key", ["h100-80gb", "a100-40gb", "a30-24gb", "b200-180gb", "rtx-pro-6000-96gb"])
@pytest.mark.parametrize("mode", ["", ":mig"])
def test_profiles_are_the_boards_own_with_mig_on_or_off(machine: MakeMachine, key: str, mode: str) -> None:
    driver = machine(f"{key}:1{mode}").driver
    mig = boards.board(key).mig
    assert mig
    found = driver.instance_profiles(driver.gpus()[0].uuid)
    assert {dataclasses.replace(p, compute_profiles=()) for p in found} == {
        dataclasses.replace(p, compute_profiles=()) for p in mig.instance_profiles()
    }


def test_a_board_without_mig_has_no_profiles(machine: MakeMachine) -> None:
    driver = machine("l4").driver
    gpu = driver.gpus()[0].uuid
    assert code(lambda: driver.instance_profiles(gpu)) is ReturnCode.NOT_SUPPORTED
    assert driver.instances(gpu) == ()


def test_an_older_driver_tells_profiles_only_with_mig_on(machine: MakeMachine) -> None:
    driver = machine("h100-80gb", old_driver=True).driver
    gpu = driver.gpus()[0].uuid
    assert driver.instance_profiles(gpu) == ()
    driver.set_mig_mode(gpu, True)
    names = {profile.profile_id: profile.name for profile in driver.instance_profiles(gpu)}
    assert names == {
        ONE: "1g.10gb",
        ONE_ME: "1g.10gb+me",
        ONE_DOUBLE: "1g.20gb",
        TWO: "2g.20gb",
        THREE: "3g.40gb",
        FOUR: "4g.40gb",
        SEVEN: "7g.80gb",
    }


def test_possible_placements_are_those_still_free(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    assert driver.possible_placements(gpu, THREE) == (Placement(0, 4), Placement(4, 4))
    driver.create_gpu_instance(gpu, ONE_ME, 6)
    assert driver.possible_placements(gpu, THREE) == (Placement(0, 4),)
    assert driver.possible_placements(gpu, ONE_ME) == ()
    assert [p.start for p in driver.possible_placements(gpu, ONE)] == [0, 1, 2, 3, 4, 5]


def test_placements_of_what_the_board_has_not_are_refused(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig,h100-80gb").driver
    on, off = (gpu.uuid for gpu in driver.gpus())
    assert code(lambda: driver.possible_placements(on, 99)) is ReturnCode.INVALID_ARGUMENT
    assert code(lambda: driver.possible_placements(off, ONE)) is ReturnCode.NOT_SUPPORTED


# --- GPU instances ---


def test_a_gpu_instance_is_made_where_it_is_wanted(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    made = driver.create_gpu_instance(gpu, TWO, 2)
    assert made == GpuInstance(made.gi_id, TWO, Placement(2, 2), ())
    assert driver.instances(gpu) == (made,)


def test_without_a_start_the_driver_finds_room(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    starts = {driver.create_gpu_instance(gpu, ONE, None).placement.start for _ in range(7)}
    assert starts == set(range(7))
    assert code(lambda: driver.create_gpu_instance(gpu, ONE, None)) is ReturnCode.INSUFFICIENT_RESOURCES


def test_instances_come_by_id_and_ids_differ(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    for profile_id, start in ((ONE, 6), (TWO, 4), (ONE, 3), (ONE_DOUBLE, 0)):
        driver.create_gpu_instance(gpu, profile_id, start)
    ids = [instance.gi_id for instance in driver.instances(gpu)]
    assert len(ids) == 4 and ids == sorted(set(ids))


@pytest.mark.parametrize(
    ("existing", "profile_id", "start", "expected"),
    [
        ([(ONE, 0)], ONE, 0, ReturnCode.INSUFFICIENT_RESOURCES),
        ([(ONE, 6)], THREE, 4, ReturnCode.INSUFFICIENT_RESOURCES),
        ([(ONE, 6), (ONE, 0)], THREE, None, ReturnCode.INSUFFICIENT_RESOURCES),
        ([(ONE_ME, 0)], ONE_ME, 1, ReturnCode.INSUFFICIENT_RESOURCES),
        ([], ONE, 7, ReturnCode.INVALID_ARGUMENT),
        ([], TWO, 6, ReturnCode.INVALID_ARGUMENT),
        ([], FOUR, 4, ReturnCode.INVALID_ARGUMENT),
        ([], 99, 0, ReturnCode.INVALID_ARGUMENT),
    ],
)
def test_what_cannot_be_made_is_refused(
    machine: MakeMachine,
    existing: list[tuple[int, int]],
    profile_id: int,
    start: int | None,
    expected: ReturnCode,
) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    for profile, at in existing:
        driver.create_gpu_instance(gpu, profile, at)
    before = driver.instances(gpu)
    assert code(lambda: driver.create_gpu_instance(gpu, profile_id, start)) is expected
    assert driver.instances(gpu) == before


def test_nothing_is_made_while_mig_is_off(machine: MakeMachine) -> None:
    driver = machine("h100-80gb").driver
    gpu = driver.gpus()[0].uuid
    assert code(lambda: driver.create_gpu_instance(gpu, ONE, 0)) is ReturnCode.NOT_SUPPORTED
    assert code(lambda: driver.create_compute_instance(gpu, 7, 0)) is ReturnCode.NOT_SUPPORTED
    assert driver.instances(gpu) == ()


def test_a_gpu_instance_goes_once_its_compute_instances_are_gone(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    gi_id = cut(driver, gpu, ONE, 0).gi_id
    assert code(lambda: driver.destroy_gpu_instance(gpu, gi_id)) is ReturnCode.IN_USE
    driver.destroy_compute_instance(gpu, gi_id, 0)
    driver.destroy_gpu_instance(gpu, gi_id)
    assert driver.instances(gpu) == ()
    assert code(lambda: driver.destroy_gpu_instance(gpu, gi_id)) is ReturnCode.NOT_FOUND


def test_room_that_was_given_back_is_room_again(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    first = driver.create_gpu_instance(gpu, SEVEN, 0)
    driver.destroy_gpu_instance(gpu, first.gi_id)
    assert driver.create_gpu_instance(gpu, FOUR, 0).placement == Placement(0, 4)


# --- compute instances ---


def test_a_compute_instance_makes_a_mig_device(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    gi_id = driver.create_gpu_instance(gpu, TWO, 0).gi_id
    made = driver.create_compute_instance(gpu, gi_id, 1)
    assert (made.ci_id, made.profile_id, made.name) == (0, 1, "2g.20gb")
    assert made.uuid.startswith("MIG-")
    assert driver.instances(gpu)[0].compute_instances == (made,)


@pytest.mark.parametrize(
    ("profile_id", "name", "ci_profile_id"),
    [(ONE, "1g.10gb", 0), (ONE_ME, "1g.10gb+me", 0), (ONE_DOUBLE, "1g.20gb", 7), (SEVEN, "7g.80gb", 4)],
)
def test_the_one_that_fills_the_instance_is_found(
    machine: MakeMachine, profile_id: int, name: str, ci_profile_id: int
) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    (compute,) = cut(driver, gpu, profile_id, 0).compute_instances
    assert (compute.name, compute.profile_id) == (name, ci_profile_id)


def test_a_gpu_instance_can_be_shared_out_among_compute_instances(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    gi_id = driver.create_gpu_instance(gpu, TWO, 0).gi_id
    parts = [driver.create_compute_instance(gpu, gi_id, 0) for _ in range(2)]
    assert [(part.ci_id, part.name) for part in parts] == [(0, "1c.2g.20gb"), (1, "1c.2g.20gb")]
    for profile_id in (0, 1, None):
        refused = code(lambda wanted=profile_id: driver.create_compute_instance(gpu, gi_id, wanted))  # type: ignore[misc]
        assert refused is ReturnCode.INSUFFICIENT_RESOURCES
    driver.destroy_compute_instance(gpu, gi_id, 0)
    again = driver.create_compute_instance(gpu, gi_id, 0)
    assert again.ci_id == 0
    assert again.uuid not in {part.uuid for part in parts}


def test_compute_instances_that_cannot_be_are_refused(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    gi_id = driver.create_gpu_instance(gpu, ONE, 0).gi_id
    assert code(lambda: driver.create_compute_instance(gpu, gi_id, 4)) is ReturnCode.INVALID_ARGUMENT
    assert code(lambda: driver.create_compute_instance(gpu, gi_id + 1, 0)) is ReturnCode.NOT_FOUND
    assert code(lambda: driver.destroy_compute_instance(gpu, gi_id, 0)) is ReturnCode.NOT_FOUND


def test_a_compute_instance_in_which_a_process_runs_stays(machine: MakeMachine) -> None:
    here = machine("h100-80gb:1:mig")
    driver = here.driver
    gpu = driver.gpus()[0].uuid
    used, idle = cut(driver, gpu, ONE, 0), cut(driver, gpu, ONE, 1)
    here.start_process(used.compute_instances[0].uuid, 4242)
    assert code(lambda: driver.destroy_compute_instance(gpu, used.gi_id, 0)) is ReturnCode.IN_USE
    driver.destroy_compute_instance(gpu, idle.gi_id, 0)
    here.stop_process(4242)
    driver.destroy_compute_instance(gpu, used.gi_id, 0)


# --- MIG mode ---


def test_hopper_switches_at_once(machine: MakeMachine) -> None:
    driver = machine("h100-80gb").driver
    gpu = driver.gpus()[0].uuid
    assert driver.set_mig_mode(gpu, True) is MigState.ENABLED
    assert driver.set_mig_mode(gpu, True) is MigState.ENABLED
    assert driver.gpus()[0].mig is MigState.ENABLED
    assert driver.set_mig_mode(gpu, False) is MigState.DISABLED


def test_ampere_waits_for_a_reset(machine: MakeMachine) -> None:
    driver = machine("a100-40gb").driver
    gpu = driver.gpus()[0].uuid
    assert driver.set_mig_mode(gpu, True) is MigState.PENDING_ENABLE
    assert driver.gpus()[0].mig is MigState.PENDING_ENABLE
    assert code(lambda: driver.create_gpu_instance(gpu, ONE, 0)) is ReturnCode.NOT_SUPPORTED
    driver.reset_gpu(gpu)
    assert driver.gpus()[0].mig is MigState.ENABLED
    assert driver.set_mig_mode(gpu, False) is MigState.PENDING_DISABLE
    driver.reset_gpu(gpu)
    assert driver.gpus()[0].mig is MigState.DISABLED


def test_a_mode_that_waits_can_be_taken_back(machine: MakeMachine) -> None:
    driver = machine("a100-40gb").driver
    gpu = driver.gpus()[0].uuid
    driver.set_mig_mode(gpu, True)
    assert driver.set_mig_mode(gpu, False) is MigState.DISABLED


def test_while_a_change_to_off_waits_mig_still_works(machine: MakeMachine) -> None:
    driver = machine("a100-40gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    assert driver.set_mig_mode(gpu, False) is MigState.PENDING_DISABLE
    cut(driver, gpu, ONE, 0)
    assert len(driver.instances(gpu)) == 1


@pytest.mark.parametrize("gpus", ["h100-80gb:1:mig", "a100-40gb:1:mig"])
def test_mig_stays_on_while_instances_exist(machine: MakeMachine, gpus: str) -> None:
    driver = machine(gpus).driver
    gpu = driver.gpus()[0].uuid
    driver.create_gpu_instance(gpu, ONE, 0)
    assert code(lambda: driver.set_mig_mode(gpu, False)) is ReturnCode.IN_USE
    assert driver.gpus()[0].mig is MigState.ENABLED


def test_hopper_does_not_switch_under_a_process(machine: MakeMachine) -> None:
    here = machine("h100-80gb")
    driver = here.driver
    gpu = driver.gpus()[0].uuid
    here.start_process(gpu, 7)
    assert code(lambda: driver.set_mig_mode(gpu, True)) is ReturnCode.IN_USE
    assert driver.gpus()[0].mig is MigState.DISABLED
    here.stop_process(7)
    assert driver.set_mig_mode(gpu, True) is MigState.ENABLED


def test_ampere_takes_note_but_is_not_reset_under_a_process(machine: MakeMachine) -> None:
    here = machine("a100-40gb")
    driver = here.driver
    gpu = driver.gpus()[0].uuid
    here.start_process(gpu, 7)
    assert driver.set_mig_mode(gpu, True) is MigState.PENDING_ENABLE
    assert code(lambda: driver.reset_gpu(gpu)) is ReturnCode.IN_USE
    here.stop_process(7)
    driver.reset_gpu(gpu)
    assert driver.gpus()[0].mig is MigState.ENABLED


def test_a_board_without_mig_has_no_mode_to_set(machine: MakeMachine) -> None:
    driver = machine("l4").driver
    gpu = driver.gpus()[0].uuid
    assert code(lambda: driver.set_mig_mode(gpu, True)) is ReturnCode.NOT_SUPPORTED


def test_a_reset_destroys_all_instances(machine: MakeMachine) -> None:
    driver = machine("h100-80gb:2:mig").driver
    first, second = (gpu.uuid for gpu in driver.gpus())
    cut(driver, first, ONE, 0)
    cut(driver, second, ONE, 0)
    driver.reset_gpu(first)
    assert driver.instances(first) == ()
    assert len(driver.instances(second)) == 1
    assert driver.gpus()[0].mig is MigState.ENABLED


# --- processes, events, loss ---


def test_a_gpu_can_be_one_process_s_alone(machine: MakeMachine) -> None:
    made = machine("a100-40gb:2")
    first, second = (gpu.uuid for gpu in made.driver.gpus())
    made.driver.set_exclusive(first, True)
    assert (made.exclusive(first), made.exclusive(second)) == (True, False)
    made.driver.set_exclusive(first, False)
    assert not made.exclusive(first)


def test_a_gpu_in_mig_mode_has_no_compute_mode(machine: MakeMachine) -> None:
    made = machine("h100-80gb:1:mig")
    uuid = made.driver.gpus()[0].uuid
    assert code(lambda: made.driver.set_exclusive(uuid, True)) is ReturnCode.NOT_SUPPORTED


def test_time_slices_have_a_length(machine: MakeMachine) -> None:
    made = machine("a100-40gb:1")
    uuid = made.driver.gpus()[0].uuid
    for length in TimeSlice:
        made.driver.set_time_slice(uuid, length)
        assert made.time_slice(uuid) is length


def test_processes_are_told_with_where_they_run(machine: MakeMachine) -> None:
    here = machine("h100-80gb:1:mig,h100-80gb")
    driver = here.driver
    sliced, whole = (gpu.uuid for gpu in driver.gpus())
    instance = cut(driver, sliced, THREE, 4)
    here.start_process(instance.compute_instances[0].uuid, 11, memory_mib=1000)
    here.start_process(whole, 12)
    here.start_process(whole, 13, memory_mib=5)
    assert driver.processes(sliced) == (Process(11, instance.gi_id, 0, 1000),)
    assert driver.processes(whole) == (Process(12, None, None, None), Process(13, None, None, 5))
    here.stop_process(12)
    assert driver.processes(whole) == (Process(13, None, None, 5),)


def test_events_arrive_in_order_and_name_their_device(machine: MakeMachine) -> None:
    here = machine("h100-80gb:2:mig")
    driver = here.driver
    first, second = (gpu.uuid for gpu in driver.gpus())
    instance = cut(driver, second, TWO, 0)
    assert driver.wait_event(0) is None
    here.inject_xid(first, 63)
    here.inject_xid(instance.compute_instances[0].uuid, 43)
    assert driver.wait_event(0) == XidEvent(first, 63)
    assert driver.wait_event(5) == XidEvent(second, 43, instance.gi_id, 0)
    assert driver.wait_event(0) is None


def test_without_an_event_the_wait_ends_in_time(machine: MakeMachine) -> None:
    assert machine("l4").driver.wait_event(0.01) is None


def test_events_are_still_told_after_a_change_of_mode(machine: MakeMachine) -> None:
    here = machine("h100-80gb")
    gpu = here.driver.gpus()[0].uuid
    assert here.driver.wait_event(0) is None
    here.driver.set_mig_mode(gpu, True)
    here.inject_xid(gpu, 48)
    assert here.driver.wait_event(0) == XidEvent(gpu, 48)


def test_a_lost_gpu_is_left_out_and_the_others_stay(machine: MakeMachine) -> None:
    here = machine("h100-80gb:3")
    driver = here.driver
    gpus = [gpu.uuid for gpu in driver.gpus()]
    here.lose_gpu(gpus[1])
    assert [(gpu.uuid, gpu.index) for gpu in driver.gpus()] == [(gpus[0], 0), (gpus[2], 2)]
    assert {link.peer_uuid for link in driver.links(gpus[0])} == {gpus[2]}
    assert driver.set_mig_mode(gpus[0], True) is MigState.ENABLED


def test_a_lost_gpu_is_told_of_by_name(machine: MakeMachine) -> None:
    here = machine("h100-80gb:3")
    driver = here.driver
    gpus = [gpu.uuid for gpu in driver.gpus()]
    assert driver.lost_gpus() == ()
    here.lose_gpu(gpus[1])
    (lost,) = driver.lost_gpus()
    assert (lost.index, lost.uuid, lost.error.code) == (1, gpus[1], ReturnCode.GPU_IS_LOST)
    assert driver.set_mig_mode(gpus[0], True) is MigState.ENABLED  # handles are void after it
    assert [(again.index, again.uuid) for again in driver.lost_gpus()] == [(1, gpus[1])]


def test_a_lost_gpu_says_so(machine: MakeMachine) -> None:
    here = machine("h100-80gb:2:mig")
    driver = here.driver
    lost, other = (gpu.uuid for gpu in driver.gpus())
    instance = cut(driver, lost, ONE, 0)
    here.lose_gpu(lost)
    calls: list[Callable[[], object]] = [
        lambda: driver.links(lost),
        lambda: driver.instance_profiles(lost),
        lambda: driver.instances(lost),
        lambda: driver.possible_placements(lost, ONE),
        lambda: driver.set_mig_mode(lost, False),
        lambda: driver.reset_gpu(lost),
        lambda: driver.create_gpu_instance(lost, ONE, 1),
        lambda: driver.destroy_gpu_instance(lost, instance.gi_id),
        lambda: driver.create_compute_instance(lost, instance.gi_id, 0),
        lambda: driver.destroy_compute_instance(lost, instance.gi_id, 0),
        lambda: driver.processes(lost),
    ]
    assert [code(call) for call in calls] == [ReturnCode.GPU_IS_LOST] * len(calls)
    assert driver.set_mig_mode(other, False) is MigState.DISABLED
    assert code(lambda: driver.instances(lost)) is ReturnCode.GPU_IS_LOST
