"""Changes of GPUs carried out with their journals: side by side, and taken up where they were cut short."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.driver import MigState, ReturnCode
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.inventory import ObservedGpu, observe_gpu
from aliquot.node.mig.applying import Applying, Done, Failed, Result, Way, Work
from aliquot.node.mig.journal import unfinished
from aliquot.node.mig.one_writer import held
from aliquot.node.mig.reconfiguration import Change, Goal, reconfigure
from tests.node.machines import cut, directly, machine, placed, virtual
from tests.node.mig.troubled import Killed, Trouble, Troubled, dying, failing

SEVENTHS = Goal(True, tuple(Demand(19) for _ in range(3)))
HALVES = Goal(True, (Demand(9), Demand(9)))


def seen(driver: SimulatedDriver) -> list[ObservedGpu]:
    return [observe_gpu(driver, gpu, with_links=False) for gpu in driver.gpus()]


def works(driver: SimulatedDriver, goal: Goal) -> list[Work]:
    found = []
    for observed in seen(driver):
        change = reconfigure(observed, goal, {})
        assert isinstance(change, Change), change
        found.append(Work(observed, change))
    return found


def applying(driver: Any, directory: Path, **options: Any) -> Applying:
    return Applying(driver, directory=directory, clock=VirtualClock(), run_blocking=directly, **options)


def apply(
    driver: SimulatedDriver,
    goal: Goal,
    directory: Path,
    *,
    before: Trouble = lambda _name, _number: None,
    after: Trouble = lambda _name, _number: None,
    **options: Any,
) -> list[Result]:
    """In the order of the GPUs."""
    troubled = Troubled(driver, before=before, after=after)
    results = virtual(applying(troubled, directory, **options).apply(works(driver, goal)))
    return [results[gpu.uuid] for gpu in driver.gpus()]


def recover(driver: SimulatedDriver, directory: Path, way: Way) -> list[Result]:
    uuids = [one.gpu_uuid for one in unfinished(directory)]
    results = virtual(applying(driver, directory).recover(uuids, way, {}))
    return list(results.values())


def journals(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.journal"))


def test_gpus_are_cut_and_their_journals_are_gone(tmp_path: Path) -> None:
    driver = machine("h100-80gb:2")
    told: list[tuple[str, str]] = []
    assert apply(driver, HALVES, tmp_path, progress=lambda *what: told.append(what)) == [Done(5), Done(5)]
    assert [placed(driver, gpu) for gpu in driver.gpus()] == [{("3g.40gb", 0), ("3g.40gb", 4)}] * 2
    assert journals(tmp_path) == []
    first = [text for uuid, text in told if uuid == driver.gpus()[0].uuid]
    assert first[:2] == ["1/5 switching MIG on", "2/5 creating 3g.40gb at slot 0"]


def test_one_gpu_that_fails_stops_no_other(tmp_path: Path) -> None:
    driver = machine("h100-80gb:2:mig")
    first = works(driver, HALVES)[0]
    # Somebody else was there meanwhile.
    cut(driver, driver.gpus()[0], ("7g.80gb", 0))
    both = [first, works(driver, SEVENTHS)[1]]
    results = virtual(applying(driver, tmp_path).apply(both))
    failed, done = (results[gpu.uuid] for gpu in driver.gpus())
    assert failed == Failed("its slices were changed meanwhile: plan it anew")
    assert not failed.open and journals(tmp_path) == []
    assert done == Done(6)


def test_what_is_held_for_a_moment_is_tried_again(tmp_path: Path) -> None:
    driver = machine("h100-80gb:1:mig")
    cut(driver, driver.gpus()[0], ("7g.80gb", 0))
    told: list[str] = []
    busy = {0: ReturnCode.IN_USE, 1: ReturnCode.IN_USE}
    results = apply(
        driver, HALVES, tmp_path, before=failing(busy), progress=lambda _, text: told.append(text)
    )
    assert results == [Done(6)]
    assert [text for text in told if "trying again" in text] == [
        "destroying compute instance 0 of GPU instance 0: IN_USE; trying again"
    ] * 2


def test_patience_ends(tmp_path: Path) -> None:
    driver = machine("h100-80gb:1:mig")
    cut(driver, driver.gpus()[0], ("7g.80gb", 0))
    busy = dict.fromkeys(range(1000), ReturnCode.IN_USE)
    (result,) = apply(driver, HALVES, tmp_path, before=failing(busy))
    assert result == Failed(
        "destroying compute instance 0 of GPU instance 0: IN_USE: stop what monitors the GPU, such as DCGM, then "
        "try again",
        code=ReturnCode.IN_USE,
    )
    assert placed(driver, driver.gpus()[0]) == {("7g.80gb", 0)}


@pytest.mark.parametrize(
    ("at", "code", "left"),
    [
        pytest.param(1, ReturnCode.INSUFFICIENT_RESOURCES, set(), id="no compute instance: no instance"),
        pytest.param(2, ReturnCode.UNKNOWN, {("3g.40gb", 0)}, id="what was made before stands"),
        pytest.param(3, ReturnCode.GPU_IS_LOST, {("3g.40gb", 0)}, id="lost in the middle"),
    ],
)
def test_a_failing_step_leaves_no_half_instance(
    tmp_path: Path, at: int, code: ReturnCode, left: set[tuple[str, int]]
) -> None:
    driver = machine("h100-80gb:1:mig")
    (result,) = apply(driver, HALVES, tmp_path, before=failing({at: code}))
    assert isinstance(result, Failed)
    assert (result.code, result.open) == (code, True)
    assert placed(driver, driver.gpus()[0]) == left
    (cut_short,) = unfinished(tmp_path)
    assert (
        cut_short.last
        == [
            "creating a compute instance in the GPU instance at slot 0",
            "creating 3g.40gb at slot 4",
            "creating a compute instance in the GPU instance at slot 4",
        ][at - 1]
    )
    assert recover(driver, tmp_path, Way.FINISH) == [Done(4 - 2 * len(left))]
    assert placed(driver, driver.gpus()[0]) == {("3g.40gb", 0), ("3g.40gb", 4)}


def test_a_half_instance_that_stays_is_said(tmp_path: Path) -> None:
    driver = machine("h100-80gb:1:mig")
    trouble = {1: ReturnCode.UNKNOWN, 2: ReturnCode.GPU_IS_LOST}
    (result,) = apply(driver, HALVES, tmp_path, before=failing(trouble))
    assert isinstance(result, Failed)
    assert "its GPU instance 1 stays behind: GPU_IS_LOST" in result.message


def test_a_new_change_waits_until_the_old_one_is_taken_up(tmp_path: Path) -> None:
    driver = machine("h100-80gb:1:mig")
    apply(driver, HALVES, tmp_path, before=failing({3: ReturnCode.UNKNOWN}))
    (result,) = apply(driver, SEVENTHS, tmp_path)
    assert result == Failed(
        "an earlier change was cut short at 'creating a compute instance in the GPU instance at slot 4': "
        "`aliquot mig recover` finishes it, or rolls it back",
        open=True,
    )
    assert recover(driver, tmp_path, Way.ROLL_BACK) == [Done(2)]
    assert placed(driver, driver.gpus()[0]) == set()
    assert apply(driver, SEVENTHS, tmp_path) == [Done(6)]


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    driver = machine("h100-80gb:1:mig")
    with held(tmp_path, driver.gpus()[0].uuid):
        (result,) = apply(driver, HALVES, tmp_path)
    assert isinstance(result, Failed)
    uuid = driver.gpus()[0].uuid
    assert result.message == f"process {os.getpid()} is changing {uuid}: wait until it has ended"
    assert placed(driver, driver.gpus()[0]) == set()
    assert apply(driver, HALVES, tmp_path) == [Done(4)]


def test_a_reboot_in_the_middle_is_finished(tmp_path: Path) -> None:
    driver = machine("h100-80gb:1:mig")
    with pytest.raises(BaseExceptionGroup):
        apply(driver, HALVES, tmp_path, after=dying(1))
    driver.reboot()
    assert driver.gpus()[0].mig is MigState.DISABLED
    assert recover(driver, tmp_path, Way.FINISH) == [Done(5)]
    assert placed(driver, driver.gpus()[0]) == {("3g.40gb", 0), ("3g.40gb", 4)}


def test_one_gpu_whose_journal_cannot_be_kept_stops_no_other(tmp_path: Path) -> None:
    driver = machine("h100-80gb:2:mig")
    (tmp_path / f"{driver.gpus()[0].uuid}.partial").mkdir()
    failed, done = apply(driver, HALVES, tmp_path)
    assert isinstance(failed, Failed)
    assert failed.message.endswith("cannot be kept: Is a directory")
    assert (failed.open, failed.code) == (False, None)
    assert placed(driver, driver.gpus()[0]) == set()
    assert done == Done(4)


def test_a_journal_that_goes_missing_ends_the_work_before_the_next_step(tmp_path: Path) -> None:
    driver = machine("h100-80gb:1:mig")

    def remove(_name: str, number: int) -> None:
        if number == 1:
            next(tmp_path.glob("*.journal")).unlink()

    (result,) = apply(driver, HALVES, tmp_path, after=remove)
    assert isinstance(result, Failed) and "No such file" in result.message
    assert placed(driver, driver.gpus()[0]) == {("3g.40gb", 0)}


def test_one_damaged_journal_bars_its_gpu_alone(tmp_path: Path) -> None:
    driver = machine("h100-80gb:2:mig")
    (tmp_path / f"{driver.gpus()[0].uuid}.journal").write_text("{")
    failed, done = apply(driver, HALVES, tmp_path)
    assert isinstance(failed, Failed) and "damaged" in failed.message
    assert done == Done(4)


def half_done(directory: Path) -> SimulatedDriver:
    """One of two halves is there, and made whole."""
    driver = machine("h100-80gb:1:mig")
    with pytest.raises(BaseExceptionGroup):
        apply(driver, HALVES, directory, after=dying(1))
    return driver


def test_what_a_pod_holds_is_not_rolled_back_though_no_process_runs(tmp_path: Path) -> None:
    driver = half_done(tmp_path)
    gpu = driver.gpus()[0]
    device = driver.instances(gpu.uuid)[0].compute_instances[0].uuid
    one = applying(driver, tmp_path)
    results = virtual(one.recover([gpu.uuid], Way.ROLL_BACK, {device: "pod a/b"}))
    result = results[gpu.uuid]
    assert isinstance(result, Failed) and result.open
    assert "3g.40gb at slot 0, in use by pod a/b" in result.message
    assert placed(driver, gpu) == {("3g.40gb", 0)}
    assert virtual(one.recover([gpu.uuid], Way.FINISH, {device: "pod a/b"})) == {gpu.uuid: Done(2)}


def test_what_another_took_up_meanwhile_is_left_alone(tmp_path: Path) -> None:
    driver = half_done(tmp_path)
    uuid = driver.gpus()[0].uuid
    assert recover(driver, tmp_path, Way.FINISH) == [Done(2)]
    assert virtual(applying(driver, tmp_path).recover([uuid], Way.ROLL_BACK, {})) == {uuid: Done(0)}
    assert placed(driver, driver.gpus()[0]) == {("3g.40gb", 0), ("3g.40gb", 4)}


def test_a_gpu_that_is_gone_keeps_its_journal(tmp_path: Path) -> None:
    driver = half_done(tmp_path)
    driver.lose_gpu(driver.gpus()[0].uuid)
    (failed,) = recover(driver, tmp_path, Way.FINISH)
    assert isinstance(failed, Failed) and failed.open and failed.code is ReturnCode.GPU_IS_LOST
    assert len(journals(tmp_path)) == 1


def test_gpus_are_worked_on_side_by_side(tmp_path: Path) -> None:
    """With calls that take their time, eight GPUs take hardly longer than the slowest of them."""
    driver = machine("h100-80gb:8:mig")

    async def slowly(function: Any, *arguments: Any) -> Any:
        name = getattr(function, "__name__", "")
        if name.startswith(("create", "destroy")):
            await asyncio.sleep(0.2)
        return function(*arguments)

    def seconds(goal: Goal, count: int) -> float:
        clock = VirtualClock()

        async def main() -> float:
            began = asyncio.get_running_loop().time()
            one = Applying(driver, directory=tmp_path, clock=clock, run_blocking=slowly)
            results = await one.apply(works(driver, goal)[:count])
            assert all(isinstance(result, Done) for result in results.values())
            return asyncio.get_running_loop().time() - began

        return virtual(main())

    alone = seconds(SEVENTHS, 1)
    virtual(applying(driver, tmp_path).apply(works(driver, Goal(True))))
    assert seconds(SEVENTHS, 8) <= 1.1 * alone


def test_killed_is_not_caught_by_anybody() -> None:
    assert not issubclass(Killed, Exception)
