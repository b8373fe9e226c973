"""Changes of GPUs through the real NVML binding, over the fake library, and on the simulated driver alike."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.checkpoints import parse, spell
from aliquot.gpu.demands import counted, demands
from aliquot.gpu.driver import MigState, ReturnCode
from aliquot.node.advertise import known_profiles
from aliquot.node.inventory import observe_gpu
from aliquot.node.mig.applying import Applying, Done, Failed, Result, Work
from aliquot.node.mig.reconfiguration import Change, Goal, Refused, reconfigure
from tests.gpu.conftest import fake_library, machine, nvml_machine
from tests.node.machines import directly, virtual

__all__ = ["fake_library", "machine", "nvml_machine"]  # fixtures

MakeMachine = Callable[..., Any]


def become(driver: Any, goal: Goal, directory: Path) -> list[Result | Refused]:
    """For each GPU, by index; no patience."""
    found: list[Result | Refused] = []
    for gpu in driver.gpus():
        observed = observe_gpu(driver, gpu)
        change = reconfigure(observed, goal, {})
        if isinstance(change, Refused):
            found.append(change)
            continue
        assert isinstance(change, Change)
        applying = Applying(
            driver, directory=directory, clock=VirtualClock(), run_blocking=directly, patience_s=0
        )
        found.append(virtual(applying.apply([Work(observed, change)]))[gpu.uuid])
    return found


def named(driver: Any, **counts: int) -> Goal:
    """Of the first GPU's names: `named(driver, **{"1c.3g.40gb": 2})`."""
    profiles = known_profiles(observe_gpu(driver, driver.gpus()[0]))
    devices = counted(counts, profiles)
    return Goal(True, tuple(demands(devices, profiles)), devices)


def devices(driver: Any) -> list[str]:
    gpu = driver.gpus()[0]
    return sorted(c.name for i in driver.instances(gpu.uuid) for c in i.compute_instances)


@pytest.mark.parametrize("board", ["h100-80gb", "a100-40gb", "a30-24gb"])
def test_a_gpu_is_cut_and_made_whole_again(machine: MakeMachine, tmp_path: Path, board: str) -> None:
    driver = machine(board).driver
    profiles = known_profiles(observe_gpu(driver, driver.gpus()[0]))
    smallest = min((p for p in profiles if not p.attributes), key=lambda p: p.memory_slots)
    goal = named(driver, **{smallest.name: smallest.max_instances})
    (done,) = become(driver, goal, tmp_path)
    assert done == Done(1 + 2 * smallest.max_instances)
    assert devices(driver) == [smallest.name] * smallest.max_instances
    (off,) = become(driver, Goal(False), tmp_path)
    assert isinstance(off, Done)
    assert driver.gpus()[0].mig is MigState.DISABLED


def test_parts_are_made_where_the_driver_tells_of_them_late(machine: MakeMachine, tmp_path: Path) -> None:
    driver = machine("h100-80gb:1:mig").driver
    (done,) = become(driver, named(driver, **{"1c.3g.40gb": 1, "2c.3g.40gb": 1, "4g.40gb": 1}), tmp_path)
    assert isinstance(done, Done)
    assert devices(driver) == ["1c.3g.40gb", "2c.3g.40gb", "4g.40gb"]
    # Half of the parts go, the other half and the whole stay as they are.
    before = {c.uuid for i in driver.instances(driver.gpus()[0].uuid) for c in i.compute_instances}
    (again,) = become(driver, named(driver, **{"2c.3g.40gb": 1, "4g.40gb": 1}), tmp_path)
    assert again == Done(1)
    after = {c.uuid for i in driver.instances(driver.gpus()[0].uuid) for c in i.compute_instances}
    assert after < before and len(after) == 2


def test_what_runs_stays_and_stops_what_would_take_it(machine: MakeMachine, tmp_path: Path) -> None:
    made = machine("h100-80gb:1:mig")
    driver = made.driver
    become(driver, Goal(True, (Demand(9, start=0),)), tmp_path)
    gpu = driver.gpus()[0].uuid
    (instance,) = driver.instances(gpu)
    made.start_process(instance.compute_instances[0].uuid, 12)
    (refused,) = become(driver, named(driver, **{"4g.40gb": 1, "3g.40gb": 1}), tmp_path)
    assert isinstance(refused, Refused) and "in use by process 12" in refused.message
    (done,) = become(driver, named(driver, **{"3g.40gb": 2}), tmp_path)
    assert done == Done(2)
    assert instance in driver.instances(gpu)
    made.stop_process(12)


def test_what_was_released_goes_first_and_stays_only_where_the_driver_says_so(
    machine: MakeMachine, tmp_path: Path
) -> None:
    made = machine("h100-80gb:1:mig")
    driver = made.driver
    become(driver, Goal(True, (Demand(14, start=0), Demand(9, start=4))), tmp_path)
    gpu = driver.gpus()[0]
    before = driver.instances(gpu.uuid)
    held = next(instance for instance in before if instance.placement.start == 4)
    (compute,) = held.compute_instances

    def release(users: Mapping[str, str]) -> Result:
        observed = observe_gpu(driver, gpu)
        change = reconfigure(observed, Goal(True, (Demand(0),)), users, [held.gi_id])
        assert isinstance(change, Change)
        applying = Applying(
            driver, directory=tmp_path, clock=VirtualClock(), run_blocking=directly, patience_s=0
        )
        return virtual(applying.apply([Work(observed, change)]))[gpu.uuid]

    made.start_process(compute.uuid, 12)
    failed = release({})
    assert isinstance(failed, Failed) and failed.code is ReturnCode.IN_USE and not failed.open
    assert failed.message.startswith(f"destroying compute instance 0 of GPU instance {held.gi_id}: ")
    assert failed.message.endswith(": stop process 12, then try again")
    assert driver.instances(gpu.uuid) == before
    made.stop_process(12)
    assert isinstance(release({compute.uuid: "pod a/idle"}), Done)
    assert devices(driver) == ["7g.80gb"]


def test_a_lost_gpu_is_told_by_its_code(machine: MakeMachine, tmp_path: Path) -> None:
    made = machine("h100-80gb:2:mig")
    driver = made.driver
    lost, other = driver.gpus()
    observed = observe_gpu(driver, lost)
    change = reconfigure(observed, Goal(True, (Demand(9),)), {})
    assert isinstance(change, Change)
    made.lose_gpu(lost.uuid)
    applying = Applying(driver, directory=tmp_path, clock=VirtualClock(), run_blocking=directly)
    failed = virtual(applying.apply([Work(observed, change)]))[lost.uuid]
    assert isinstance(failed, Failed) and failed.code is ReturnCode.GPU_IS_LOST
    assert [gpu.uuid for gpu in driver.gpus()] == [other.uuid]


def test_a_checkpoint_is_brought_back(machine: MakeMachine, tmp_path: Path) -> None:
    driver = machine("a100-40gb").driver
    become(driver, named(driver, **{"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}), tmp_path)
    gpu = driver.gpus()[0]
    profiles = known_profiles(observe_gpu(driver, gpu))
    text = spell([(gpu, profiles, driver.instances(gpu.uuid))])
    before = {(i.profile_id, i.placement) for i in driver.instances(gpu.uuid)}
    become(driver, Goal(False), tmp_path)
    saved = parse(text, source="c.json").of(gpu.uuid, profiles)
    (done,) = become(driver, Goal(saved.mig, saved.demands), tmp_path)
    assert isinstance(done, Done)
    assert {(i.profile_id, i.placement) for i in driver.instances(gpu.uuid)} == before
