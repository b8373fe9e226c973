"""MIG: how fast changes are planned, and what they cost beside the strategy of clearing a GPU and trying orders.

The other strategy is mig-parted's, plainly written: everything on the GPU goes, then the wanted profiles are made in
one order after the other, the driver choosing starts, until an order succeeds; GPU after GPU. Both run on the simulated
driver, from the same states to the same configurations; seconds are calls that create or destroy, at 0.2 s each.
"""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

from aliquot.gpu import boards
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.driver import DriverError, InstanceProfile
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.layout import CreateInstance, DestroyInstance, Geometry, Slice
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.inventory import ObservedGpu, observe_gpu
from aliquot.node.mig.reconfiguration import Change, Goal, reconfigure
from benchmarks.clusters import machine, percentile

BOARD = "h100-80gb"
GPUS = 8
CALL_S = 0.2
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
    ours, theirs = _Cost(), _Cost()
    for _ in range(rounds):
        before = [rng.choice(states) for _ in range(GPUS)]
        goal = _goal(rng.choice(states))
        seen = _seen(_driver(before))
        changes = [reconfigure(observed, goal, {}) for observed in seen]
        needed = 0
        seconds = []
        for change in changes:
            assert isinstance(change, Change)
            needed += sum(1 for step in change.steps if isinstance(step, DestroyInstance))
            ours.calls += len(change.steps)
            ours.destroyed += sum(1 for step in change.steps if isinstance(step, DestroyInstance))
            ours.made += sum(1 for step in change.steps if isinstance(step, CreateInstance))
            seconds.append(CALL_S * len(change.steps))
        ours.seconds += max(seconds)
        cleared = _clear_and_try(_driver(before), goal)
        theirs += cleared
        theirs.needless += cleared.destroyed - needed
    print(f"  {rounds} configurations on {GPUS} GPUs each:")
    print(f"  {'':24}{'calls':>8}{'made':>8}{'destroyed':>11}{'needlessly':>12}{'seconds each':>14}")
    for name, cost in (("aliquot", ours), ("clear and try orders", theirs)):
        print(
            f"  {name:24}{cost.calls:>8,}{cost.made:>8,}{cost.destroyed:>11,}{cost.needless:>12,}"
            f"{cost.seconds / rounds:>14.1f}"
        )
    print(
        f"  {theirs.calls / ours.calls:.1f} times the calls, {theirs.seconds / ours.seconds:.1f} times the time"
    )


class _Cost:
    def __init__(self) -> None:
        self.calls = self.made = self.destroyed = self.needless = 0
        self.seconds = 0.0

    def __iadd__(self, other: "_Cost") -> "_Cost":
        self.calls += other.calls
        self.made += other.made
        self.destroyed += other.destroyed
        self.seconds += other.seconds
        return self


def _clear_and_try(driver: SimulatedDriver, goal: Goal) -> _Cost:
    cost = _Cost()
    wanted = sorted((demand.profile_id for demand in goal.demands or ()), reverse=True)
    for gpu in driver.gpus():
        there = Counter(instance.profile_id for instance in driver.instances(gpu.uuid))
        if there == Counter(wanted):
            continue
        for order in dict.fromkeys(permutations(wanted)):
            _clear(driver, gpu.uuid, cost)
            if _made(driver, gpu.uuid, order, cost):
                break
    cost.seconds = CALL_S * cost.calls
    return cost


def _clear(driver: SimulatedDriver, uuid: str, cost: _Cost) -> None:
    for instance in driver.instances(uuid):
        for compute in instance.compute_instances:
            driver.destroy_compute_instance(uuid, instance.gi_id, compute.ci_id)
            cost.calls += 1
        driver.destroy_gpu_instance(uuid, instance.gi_id)
        cost.calls += 1
        cost.destroyed += 1


def _made(driver: SimulatedDriver, uuid: str, order: Sequence[int], cost: _Cost) -> bool:
    for profile_id in order:
        cost.calls += 1
        try:
            made = driver.create_gpu_instance(uuid, profile_id, None)
        except DriverError:
            return False
        cost.calls += 1
        cost.made += 1
        driver.create_compute_instance(uuid, made.gi_id, None)
    return True


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


def _seen(driver: SimulatedDriver) -> list[ObservedGpu]:
    return [observe_gpu(driver, gpu, with_links=False) for gpu in driver.gpus()]
