"""What the scheduler shows to Prometheus: what it did, counted where it happens, and how things stand when it is asked."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from aliquot.clock import Clock
from aliquot.metrics.exposition import Family, Kind, Sample, labels
from aliquot.metrics.histogram import Histogram
from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts, PodRequest
from aliquot.scheduler.core.queues.terms import GPU, model_of
from aliquot.scheduler.core.standing import Standing

_CYCLE_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WAIT_BOUNDS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
_UNITS = {GPU: ("gpu", 1000), CPU: ("core", 1000), MEMORY: ("byte", 1)}
"""Of a resource: what is shown, as kube-state-metrics names it, and how many of the core's units that is."""

BOUND = "bound"
REFUSED = "refused"
FAILED = "failed"
"""Each time: it is tried again."""


class Counts:
    """Of one process, from its start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # What can be foreseen starts at zero: of a series that begins at 1 Prometheus does not see the increase.
        self.binds = Counter({BOUND: 0, REFUSED: 0, FAILED: 0})
        """By how they ended."""
        self.evictions: Counter[str] = Counter({"Preempted": 0, "Moved": 0, "StaleGang": 0})
        """By the reason of the event that tells of it."""
        self.cycles = Histogram(_CYCLE_BOUNDS_S)
        self.waits = Histogram(_WAIT_BOUNDS_S)
        """From when the pod was made until it was bound."""

    def bound(self, pod: PodRequest) -> None:
        self.binds[BOUND] += 1
        self.waits.add(max(0.0, self._clock.now() - pod.created_s))

    def refused(self) -> None:
        self.binds[REFUSED] += 1

    def failed(self) -> None:
        self.binds[FAILED] += 1


@dataclass(frozen=True, slots=True)
class Seen:
    """How things stand."""

    leads: bool
    nodes: int
    waiting: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Pods, by queue and by why they wait; empty: nobody has looked yet."""
    queues: Mapping[str, Standing] = field(default_factory=dict)


def families(counts: Counts, seen: Seen) -> Iterator[Family]:
    yield Family(
        "aliquot_scheduler_leads",
        Kind.GAUGE,
        "Whether it decides; followers do not.",
        [Sample("", seen.leads)],
    )
    yield Family("aliquot_scheduler_nodes", Kind.GAUGE, "Nodes that it knows.", [Sample("", seen.nodes)])
    yield Family(
        "aliquot_scheduler_waiting_pods",
        Kind.GAUGE,
        "Pods that wait, by queue and by the reason.",
        [
            Sample(labels(("queue", queue), ("reason", reason)), count)
            for (queue, reason), count in sorted(seen.waiting.items())
        ],
    )
    yield Family(
        "aliquot_scheduler_binds_total",
        Kind.COUNTER,
        "Pods bound, and binds that the API server refused or failed at.",
        list(_counted("result", counts.binds)),
    )
    yield Family(
        "aliquot_scheduler_evictions_total",
        Kind.COUNTER,
        "Pods evicted, by the reason of the event.",
        list(_counted("reason", counts.evictions)),
    )
    yield counts.cycles.family("aliquot_scheduler_cycle_duration_seconds", "One pass over all who wait.")
    yield counts.waits.family("aliquot_scheduler_wait_duration_seconds", "From a pod's creation to its bind.")
    yield _by_queue("aliquot_queue_allocated", "What its jobs hold.", seen, lambda one: one.allocated)
    yield _by_queue(
        "aliquot_queue_requested", "What they hold and wait for.", seen, lambda one: one.requested
    )
    yield _by_queue("aliquot_queue_fair_share", "What it is due now.", seen, lambda one: one.fair_share)
    yield Family(
        "aliquot_queue_waiting_jobs",
        Kind.GAUGE,
        "Jobs below their minimum.",
        [Sample(labels(("queue", name)), one.pending_jobs) for name, one in sorted(seen.queues.items())],
    )


def _counted(label: str, values: Mapping[str, int]) -> Iterable[Sample]:
    return (Sample(labels((label, key)), value) for key, value in sorted(values.items()))


def _by_queue(name: str, text: str, seen: Seen, amounts: Callable[[Standing], Amounts]) -> Family:
    return Family(
        name,
        Kind.GAUGE,
        text,
        [
            sample
            for queue, standing in sorted(seen.queues.items())
            for sample in _amounts(queue, amounts(standing))
        ],
    )


def _amounts(queue: str, amounts: Amounts) -> Iterator[Sample]:
    for resource, amount in sorted(amounts.items()):
        unit, size = _UNITS[GPU if model_of(resource) else resource]
        found = labels(("queue", queue), ("resource", resource), ("unit", unit))
        yield Sample(found, amount / size)
