"""What is done first. A new place is made before the old one is given up, wherever there is room for both.

Every slice to come waits for what is in its way: idle slices are destroyed for it, pods have to leave first. A pod leaves
once its new place is ready. Where pods wait for each other, the one that has run for the shortest time leaves before its
place is ready, and that is said.
"""

from dataclasses import dataclass

from aliquot.partition.cluster import Cluster, Instance
from aliquot.partition.replanning.concrete import Assignment
from aliquot.partition.replanning.plan import Create, Destroy, Evict, Operation, Place, Spot


def in_order(assignment: Assignment, cluster: Cluster) -> tuple[Operation, ...]:
    return tuple(_Sequencer(assignment, cluster).run())


@dataclass(slots=True)
class _Target:
    pod: str
    spots: tuple[Spot, ...]
    missing: list[Spot]


class _Sequencer:
    def __init__(self, assignment: Assignment, cluster: Cluster) -> None:
        self._cluster = cluster
        self._evicted = assignment.evicted
        touched = {
            spot.uuid
            for spots in (*assignment.admitted.values(), *assignment.resettled.values())
            for spot in spots
        } | {spot.uuid for spots in assignment.evicted.values() for spot in spots}
        self._there: dict[str, list[Instance]] = {
            gpu.uuid: list(gpu.instances) for gpu in cluster.gpus if gpu.uuid in touched
        }
        # Those that move make room: they have their places first.
        self._targets = [
            _Target(pod, spots, list(spots))
            for pods in (assignment.resettled, assignment.admitted)
            for pod, spots in pods.items()
        ]
        self._for: dict[tuple[str, int], str] = {
            (spot.uuid, slot): target.pod
            for target in self._targets
            for spot in target.spots
            for slot in range(spot.start, spot.start + spot.size)
        }
        self._left: set[str] = set()
        self._reserved: set[tuple[str, int]] = set()
        """(GPU, start) of slices that are there for a pod that has not come yet."""
        self._operations: list[Operation] = []

    def run(self) -> list[Operation]:
        open_ = self._targets
        while open_:
            still: list[_Target] = []
            moved = False
            for target in open_:
                before = len(target.missing)
                target.missing = [spot for spot in target.missing if not self._make(spot, target.pod)]
                moved |= len(target.missing) < before
                if target.missing:
                    still.append(target)
                else:
                    self._settle(target)
                    moved = True
            if not moved:
                self._break(still)
            open_ = still
        return self._operations

    def _make(self, spot: Spot, pod: str) -> bool:
        """Whether the slice is there now; it is not while somebody holds what is in its way."""
        mask = ((1 << spot.size) - 1) << spot.start
        there = self._there[spot.uuid]
        in_way = [one for one in there if one.mask & mask]
        if any(one.pods or (spot.uuid, one.start) in self._reserved for one in in_way):
            return False
        wanted = Instance(spot.profile, spot.start, spot.size)
        if in_way != [wanted]:
            for one in in_way:
                there.remove(one)
                old = Spot(spot.node, spot.uuid, one.profile, one.start, one.size)
                self._operations.append(
                    Destroy(
                        old, f"nobody holds it, and it is in the way of {spot.profile} at slot {spot.start}"
                    )
                )
            there.append(wanted)
            self._operations.append(Create(spot, f"for {pod}"))
        self._reserved.add((spot.uuid, spot.start))
        return True

    def _settle(self, target: _Target) -> None:
        again = target.pod in self._evicted
        if again and target.pod not in self._left:
            self._leave(target.pod, gap=False)
        for spot in target.spots:
            there = self._there[spot.uuid]
            there.remove(Instance(spot.profile, spot.start, spot.size))
            there.append(Instance(spot.profile, spot.start, spot.size, (target.pod,)))
            self._reserved.discard((spot.uuid, spot.start))
        why = "it made room" if again else "it waits for them"
        self._operations.append(Place(target.pod, target.spots, again, why))

    def _leave(self, pod: str, *, gap: bool) -> None:
        self._left.add(pod)
        spots = self._evicted[pod]
        self._operations.append(
            Evict(pod, spots, gap, f"for {', '.join(self._whom(spots)) or 'its other slices'}")
        )
        for spot in spots:
            there = self._there[spot.uuid]
            there.remove(Instance(spot.profile, spot.start, spot.size, (pod,)))
            self._operations.append(Destroy(spot, f"{pod} has left it"))

    def _whom(self, spots: tuple[Spot, ...]) -> list[str]:
        """Who gets what it leaves."""
        return sorted(
            {
                pod
                for spot in spots
                for slot in range(spot.start, spot.start + spot.size)
                if (pod := self._for.get((spot.uuid, slot)))
            }
        )

    def _break(self, still: list[_Target]) -> None:
        """Of the pods in the way of somebody, the one that started last leaves without its place being ready."""
        in_way = {
            pod
            for target in still
            for spot in target.missing
            for one in self._there[spot.uuid]
            if one.mask & (((1 << spot.size) - 1) << spot.start)
            for pod in one.pods
            if pod in self._evicted and pod not in self._left
        }
        assert in_way, "slices wait for each other although nobody holds what is in their way"
        self._leave(max(in_way, key=lambda pod: (self._cluster.running[pod].started_s or 0.0, pod)), gap=True)


def touched_nodes(operations: tuple[Operation, ...]) -> set[str]:
    nodes: set[str] = set()
    for op in operations:
        spots = op.spots if isinstance(op, (Evict, Place)) else (op.spot,)
        nodes |= {spot.node for spot in spots}
    return nodes
