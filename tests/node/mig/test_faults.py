"""What the driver may answer at each call of a change, and a death at each."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.driver import DriverError, MigState, ReturnCode
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.inventory import observe_gpu
from aliquot.node.mig.applying import Applying, Done, Failed, Result, Waits, Way, Work
from aliquot.node.mig.journal import unfinished
from aliquot.node.mig.reconfiguration import Change, Goal, reconfigure
from tests.node.machines import cut, directly, machine, placed, virtual
from tests.node.mig.troubled import Trouble, Troubled, dying, failing

HALVES = Goal(True, (Demand(9), Demand(9)))
IN_THREE = Goal(True, (Demand(9, (1, 1, 1)),))

Make = Callable[[], SimulatedDriver]


def off_on_ampere() -> SimulatedDriver:
    """To HALVES: set mode, reset, then for each half its GPU instance and its compute instance."""
    return machine("a100-40gb:1")


def whole() -> SimulatedDriver:
    """To HALVES: destroy compute instance, destroy GPU instance, then as above."""
    driver = machine("h100-80gb:1:mig")
    cut(driver, driver.gpus()[0], ("7g.80gb", 0))
    return driver


def empty() -> SimulatedDriver:
    return machine("h100-80gb:1:mig")


@dataclass
class Attempt:
    driver: SimulatedDriver
    directory: Path
    told: list[str] = field(default_factory=list)

    def apply(
        self,
        goal: Goal,
        *,
        before: Trouble | None = None,
        after: Trouble | None = None,
        patience_s: float = 30,
    ) -> Result:
        hooks = {name: hook for name, hook in (("before", before), ("after", after)) if hook}
        observed = observe_gpu(self.driver, self.driver.gpus()[0], with_links=False)
        change = reconfigure(observed, goal, {})
        assert isinstance(change, Change)
        applying = self._applying(Troubled(self.driver, **hooks), patience_s)
        return virtual(applying.apply([Work(observed, change)]))[observed.gpu.uuid]

    def recover(self, way: Way) -> Result:
        uuids = [one.gpu_uuid for one in unfinished(self.directory)]
        (result,) = virtual(self._applying(self.driver, 30).recover(uuids, way, {})).values()
        return result

    def _applying(self, driver: SimulatedDriver | Troubled, patience_s: float) -> Applying:
        return Applying(
            driver,
            directory=self.directory,
            clock=VirtualClock(),
            run_blocking=directly,
            progress=lambda _, text: self.told.append(text),
            patience_s=patience_s,
        )

    def state(self) -> tuple[MigState, set[str]]:
        gpu = self.driver.gpus()[0]
        return gpu.mig, {f"{name} {start}" for name, start in placed(self.driver, gpu)}


@pytest.mark.parametrize(
    ("machine", "goal", "answers", "code", "is_open", "left"),
    [
        pytest.param(
            off_on_ampere,
            HALVES,
            {0: ReturnCode.NO_PERMISSION},
            ReturnCode.NO_PERMISSION,
            False,
            (MigState.DISABLED, set()),
            id="not allowed to change the mode: nothing was done",
        ),
        pytest.param(
            off_on_ampere,
            HALVES,
            {1: ReturnCode.NO_PERMISSION},
            ReturnCode.NO_PERMISSION,
            True,
            (MigState.PENDING_ENABLE, set()),
            id="not allowed to reset: the mode waits",
        ),
        pytest.param(
            whole,
            HALVES,
            {0: ReturnCode.UNINITIALIZED},
            ReturnCode.UNINITIALIZED,
            True,
            (MigState.ENABLED, {"7g.80gb 0"}),
            id="the driver restarts in the middle of the first call: who knows",
        ),
        pytest.param(
            whole,
            HALVES,
            {1: ReturnCode.GPU_IS_LOST},
            ReturnCode.GPU_IS_LOST,
            True,
            (MigState.ENABLED, {"7g.80gb 0"}),
            id="lost between two destructions",
        ),
        pytest.param(
            whole,
            HALVES,
            {2: ReturnCode.INSUFFICIENT_RESOURCES},
            ReturnCode.INSUFFICIENT_RESOURCES,
            True,
            (MigState.ENABLED, set()),
            id="no room after all",
        ),
        pytest.param(
            whole,
            HALVES,
            {5: ReturnCode.INSUFFICIENT_RESOURCES},
            ReturnCode.INSUFFICIENT_RESOURCES,
            True,
            (MigState.ENABLED, {"3g.40gb 0"}),
            id="the second half gets no compute instance and goes again",
        ),
        pytest.param(
            empty,
            IN_THREE,
            {3: ReturnCode.INSUFFICIENT_RESOURCES},
            ReturnCode.INSUFFICIENT_RESOURCES,
            True,
            (MigState.ENABLED, set()),
            id="the third part cannot be made: those before it go with their instance",
        ),
    ],
)
def test_what_an_answer_leads_to(
    tmp_path: Path,
    machine: Make,
    goal: Goal,
    answers: Mapping[int, ReturnCode],
    code: ReturnCode,
    is_open: bool,
    left: tuple[MigState, set[str]],
) -> None:
    for way in Way:
        attempt = Attempt(machine(), tmp_path)
        began = attempt.state()
        result = attempt.apply(goal, before=failing(answers))
        assert isinstance(result, Failed)
        assert (result.code, result.open) == (code, is_open)
        assert attempt.state() == left
        assert bool(unfinished(tmp_path)) is is_open
        if is_open:
            assert isinstance(attempt.recover(way), Done)
        assert unfinished(tmp_path) == []
        if way is Way.ROLL_BACK or not is_open:
            assert attempt.state() == began


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("machine", [off_on_ampere, whole])
def test_a_death_at_each_call(tmp_path: Path, at: int, when: str, way: Way, machine: Make) -> None:
    attempt = Attempt(machine(), tmp_path)
    began = attempt.state()
    with pytest.raises(BaseExceptionGroup):
        attempt.apply(HALVES, **{when: dying(at)})  # type: ignore[arg-type]
    assert len(unfinished(tmp_path)) == 1
    assert isinstance(attempt.recover(way), Done)
    assert unfinished(tmp_path) == []
    memory_gb = 40 if machine is whole else 20
    halves = {f"3g.{memory_gb}gb {start}" for start in (0, 4)}
    assert attempt.state() == (began if way is Way.ROLL_BACK else (MigState.ENABLED, halves))


def test_what_is_in_use_for_a_moment_is_tried_again_at_growing_distances(tmp_path: Path) -> None:
    times: list[float] = []

    def busy(name: str, number: int) -> None:
        times.append(asyncio.get_running_loop().time())
        failing(dict.fromkeys(range(8), ReturnCode.IN_USE))(name, number)

    attempt = Attempt(whole(), tmp_path)
    assert attempt.apply(HALVES, before=busy) == Done(6)
    assert times[:9] == pytest.approx([0, 0.1, 0.3, 0.7, 1.5, 3.1, 5.1, 7.1, 9.1])
    assert sum("IN_USE; trying again" in text for text in attempt.told) == 8


@pytest.mark.parametrize(
    ("machine", "first", "is_open", "left"),
    [
        pytest.param(whole, 0, False, (MigState.ENABLED, {"7g.80gb 0"}), id="a destruction"),
        pytest.param(off_on_ampere, 0, False, (MigState.DISABLED, set()), id="a change of mode"),
        pytest.param(off_on_ampere, 1, True, (MigState.PENDING_ENABLE, set()), id="a reset"),
    ],
)
def test_patience_ends(
    tmp_path: Path,
    machine: Make,
    first: int,
    is_open: bool,
    left: tuple[MigState, set[str]],
) -> None:
    times: list[float] = []

    def busy(name: str, number: int) -> None:
        times.append(asyncio.get_running_loop().time())
        # A reset that fails is tried with the setting of the mode before it.
        if number >= first and name != ("set_mig_mode" if first else ""):
            failing({number: ReturnCode.IN_USE})(name, number)

    attempt = Attempt(machine(), tmp_path)
    result = attempt.apply(HALVES, before=busy, patience_s=10)
    assert isinstance(result, Failed)
    assert (result.code, result.open) == (ReturnCode.IN_USE, is_open)
    assert 8 < times[-1] <= 10
    assert attempt.state() == left


def impossible(_gpu_uuid: str) -> None:
    raise DriverError(ReturnCode.NOT_SUPPORTED, "not on this machine")


def without_effect(_gpu_uuid: str) -> None:
    pass


@pytest.mark.parametrize(
    ("reset", "why"),
    [
        (impossible, "its MIG mode waits for a reboot: no reset is possible: not on this machine"),
        (without_effect, "its MIG mode waits for a reboot: the GPU was reset, and did not take it"),
    ],
)
def test_a_mode_that_no_reset_applies_waits_for_a_reboot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reset: Callable[[str], None], why: str
) -> None:
    attempt = Attempt(off_on_ampere(), tmp_path)
    monkeypatch.setattr(attempt.driver, "reset_gpu", reset)
    assert attempt.apply(HALVES) == Waits(why, 4)
    assert attempt.apply(HALVES) == Waits(why, 4)
    assert attempt.state() == (MigState.PENDING_ENABLE, set())
    assert unfinished(tmp_path) == []
    attempt.driver.reboot()
    assert attempt.apply(HALVES) == Done(4)


def test_what_was_cut_short_stays_open_while_its_mode_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = Attempt(off_on_ampere(), tmp_path)
    with pytest.raises(BaseExceptionGroup):
        attempt.apply(HALVES, before=dying(1))
    monkeypatch.setattr(attempt.driver, "reset_gpu", impossible)
    waits = attempt.recover(Way.FINISH)
    assert isinstance(waits, Failed) and waits.open and "waits for a reboot" in waits.message
    attempt.driver.reboot()
    assert attempt.recover(Way.FINISH) == Done(4)


def test_other_errors_are_not_tried_again(tmp_path: Path) -> None:
    attempt = Attempt(whole(), tmp_path)
    attempt.apply(HALVES, before=failing({0: ReturnCode.RESET_REQUIRED}))
    assert len(attempt.told) == 1


@pytest.mark.parametrize("moment_s", [0.05 * number for number in range(30)])
def test_who_is_cancelled_at_any_moment_leaves_what_can_be_taken_up(tmp_path: Path, moment_s: float) -> None:
    """Calls and writes take 0.1 s each; one that has begun when the order comes is brought to its end."""
    attempt = Attempt(whole(), tmp_path)
    began = attempt.state()
    observed = observe_gpu(attempt.driver, attempt.driver.gpus()[0], with_links=False)
    change = reconfigure(observed, HALVES, {})
    assert isinstance(change, Change)
    open_calls = 0

    async def slowly(function: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal open_calls
        open_calls += 1
        await asyncio.sleep(0.1)
        open_calls -= 1
        return function(*arguments)

    async def main() -> None:
        applying = Applying(attempt.driver, directory=tmp_path, clock=VirtualClock(), run_blocking=slowly)
        task = asyncio.ensure_future(applying.apply([Work(observed, change)]))
        await asyncio.sleep(moment_s)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()
        assert open_calls == 0

    virtual(main())
    if unfinished(tmp_path):
        assert isinstance(attempt.recover(Way.ROLL_BACK), Done)
    assert attempt.state() == began
