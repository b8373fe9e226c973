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
        self._newcomers: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._pods)

    @property
    def pods(self) -> Mapping[str, PodRequest]:
        return MappingProxyType(self._pods)

    def put(self, pod: PodRequest) -> bool:
        """Add, or take the place of the pod of that key. Returns whether that was news."""
        if self._pods.get(pod.key) == pod:
            return False
        self.discard(pod.key)
        self._pods[pod.key] = pod
        signature = pod.shape.signature
        insort(self._lines.setdefault(signature, []), self._order(pod))
        self._newcomers.setdefault(signature, {})[pod.key] = None
        return True

    def discard(self, key: str) -> None:
        pod = self._pods.pop(key, None)
        if pod is None:
            return
        signature = pod.shape.signature
        line = self._lines[signature]
        del line[bisect_left(line, self._order(pod))]
        self._newcomers.get(signature, {}).pop(key, None)
        if not line:
            del self._lines[signature]
            self._newcomers.pop(signature, None)

    def newcomers(self, signature: str) -> list[str]:
        """Keys of those of the shape who wait and were not among an earlier answer."""
        return list(self._newcomers.pop(signature, ()))

    @property
    def lines(self) -> Mapping[str, Sequence[Rank]]:
        """By shape signature, the ranks of those who wait, first in line first."""
        return MappingProxyType(self._lines)
