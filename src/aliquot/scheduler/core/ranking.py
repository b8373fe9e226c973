"""The nodes for one pod shape, best first, kept from cycle to cycle.

Pods of one shape see every node alike, and placing a pod changes one node. So after the first look at all nodes, a
decision costs the nodes that changed since the last one, not the size of the cluster. `best` answers exactly what a
scan of all nodes would: tests hold the two against each other.

The pods of a DaemonSet are of one shape each, for each names its node: of such a shape that node alone is looked at, until
somebody asks why the others will not do.

Where rules between pods concern the shape, nodes are ranked by cell (see `domains`), and the cells by their best node:
a rule's verdict and preference hold for a whole cell, so they change no order within it.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from aliquot.scheduler.core.domains import Cell, Domains
from aliquot.scheduler.core.filters import named
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import PodShape
from aliquot.scheduler.core.policies import Judge
from aliquot.scheduler.core.reasons import CAPACITY, Reason
from aliquot.scheduler.core.snapshot import Snapshot

_Entry: TypeAlias = tuple[int, str]
_Rank: TypeAlias = tuple[tuple[float, ...], str]
"""Of a cell: how good its best node is there, the smallest the best, and that node."""
_ALL: Cell = ()
"""The one cell there is without rules."""


class Ranking:
    """`spare`: so many entries that are passed over are put up with before they are cleared away."""

    def __init__(self, shape: PodShape, judge: Judge, *, spare: int = 64) -> None:
        self.shape = shape
        self._spare = spare
        self._judge_by = judge
        self._scores: dict[str, int] = {}
        self._rejections: dict[str, Reason] = {}
        self._domains: Domains | None = None
        self._only = named(shape) if not shape.rules else None
        """The nodes that are looked at; None: all."""
        # Best first. An entry that is not the node's any more, or the cell's, is passed over when it comes up.
        self._heaps: dict[Cell, list[_Entry]] = {}
        self._ranks: dict[Cell, _Rank] = {}
        self._cells: list[tuple[_Rank, int, Cell]] = []
        self._serial = 0
        self._open: Collection[str] = ()
        """The nodes that were open when the best of some was last asked for, and their entries."""
        self._open_names: frozenset[str] = frozenset()
        self._open_heap: list[_Entry] = []
        self._entries = 0
        self._seen_version = -1

    def best(self, snapshot: Snapshot, within: Collection[str] | None = None) -> str | None:
        """The best node for one more pod of this shape, as the snapshot is now; None when none will do. `within`: of these nodes
        alone, in time proportional to their number; without rules between pods, only the first time of those asked for in a row.
        It must not be changed in between."""
        self._catch_up(snapshot)
        if within is not None:
            return self._best_of(within)
        if self._domains is None:
            top = self._top(_ALL)
            return top[1] if top is not None else None
        while self._cells:
            rank, _, cell = self._cells[0]
            if self._ranks.get(cell) == rank:
                return rank[1]
            heapq.heappop(self._cells)
            self._entries -= 1
        return None

    def _best_of(self, names: Collection[str]) -> str | None:
        if self._domains is None:
            if names is not self._open or len(self._open_heap) > self._spare + 8 * len(names):
                self._open, self._open_names = names, frozenset(names)
                self._open_heap = self._fits(names)
                heapq.heapify(self._open_heap)
            top = self._first(self._open_heap)
            return top[1] if top is not None else None
        fits = self._fits(names)
        tops: dict[Cell, _Entry] = {}
        for entry in fits:
            cell = self._domains.cell(entry[1])
            tops[cell] = min(entry, tops.get(cell, entry))
        ranks = [
            rank for cell, top in tops.items() if (rank := self._rank(cell, top, self._domains)) is not None
        ]
        return min(ranks)[1] if ranks else None

    def _fits(self, names: Iterable[str]) -> list[_Entry]:
        return [(-score, name) for name in names if (score := self._scores.get(name)) is not None]

    def _first(self, heap: list[_Entry]) -> _Entry | None:
        while heap and self._scores.get(heap[0][1]) != -heap[0][0]:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def fitting(self, snapshot: Snapshot) -> Collection[str]:
        """Nodes that would do but for rules between pods."""
        self._catch_up(snapshot)
        return self._scores.keys()

    def rejections(self, snapshot: Snapshot) -> Mapping[str, Reason]:
        """Why each of the other nodes will not do."""
        if self._only is not None:
            self._only = None
            self._seen_version = -1
        self._catch_up(snapshot)
        if self._domains is None:
            return MappingProxyType(self._rejections)
        cells = {name: self._domains.cell(name) for name in self._scores}
        verdicts = {cell: self._domains.reject(cell) for cell in dict.fromkeys(cells.values())}
        closed = {name: reason for name, cell in cells.items() if (reason := verdicts[cell]) is not None}
        return {**self._rejections, **closed}

    def _catch_up(self, snapshot: Snapshot) -> None:
        version = snapshot.version
        if self._seen_version == version:
            return
        changed = snapshot.changed_since(self._seen_version) if self._seen_version >= 0 else None
        if changed is None:
            self._begin_anew(snapshot)
            changed = snapshot.nodes if self._only is None else self._only
        elif self._entries > self._spare + 8 * len(self._scores):
            self._sweep()
        if self._domains is None:
            for name in changed:
                if self._only is None or name in self._only:
                    self._look_at(name, snapshot)
        else:
            cells = self._domains.look_at(changed, snapshot.nodes)
            for name in changed:
                self._look_at(name, snapshot)
            for cell in cells:
                self._place(cell, self._domains)
        self._seen_version = version

    def _begin_anew(self, snapshot: Snapshot) -> None:
        self._scores.clear()
        self._rejections.clear()
        self._heaps.clear()
        self._ranks.clear()
        self._cells.clear()
        self._open, self._open_names, self._open_heap = (), frozenset(), []
        self._entries = 0
        self._seen_version = -1
        self._domains = Domains(self.shape, snapshot.neighbours) if self.shape.rules else None

    def _sweep(self) -> None:
        """Entries that would be passed over go, and what was learned stays."""
        self._heaps.clear()
        for name, score in self._scores.items():
            cell = _ALL if self._domains is None else self._domains.cell(name)
            self._heaps.setdefault(cell, []).append((-score, name))
        self._cells = [(rank, number, cell) for number, (cell, rank) in enumerate(self._ranks.items())]
        for heap in self._heaps.values():
            heapq.heapify(heap)
        heapq.heapify(self._cells)
        self._serial = len(self._cells)
        self._entries = len(self._scores) + len(self._cells)

    def _look_at(self, name: str, snapshot: Snapshot) -> None:
        node = snapshot.nodes.get(name)
        if node is None:
            self._scores.pop(name, None)
            self._rejections.pop(name, None)
            return
        before = self._scores.get(name)
        verdict = self._judged(node, before, snapshot.has_new_facts(name, self._seen_version))
        if isinstance(verdict, Reason):
            if before is not None:
                del self._scores[name]
            self._rejections[name] = verdict
            return
        if before is None:
            self._rejections.pop(name, None)
        if self._domains is None:
            if before != verdict:
                self._push(_ALL, (-verdict, name))
                if name in self._open_names:
                    heapq.heappush(self._open_heap, (-verdict, name))
        elif before != verdict or self._domains.has_moved(name):
            self._push(self._domains.cell(name), (-verdict, name))
        self._scores[name] = verdict

    def _judged(self, node: NodeState, before: int | None, has_new_facts: bool) -> int | Reason:
        """How good the node is for the shape, or why it will not do. `before`: how good it was at the last look."""
        judge, shape = self._judge_by, self.shape
        if has_new_facts:
            return judge.reject(shape, node) or judge.score(shape, node)
        if before is not None:
            return judge.lacks_room(shape, node) or judge.score_anew(shape, node, before)
        rejection = self._rejections[node.name]
        if rejection.kind not in CAPACITY:
            return rejection
        return judge.lacks_room(shape, node) or judge.score(shape, node)

    def _push(self, cell: Cell, entry: _Entry) -> None:
        heap = self._heaps.get(cell)
        if heap is None:
            heap = self._heaps[cell] = []
        if heap and heap[0][1] == entry[1]:
            # The node that was the best, as it is after it was given a pod: what it was then is passed over at once.
            heapq.heapreplace(heap, entry)
        else:
            heapq.heappush(heap, entry)
            self._entries += 1

    def _top(self, cell: Cell) -> _Entry | None:
        """The best node of a cell."""
        heap = self._heaps.get(cell)
        while heap:
            score, name = heap[0]
            if self._scores.get(name) == -score and (
                self._domains is None or self._domains.cell(name) == cell
            ):
                return heap[0]
            heapq.heappop(heap)
            self._entries -= 1
        return None

    def _rank(self, cell: Cell, top: _Entry, domains: Domains) -> _Rank | None:
        """None: rules keep the pod out of it."""
        if domains.reject(cell) is not None:
            return None
        weight = self._judge_by.weigh(-top[0], domains.preference(cell))
        return tuple(-part for part in weight), top[1]

    def _place(self, cell: Cell, domains: Domains) -> None:
        """Put the cell where it belongs among the cells."""
        top = self._top(cell)
        rank = self._rank(cell, top, domains) if top is not None else None
        if rank is None:
            self._ranks.pop(cell, None)
        elif self._ranks.get(cell) != rank:
            self._ranks[cell] = rank
            self._serial += 1
            heapq.heappush(self._cells, (rank, self._serial, cell))
            self._entries += 1
