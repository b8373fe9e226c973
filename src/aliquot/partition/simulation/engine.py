"""The event loop: requests of a trace come and go, an allocator says where they run.

Loss: who finds no room is turned away. Queueing: who finds no room waits; whenever something ends, the oldest of each
profile is tried, in order of arrival, and nobody waits behind a request of another profile.
"""

from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heapify, heappop, heappush, heapreplace
from math import nan
from typing import Any, NamedTuple, Protocol, TypeAlias

from aliquot.partition.simulation.workload import Outage, Trace

Instance: TypeAlias = Any
"""What an allocator gives for a request that it placed. It stays the same when the instance is moved."""


class Usage(NamedTuple):
    """Of the fleet at one time. Waste is of GPUs in use: what is neither taken nor can be, beside what is there."""

    gpus_in_use: int
    wasted_compute_slices: int
    wasted_memory_slots: int


class Churn(NamedTuple):
    """What was done to the GPUs so far. A move is a create and a destroy, too."""

    creates: int
    destroys: int
    moves: int


class Allocator(Protocol):
    """A fleet with a policy."""

    def observe(self, profile: int) -> None:
        """A request has come: once for each, before it is placed."""

    def place(self, profile: int) -> Instance | None: ...

    def release(self, instance: Instance) -> None: ...

    def usage(self) -> Usage: ...

    def churn(self) -> Churn: ...


class Breakable(Allocator, Protocol):
    """It knows what runs where, and can lose GPUs."""

    def gpu_of(self, instance: Instance) -> int: ...

    def withdraw(self, gpus: range) -> None:
        """Takes GPUs out of service. Nothing runs there any more."""
        ...

    def restore(self, gpus: range) -> None:
        """They are back, and empty."""
        ...


class Sample(NamedTuple):
    time: float
    usage: Usage
    churn: Churn


@dataclass(slots=True)
class Outcome:
    """What became of each request of a trace."""

    trace: Trace
    started: "array[float]"
    """When it was placed; nan: it never was."""
    ended: "array[float]"
    """When it left or was lost. It may be after the horizon."""
    lost: list[int] = field(default_factory=list)
    """Requests that ran on a GPU that failed."""
    samples: list[Sample] = field(default_factory=list)
    """At the end of the warm-up, then at even times up to the horizon."""
    decisions: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds that each placement took, if it was timed."""


SAMPLES = 100


def run(
    trace: Trace,
    allocator: Allocator,
    *,
    queueing: bool = False,
    timer: Callable[[], float] | None = None,
) -> Outcome:
    """Plays the trace. `timer` gives seconds, and measures each decision."""
    return _Run(trace, allocator, timer).play(queueing)


def run_with_outages(
    trace: Trace, allocator: Breakable, outages: Sequence[Outage], *, queueing: bool = False
) -> Outcome:
    playing = _Run(trace, allocator)
    for outage in outages:
        playing.mark(outage.start, partial(playing.fail, allocator, outage.gpus))
        playing.mark(outage.end, partial(playing.repair, allocator, outage.gpus))
    return playing.play(queueing)


class _Run:
    """Events are (time, number): from 0 on the end of that request; below 0, inverted, the number of a mark."""

    def __init__(
        self,
        trace: Trace,
        allocator: Allocator,
        timer: Callable[[], float] | None = None,
    ) -> None:
        self.trace = trace
        self.allocator = allocator
        self.outcome = Outcome(trace, array("d", [nan]) * len(trace), array("d", [nan]) * len(trace))
        self.place = allocator.place if timer is None else self._timed(timer)
        self.running: dict[int, Instance] = {}
        self.waiting: dict[int, deque[int]] = {}
        """By profile; without empty ones."""
        self.events: list[tuple[float, int]] = []
        self.marks: list[Callable[[float], None]] = []
        window = trace.horizon - trace.warm_up
        for number in range(SAMPLES + 1):
            self.mark(trace.warm_up + window * number / SAMPLES, self._sample)

    def play(self, queueing: bool) -> Outcome:
        events, waiting, place, observe = self.events, self.waiting, self.place, self.allocator.observe
        for number, (now, profile) in enumerate(zip(self.trace.times, self.trace.profiles, strict=True)):
            if events[0][0] <= now:
                self._until(now)
            observe(profile)
            if profile in waiting:
                waiting[profile].append(number)
            elif (instance := place(profile)) is not None:
                self._start(number, instance, now)
            elif queueing:
                waiting[profile] = deque((number,))
        self._until(self.trace.horizon)
        return self.outcome

    def _until(self, now: float) -> None:
        events, running, waiting = self.events, self.running, self.waiting
        release = self.allocator.release
        while events and events[0][0] <= now:
            time, number = heappop(events)
            if number < 0:
                self.marks[~number](time)
                continue
            instance = running.pop(number, None)
            if instance is not None:
                release(instance)
                if waiting:
                    self._admit(time)

    def _start(self, number: int, instance: Instance, now: float) -> None:
        outcome = self.outcome
        self.running[number] = instance
        outcome.started[number] = now
        outcome.ended[number] = end = now + self.trace.durations[number]
        heappush(self.events, (end, number))

    def _admit(self, now: float) -> None:
        """Of those that wait, all for whom there is room."""
        waiting, place = self.waiting, self.place
        oldest = [(queue[0], profile) for profile, queue in waiting.items()]
        heapify(oldest)
        while oldest:
            number, profile = oldest[0]
            instance = place(profile)
            if instance is None:
                heappop(oldest)
                continue
            self._start(number, instance, now)
            queue = waiting[profile]
            queue.popleft()
            if queue:
                heapreplace(oldest, (queue[0], profile))
            else:
                heappop(oldest)
                del waiting[profile]

    # --- marks ---

    def mark(self, time: float, what: Callable[[float], None]) -> None:
        self.marks.append(what)
        heappush(self.events, (time, ~(len(self.marks) - 1)))

    def _sample(self, now: float) -> None:
        self.outcome.samples.append(Sample(now, self.allocator.usage(), self.allocator.churn()))

    def fail(self, allocator: Breakable, gpus: range, now: float) -> None:
        gpu_of = allocator.gpu_of
        for number in [number for number, instance in self.running.items() if gpu_of(instance) in gpus]:
            allocator.release(self.running.pop(number))
            self.outcome.ended[number] = now
            self.outcome.lost.append(number)
        allocator.withdraw(gpus)

    def repair(self, allocator: Breakable, gpus: range, now: float) -> None:
        allocator.restore(gpus)
        self._admit(now)

    def _timed(self, timer: Callable[[], float]) -> Callable[[int], Instance | None]:
        place, decisions = self.allocator.place, self.outcome.decisions

        def timed(profile: int) -> Instance | None:
            before = timer()
            instance = place(profile)
            decisions.append(timer() - before)
            return instance

        return timed
