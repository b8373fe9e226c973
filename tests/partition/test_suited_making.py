"""Where slices are made is where the adaptive fleet would place, request by request, whatever the mix and its changes."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.partition.adaptive import AdaptiveFleet
from aliquot.partition.making import GpuNow, after, best
from aliquot.partition.placer import Choice
from aliquot.partition.value import Valuation
from aliquot.partition.ways import SliceWay
from aliquot.scheduler.testing import profiles
from tests.partition.boards import states

H100 = "h100-80gb"
MIXES = (
    (0.40, 0.15, 0.25, 0.10, 0.05, 0.05),  # as skew-small, which has a table
    (1 / 6,) * 6,  # as uniform, which has one
    (0.05, 0.05, 0.10, 0.25, 0.25, 0.30),  # none is like it
)
GPUS = 12


class Made:
    """GPUs in MIG mode; what comes free is gone at once, as the fleet has it."""

    def __init__(self) -> None:
        self.valuation = Valuation()
        self.gpus = [GpuNow(f"{number:02}", profiles(H100), True, (), may_cut=True) for number in range(GPUS)]

    def place(self, profile: int) -> tuple[int, int] | None:
        """GPU and start."""
        way = SliceWay(next(p for p in profiles(H100) if p.name == states(H100).profiles[profile].name))
        self.valuation.observe(profiles(H100), way.profile)
        found = best(self.gpus, [(way,)] * GPUS, "r", valuation=self.valuation)
        if found is None:
            return None
        making = found[1]
        number, start = int(making.gpu), making.piece.start
        assert start is not None
        self.gpus[number] = after(self.gpus[number], making)
        return number, start

    def release(self, number: int, start: int) -> None:
        gpu = self.gpus[number]
        self.gpus[number] = replace(gpu, pieces=tuple(p for p in gpu.pieces if p.start != start))


@given(
    parts=st.lists(st.tuples(st.sampled_from(MIXES), st.integers(0, 600)), min_size=1, max_size=4),
    seed=st.integers(0, 1_000),
)
@settings(max_examples=15, deadline=None)
def test_slices_are_made_where_the_fleet_places(
    parts: list[tuple[tuple[float, ...], int]], seed: int
) -> None:
    rng = random.Random(seed)
    fleet, made = AdaptiveFleet(states(H100), range(GPUS)), Made()
    running: list[Choice] = []
    for mix, requests in parts:
        for profile in rng.choices(range(6), mix, k=requests):
            while running and rng.random() < 0.45:
                gpu, placing = running.pop(rng.randrange(len(running)))
                fleet.release(gpu, placing)
                made.release(gpu, placing.start)
            fleet.observe(profile)
            choice = fleet.choose(profile)
            place = made.place(profile)
            assert place == (None if choice is None else (choice[0], choice[1].start))
            if choice is not None:
                fleet.commit(*choice)
                running.append(choice)
    assert made.valuation.policy(profiles(H100)).name == fleet.policy.name


def test_what_was_learned_comes_into_use_and_changes_where_slices_are_made() -> None:
    made, rule = Made(), Valuation(())
    small = [profile for profile, share in enumerate((40, 15, 25, 10, 5, 5)) for _ in range(share)]
    differ = 0
    for number in range(1_000):
        profile = small[number * 37 % 100]
        way = SliceWay(next(p for p in profiles(H100) if p.name == states(H100).profiles[profile].name))
        by_rule = best(made.gpus, [(way,)] * GPUS, "r", valuation=rule)
        place = made.place(profile)
        differ += by_rule is not None and place != (int(by_rule[1].gpu), by_rule[1].piece.start)
        if number >= 15 or place is None:
            busy = [(n, p.start) for n, gpu in enumerate(made.gpus) for p in gpu.pieces]
            gone = busy[number * 31 % len(busy)]
            made.release(gone[0], gone[1] or 0)
    assert made.valuation.policy(profiles(H100)).name == "learned/skew-small"
    assert rule.policy(profiles(H100)).name == "max-slot-capability"
    assert differ > 0
