"""Clusters and pods for the benchmarks of the scheduler's core. Pods that are alike have one shape, as whoever reads them has it."""

from collections.abc import Iterator
from functools import cache

from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import DeviceChoice, PlacedPod, PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.topology import Topology
from aliquot.scheduler.testing import GPU, gpu_uuid, node, pod

GPUS = 8
NODES_PER_RACK = 10
RACKS_PER_BLOCK = 10
CPU_PODS = 24
"""On each node that is full, beside a pod on every GPU."""
WAITING_SHAPES = 100
TREE = {"net": Topology("net", ("block", "rack"))}


def name_of(number: int) -> str:
    return f"node-{number:04}"


def labels_of(number: int) -> dict[str, str]:
    rack = number // NODES_PER_RACK
    return {"zone": str(number % 2), "rack": f"r{rack}", "block": f"b{rack // RACKS_PER_BLOCK}"}


def cluster(nodes: int) -> Snapshot:
    snapshot = Snapshot()
    for number in range(nodes):
        snapshot.set_facts(
            node(name_of(number), *["whole"] * GPUS, cpu=96, memory_gib=768, labels=labels_of(number))
        )
    return snapshot


@cache
def shape(gpu: int, cpu: int, memory_gib: int, zone: str = "") -> PodShape:
    selector = {"zone": zone} if zone else {}
    return pod("any", gpu=gpu, cpu=cpu, memory_gib=memory_gib, selector=selector).shape


def request(number: int, of: PodShape, name: str = "p") -> PodRequest:
    return PodRequest(f"default/{name}{number:06}", f"uid-{name}{number}", of, created_s=float(number))


def one_gpu(number: int) -> PodRequest:
    return request(number, shape(1, 4, 16))


def mixed(number: int) -> PodRequest:
    """Forty shapes: CPU pods, 1 to 4 GPUs, two zones, several sizes of CPU."""
    zone = str(number % 2) if number % 4 == 0 else ""
    return request(number, shape((0, 1, 1, 2, 1)[number % 5], 1 + number % 8, 8, zone))


def waits(number: int) -> PodRequest:
    """One of those for which there is no room, of as many shapes as there are in a large cluster."""
    return request(number, shape(1, 1, 1 + number % WAITING_SHAPES), "w")


def bound(nodes: int) -> Iterator[tuple[PodRequest, PlacedPod]]:
    """Every GPU of every node has a pod, and beside them run some without."""
    number = 0
    for at in range(nodes):
        for place in range(GPUS + CPU_PODS):
            on_gpu = place < GPUS
            one = request(number, shape(1, 4, 16) if on_gpu else shape(0, 1, 4), "b")
            devices = (DeviceChoice("main", GPU, gpu_uuid(name_of(at), place)),) if on_gpu else ()
            yield (
                one,
                PlacedPod(one.key, one.uid, name_of(at), one.shape.request, devices, admitted=True),
            )
            number += 1


class Full:
    """A full cluster at work, and many that wait."""

    def __init__(self, nodes: int, waiting: int, *, of_each_node: int = GPUS + CPU_PODS) -> None:
        policies = Policies()
        self.snapshot, self.pending, self.rankings = (
            cluster(nodes),
            Pending(policies.order),
            Rankings(policies),
        )
        for number, (one, placed) in enumerate(bound(nodes)):
            if number % (GPUS + CPU_PODS) < of_each_node:
                self.snapshot.set_pod(placed)
                self.pending.hold(one)
        for number in range(waiting):
            self.pending.put(waits(number))
