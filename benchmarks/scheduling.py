"""The scheduler's core, beside a plain scan of all nodes: decisions per CPU second, gangs, 2,000 GPUs taken back, a large
cluster at work, memory.

The scan asks the same filters and scores of every node for every pod and keeps the same snapshot; it differs only in
not remembering what it learned. Both place the same pods on the same nodes, which is checked. No API server. Times are
CPU time; of the cycle the best of several runs, as whoever else is busy on the machine only adds to them. By worth, the
scheduler has seen the pods before. The garbage collector is set as the scheduler's process sets it.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aliquot.kube.cache import settle_gc
from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.jobs import Group, JobSpec, TopologyWish
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.topology import domains
from aliquot.scheduler.testing import by_usual, node
from benchmarks.clusters import machine
from benchmarks.scheduling_reclaim import reclaims
from benchmarks.scheduling_worlds import (
    CPU_PODS,
    GPUS,
    TREE,
    Full,
    cluster,
    labels_of,
    mixed,
    name_of,
    one_gpu,
    request,
    shape,
    waits,
)

Workload = Callable[[int], PodRequest]

RATES: Sequence[tuple[str, int, int, Workload]] = (
    ("one GPU", 500, 4_000, one_gpu),
    ("40 shapes", 500, 4_000, mixed),
    ("one GPU", 1_000, 8_000, one_gpu),
    ("one GPU", 5_000, 20_000, one_gpu),
)
"""Workload, nodes, pods."""


def by_cycle(nodes: int, waiting: Sequence[PodRequest], policies: Policies) -> tuple[float, dict[str, str]]:
    """CPU seconds, and the node of each pod."""
    snapshot, pending, rankings = cluster(nodes), Pending(policies.order), Rankings(policies)
    began = time.process_time()
    for one in waiting:
        pending.put(one)
    outcome = cycle.run(snapshot, pending, rankings)
    took_s = time.process_time() - began
    return took_s, {bind.pod.key: bind.placed.node for bind in outcome.binds}


def by_scan(
    snapshot: Snapshot, waiting: Iterable[PodRequest], names: Iterable[str], policies: Policies
) -> dict[str, str] | None:
    """The node of each pod; None, and everything as it was, where one finds none."""
    session = Session(snapshot)
    places: dict[str, str] = {}
    open_to_all = list(names)
    for one in sorted(waiting, key=policies.order.rank):
        fits = [
            (-policies.score(one.shape, state), name)
            for name, state in ((name, snapshot.nodes[name]) for name in open_to_all)
            if policies.reject(one.shape, state) is None
        ]
        if not fits:
            session.undo()
            return None
        name = min(fits)[1]
        session.place(one, name, policies.assign(one.shape, snapshot.nodes[name]))
        places[one.key] = name
    return places


def rates(short: bool) -> None:
    print(f"decisions per CPU second (higher is better), nodes of {GPUS} GPUs")
    print(
        f"  {'pods':<12}{'nodes':>8}{'pods':>9}{'packed':>12}{'by worth':>12}{'plain scan':>12}{'ratio':>8}"
    )
    for name, nodes, pods, workload in RATES:
        waiting = [workload(number) for number in range(pods)]

        def by_worth(nodes: int = nodes, waiting: Sequence[PodRequest] = waiting) -> Policies:
            return by_usual(waiting, [state.facts for state in cluster(nodes).nodes.values()])

        runs = range(1 if short else 3)
        # In turns, as others are busy on the machine now more, now less.
        took = [(by_cycle(nodes, waiting, Policies()), by_cycle(nodes, waiting, by_worth())) for _ in runs]
        packed_s, packed = min((one for one, _ in took), key=lambda run: run[0])
        took_s, places = min((one for _, one in took), key=lambda run: run[0])
        # The scan is even-paced: a part tells the rate.
        scanned = waiting[: (50_000 if short else 500_000) // nodes]
        snapshot, policies = cluster(nodes), by_worth()
        began = time.process_time()
        found = by_scan(snapshot, scanned, snapshot.nodes, policies)
        scan_s = time.process_time() - began
        assert found == {one.key: places[one.key] for one in scanned}, "the two disagree"
        rate, scan_rate = len(places) / took_s, len(scanned) / scan_s
        print(
            f"  {name:<12}{nodes:>8,}{pods:>9,}{len(packed) / packed_s:>12,.0f}{rate:>12,.0f}{scan_rate:>12,.0f}"
            f"{rate / scan_rate:>7.0f}x",
            flush=True,
        )


# --- gangs ---


@dataclass(frozen=True)
class Gang:
    name: str
    root: Group
    leaves: Sequence[tuple[str, int, PodShape]]
    """Name, pods, and their shape."""
    level: str = ""
    """In one domain of which the scan places it: the first that will do."""
    fits: bool = True
    scanned: bool = True
    """In the short form too."""

    def pods(self) -> list[tuple[PodRequest, str]]:
        return [
            (request(number, of, f"{leaf}-"), leaf)
            for leaf, count, of in self.leaves
            for number in range(count)
        ]


def _in_one(level: str, preferred: str = "") -> TopologyWish:
    return TopologyWish("net", required=level, preferred=preferred)


def gangs() -> list[Gang]:
    one, whole = shape(1, 4, 16), shape(GPUS, 32, 128)
    parts = tuple(Group(f"part{number}", 64, topology=_in_one("rack")) for number in range(8))
    return [
        Gang("512 pods, anywhere", Group("", 512), [("", 512, one)]),
        Gang(
            "512 pods, one block, better one rack",
            Group("", 512, topology=_in_one("block", "rack")),
            [("", 512, one)],
            "block",
        ),
        Gang(
            "8 parts of 64, each one rack, all one block",
            Group("", 8, parts, _in_one("block")),
            [(part.name, 64, one) for part in parts],
            "block",
        ),
        Gang("512 whole nodes of 500", Group("", 512), [("", 512, whole)], fits=False),
        Gang(
            "801 pods, one block of 800 GPUs",
            Group("", 801, topology=_in_one("block")),
            [("", 801, one)],
            "block",
            fits=False,
            scanned=False,
        ),
        Gang("4,001 pods of 4,000 GPUs", Group("", 4001), [("", 4001, one)], fits=False, scanned=False),
    ]


def verdict(gang: Gang) -> tuple[float, float]:
    """CPU seconds until it is decided, and until it is explained where it is turned down."""
    policies = Policies()
    snapshot, pending, rankings = cluster(500), Pending(policies.order), Rankings(policies)
    spec = JobSpec("default/gang", gang.root)
    for one, leaf in gang.pods():
        pending.put(one, spec, leaf)
    began = time.process_time()
    outcome = cycle.run(snapshot, pending, rankings, TREE)
    decided = time.process_time()
    for blocked in outcome.blocked:
        cycle.why(snapshot, pending, blocked, rankings, TREE)
    explained = time.process_time()
    assert len(outcome.binds) == (len(gang.pods()) if gang.fits else 0), gang.name
    return decided - began, explained - decided


def scan_of(gang: Gang) -> float:
    """CPU seconds of the scan, domain by domain."""
    snapshot = cluster(500)
    levels = TREE["net"].levels
    depth = TREE["net"].depth(gang.level) if gang.level else 0
    labels = ((name, state.facts.labels) for name, state in snapshot.nodes.items())
    pods = [one for one, _ in gang.pods()]
    began = time.process_time()
    found = any(
        by_scan(snapshot, pods, names, Policies()) for names in domains(labels, levels[:depth]).values()
    )
    assert found is gang.fits, gang.name
    return time.process_time() - began


def all_gangs(short: bool) -> None:
    print("gangs on 500 empty nodes of 8 GPUs, 10 nodes a rack, 10 racks a block; CPU ms (lower is better)")
    print(f"  {'':<45}{'decided':>9}{'why not':>9}{'plain scan':>12}{'ratio':>8}")
    for gang in gangs():
        runs = [verdict(gang) for _ in range(2 if short else 5)]
        decided, why = min(run[0] for run in runs), min(run[1] for run in runs)
        told = "-" if gang.fits else f"{why * 1e3:.0f}"
        line = f"  {gang.name:<45}{decided * 1e3:>9.0f}{told:>9}"
        if gang.scanned or not short:
            scan_s = scan_of(gang)
            line += f"{scan_s * 1e3:>12,.0f}{scan_s / decided:>7.0f}x"
        print(line, flush=True)


# --- a large cluster at work ---


def latencies(nodes: int, waiting: int, short: bool) -> None:
    began = time.process_time()
    full = Full(nodes, waiting)
    pods = len(full.snapshot.pods) + waiting
    cycle.run(full.snapshot, full.pending, full.rankings)
    anew_s = time.process_time() - began
    running = list(full.snapshot.pods)
    each = GPUS + CPU_PODS
    one_ms = [
        _turn(full, running[turn * each : turn * each + 1], 0, 0, turn)
        for turn in range(20 if short else 100)
    ]
    many_ms = []
    for turn in range(5 if short else 20):
        # Of nodes that no pod left so far, one in four of them with a GPU.
        first = (200 + turn * 20) * each
        gone = [running[first + at * each // 5] for at in range(100)]
        many_ms.append(_turn(full, gone, 100, 5, turn))
    print(
        f"{nodes:,} nodes, {pods:,} pods, {waiting:,} of them wait in {len(full.pending.lines)} lines; CPU ms"
    )
    print(f"  {'':<45}{'p50':>9}{'most':>9}{'read anew':>12}{'ratio':>8}")
    for name, took in (("one pod ends", one_ms), ("100 end, 100 come, 5 nodes change", many_ms)):
        middle = statistics.median(took)
        print(
            f"  {name:<45}{middle:>9.1f}{max(took):>9.1f}{anew_s * 1e3:>12,.0f}{anew_s * 1e3 / middle:>7,.0f}x"
        )


def _turn(full: Full, gone: Iterable[str], come: int, changed: int, turn: int) -> float:
    """CPU milliseconds of a full cycle, what it is told included."""
    new = [waits(1_000_000 + turn * come + number) for number in range(come)]
    facts = [
        node(
            name_of(number),
            *["whole"] * GPUS,
            cpu=96,
            memory_gib=768,
            labels=labels_of(number) | {"turn": str(turn)},
        )
        for number in range(turn * changed, (turn + 1) * changed)
    ]
    began = time.process_time()
    for key in gone:
        full.snapshot.remove_pod(key)
        full.pending.discard(key)
    for one in new:
        full.pending.put(one)
    for one_node in facts:
        full.snapshot.set_facts(one_node)
    cycle.run(full.snapshot, full.pending, full.rankings)
    return (time.process_time() - began) * 1e3


def memory() -> None:
    nodes, waiting, of_each_node = 5_000, 10_000, GPUS
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.scheduling_memory", str(nodes), str(waiting), str(of_each_node)],
        check=True,
        capture_output=True,
        text=True,
    )
    bare, fed, decided = map(float, told.stdout.split())
    pods = nodes * of_each_node + waiting
    print(f"resident memory, {nodes:,} nodes and {pods:,} pods, {waiting:,} of them wait in 100 lines; MiB")
    print(f"  {'the interpreter and its modules':<45}{bare:>9.0f}")
    print(f"  {'with what was read':<45}{fed:>9.0f}")
    print(f"  {'after a cycle':<45}{decided:>9.0f}")


def main(short: bool) -> None:
    settle_gc()
    print(f"scheduler's core, {machine()}")
    rates(short)
    all_gangs(short)
    reclaims(short)
    latencies(4_000, 140_000 - 4_000 * (GPUS + CPU_PODS), short)
    memory()


if __name__ == "__main__":
    main(short=False)
