"""Decisions per CPU second of the scheduler's core: 500 nodes of 8 GPUs, 4,000 pods, beside a plain scan of all nodes.

The scan asks the same filters and scores of every node for every pod and keeps the same snapshot; it differs only in
not remembering what it learned. Both place the same pods on the same nodes, which is checked. No API server.
"""

import statistics
import time
from collections.abc import Callable, Sequence

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import node, pod

NODES = 500
GPUS = 8
PODS = 4000
SCANNED = 200
"""Pods that the scan places in the short form; it is even-paced, so a part tells the rate."""

Workload = Callable[[int], PodRequest]


def one_gpu(number: int) -> PodRequest:
    return pod(f"p{number:04}", gpu=1, cpu=4, memory_gib=16, created_s=number)


def mixed(number: int) -> PodRequest:
    """Forty shapes: CPU pods, 1 to 4 GPUs, two zones, several sizes of CPU."""
    gpus = (0, 1, 1, 2, 1)[number % 5]
    zone = {"zone": str(number % 2)} if number % 4 == 0 else {}
    return pod(f"p{number:04}", gpu=gpus, cpu=1 + number % 8, memory_gib=8, selector=zone, created_s=number)


def cluster() -> Snapshot:
    snapshot = Snapshot()
    for number in range(NODES):
        zone = {"zone": str(number % 2)}
        snapshot.set_facts(node(f"node-{number:04}", *["whole"] * GPUS, cpu=96, memory_gib=768, labels=zone))
    return snapshot


def by_cycle(waiting: Sequence[PodRequest]) -> tuple[float, dict[str, str]]:
    """CPU seconds, and the node of each pod."""
    policies = Policies()
    snapshot, pending, rankings = cluster(), Pending(policies.order), Rankings(policies)
    began = time.process_time()
    for request in waiting:
        pending.put(request)
    outcome = cycle.run(snapshot, pending, rankings)
    took_s = time.process_time() - began
    return took_s, {bind.pod.key: bind.placed.node for bind in outcome.binds}


def by_scan(waiting: Sequence[PodRequest]) -> tuple[float, dict[str, str]]:
    policies = Policies()
    snapshot = cluster()
    session = Session(snapshot)
    places: dict[str, str] = {}
    began = time.process_time()
    for request in sorted(waiting, key=policies.order):
        fits = [
            (-policies.score(request.shape, state), name)
            for name, state in snapshot.nodes.items()
            if policies.reject(request.shape, state) is None
        ]
        if fits:
            name = min(fits)[1]
            session.place(request, name, policies.assign(request.shape, snapshot.nodes[name]))
            places[request.key] = name
    return time.process_time() - began, places


def latencies_ms(waiting: Sequence[PodRequest]) -> list[float]:
    """A full cluster, 4,000 pods wait: a pod ends, and its GPU goes to the first in line."""
    policies = Policies()
    snapshot, pending, rankings = cluster(), Pending(policies.order), Rankings(policies)
    for request in waiting:
        pending.put(request)
    for number in range(PODS):
        pending.put(pod(f"q{number:04}", gpu=1, created_s=PODS + number))
    running = [bind.pod.key for bind in cycle.run(snapshot, pending, rankings).binds]
    took = []
    for key in running[:500]:
        began = time.perf_counter()
        snapshot.remove_pod(key)
        outcome = cycle.run(snapshot, pending, rankings)
        took.append((time.perf_counter() - began) * 1000)
        assert len(outcome.binds) == 1
    return took


def main(short: bool) -> None:
    print(f"{NODES} nodes x {GPUS} GPUs, {PODS} pods; decisions per CPU second (higher is better)")
    print(f"{'pods':<12}{'cycle':>12}{'plain scan':>12}{'ratio':>10}")
    for name, workload in (("one GPU", one_gpu), ("40 shapes", mixed)):
        waiting = [workload(number) for number in range(PODS)]
        took_s, places = by_cycle(waiting)
        scanned = waiting[:SCANNED] if short else waiting
        scan_s, scan_places = by_scan(scanned)
        assert scan_places == {key: places[key] for key in scan_places}, "the two disagree"
        rate, scan_rate = len(places) / took_s, len(scan_places) / scan_s
        print(f"{name:<12}{rate:>12,.0f}{scan_rate:>12,.0f}{rate / scan_rate:>9.0f}x")
    took = latencies_ms([one_gpu(number) for number in range(PODS)])
    cuts = statistics.quantiles(took, n=100)
    print(f"a GPU becomes free, {PODS} pods wait: decided in p50 {cuts[49]:.3f} ms, p99 {cuts[98]:.3f} ms")


if __name__ == "__main__":
    main(short=False)
