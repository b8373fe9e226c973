"""Lives of MIG changes: cut short anywhere, again and again, then finished or rolled back. One seed fixes a life.

python -m tests.node.mig.convergence --seeds 10000    as many lives; the failing seeds are named at the end
python -m tests.node.mig.convergence --seed 17        one of them, with its diary

Before every driver call and every write of a journal, and after it, the process may die; a written line may be torn,
the driver may refuse or fail, the machine may be rebooted before somebody comes to look. Whatever happened: a GPU is
in the end exactly what it was to become or exactly what it was, no journal is left over, and what was in use lives.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from aliquot.clock import VirtualClock
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.demands import Counts
from aliquot.gpu.driver import DriverError, Gpu, InstanceProfile, MigState, ReturnCode
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.layout import Geometry, Slice, compute_slices, parts_of
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.inventory import observe_gpu
from aliquot.node.mig.applying import Applying, Done, Failed, Result, Way, Work
from aliquot.node.mig.journal import Layout, layout_after, unfinished
from aliquot.node.mig.reconfiguration import Change, Goal, reconfigure
from tests.node.machines import virtual
from tests.node.mig.troubled import CHANGING, Killed

BOARDS = ("h100-80gb", "a100-40gb", "a30-24gb", "rtx-pro-6000-96gb")
_MOST_GPUS = 3
_CLEAR_REFUSALS = (ReturnCode.IN_USE, ReturnCode.NO_PERMISSION, ReturnCode.INSUFFICIENT_RESOURCES)

Exact: TypeAlias = tuple[MigState, tuple[tuple[int, int, tuple[int, ...]], ...]]
"""Mode; profile, start and compute slices of each instance, by start."""


@cache
def _layouts(board: str) -> Sequence[tuple[Slice, ...]]:
    driver = SimulatedDriver([InventoryGpus(board, mig=True)], node="n")
    states = Geometry(driver.instance_profiles(driver.gpus()[0].uuid)).states()
    return random.Random(0).sample(found, 2000) if len(found := list(states)) > 2000 else found


class Fate:
    """Runs what is to run off the loop, and decides how that goes: the `run_blocking` of a process that may die."""

    def __init__(
        self, rng: random.Random, note: Callable[[str], None], after_each: Callable[[], None]
    ) -> None:
        self._rng = rng
        self._note = note
        self._after_each = after_each
        self._dies_in = rng.choice((rng.randrange(12), rng.randrange(60)))
        self._how = rng.choice(("before", "after", "torn"))
        self._trouble = rng.choice((0.0, 0.0, 0.1))
        self._dead = False
        self.directory = Path()

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        name = function.__name__
        await asyncio.sleep(self._rng.choice((0.0, 0.01, 0.2)))
        if self._dead:
            raise Killed
        self._dies_in -= 1
        dying = self._dies_in < 0
        if dying and self._how == "before":
            self._die(f"before {name}")
        if name in CHANGING and self._rng.random() < self._trouble:
            code = self._rng.choice((*_CLEAR_REFUSALS, ReturnCode.IN_USE, ReturnCode.UNKNOWN))
            if code is ReturnCode.UNKNOWN and self._rng.random() < 0.5:
                function(*arguments)
            self._note(f"{name}{arguments[1:]}: {code.name}")
            raise DriverError(code, code.name)
        try:
            result = function(*arguments)
        finally:
            self._after_each()
        if name in CHANGING:
            self._note(f"{name}{arguments[1:]}")
        if dying:
            if self._how == "torn" and name in ("begun", "done"):
                self._tear()
            self._die(f"after {name}")
        return result

    def _die(self, when: str) -> None:
        self._note(f"killed {when}")
        self._dead = True
        raise Killed

    def _tear(self) -> None:
        """A line that was being written, of any journal that has one: all but the head may be lost in part."""
        for path in self.directory.glob("*.journal"):
            text = path.read_bytes()
            last_line = len(text) - (text[:-1].rfind(b"\n") + 1)
            if text.count(b"\n") > 1:
                path.write_bytes(text[: len(text) - self._rng.randint(1, last_line)])


class Life:
    def __init__(self, seed: int, directory: Path) -> None:
        self.rng = random.Random(seed)
        self.diary: list[str] = []
        self.directory = directory
        board = self.rng.choice(BOARDS)
        self.board = board
        groups = [
            InventoryGpus(board, mig=self.rng.random() < 0.8) for _ in range(self.rng.randint(1, _MOST_GPUS))
        ]
        self.driver = SimulatedDriver(groups, node="n")
        self.users: dict[str, str] = {}
        """UUID of a MIG device or GPU -> the pod that holds it."""
        self._busy: set[str] = set()
        """Devices that must live."""
        self._pids = iter(range(1, 1000))
        self._pid_of: dict[str, int] = {}
        for gpu in self.driver.gpus():
            if gpu.mig is MigState.ENABLED:
                self._cut(gpu)
            if self.rng.random() < 0.1:
                self._pend(gpu)
        for device in self._devices():
            if self.rng.random() < 0.15:
                self._use(device)

    def note(self, what: str) -> None:
        self.diary.append(what)

    # --- how it begins ---

    def _cut(self, gpu: Gpu) -> None:
        """Any layout, instances whole, in parts, or without anything in them."""
        rng, driver = self.rng, self.driver
        profiles = self._profiles(gpu)
        for slice_ in rng.choice(_layouts(self.board)):
            if rng.random() < 0.1:
                continue
            made = driver.create_gpu_instance(gpu.uuid, slice_.profile_id, slice_.start)
            for slices in self._parts(profiles[slice_.profile_id]) or (None,):
                known = profiles[slice_.profile_id].compute_profiles
                part = next((c.profile_id for c in known if c.compute_slices == slices), None)
                if rng.random() < 0.95:
                    driver.create_compute_instance(gpu.uuid, made.gi_id, part)

    def _parts(self, profile: InstanceProfile) -> tuple[int, ...]:
        """Compute slices; mostly one that fills the instance, which is empty here."""
        if self.rng.random() < 0.7:
            return ()
        parts: list[int] = []
        counts: Counter[int] = Counter()
        while self.rng.random() < 0.8:
            left = profile.compute_slices - sum(parts)
            fitting = [
                c.compute_slices
                for c in profile.compute_profiles
                if c.compute_slices <= left and counts[c.compute_slices] < c.max_instances
            ]
            if not fitting:
                break
            parts.append(self.rng.choice(fitting))
            counts[parts[-1]] += 1
        return () if parts == [profile.compute_slices] else tuple(sorted(parts, reverse=True))

    def _pend(self, gpu: Gpu) -> None:
        """A change of mode that waits for a reset, where the board has that."""
        if gpu.mig is MigState.DISABLED and self.board.startswith(("a100", "a30")):
            self.driver.set_mig_mode(gpu.uuid, True)

    # --- what there is ---

    def _profiles(self, gpu: Gpu) -> Mapping[int, InstanceProfile]:
        return {profile.profile_id: profile for profile in self.driver.instance_profiles(gpu.uuid)}

    def _devices(self) -> Iterator[str]:
        for gpu in self.driver.gpus():
            for instance in self.driver.instances(gpu.uuid):
                yield from (compute.uuid for compute in instance.compute_instances)

    def _use(self, device: str) -> None:
        self._busy.add(device)
        if self.rng.random() < 0.5:
            self.users[device] = f"pod default/{len(self.users)}"
        else:
            self._pid_of[device] = next(self._pids)
            self.driver.start_process(device, pid=self._pid_of[device])

    def exactly(self, gpu: Gpu) -> Exact:
        (now,) = (one for one in self.driver.gpus() if one.uuid == gpu.uuid)
        profiles = self._profiles(gpu)
        found = [
            (
                instance.profile_id,
                instance.placement.start,
                tuple(
                    sorted(
                        compute_slices(one, profiles[instance.profile_id])
                        for one in instance.compute_instances
                    )
                ),
            )
            for instance in self.driver.instances(gpu.uuid)
        ]
        return now.mig, tuple(sorted(found, key=lambda one: one[1]))

    def as_layout(self, gpu: Gpu, layout: Layout) -> Exact:
        profiles = self._profiles(gpu)
        found = [
            (s.profile_id, s.start, tuple(sorted(parts_of(s.compute, profiles[s.profile_id]))))
            for s in layout.slices
        ]
        mode = MigState.ENABLED if layout.mig else MigState.DISABLED
        return mode, tuple(sorted(found, key=lambda one: one[1]))

    def settled(self, exact: Exact) -> Exact:
        """To go back to a mode that waited for a reset is to go back to the one in effect."""
        mode, found = exact
        return MigState.DISABLED if mode is MigState.PENDING_ENABLE else mode, found

    def nothing_in_use_is_gone(self) -> None:
        gone = self._busy - set(self._devices())
        assert not gone, f"in use, and gone: {gone}"

    # --- what is wanted ---

    def wish(self, gpu: Gpu) -> Change | None:
        """A change that can be had; None where chance finds none."""
        observed = observe_gpu(self.driver, gpu, with_links=False)
        for _ in range(20):
            outcome = reconfigure(observed, self._goal(gpu), self.users)
            if isinstance(outcome, Change):
                return outcome
        return None

    def _goal(self, gpu: Gpu) -> Goal:
        rng = self.rng
        kind = rng.choice(("off", "mode", "placed", "placed", "counted"))
        if kind == "off":
            return Goal(False)
        if kind == "mode":
            return Goal(True, None)
        layout = rng.choice(_layouts(self.board))
        profiles = self._profiles(gpu)
        if kind == "placed":
            return Goal(
                True,
                tuple(Demand(s.profile_id, self._parts(profiles[s.profile_id]), s.start) for s in layout),
            )
        counts: Counts = Counter((s.profile_id, profiles[s.profile_id].compute_slices) for s in layout)
        return Goal(True, tuple(Demand(s.profile_id) for s in layout), counts)

    # --- how it goes on ---

    def live(self) -> None:
        gpus = self.driver.gpus()
        changes = {gpu.uuid: change for gpu in gpus if (change := self.wish(gpu)) is not None}
        before = {gpu.uuid: self.exactly(gpu) for gpu in gpus}
        goals = {
            uuid: self.as_layout(change.gpu, layout_after(change)) if change.steps else before[uuid]
            for uuid, change in changes.items()
        }
        for gpu in gpus:
            self.note(f"{gpu.index}: from {before[gpu.uuid]} to {goals.get(gpu.uuid)}; in use: {self._busy}")
        works = [
            Work(observe_gpu(self.driver, gpu, with_links=False), changes[gpu.uuid])
            for gpu in gpus
            if gpu.uuid in changes
        ]

        results = self._under(partial(Applying.apply, works=works))
        open_ones = self._open()
        for gpu in gpus:
            if gpu.uuid in changes and gpu.uuid not in open_ones:
                self._ended(gpu, results.get(gpu.uuid), before[gpu.uuid], goals[gpu.uuid])
        back = {gpu.uuid: self.settled(before[gpu.uuid]) for gpu in gpus}
        for _ in range(self.rng.randrange(4)):
            if not open_ones:
                break
            newcomers = self._meanwhile()
            way = self._way()
            self._under(partial(Applying.recover, gpu_uuids=sorted(open_ones), way=way, users=self.users))
            self._arrived(open_ones - self._open(), way, goals, back)
            open_ones = self._open()
            self._leave(newcomers)
        way = self._way()
        outcomes = self._calmly(
            partial(Applying.recover, gpu_uuids=sorted(open_ones), way=way, users=self.users)
        )
        failed = [result for result in outcomes.values() if isinstance(result, Failed)]
        assert not failed, failed
        assert not self._open()
        self._arrived(open_ones, way, goals, back)
        self.nothing_in_use_is_gone()

    def _ended(self, gpu: Gpu, result: Result | None, before: Exact, goal: Exact) -> None:
        """Without a journal: nothing was done, or everything."""
        now = self.exactly(gpu)
        if isinstance(result, Done):
            assert now == goal, f"{gpu.index}: done, but {now}"
        elif isinstance(result, Failed):
            assert not result.open, f"{gpu.index}: said to be open, but there is no journal"
            assert now == before, f"{gpu.index}: failed before anything was done, but {now}"
        else:
            assert now in (before, goal), f"{gpu.index}: killed, no journal, and {now}"

    def _arrived(
        self, uuids: set[str], way: Way, goals: Mapping[str, Exact], back: Mapping[str, Exact]
    ) -> None:
        wanted = goals if way is Way.FINISH else back
        for gpu in self.driver.gpus():
            if gpu.uuid in uuids:
                now = self.exactly(gpu)
                assert now == wanted[gpu.uuid], f"{gpu.index}: {way.value}: {now}"

    def _meanwhile(self) -> Sequence[str]:
        """Before somebody comes to look. The devices that are in use now and were not."""
        if self.rng.random() < 0.15:
            self.note("reboot")
            self.driver.reboot()
            self.users.clear()
            self._busy.clear()
        newcomers = [
            device
            for device in self._devices()
            if device not in self._busy and self.rng.random() < self.rng.choice((0.0, 0.1))
        ]
        for device in newcomers:
            self._use(device)
            self.note(f"comes into use: {device}")
        return newcomers

    def _leave(self, newcomers: Sequence[str]) -> None:
        for device in newcomers:
            self._busy.remove(device)
            if self.users.pop(device, None) is None:
                self.driver.stop_process(self._pid_of.pop(device))

    def _way(self) -> Way:
        way = self.rng.choice(list(Way))
        self.note(way.value)
        return way

    def _open(self) -> set[str]:
        return {one.gpu_uuid for one in unfinished(self.directory)}

    def _under(self, begin: Callable[[Applying], Any]) -> Mapping[str, Result]:
        """With a process that may die; what became of each GPU, where it lived to say so."""
        fate = Fate(self.rng, self.note, self.nothing_in_use_is_gone)
        fate.directory = self.directory
        try:
            return self._run(begin, fate.run)
        except BaseExceptionGroup as group:
            _, other = group.split(Killed)
            if other is not None:
                raise other from None
            return {}

    def _calmly(self, begin: Callable[[Applying], Any]) -> Mapping[str, Result]:
        async def run_blocking(function: Callable[..., Any], *arguments: Any) -> Any:
            return function(*arguments)

        return self._run(begin, run_blocking)

    def _run(self, begin: Callable[[Applying], Any], run_blocking: Any) -> Mapping[str, Result]:
        async def main() -> Mapping[str, Result]:
            applying = Applying(
                self.driver, directory=self.directory, clock=VirtualClock(), run_blocking=run_blocking
            )
            found: Mapping[str, Result] = await begin(applying)
            return found

        return virtual(main())


def live(seed: int) -> None:
    """Raises AssertionError with the seed and the diary."""
    with tempfile.TemporaryDirectory() as directory:
        life = Life(seed, Path(directory))
        try:
            life.live()
        except BaseException as error:
            lines = "\n".join(life.diary)
            raise AssertionError(f"seed {seed}: {error!r}\n{lines}") from error


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    failed = []
    began = time.perf_counter()
    for seed in range(options.seeds) if options.seed is None else [options.seed]:
        try:
            live(seed)
        except AssertionError as error:
            failed.append(seed)
            print(error, flush=True)
    lives = options.seeds if options.seed is None else 1
    print(
        f"{lives - len(failed)} of {lives} lives of MIG changes held, in {time.perf_counter() - began:.0f} s"
    )
    if failed:
        print(f"failed: {failed}; look at one with --seed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
