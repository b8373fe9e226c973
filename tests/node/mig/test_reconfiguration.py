from collections.abc import Callable

import pytest

from aliquot.gpu import boards
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.demands import counted, demands
from aliquot.gpu.driver import DriverError, MigState, ReturnCode
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.layout import CreateCompute, CreateInstance, DestroyCompute, DestroyInstance, Slice, Wanted
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.inventory import ObservedGpu, observe_gpu
from aliquot.node.mig.reconfiguration import Change, Goal, Refused, reconfigure
from aliquot.node.mig.steps import ApplyPendingMode, SetMode

MIG = boards.board("h100-80gb").mig
assert MIG
H100 = MIG.instance_profiles()


def simulated(board: str = "h100-80gb", *, mig: bool = True) -> SimulatedDriver:
    return SimulatedDriver([InventoryGpus(board, mig=mig)], node="n")


def uuid(driver: SimulatedDriver) -> str:
    return driver.gpus()[0].uuid


def cut(driver: SimulatedDriver, profile_id: int, start: int) -> str:
    """UUID of the MIG device."""
    made = driver.create_gpu_instance(uuid(driver), profile_id, start)
    return driver.create_compute_instance(uuid(driver), made.gi_id, None).uuid


def observed(driver: SimulatedDriver) -> ObservedGpu:
    return observe_gpu(driver, driver.gpus()[0])


def goal(**counts: int) -> Goal:
    """`goal(_3g=1)`: slices by their first letters."""
    names = {profile.name.partition(".")[0]: profile.name for profile in reversed(H100)}
    wanted = counted({names[key.removeprefix("_")]: count for key, count in counts.items()}, H100)
    return Goal(True, tuple(demands(wanted, H100)), wanted)


def change(driver: SimulatedDriver, wanted: Goal, **users: str) -> Change:
    found = reconfigure(observed(driver), wanted, users)
    assert isinstance(found, Change), found
    return found


def test_nothing_to_do_has_no_steps() -> None:
    driver = simulated()
    cut(driver, 9, 4)
    found = change(driver, goal(_3g=1))
    assert (found.steps, found.slices, found.destroyed) == ((), (Wanted(Slice(9, 4)),), ())


def test_what_is_used_stays_where_it_is() -> None:
    driver = simulated()
    driver.start_process(cut(driver, 9, 0), pid=7)
    found = change(driver, goal(_3g=2))
    assert found.steps == (CreateInstance(Slice(9, 4)), CreateCompute(4, 2))


def test_a_device_that_a_pod_holds_is_in_use_though_no_process_runs() -> None:
    driver = simulated()
    device = cut(driver, 9, 0)
    found = reconfigure(observed(driver), goal(_4g=1, _3g=1), {device: "pod a/b"})
    assert isinstance(found, Refused) and found.reason == "InUse"
    assert "3g.40gb at slot 0, in use by pod a/b, would have to go" in found.message
    allowed = reconfigure(observed(driver), goal(_4g=1, _3g=1), {device: "pod a/b"}, found.blocking)
    assert isinstance(allowed, Change) and allowed.destroyed == found.blocking


def test_devices_that_are_all_there_are_not_shared_out_anew() -> None:
    driver = simulated()
    for start in (0, 4):
        made = driver.create_gpu_instance(uuid(driver), 9, start)
        driver.create_compute_instance(uuid(driver), made.gi_id, 0)
    wanted = counted({"1c.3g.40gb": 2}, H100)
    found = change(driver, Goal(True, tuple(demands(wanted, H100)), wanted))
    assert found.steps == ()
    assert found.slices == (Wanted(Slice(9, 0), (1,)), Wanted(Slice(9, 4), (1,)))
    again = change(driver, Goal(True, tuple(demands(wanted, H100))))
    assert again.steps != ()


@pytest.mark.parametrize(
    ("board", "before", "wanted", "expected"),
    [
        ("h100-80gb", MigState.DISABLED, True, (SetMode(True),)),
        ("h100-80gb", MigState.DISABLED, False, ()),
        ("h100-80gb", MigState.ENABLED, False, (SetMode(False),)),
        ("h100-80gb", MigState.ENABLED, True, ()),
        ("a100-40gb", MigState.PENDING_ENABLE, True, (ApplyPendingMode(),)),
        ("a100-40gb", MigState.PENDING_ENABLE, False, (SetMode(False),)),
        ("a100-40gb", MigState.PENDING_DISABLE, False, (ApplyPendingMode(),)),
        ("a100-40gb", MigState.PENDING_DISABLE, True, (SetMode(True),)),
    ],
)
def test_the_mode_is_changed_as_its_state_asks(
    board: str, before: MigState, wanted: bool, expected: tuple[object, ...]
) -> None:
    driver = simulated(board, mig=before in (MigState.ENABLED, MigState.PENDING_DISABLE))
    if before in (MigState.PENDING_ENABLE, MigState.PENDING_DISABLE):
        assert driver.set_mig_mode(uuid(driver), before is MigState.PENDING_ENABLE) is before
    assert driver.gpus()[0].mig is before
    assert change(driver, Goal(wanted)).steps == expected


def test_mig_is_switched_on_before_anything_is_cut_and_off_after_all_is_gone() -> None:
    driver = simulated(mig=False)
    assert change(driver, goal(_7g=1)).steps == (
        SetMode(True),
        CreateInstance(Slice(0, 0)),
        CreateCompute(0, 4),
    )
    driver = simulated()
    cut(driver, 0, 0)
    assert change(driver, Goal(False)).steps == (DestroyCompute(0, 0), DestroyInstance(0), SetMode(False))


def test_where_the_mode_alone_matters_the_slices_stay() -> None:
    driver = simulated()
    cut(driver, 9, 4)
    assert change(driver, Goal(True, None)).steps == ()


def _process(driver: SimulatedDriver) -> None:
    driver.start_process(uuid(driver), pid=12)


def _used_slice(driver: SimulatedDriver) -> None:
    driver.start_process(cut(driver, 9, 4), pid=12)


@pytest.mark.parametrize(
    ("mig", "trouble", "wanted", "reason", "message"),
    [
        pytest.param(
            False,
            _process,
            goal(_7g=1),
            "InUse",
            "the GPU is in use by process 12",
            id="a process on the GPU",
        ),
        pytest.param(
            True,
            _used_slice,
            Goal(False),
            "InUse",
            "3g.40gb at slot 4 is in use by process 12",
            id="a used slice",
        ),
        pytest.param(
            False, lambda driver: None, goal(_7g=2), "TooMany", "2 x 7g.80gb do not fit", id="too many"
        ),
    ],
)
def test_a_refusal_comes_before_any_step(
    mig: bool, trouble: Callable[[SimulatedDriver], None], wanted: Goal, reason: str, message: str
) -> None:
    driver = simulated(mig=mig)
    trouble(driver)
    found = reconfigure(observed(driver), wanted, {})
    assert isinstance(found, Refused)
    assert found.reason == reason
    assert message in found.message


def test_a_gpu_without_mig_and_one_that_does_not_answer_are_told_apart() -> None:
    plain = observed(simulated("l4", mig=False))
    assert reconfigure(plain, Goal(True), {}) == Refused("MIGUnsupported", f"{plain.gpu.product} has no MIG")
    assert reconfigure(plain, Goal(False), {}) == Change(plain.gpu, False, ())
    lost = ObservedGpu(plain.gpu, failure=DriverError(ReturnCode.GPU_IS_LOST, "GPU is lost"))
    assert reconfigure(lost, Goal(False), {}) == Refused("NotAnswering", "GPU is lost")


def test_an_empty_goal_takes_everything_away() -> None:
    driver = simulated()
    cut(driver, 9, 4)
    found = change(driver, Goal(True, ()))
    assert [type(step) for step in found.steps] == [DestroyCompute, DestroyInstance]
    assert found.slices == ()


def test_demands_with_starts_are_kept_to() -> None:
    driver = simulated()
    cut(driver, 9, 4)
    found = change(driver, Goal(True, (Demand(9, start=0),)))
    assert [wanted.slice for wanted in found.slices] == [Slice(9, 0)]
    assert len(found.destroyed) == 1
