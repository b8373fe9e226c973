"""The exact planners at growing numbers of GPUs, each beside what one would write first.

Packing beside first fit decreasing; admission without moving, beside first fit GPU by GPU; admission on the fewest
evictions. Clusters are in all of the board's 723 states at once, with all its 192 occupancies: the worst case, since GPUs
that are alike are counted. Times in milliseconds, of one choice; "read" is the counting, which grows with the cluster.
"""

import random
import time
from collections.abc import Sequence

from aliquot.gpu.boards import board
from aliquot.partition.board_states import BoardStates, ordinary, states_of
from aliquot.partition.cluster import Cluster, Instance, Node, PendingPod, PlannedGpu, RunningPod
from aliquot.partition.first_fit import gpus_taken
from aliquot.partition.packing import Supply, pack
from aliquot.partition.replanning.limits import Limits
from aliquot.partition.replanning.pools import Pools, pools_of
from aliquot.partition.replanning.solving import Solved, solve
from benchmarks.clusters import machine, percentile

MIXES = {
    "uniform": (1, 1, 1, 1, 1, 1),
    "skew-small": (0.40, 0.15, 0.25, 0.10, 0.05, 0.05),
    "skew-big": (0.05, 0.05, 0.10, 0.25, 0.25, 0.30),
    "bimodal": (0.40, 0.05, 0.05, 0.05, 0.05, 0.40),
}
"""Shares of 1g.10gb, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb and 7g.80gb."""
SIZES = (100, 1_000, 10_000, 100_000)
WITHIN_S = 3.0
DEMANDS = (0.1, 0.3)
"""Parts of the free memory that waits; at 1.0, when nothing may be left over, time is up before the last aim."""


def main(short: bool = False) -> None:
    sizes = SIZES[:2] if short else SIZES
    rounds = 2 if short else 5
    states = h100()
    pack([Supply("h100-80gb", states)], {"1g.10gb": 1})
    print(f"exact planners on H100s ({machine()})")
    _packing(states, sizes, rounds)
    _admission(states, sizes, rounds)
    _evictions(states, sizes, 1 if short else 2)


def h100() -> BoardStates:
    mig = board("h100-80gb").mig
    assert mig is not None
    return states_of(ordinary(mig.instance_profiles()))


def _packing(states: BoardStates, sizes: Sequence[int], rounds: int) -> None:
    print(
        f"  {'packing':<12}{'GPUs':>9}{'p50 ms':>9}{'max ms':>9}{'proven':>9}{'first fit ms':>14}{'takes more':>12}"
    )
    names = [profile.name for profile in states.profiles]
    for gpus in sizes:
        for mix, shares in MIXES.items():
            took, first_fit, more, proven = [], [], [], 0
            for seed in range(rounds):
                demand = _demand(states, shares, gpus, random.Random(seed))
                began = time.perf_counter()
                packing = pack([Supply("h100-80gb", states)], demand)
                took.append((time.perf_counter() - began) * 1e3)
                proven += packing.proven
                began = time.perf_counter()
                theirs = gpus_taken(states, {names.index(name): n for name, n in demand.items()})
                first_fit.append((time.perf_counter() - began) * 1e3)
                more.append(theirs / packing.gpus - 1)
            print(
                f"  {mix:<12}{gpus:>9,}{percentile(took, 0.5):>9.1f}{max(took):>9.1f}{f'{proven}/{rounds}':>9}"
                f"{percentile(first_fit, 0.5):>14.1f}{percentile(more, 0.5):>12.2%}",
                flush=True,
            )


def _demand(states: BoardStates, shares: Sequence[float], gpus: int, rng: random.Random) -> dict[str, int]:
    slots = sum(share * p.memory_slots for share, p in zip(shares, states.profiles, strict=True)) / sum(
        shares
    )
    total = gpus * states.memory_slots / slots
    return {
        profile.name: max(1, int(total * share / sum(shares) * rng.uniform(0.8, 1.2)))
        for share, profile in zip(shares, states.profiles, strict=True)
    }


def _admission(states: BoardStates, sizes: Sequence[int], rounds: int) -> None:
    print(
        f"  {'admission':<12}{'GPUs':>9}{'read ms':>9}{'p50 ms':>9}{'max ms':>9}{'proven':>9}"
        f"{'first fit ms':>14}{'admits':>9}"
    )
    for gpus in sizes:
        for mix, shares in MIXES.items():
            took, read, first_fit, part, proven = [], [], [], [], 0
            for seed in range(rounds):
                cluster = _cluster(states, gpus, shares, 1.0, random.Random(seed), fixed="it stays")
                pools, solved, read_ms, ms = _solved(cluster)
                took.append(ms)
                read.append(read_ms)
                proven += solved.reached[0].proven
                began = time.perf_counter()
                theirs = _first_fit(cluster, pools)
                first_fit.append((time.perf_counter() - began) * 1e3)
                part.append(theirs / max(1.0, solved.reached[0].value))
            print(
                f"  {mix:<12}{gpus:>9,}{percentile(read, 0.5):>9.0f}{percentile(took, 0.5):>9.0f}{max(took):>9.0f}"
                f"{f'{proven}/{rounds}':>9}{percentile(first_fit, 0.5):>14.0f}{percentile(part, 0.5):>9.1%}",
                flush=True,
            )


def _evictions(states: BoardStates, sizes: Sequence[int], rounds: int) -> None:
    print(
        f"  {'evictions':<12}{'GPUs':>9}{'waits':>7}{'read ms':>9}{'p50 ms':>9}{'max ms':>9}"
        f"{'admission, evictions, all proven':>35}{'evicted':>9}"
    )
    for gpus in sizes:
        for mix, shares in MIXES.items():
            for waits in DEMANDS:
                took, read, proven = [], [], [0, 0, 0]
                evicted = 0.0
                for seed in range(rounds):
                    cluster = _cluster(states, gpus, shares, waits, random.Random(seed))
                    _, solved, read_ms, ms = _solved(cluster)
                    took.append(ms)
                    read.append(read_ms)
                    by_aim = {reached.aim: reached for reached in solved.reached}
                    sure = [by_aim["admitted 0"].proven, by_aim["evictions"].proven]
                    sure.append(all(reached.proven for reached in solved.reached))
                    proven = [before + now for before, now in zip(proven, sure, strict=True)]
                    evicted += by_aim["evictions"].value / rounds
                told = ", ".join(f"{count}/{rounds}" for count in proven)
                print(
                    f"  {mix:<12}{gpus:>9,}{waits:>7.0%}{percentile(read, 0.5):>9.0f}{percentile(took, 0.5):>9.0f}"
                    f"{max(took):>9.0f}{told:>35}{evicted:>9,.0f}",
                    flush=True,
                )


def _solved(cluster: Cluster) -> tuple[Pools, Solved, float, float]:
    began = time.perf_counter()
    pools = pools_of(cluster, Limits(), 0.0)
    read = time.perf_counter()
    solved = solve(pools, cluster.budgets, Limits(), within_s=WITHIN_S, monotonic=time.perf_counter)
    return pools, solved, (read - began) * 1e3, (time.perf_counter() - read) * 1e3


def _cluster(
    states: BoardStates, gpus: int, shares: Sequence[float], waits: float, rng: random.Random, fixed: str = ""
) -> Cluster:
    """Every state in turn, each slice held by a pod of its own; `waits`: the part of the free memory that is asked for."""
    order = list(range(len(states.states)))
    rng.shuffle(order)
    made: list[PlannedGpu] = []
    running: dict[str, RunningPod] = {}
    free = 0
    for number in range(gpus):
        instances = []
        for placing in states.states[order[number % len(order)]]:
            key = f"bench/r{len(running)}"
            running[key] = RunningPod(key, started_s=0.0, fixed=fixed)
            size = placing.mask.bit_count()
            name = states.profiles[placing.profile].name
            instances.append(Instance(name, placing.start, size, (key,)))
        free += states.memory_slots - sum(one.size for one in instances)
        made.append(PlannedGpu(f"GPU-{number}", f"n{number // 8}", "h100-80gb", states, tuple(instances)))
    pending: list[PendingPod] = []
    slots = 0
    while slots < free * waits:
        profile = rng.choices(states.profiles, shares)[0]
        slots += profile.memory_slots
        pending.append(PendingPod(f"bench/w{len(pending)}", ((profile.name, 1),)))
    nodes = tuple(Node(f"n{number}") for number in range(-(-gpus // 8)))
    return Cluster(nodes, tuple(made), running, tuple(pending))


def _first_fit(cluster: Cluster, pools: Pools) -> float:
    """Pods in their order, each on the first GPU where it fits, at the lowest start; GPUs that are full for a profile once
    are not looked at for it again. The memory that it admits, in 64ths of a GPU."""
    states = pools.pools[0].states
    held = [sum(one.mask for one in gpu.instances) for gpu in cluster.gpus]
    index = {profile.name: number for number, profile in enumerate(states.profiles)}
    first = [0] * len(states.profiles)
    admitted = 0.0
    for pod in cluster.pending:
        profile = index[pod.needs[0][0]]
        at = first[profile]
        while at < len(held) and not states.fitting(profile, held[at]):
            at += 1
        first[profile] = at
        if at < len(held):
            held[at] |= states.fitting(profile, held[at])[0].mask
            admitted += states.profiles[profile].memory_slots * 64 / states.memory_slots
    return admitted
