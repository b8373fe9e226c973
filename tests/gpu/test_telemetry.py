"""What GPUs measure: what both drivers promise, and how the real binding's structs are read."""

from collections.abc import Callable
from typing import Any

import pytest

from aliquot.gpu.driver import DriverError, Memory, RecoveryAction, ReturnCode, Telemetry
from tests.gpu.conftest import FIGURES, SimulatedMachine

MakeMachine = Callable[..., Any]

IN_ONE_ANSWER = (
    {"busy_percent", "memory_busy_percent"},
    {"corrected_rows", "uncorrected_rows", "row_remap_pending", "row_remap_failed"},
)
"""Figures that NVML tells together."""

ALL = {name: number + 1 for number, name in enumerate(FIGURES)} | {"recovery_action": 1}


def test_a_process_takes_memory_and_the_rest_is_free(machine: MakeMachine) -> None:
    made = machine("h100-80gb:2")
    used, idle = (gpu.uuid for gpu in made.driver.gpus())
    made.start_process(used, pid=7, memory_mib=1000)
    made.start_process(used, pid=8)  # one whose memory is not known
    total, reserved = 81559, 81559 // 128
    assert made.driver.telemetry(used).memory == Memory(1000, total - reserved - 1000, reserved)
    assert made.driver.telemetry(idle).memory == Memory(0, total - reserved, reserved)


def test_in_mig_mode_instances_have_memory_of_their_own_and_nothing_has_utilization(
    machine: MakeMachine,
) -> None:
    made = machine("h100-80gb:1:mig")
    driver, gpu = made.driver, made.driver.gpus()[0].uuid
    used, parted, empty = (driver.create_gpu_instance(gpu, 14, start).gi_id for start in (0, 2, 4))
    mine = driver.create_compute_instance(gpu, used, None)
    for _ in range(2):
        driver.create_compute_instance(gpu, parted, 0)
    made.start_process(mine.uuid, pid=7, memory_mib=500)
    size_mib = next(p.memory_mib for p in driver.instance_profiles(gpu) if p.profile_id == 14)
    reserved = size_mib // 128
    found = driver.telemetry(gpu)
    assert found.instance_memory == {
        used: Memory(500, size_mib - reserved - 500, reserved),
        parted: Memory(0, size_mib - reserved, reserved),
    }, f"instance {empty} has no MIG device"
    assert found.memory is not None and found.memory.used_mib == 500
    assert (found.busy_percent, found.memory_busy_percent) == (None, None)
    assert (found.encoder_percent, found.decoder_percent) == (None, None)
    assert found.temperature_celsius is not None


def test_where_memory_is_not_known_it_is_not_told(machine: MakeMachine) -> None:
    made = machine("h100-94gb:1")
    found = made.driver.telemetry(made.driver.gpus()[0].uuid)
    assert found.memory is None
    assert found.temperature_celsius is not None


@pytest.mark.parametrize(("board", "rows", "pages"), [("h100-80gb", 0, None), ("t4", None, 0)])
def test_boards_replace_rows_or_retire_pages(
    machine: MakeMachine, board: str, rows: int | None, pages: int | None
) -> None:
    made = machine(f"{board}:1")
    found = made.driver.telemetry(made.driver.gpus()[0].uuid)
    assert (found.corrected_rows, found.uncorrected_rows) == (rows, rows)
    assert (found.retired_pages_single_bit, found.retired_pages_double_bit) == (pages, pages)
    assert found.row_remap_failed is (None if rows is None else False)
    assert found.row_remap_pending is (None if rows is None else False)
    assert found.uncorrected_errors == 0
    assert found.retired_pages_pending is (None if pages is None else False)


def test_a_lost_gpu_has_no_figures_and_its_neighbour_has(machine: MakeMachine) -> None:
    made = machine("h100-80gb:2")
    lost, other = (gpu.uuid for gpu in made.driver.gpus())
    made.lose_gpu(lost)
    with pytest.raises(DriverError) as caught:
        made.driver.telemetry(lost)
    assert caught.value.code is ReturnCode.GPU_IS_LOST
    assert made.driver.telemetry(other).power_watts is not None


def test_figures_of_a_simulated_gpu_follow_from_what_runs_on_it_or_are_set() -> None:
    made = SimulatedMachine("h100-80gb:1")
    driver, gpu = made.driver, made.driver.gpus()[0].uuid
    idle = driver.telemetry(gpu)
    assert driver.telemetry(gpu) == idle
    made.start_process(gpu, pid=7, memory_mib=1000)
    busy = driver.telemetry(gpu)
    assert (idle.busy_percent, busy.busy_percent) == (0, 35)
    assert (idle.power_watts, busy.power_watts) == (70.0, 227.5)
    assert (idle.temperature_celsius, busy.temperature_celsius) == (32, 46)
    driver.measure(gpu, power_watts=699.5)
    assert driver.telemetry(gpu).power_watts == 699.5


# --- how NVML's answers are read ---


def test_every_figure_comes_from_its_own_call(nvml_machine: MakeMachine) -> None:
    made = nvml_machine("h100-80gb:1")
    gpu = made.driver.gpus()[0].uuid
    made.measure(gpu, **ALL | {"energy_mj": 2**40, "row_remap_failed": 1, "retired_pages_pending": 0})
    assert made.driver.telemetry(gpu) == Telemetry(
        sm_clock_mhz=1,
        memory_clock_mhz=2,
        temperature_celsius=3,
        memory_temperature_celsius=4,
        power_watts=0.005,
        energy_mj=2**40,
        pcie_replays=7,
        busy_percent=8,
        memory_busy_percent=9,
        encoder_percent=10,
        decoder_percent=11,
        memory=made.driver.telemetry(gpu).memory,
        corrected_rows=12,
        uncorrected_rows=13,
        row_remap_pending=True,
        row_remap_failed=True,
        retired_pages_single_bit=15,
        retired_pages_double_bit=16,
        retired_pages_pending=False,
        uncorrected_errors=18,
        recovery_action=RecoveryAction.GPU_RESET,
    )


@pytest.mark.parametrize("missing", FIGURES)
def test_one_that_is_missing_leaves_the_others(nvml_machine: MakeMachine, missing: str) -> None:
    made = nvml_machine("h100-80gb:1")
    gpu = made.driver.gpus()[0].uuid
    made.measure(gpu, **ALL)
    before = made.driver.telemetry(gpu)
    made.measure(gpu, **{missing: None})
    after = made.driver.telemetry(gpu)
    changed = {name for name in Telemetry.__slots__ if getattr(before, name) != getattr(after, name)}
    field = {"milliwatts": "power_watts"}.get(missing, missing)
    together = next((answer for answer in IN_ONE_ANSWER if field in answer), {field})
    assert changed == together
    assert all(getattr(after, name) is None for name in changed)


@pytest.mark.parametrize(
    ("number", "action"),
    [
        (0, RecoveryAction.NONE),
        (2, RecoveryAction.NODE_REBOOT),
        (4, RecoveryAction.DRAIN_AND_RESET),
        (7, RecoveryAction.SYSTEM_REBOOT),
        (8, None),
        (None, None),
    ],
)
def test_the_recovery_action_is_told_as_far_as_it_is_known(
    nvml_machine: MakeMachine, number: int | None, action: RecoveryAction | None
) -> None:
    made = nvml_machine("h100-80gb:1")
    gpu = made.driver.gpus()[0].uuid
    made.measure(gpu, recovery_action=number)
    assert made.driver.telemetry(gpu).recovery_action is action


def test_boards_that_say_0_for_a_thermometer_they_lack_have_none(nvml_machine: MakeMachine) -> None:
    made = nvml_machine("l4:1")
    gpu = made.driver.gpus()[0].uuid
    made.measure(gpu, memory_temperature_celsius=0)
    assert made.driver.telemetry(gpu).memory_temperature_celsius is None


def test_old_drivers_count_what_they_keep_as_used(nvml_machine: MakeMachine) -> None:
    made = nvml_machine("h100-80gb:1", old_driver=True)
    gpu = made.driver.gpus()[0].uuid
    made.start_process(gpu, pid=7, memory_mib=1000)
    kept = 81559 // 128
    assert made.driver.telemetry(gpu).memory == Memory(1000 + kept, 81559 - 1000 - kept, None)
