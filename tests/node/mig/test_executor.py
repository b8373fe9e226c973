"""The last look before a deed, and what a failing step leaves behind."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.gpu.driver import Driver, GpuInstance, MigState
from aliquot.gpu.layout import CreateCompute, CreateInstance, DestroyCompute, DestroyInstance, Slice
from aliquot.node.driver_access import DriverAccess
from aliquot.node.mig.executor import Executor, StepFailed
from aliquot.node.mig.steps import ApplyPendingMode, SetMode, Step
from tests.node.machines import cut, directly, machine, placed, virtual


def carry_out(
    driver: Driver, steps: Sequence[Step], expected: Sequence[GpuInstance] = (), *, patience_s: float = 0
) -> list[str]:
    """UUIDs of the GPUs that were reset."""
    resets: list[str] = []

    async def main() -> None:
        executor = Executor(
            driver, DriverAccess(directly), VirtualClock(), resets.append, patience_s=patience_s
        )
        await executor.carry_out(driver.gpus()[0].uuid, steps, tuple(expected))

    virtual(main())
    return resets


def destruction(instances: Sequence[GpuInstance]) -> list[Step]:
    return [step for i in instances for step in (DestroyCompute(i.gi_id, 0), DestroyInstance(i.gi_id))]


def test_slices_are_destroyed_and_made() -> None:
    driver = machine("h100-80gb:1:mig")
    instances = cut(driver, driver.gpus()[0], ("7g.80gb", 0))
    carry_out(driver, [*destruction(instances), CreateInstance(Slice(9, 4)), CreateCompute(4, 2)], instances)
    assert placed(driver, driver.gpus()[0]) == {("3g.40gb", 4)}


def test_an_instance_without_compute_is_completed() -> None:
    driver = machine("h100-80gb:1:mig")
    made = driver.create_gpu_instance(driver.gpus()[0].uuid, 9, 4)
    carry_out(driver, [CreateCompute(4, 2)], [made])
    assert len(driver.instances(driver.gpus()[0].uuid)[0].compute_instances) == 1


def test_a_process_that_came_late_stops_the_destruction() -> None:
    driver = machine("h100-80gb:1:mig")
    instances = cut(driver, driver.gpus()[0], ("7g.80gb", 0))
    driver.start_process(instances[0].compute_instances[0].uuid, pid=5)
    with pytest.raises(StepFailed, match="looking once more: process 5 has begun to use it") as caught:
        carry_out(driver, destruction(instances), instances)
    assert caught.value.in_use
    assert placed(driver, driver.gpus()[0]) == {("7g.80gb", 0)}


def test_an_instance_that_is_another_by_now_is_not_destroyed() -> None:
    driver = machine("h100-80gb:1:mig")
    gpu = driver.gpus()[0]
    before = cut(driver, gpu, ("7g.80gb", 0))
    driver.destroy_compute_instance(gpu.uuid, before[0].gi_id, 0)
    driver.destroy_gpu_instance(gpu.uuid, before[0].gi_id)
    cut(driver, gpu, ("7g.80gb", 0))
    with pytest.raises(StepFailed, match="the instances have changed"):
        carry_out(driver, destruction(before), before)
    assert placed(driver, gpu) == {("7g.80gb", 0)}


def test_a_failing_step_ends_the_work_and_is_named() -> None:
    driver = machine("h100-80gb:1:mig")
    with pytest.raises(StepFailed, match="creating profile 9 at slot 0: Insufficient"):
        carry_out(
            driver, [CreateInstance(Slice(9, 0)), CreateInstance(Slice(9, 0)), CreateInstance(Slice(9, 4))]
        )
    assert placed(driver, driver.gpus()[0]) == {("3g.40gb", 0)}


@pytest.mark.parametrize(("board", "resets"), [("h100-80gb", 0), ("a100-40gb", 1)])
def test_the_mode_is_switched_with_a_reset_where_one_is_needed(board: str, resets: int) -> None:
    driver = machine(f"{board}:1")
    assert carry_out(driver, [SetMode(True)]) == [driver.gpus()[0].uuid] * resets
    assert driver.gpus()[0].mig is MigState.ENABLED


def test_the_modes_of_several_gpus_are_switched_side_by_side() -> None:
    driver = machine("h100-80gb:3")
    all_in = asyncio.Barrier(3)

    async def run_blocking(function: Callable[..., Any], *arguments: Any) -> Any:
        if function == driver.set_mig_mode:
            await all_in.wait()
        return function(*arguments)

    async def main() -> None:
        executor = Executor(driver, DriverAccess(run_blocking), VirtualClock(), patience_s=0)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for gpu in driver.gpus():
                tasks.create_task(executor.carry_out(gpu.uuid, [SetMode(True)], ()))

    virtual(main())
    assert {gpu.mig for gpu in driver.gpus()} == {MigState.ENABLED}


def test_no_reset_while_a_process_runs() -> None:
    driver = machine("a100-40gb:1")
    driver.set_mig_mode(driver.gpus()[0].uuid, True)
    driver.start_process(driver.gpus()[0].uuid, pid=5)
    with pytest.raises(StepFailed, match="process 5"):
        carry_out(driver, [ApplyPendingMode()])
    assert driver.gpus()[0].mig is MigState.PENDING_ENABLE
