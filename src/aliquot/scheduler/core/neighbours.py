"""How many pods of which kind are on which node, for those rules that somebody waits under.

A tally is begun when it is first asked for, by one look at all pods, and then follows every pod that comes or goes; it
ends with the last that holds it. While nobody waits under a rule there is none, and a pod that comes or goes costs
nothing here.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakValueDictionary

from aliquot.scheduler.core.pod import PlacedPod
from aliquot.scheduler.core.rules import Carried, PodSelector, PodTerm
from aliquot.scheduler.core.selector_index import SelectorIndex


@dataclass(frozen=True, slots=True)
class Selected:
    """Pods that all `selectors` select."""

    selectors: tuple[PodSelector, ...]
    that_stay: bool = False
    """Without those that are being deleted."""

    def counts(self, pod: PlacedPod) -> bool:
        if self.that_stay and pod.terminating:
            return False
        kin = pod.kin
        return all(selector.selects(kin.namespace, kin.labels) for selector in self.selectors)


@dataclass(frozen=True, slots=True)
class Carrying:
    """Pods that bring this rule."""

    rule: Carried

    def counts(self, pod: PlacedPod) -> bool:
        return self.rule in (pod.kin.repels if isinstance(self.rule, PodTerm) else pod.kin.pulls)


Counted: TypeAlias = Selected | Carrying


class Tally:
    """Pods by node; nodes that have none are left out, and nodes that are not known may be among them."""

    def __init__(self, counted: Counted, pods: Iterable[PlacedPod]) -> None:
        self.counted = counted
        self._on: Counter[str] = Counter(pod.node for pod in pods if counted.counts(pod))

    def on(self, node: str) -> int:
        return self._on.get(node, 0)

    def add(self, node: str, count: int) -> None:
        self._on[node] += count
        if not self._on[node]:
            del self._on[node]


class Neighbours:
    def __init__(self, pods: Mapping[str, PlacedPod]) -> None:
        self._pods = pods
        self._tallies: WeakValueDictionary[Counted, Tally] = WeakValueDictionary()
        self._selected: SelectorIndex[Tally] = SelectorIndex()
        self._may_be_any = False
        """Whether one was asked for since it was last seen that there is none."""

    @property
    def tallies(self) -> int:
        """How many are kept."""
        return len(self._tallies)

    def tally(self, counted: Counted) -> Tally:
        """Kept up to date as long as somebody holds it."""
        self._may_be_any = True
        tally = self._tallies.get(counted)
        if tally is None:
            tally = self._tallies[counted] = Tally(counted, self._pods.values())
            if isinstance(counted, Selected):
                self._selected.add(counted.selectors, tally)
        return tally

    def pod_came(self, pod: PlacedPod) -> None:
        if self._may_be_any:
            self._count(pod, 1)

    def pod_went(self, pod: PlacedPod) -> None:
        if self._may_be_any:
            self._count(pod, -1)

    def _count(self, pod: PlacedPod, number: int) -> None:
        if not self._tallies:
            self._may_be_any = False
            return
        for tally in self._selected.candidates(pod.kin.labels):
            if tally.counted.counts(pod):
                tally.add(pod.node, number)
        for rule in dict.fromkeys(pod.kin.carried):
            carrying = self._tallies.get(Carrying(rule))
            if carrying is not None:
                carrying.add(pod.node, number)
