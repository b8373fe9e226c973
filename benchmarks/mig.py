"""MIG: how fast changes are planned, and what they cost beside the strategy of clearing a GPU and trying orders.

The other strategy is mig-parted's, plainly written: everything on the GPU goes, then the wanted profiles are made in
one order after the other, the driver choosing starts, until an order succeeds; GPU after GPU. Both run on the simulated
driver, from the same states to the same configurations, ours with its executor and journals; a call that creates or
destroys takes 0.2 s of virtual time. What had to go at least is found by looking at every layout of the board.
"""

import asyncio
import functools
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from aliquot.cli import logs
from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.gpu import boards
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.driver import DriverError, InstanceProfile
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.layout import Geometry, Slice
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.inventory import ObservedGpu, observe_gpu
from aliquot.node.mig.applying import Applying, Done, Work
from aliquot.node.mig.reconfiguration import Change, Goal, reconfigure
from benchmarks.clusters import machine, percentile

BOARD = "h100-80gb"
GPUS = 8
CALL_S = 0.2
_SLOW = ("create_", "destroy_")
FLEET = 10_000
_CONFIG = (
    "version: v1\nmig-configs:\n  all-balanced:\n  - devices: all\n    mig-enabled: true\n"
    "    mig-devices: {1g.10gb: 2, 2g.20gb: 1, 3g.40gb: 1}\n"
)


def main(short: bool = False) -> None:
    print(f"{BOARD}, {machine()}")
    profiles = _profiles()
    began = time.perf_counter()
    states = list(Geometry(profiles).states())
    enumerated_ms = 1000 * (time.perf_counter() - began)
    print(f"  all {len(states):,} layouts of the board: {enumerated_ms:.1f} ms   goal: under 50 ms")
    # As configurations have it: the plain profiles.
    plain = list(Geometry(p for p in profiles if not p.attributes).states())
    _planning(plain, 20 if short else 200)
    _fleet(FLEET // 10 if short else FLEET)
    _beside_clearing(plain, 10 if short else 100)


def _profiles() -> tuple[InstanceProfile, ...]:
    mig = boards.board(BOARD).mig
    assert mig is not None
    return mig.instance_profiles()


def _planning(states: Sequence[tuple[Slice, ...]], rounds: int) -> None:
    """Eight GPUs, each from a layout to the counts of another; what a configuration's counts allow is known by then."""
    rng = random.Random(1)
    wishes = [_goal(rng.choice(states)) for _ in range(4)]
    took_ms = []
    for number in range(rounds):
        driver = _driver([rng.choice(states) for _ in range(GPUS)])
        seen = _seen(driver)
        goal = wishes[number % len(wishes)]
        began = time.perf_counter()
        for observed in seen:
            reconfigure(observed, goal, {})
        took_ms.append(1000 * (time.perf_counter() - began))
    print(
        f"  a plan for {GPUS} GPUs: p50 {percentile(took_ms, 0.5):.2f} ms, p99 {percentile(took_ms, 0.99):.2f} ms"
        "   goal: under 1 ms"
    )


def _fleet(gpus: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        nodes = (
            f"  - {{name: node-{n}, gpus: [{{board: {BOARD}, count: 8, mig: true}}]}}\n"
            for n in range(gpus // 8)
        )
        (directory / "inventory.yaml").write_text("nodes:\n" + "".join(nodes))
        (directory / "config.yaml").write_text(_CONFIG)
        command = [
            sys.executable,
            "-m",
            "aliquot.cli.main",
            "mig",
            "plan",
            "-f",
            str(directory / "config.yaml"),
        ]
        command += ["--driver", f"simulated:{directory / 'inventory.yaml'}"]
        took_s = []
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
            took_s.append(time.perf_counter() - began)
    print(
        f"  `aliquot mig plan` for an inventory of {gpus:,} GPUs: median {statistics.median(took_s):.2f} s"
        f"{'   goal: under 2 s' if gpus == FLEET else ''}"
    )


def _beside_clearing(states: Sequence[tuple[Slice, ...]], rounds: int) -> None:
    rng = random.Random(2)
    ours, theirs = Cost(), Cost()
    for _ in range(rounds):
        before = [rng.choice(states) for _ in range(GPUS)]
        wanted = rng.choice(states)
        needed = sum(_fewest_to_go(states, one, wanted) for one in before)
        for cost, way in ((ours, _planned), (theirs, _clear_and_try)):
            driver = Counting(_driver(before))
            cost.seconds += way(driver, _goal(wanted))
            cost.add(driver.calls, needed)
            assert all(_profiles_of(driver, gpu.uuid) == _counted(wanted) for gpu in driver.gpus())
    print(f"  {rounds} configurations on {GPUS} GPUs each, carried out:")
    print(
        f"  {'':24}{'calls':>8}{'changing':>10}{'made':>7}{'destroyed':>11}{'needlessly':>12}{'seconds each':>14}"
    )
    for name, cost in (("aliquot", ours), ("clear and try orders", theirs)):
        print(
            f"  {name:24}{cost.calls:>8,}{cost.changing:>10,}{cost.made:>7,}{cost.destroyed:>11,}"
            f"{cost.needless:>12,}{cost.seconds / rounds:>14.1f}"
        )
    print(
        f"  {theirs.calls / ours.calls:.1f} times the calls, {theirs.seconds / ours.seconds:.1f} times the time"
    )


class Counting:
    """Counts the calls of a simulated driver, by name."""

    def __init__(self, driver: SimulatedDriver) -> None:
        self._driver = driver
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        really = getattr(self._driver, name)

        @functools.wraps(really)
        def call(*arguments: Any) -> Any:
            self.calls[name] += 1
            return really(*arguments)

        return call


@dataclass
class Cost:
    """`calls`: of the driver, reading ones too; `changing`, `made` and `destroyed` count those that try it."""

    calls: int = 0
    changing: int = 0
    made: int = 0
    destroyed: int = 0
    needless: int = 0
    seconds: float = 0.0

    def add(self, calls: Counter[str], needed: int) -> None:
        self.calls += calls.total()
        self.changing += sum(count for name, count in calls.items() if name.startswith(_SLOW))
        self.made += calls["create_gpu_instance"]
        self.destroyed += calls["destroy_gpu_instance"]
        self.needless += calls["destroy_gpu_instance"] - needed


def _planned(driver: Counting, goal: Goal) -> float:
    """Ours, from the first look to the end, with its journals; virtual seconds."""

    async def slowly(function: Callable[..., Any], *arguments: Any) -> Any:
        if function.__name__.startswith(_SLOW):
            await asyncio.sleep(CALL_S)
        return function(*arguments)

    async def main(directory: Path) -> float:
        works = []
        for observed in _seen(driver):
            change = reconfigure(observed, goal, {})
            assert isinstance(change, Change)
            works.append(Work(observed, change))
        applying = Applying(driver, directory=directory, clock=VirtualClock(), run_blocking=slowly)
        results = await applying.apply(works)
        assert all(isinstance(result, Done) for result in results.values())
        return asyncio.get_running_loop().time()

    with (
        tempfile.TemporaryDirectory() as directory,
        logs.silent(),
        asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
    ):
        return runner.run(main(Path(directory)))


def _clear_and_try(driver: Counting, goal: Goal) -> float:
    wanted = sorted((demand.profile_id for demand in goal.demands or ()), reverse=True)
    for gpu in driver.gpus():
        if _profiles_of(driver, gpu.uuid) == Counter(wanted):
            continue
        for order in dict.fromkeys(permutations(wanted)):
            _clear(driver, gpu.uuid)
            if _made(driver, gpu.uuid, order):
                break
    return CALL_S * sum(count for name, count in driver.calls.items() if name.startswith(_SLOW))


def _clear(driver: Counting, uuid: str) -> None:
    for instance in driver.instances(uuid):
        for compute in instance.compute_instances:
            driver.destroy_compute_instance(uuid, instance.gi_id, compute.ci_id)
        driver.destroy_gpu_instance(uuid, instance.gi_id)


def _made(driver: Counting, uuid: str, order: Sequence[int]) -> bool:
    for profile_id in order:
        try:
            made = driver.create_gpu_instance(uuid, profile_id, None)
        except DriverError:
            return False
        driver.create_compute_instance(uuid, made.gi_id, None)
    return True


def _fewest_to_go(
    states: Sequence[tuple[Slice, ...]], before: Sequence[Slice], wanted: Sequence[Slice]
) -> int:
    """By looking at every layout of the board that has the profiles of `wanted`."""
    counts = _counted(wanted)
    return min(len(set(before) - set(layout)) for layout in states if _counted(layout) == counts)


def _counted(slices: Sequence[Slice]) -> Counter[int]:
    return Counter(slice_.profile_id for slice_ in slices)


def _profiles_of(driver: Counting, uuid: str) -> Counter[int]:
    return Counter(instance.profile_id for instance in driver.instances(uuid))


def _goal(state: Sequence[Slice]) -> Goal:
    counts = Counter((slice_.profile_id, _SLICES[slice_.profile_id]) for slice_ in state)
    return Goal(True, tuple(Demand(slice_.profile_id) for slice_ in state), counts)


_SLICES = {profile.profile_id: profile.compute_slices for profile in _profiles()}


def _driver(states: Sequence[Sequence[Slice]]) -> SimulatedDriver:
    driver = SimulatedDriver([InventoryGpus(BOARD, len(states), mig=True)], node="n")
    for gpu, state in zip(driver.gpus(), states, strict=True):
        for slice_ in state:
            made = driver.create_gpu_instance(gpu.uuid, slice_.profile_id, slice_.start)
            driver.create_compute_instance(gpu.uuid, made.gi_id, None)
    return driver


def _seen(driver: "SimulatedDriver | Counting") -> list[ObservedGpu]:
    return [observe_gpu(driver, gpu, with_links=False) for gpu in driver.gpus()]
