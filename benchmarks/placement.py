"""Online placement: how long one decision takes (choose and commit), beside a scan of all GPUs, and what a fleet weighs.

The fleet is kept nearly full, so that big requests find no room now and then, and GPUs are divided in as many ways as come
about. The scan is the same policy plainly written: the first GPU of the best rank, by one look at each. Every decision is
taken, undone and taken again: the first time tells what a caller sees on this machine now, the least of all what the
decision costs without other programs in between.
"""

import random
import time
from collections.abc import Sequence

import psutil

from aliquot.gpu.boards import board
from aliquot.partition.adaptive import AdaptiveFleet
from aliquot.partition.board_states import BoardStates, ordinary, states_of
from aliquot.partition.fleet import Fleet
from aliquot.partition.placer import Choice
from aliquot.partition.policies.fit import FIRST_FIT
from aliquot.partition.policies.policy import Ranking, rank
from benchmarks.clusters import machine, percentile

BOARD = "h100-80gb"
MIX = (0.40, 0.15, 0.25, 0.10, 0.05, 0.05)
SIZES = (100, 10_000, 100_000)
FULL = 0.95
"""Of the slots: above it, somebody leaves."""
DECISIONS = 50_000
SCANS = 100
TRIES = 4
"""Of each decision."""


def main(short: bool = False) -> None:
    mig = board(BOARD).mig
    assert mig is not None
    states = states_of(ordinary(mig.instance_profiles()))
    print(f"{BOARD}, {machine()}, one thread")
    print("  goal: p99 under 10 us at 10,000 GPUs, at 100,000 at most twice that; under 300 MiB at 100,000")
    for gpus in SIZES[:2] if short else SIZES:
        for name, fleet in (
            ("default", AdaptiveFleet(states, range(gpus))),
            ("first-fit", Fleet(states, FIRST_FIT, range(gpus))),
        ):
            _measure(name, states, fleet, gpus, DECISIONS // 10 if short else DECISIONS)
    print(f"  resident with the last fleets: {psutil.Process().memory_info().rss / 2**20:.0f} MiB")


class _Crowd:
    """Requests that come, and leave when the fleet is full."""

    def __init__(self, states: BoardStates, fleet: Fleet, gpus: int) -> None:
        self.fleet = fleet
        self._slots = [profile.memory_slots for profile in states.profiles]
        self._most = FULL * gpus * states.memory_slots
        self._taken = 0
        self._held: list[Choice] = []
        self._rng = random.Random(1)

    def asks(self) -> int:
        return self._rng.choices(range(len(MIX)), MIX)[0]

    def settle(self, choice: Choice | None) -> None:
        if choice is not None:
            self._held.append(choice)
            self._taken += self._slots[choice[1].profile]
        held = self._held
        while self._taken > self._most or choice is None:
            number = self._rng.randrange(len(held))
            held[number], held[-1] = held[-1], held[number]
            choice = held.pop()
            self._taken -= self._slots[choice[1].profile]
            self.fleet.release(*choice)

    def full(self) -> bool:
        return self._taken > 0.99 * self._most


def _measure(name: str, states: BoardStates, fleet: Fleet, gpus: int, decisions: int) -> None:
    crowd = _Crowd(states, fleet, gpus)
    while not crowd.full():
        _decide(fleet, crowd)
    first_us, least_us = [], []
    refused = 0
    for _ in range(decisions):
        tries, choice = _decide(fleet, crowd, TRIES)
        first_us.append(1e6 * tries[0])
        least_us.append(1e6 * min(tries))
        refused += choice is None
    scanned_us = []
    rankings = rank(fleet.policy, fleet.divisions)
    for _ in range(SCANS):
        profile = crowd.asks()
        began = time.perf_counter()
        found = _scan(fleet, rankings, profile)
        scanned_us.append(1e6 * (time.perf_counter() - began))
        assert found == fleet.choose(profile), "the scan finds another"
        _decide(fleet, crowd)
    ratio = percentile(scanned_us, 0.5) / percentile(first_us, 0.5)
    print(
        f"  {gpus:7,} GPUs  {name:9}  {len(fleet.counts()):3} divisions  {refused / decisions:5.1%} refused   "
        f"first {_spread(first_us)}   least of {TRIES} {_spread(least_us)}   "
        f"scan p50 {percentile(scanned_us, 0.5):,.0f} us: {ratio:,.0f} times as long"
    )


def _spread(took_us: list[float]) -> str:
    return "p50 {:.1f} p99 {:.1f} p99.9 {:.1f} us".format(
        *(percentile(took_us, share) for share in (0.5, 0.99, 0.999))
    )


def _decide(fleet: Fleet, crowd: _Crowd, tries: int = 1) -> tuple[list[float], Choice | None]:
    profile = crowd.asks()
    fleet.observe(profile)
    took = []
    for number in range(tries):
        began = time.perf_counter()
        choice = fleet.choose(profile)
        if choice is not None:
            fleet.commit(*choice)
        took.append(time.perf_counter() - began)
        if choice is not None and number < tries - 1:
            fleet.release(*choice)
    crowd.settle(choice)
    return took, choice


def _scan(fleet: Fleet, rankings: Sequence[Ranking], profile: int) -> Choice | None:
    rank_of = {division: number for number, tier in enumerate(rankings[profile].tiers) for division in tier}
    best, chosen = len(rank_of), -1
    for gpu in fleet.gpus():
        found = rank_of.get(fleet.division(gpu), best)
        if found < best:
            best, chosen = found, gpu
    return None if chosen < 0 else (chosen, rankings[profile].placing[fleet.division(chosen)])
