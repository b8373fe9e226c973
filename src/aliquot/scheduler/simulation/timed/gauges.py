"""What is read of a cluster from time to time: how much of what is free is in pieces too small, and what queues are owed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.fragmentation import WHOLE_MILLI, Popularity, Task, fragmentation
from aliquot.scheduler.core.free_gpus import Free, Layout
from aliquot.scheduler.core.mix import ask_of, supply_of, tasks_of
from aliquot.scheduler.core.pod import PodShape
from aliquot.scheduler.core.queues.terms import GPU
from aliquot.scheduler.core.snapshot import Snapshot

READINGS = 500
"""At most so many from the beginning to the end of what is measured."""


@dataclass(frozen=True, slots=True)
class QueueReading:
    """In GPUs."""

    held: float
    due: float


@dataclass(frozen=True, slots=True)
class Reading:
    at_s: float
    free: float
    """GPUs."""
    fragmented: float
    """Of these, as much as a pod of the workload, on average over them, could not use where it is (`core.fragmentation`)."""
    queues: Mapping[str, QueueReading]
    """Leaves; none where no queue is declared."""


class Gauges:
    """`shapes`: pods of the workload, each as often as it comes. They are read no more often than every `every_s`: each time is a
    look at all nodes."""

    def __init__(
        self, snapshot: Snapshot, accounts: Accounts, shapes: Iterable[PodShape], *, every_s: float
    ) -> None:
        self._snapshot = snapshot
        self._accounts = accounts
        self._every_s = every_s
        self._popularity = _popularity(snapshot, shapes)
        self._layouts: dict[str, tuple[NodeFacts, Layout]] = {}
        self._fragmented: dict[Free, float] = {}
        self._next_s = float("-inf")

    def read(self, now_s: float) -> Reading | None:
        """None: it is too soon."""
        if now_s < self._next_s:
            return None
        self._next_s = now_s + self._every_s
        free = fragmented = 0.0
        for name, state in self._snapshot.nodes.items():
            facts, layout = self._layouts.get(name, (None, None))
            if facts is not state.facts or layout is None:
                layout = Layout(state.facts)
                self._layouts[name] = state.facts, layout
            if state.facts.unschedulable or not layout.gpus:
                continue
            left = layout.free(state)
            free += sum(left.gpu_milli)
            fragmented += self._of(left)
        return Reading(now_s, free / WHOLE_MILLI, fragmented / WHOLE_MILLI, self._queues())

    def _of(self, left: Free) -> float:
        found = self._fragmented.get(left)
        if found is None:
            found = fragmentation(left.cpu_milli, left.gpu_milli, left.model, self._popularity)
            self._fragmented[left] = found
        return found

    def _queues(self) -> Mapping[str, QueueReading]:
        accounts = self._accounts
        if not accounts.declared:
            return {}
        shares = accounts.shares()
        return {
            name: QueueReading(
                accounts.ledger.allocated(name).get(GPU, 0) / WHOLE_MILLI,
                shares.of(name).get(GPU, 0) / WHOLE_MILLI,
            )
            for name in accounts.tree.leaves
        }


def _popularity(snapshot: Snapshot, shapes: Iterable[PodShape]) -> Popularity:
    """How often each task comes."""
    asks = [ask for shape in shapes if (ask := ask_of(shape)) is not None]
    resources = {resource for ask in asks for resource, _ in ask.gpus}
    units = supply_of((state.facts for state in snapshot.nodes.values()), resources).units
    tasks: dict[Task, float] = {}
    for ask in asks:
        for task, times in tasks_of(ask, units).items():
            tasks[task] = tasks.get(task, 0.0) + times
    total = sum(tasks.values())
    return {task: times / total for task, times in tasks.items()}
