"""Tentative decisions on a snapshot: place, look at the outcome, keep or take back.

Every policy that tries before it decides works through a Session, so that trying and deciding are one code path. As
a context manager it keeps what was placed when the block ends, and takes all of it back when the block raises.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from aliquot.scheduler.core.accounts import Accounts, Entry
from aliquot.scheduler.core.pod import DeviceChoice, PlacedPod, PodRequest
from aliquot.scheduler.core.snapshot import Snapshot


class Session:
    """`accounts`: those of the pods that may be evicted. `budgets_of`: the PodDisruptionBudgets that such a pod is under."""

    def __init__(
        self,
        snapshot: Snapshot,
        accounts: Accounts | None = None,
        budgets_of: Callable[[str], Iterable[str]] = lambda pod: (),
    ) -> None:
        self.snapshot = snapshot
        self.evicted: dict[str, PlacedPod] = {}
        """Pods that are to go, as they were, in the order in which they were chosen."""
        self.disrupted: Counter[str] = Counter()
        """By budget, how many of its pods are evicted."""
        self._accounts = accounts
        self._budgets_of = budgets_of
        self._entries: dict[str, Entry] = {}
        """Of the evicted, in the books."""
        self._journal: list[tuple[str, PlacedPod | None, bool]] = []
        """Per step: the pod, what was known of it before, and whether it was evicted or put back."""

    def place(
        self, pod: PodRequest, node: str, devices: Sequence[DeviceChoice] = (), *, reserved: bool = False
    ) -> PlacedPod:
        placed = PlacedPod(
            key=pod.key,
            uid=pod.uid,
            node=node,
            request=pod.shape.request,
            devices=tuple(devices),
            host_ports=pod.shape.host_ports,
            assumed=True,
            reserved=reserved,
            kin=pod.kin,
        )
        self.put(placed)
        return placed

    def put(self, pod: PlacedPod) -> None:
        """The pod is where it says."""
        self._journal.append((pod.key, self.snapshot.pods.get(pod.key), False))
        self.snapshot.set_pod(pod)

    def take_out(self, key: str) -> None:
        """What was put there is not: a pod that there never was. Nothing happens where it is not there."""
        known = self.snapshot.pods.get(key)
        if known is not None:
            self._journal.append((key, known, False))
            self.snapshot.remove_pod(key)

    def evict(self, key: str) -> None:
        """The pod's room is free, as it will be. Raises KeyError for one that is not there."""
        pod = self.snapshot.pods[key]
        self._journal.append((key, pod, True))
        self._out(pod)

    def put_back(self, key: str) -> None:
        """The evicted pod stays after all."""
        self._journal.append((key, None, True))
        self._in(self.evicted[key])

    def _out(self, pod: PlacedPod) -> None:
        self.evicted[pod.key] = pod
        self.disrupted.update(self._budgets_of(pod.key))
        if self._accounts is not None and (entry := self._accounts.entry(pod.key)) is not None:
            self._entries[pod.key] = entry
            self._accounts.forget(pod.key)
        self.snapshot.end_pod(pod.key, pod.node)

    def _in(self, pod: PlacedPod) -> None:
        del self.evicted[pod.key]
        self.disrupted.subtract(self._budgets_of(pod.key))
        if self._accounts is not None and (entry := self._entries.pop(pod.key, None)) is not None:
            self._accounts.restore(pod.key, entry)
        self.snapshot.set_pod(pod)

    def checkpoint(self) -> int:
        """A mark for `undo`."""
        return len(self._journal)

    def undo(self, checkpoint: int = 0) -> None:
        """Take back every step since `checkpoint`, last first."""
        while len(self._journal) > checkpoint:
            key, before, evicted = self._journal.pop()
            if evicted:
                if before is not None:
                    self._in(before)
                else:
                    self._out(self.snapshot.pods[key])
            elif before is None:
                self.snapshot.remove_pod(key)
            else:
                self.snapshot.set_pod(before)

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.undo()
