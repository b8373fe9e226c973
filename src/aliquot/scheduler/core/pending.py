"""The line of pods that wait for a node, in the order of a policy, grouped by shape.

Grouped, because what one pod of a shape learns holds for the rest of it: when the first finds no node, the cycle
passes over the others without asking.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.policies import Order, Rank


class Pending:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._pods: dict[str, PodRequest] = {}
        self._lines: dict[str, list[Rank]] = {}
        """By shape signature; never empty. A Rank ends in the pod's key."""

    def __len__(self) -> int:
        return len(self._pods)

    @property
    def pods(self) -> Mapping[str, PodRequest]:
        return MappingProxyType(self._pods)

    def put(self, pod: PodRequest) -> None:
        """Add, or take the place of the pod of that key."""
        if self._pods.get(pod.key) == pod:
            return
        self.discard(pod.key)
        self._pods[pod.key] = pod
        insort(self._lines.setdefault(pod.shape.signature, []), self._order(pod))

    def discard(self, key: str) -> None:
        pod = self._pods.pop(key, None)
        if pod is None:
            return
        signature = pod.shape.signature
        line = self._lines[signature]
        del line[bisect_left(line, self._order(pod))]
        if not line:
            del self._lines[signature]

    @property
    def lines(self) -> Mapping[str, Sequence[Rank]]:
        """By shape signature, the ranks of those who wait, first in line first."""
        return MappingProxyType(self._lines)
