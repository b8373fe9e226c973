"""The nodes for one pod shape, best first, kept from cycle to cycle.

Pods of one shape see every node alike, and placing a pod changes one node. So after the first look at all nodes, a
decision costs the nodes that changed since the last one, not the size of the cluster. `best` answers exactly what a
scan of all nodes would: tests hold the two against each other.
"""

import heapq
from collections.abc import Collection, Mapping
from types import MappingProxyType

from aliquot.scheduler.core.pod import PodShape
from aliquot.scheduler.core.policies import Judge
from aliquot.scheduler.core.reasons import Reason
from aliquot.scheduler.core.snapshot import Snapshot


class Ranking:
    def __init__(self, shape: PodShape, judge: Judge) -> None:
        self.shape = shape
        self._judge_by = judge
        self._scores: dict[str, int] = {}
        self._rejections: dict[str, Reason] = {}
        # Best first. An entry whose score is no longer the node's is passed over when it comes up.
        self._heap: list[tuple[int, str]] = []
        self._seen_version = -1

    def best(self, snapshot: Snapshot, within: Collection[str] | None = None) -> str | None:
        """The best node for one more pod of this shape, as the snapshot is now; None when none will do. `within`: of these nodes
        alone, in time proportional to their number."""
        self._catch_up(snapshot)
        if within is not None:
            fits = [(-score, name) for name in within if (score := self._scores.get(name)) is not None]
            return min(fits)[1] if fits else None
        while self._heap:
            score, name = self._heap[0]
            if self._scores.get(name) == -score:
                return name
            heapq.heappop(self._heap)
        return None

    def rejections(self, snapshot: Snapshot) -> Mapping[str, Reason]:
        """Why each of the other nodes will not do."""
        self._catch_up(snapshot)
        return MappingProxyType(self._rejections)

    def _catch_up(self, snapshot: Snapshot) -> None:
        if self._seen_version == snapshot.version:
            return
        changed = snapshot.changed_since(self._seen_version) if self._seen_version >= 0 else None
        if changed is None or len(self._heap) > 64 + 8 * len(self._scores):
            self._scores.clear()
            self._rejections.clear()
            self._heap.clear()
            changed = snapshot.nodes
        for name in changed:
            self._judge(name, snapshot)
        self._seen_version = snapshot.version

    def _judge(self, name: str, snapshot: Snapshot) -> None:
        node = snapshot.nodes.get(name)
        if node is None:
            self._scores.pop(name, None)
            self._rejections.pop(name, None)
            return
        reason = self._judge_by.reject(self.shape, node)
        if reason is not None:
            self._scores.pop(name, None)
            self._rejections[name] = reason
            return
        self._rejections.pop(name, None)
        score = self._judge_by.score(self.shape, node)
        if self._scores.get(name) != score:
            self._scores[name] = score
            heapq.heappush(self._heap, (-score, name))
