"""Tentative decisions on a snapshot: place, look at the outcome, keep or take back.

Every policy that tries before it decides works through a Session, so that trying and deciding are one code path. As
a context manager it keeps what was placed when the block ends, and takes all of it back when the block raises.
"""

from collections.abc import Sequence
from types import TracebackType

from aliquot.scheduler.core.pod import DeviceChoice, PlacedPod, PodRequest
from aliquot.scheduler.core.snapshot import Snapshot


class Session:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._journal: list[tuple[str, PlacedPod | None]] = []
        """Per step: the pod, and what was known of it before."""

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
        self._journal.append((pod.key, self.snapshot.pods.get(pod.key)))
        self.snapshot.set_pod(pod)

    def evict(self, key: str) -> None:
        """The pod has run to its end. Raises KeyError for one that is not there."""
        pod = self.snapshot.pods[key]
        self._journal.append((key, pod))
        self.snapshot.end_pod(key, pod.node)

    def checkpoint(self) -> int:
        """A mark for `undo`."""
        return len(self._journal)

    def undo(self, checkpoint: int = 0) -> None:
        """Take back every step since `checkpoint`, last first."""
        while len(self._journal) > checkpoint:
            key, before = self._journal.pop()
            if before is None:
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
