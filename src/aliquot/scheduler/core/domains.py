"""What the rules of one pod shape say of each domain, kept up to date with the nodes that changed.

Filters and scores look at one node. What rules between pods say of a node depends on its domains alone, so nodes that
share all of their domains are one *cell*: a zone's nodes under a rule by zone, one node under a rule by host name. A
pod that comes or goes changes the counts of its own node's domains; whether the pod is the first of its kind and how
full the emptiest domain is concern every cell.

The semantics are kube-scheduler's (InterPodAffinity, PodTopologySpread), but for the weights: see `scores`.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from aliquot.scheduler.core.filters import HARD, node_affinity, node_selector
from aliquot.scheduler.core.matching import first_untolerated
from aliquot.scheduler.core.neighbours import Carrying, Neighbours, Selected, Tally
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import PodShape
from aliquot.scheduler.core.reasons import Kind, Reason
from aliquot.scheduler.core.rules import Carried, PodTerm, Pull, Spread

Cell: TypeAlias = tuple[str | None, ...]
"""The values of a node's labels at the topology keys of all the shape's rules."""
Preference: TypeAlias = tuple[float, float]
"""The sum of the weights of what is preferred, then how well the pod spreads there; of each the larger the better."""

_NOWHERE = -math.inf
_Domain: TypeAlias = tuple[str, str]


class _Count:
    """A tally by the values of one node label. With `eligible`, of such nodes alone, and each of them makes a domain,
    though it has no pod."""

    def __init__(self, tally: Tally, key: str, eligible: Callable[[NodeState], bool] | None = None) -> None:
        self.key = key
        self.by_value: dict[str, int] = {}
        self._tally = tally
        self._eligible = eligible
        self._on: dict[str, tuple[str, int]] = {}
        self._nodes: dict[str, int] = {}

    def recount(self, name: str, node: NodeState | None) -> Iterable[_Domain]:
        """The domains whose count is another now."""
        before, now = self._on.get(name), self._now(name, node)
        if before == now:
            return ()
        if before is not None:
            value, count = before
            self.by_value[value] -= count
            self._nodes[value] -= 1
            if not self._nodes[value]:
                del self._nodes[value], self.by_value[value]
        if now is not None:
            value, count = self._on[name] = now
            self.by_value[value] = self.by_value.get(value, 0) + count
            self._nodes[value] = self._nodes.get(value, 0) + 1
        else:
            del self._on[name]
        return [(self.key, change[0]) for change in (before, now) if change is not None]

    def _now(self, name: str, node: NodeState | None) -> tuple[str, int] | None:
        if node is None:
            return None
        value = node.facts.labels.get(self.key)
        if value is None:
            return None
        if self._eligible is not None:
            return (value, self._tally.on(name)) if self._eligible(node) else None
        count = self._tally.on(name)
        return (value, count) if count else None

    @property
    def fewest(self) -> int:
        return min(self.by_value.values(), default=0)


@dataclass(frozen=True, slots=True)
class _Rule:
    count: _Count
    index: int
    """Of its topology key in a cell."""
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Preferred:
    count: _Count
    index: int
    weight: int


@dataclass(frozen=True, slots=True)
class _Evenness:
    count: _Count
    index: int
    spread: Spread
    reason: Reason
    no_label: Reason

    @property
    def fewest(self) -> int:
        return self.count.fewest if len(self.count.by_value) >= self.spread.min_domains else 0


class Domains:
    """For one shape that has rules. Feed it with the nodes that changed, all of them at first."""

    def __init__(self, shape: PodShape, neighbours: Neighbours) -> None:
        self._shape = shape
        self._neighbours = neighbours
        self._keys: list[str] = []
        self._counts: list[_Count] = []
        rules = shape.rules
        together = Selected(tuple(term.selector for term in rules.affinity))
        self._affinity = [
            self._rule(Kind.POD_AFFINITY, term, neighbours.tally(together)) for term in rules.affinity
        ]
        self._against = [
            *(
                self._rule(Kind.POD_ANTI_AFFINITY, term, neighbours.tally(Selected((term.selector,))))
                for term in rules.anti_affinity
            ),
            *(self._rule(Kind.KEPT_OUT, term, self._carrying(term)) for term in rules.kept_out_by),
        ]
        self._preferred = [
            *(
                self._preference(pull, neighbours.tally(Selected((pull.term.selector,))))
                for pull in rules.pulls
            ),
            *(self._preference(pull, self._carrying(pull)) for pull in rules.pulled_by),
        ]
        self._spread = self._evenness(rules.spread)
        self._soft_spread = self._evenness(rules.soft_spread)
        self._cell_of: dict[str, Cell] = {}
        self._moved: set[str] = set()
        self._cells_in: dict[_Domain, dict[Cell, None]] = {}
        self._everywhere: tuple[object, ...] = ()
        self._settle()

    def _carrying(self, rule: Carried) -> Tally:
        return self._neighbours.tally(Carrying(rule))

    def _rule(self, kind: Kind, term: PodTerm, tally: Tally) -> _Rule:
        return _Rule(
            self._count(tally, term.topology_key), self._index(term.topology_key), Reason(kind, str(term))
        )

    def _preference(self, pull: Pull, tally: Tally) -> _Preferred:
        key = pull.term.topology_key
        return _Preferred(self._count(tally, key), self._index(key), pull.weight)

    def _evenness(self, constraints: tuple[Spread, ...]) -> list[_Evenness]:
        keys = [spread.topology_key for spread in constraints]
        return [
            _Evenness(
                self._count(
                    self._neighbours.tally(Selected((spread.selector,), that_stay=True)),
                    spread.topology_key,
                    _eligible(self._shape, spread, keys),
                ),
                self._index(spread.topology_key),
                spread,
                Reason(Kind.SPREAD, str(spread)),
                Reason(Kind.SPREAD_LABEL, spread.topology_key),
            )
            for spread in constraints
        ]

    def _count(self, tally: Tally, key: str, eligible: Callable[[NodeState], bool] | None = None) -> _Count:
        self._counts.append(_Count(tally, key, eligible))
        return self._counts[-1]

    def _index(self, key: str) -> int:
        if key not in self._keys:
            self._keys.append(key)
        return self._keys.index(key)

    def cell(self, name: str) -> Cell:
        """Of a node that was there at the last look."""
        return self._cell_of[name]

    def has_moved(self, name: str) -> bool:
        """Whether the last look found the node in another cell than before, or in its first."""
        return name in self._moved

    def look_at(self, names: Iterable[str], nodes: Mapping[str, NodeState]) -> Collection[Cell]:
        """Take up these nodes as they are now. Returns the cells of which something else may be true since."""
        domains: dict[_Domain, None] = {}
        cells: dict[Cell, None] = {}
        self._moved.clear()
        for name in names:
            node = nodes.get(name)
            for count in self._counts:
                domains.update(dict.fromkeys(count.recount(name, node)))
            before = self._cell_of.pop(name, None)
            if before is not None:
                cells[before] = None
            if node is not None:
                labels = node.facts.labels
                cell = self._cell_of[name] = tuple(labels.get(key) for key in self._keys)
                if cell != before:
                    self._moved.add(name)
                    self._note(cell)
                    cells[cell] = None
        if self._settle():
            cells |= dict.fromkeys(self._cell_of.values())
        for domain in domains:
            cells |= self._cells_in.get(domain, {})
        return cells

    def _note(self, cell: Cell) -> None:
        for key, value in zip(self._keys, cell, strict=True):
            if value is not None:
                self._cells_in.setdefault((key, value), {})[cell] = None

    def _settle(self) -> bool:
        """What concerns every cell: whether it is another now."""
        before = self._everywhere
        self._first_of_its_kind = self._shape.rules.selects_itself and not any(
            rule.count.by_value for rule in self._affinity
        )
        self._fewest = [one.fewest for one in self._spread]
        # As kube-scheduler has it: the more domains, the less likely it is that two pods meet in one.
        self._widths = [math.log(len(one.count.by_value) + 2) for one in self._soft_spread]
        self._everywhere = (self._first_of_its_kind, tuple(self._fewest), tuple(self._widths))
        return self._everywhere != before

    def reject(self, cell: Cell) -> Reason | None:
        """The first rule that keeps the pod out."""
        for one, fewest in zip(self._spread, self._fewest, strict=True):
            value = cell[one.index]
            if value is None:
                return one.no_label
            there = one.count.by_value.get(value, 0) + one.spread.selects_itself
            if there - fewest > one.spread.max_skew:
                return one.reason
        return self._lonely(cell) or next(
            (rule.reason for rule in self._against if _is_there(rule, cell)), None
        )

    def _lonely(self, cell: Cell) -> Reason | None:
        for rule in self._affinity:
            if cell[rule.index] is None or not (self._first_of_its_kind or _is_there(rule, cell)):
                return rule.reason
        return None

    def preference(self, cell: Cell) -> Preference:
        pulled = 0
        for one in self._preferred:
            value = cell[one.index]
            if value is not None:
                pulled += one.weight * one.count.by_value.get(value, 0)
        crowded = 0.0
        for even, width in zip(self._soft_spread, self._widths, strict=True):
            value = cell[even.index]
            if value is None:
                return pulled, _NOWHERE
            crowded += width * even.count.by_value.get(value, 0)
        return pulled, -round(crowded)


def _is_there(rule: _Rule, cell: Cell) -> bool:
    value = cell[rule.index]
    return value is not None and rule.count.by_value.get(value, 0) > 0


def _eligible(shape: PodShape, spread: Spread, keys: Collection[str]) -> Callable[[NodeState], bool]:
    def eligible(node: NodeState) -> bool:
        if not all(key in node.facts.labels for key in keys):
            return False
        if spread.honors_affinity and (node_selector(shape, node) or node_affinity(shape, node)):
            return False
        return not spread.honors_taints or (
            first_untolerated(node.facts.taints, shape.tolerations, HARD) is None
        )

    return eligible
