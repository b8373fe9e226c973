"""When what runs is expected to end."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from aliquot.scheduler.core.jobs import JobSpec

LEAST_MORE_S = 60.0
"""What a job that runs longer than expected is given besides, at least."""


@dataclass(slots=True)
class Run:
    spec: JobSpec
    started_s: float
    promised_end_s: float
    """As it was estimated."""
    end_s: float
    """As it is expected by now."""
    pods: set[str] = field(default_factory=set)


class Timetable:
    """By pod; those of a job end together. A pod that it was not told of is expected to run for ever."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._run_of: dict[str, Run] = {}
        self._ends: list[tuple[float, str]] = []

    @property
    def runs(self) -> Collection[Run]:
        return self._runs.values()

    def resume(self, runs: Iterable[Run]) -> None:
        """What another timetable knew."""
        for run in runs:
            self._runs[run.spec.key] = run
            self._run_of.update(dict.fromkeys(run.pods, run))
            if run.end_s < inf:
                self._ends += [(run.end_s, pod) for pod in run.pods]
        self._ends.sort()

    @property
    def ends(self) -> Sequence[tuple[float, str]]:
        """Of the pods that are expected to end at all, soonest first."""
        return self._ends

    def started(self, spec: JobSpec, pods: Iterable[str], now_s: float, runtime_s: float | None) -> None:
        """The pods of a job run, from now on; later ones are expected to end with its first. Told twice: the first holds."""
        run = self._runs.get(spec.key)
        if run is None:
            end_s = inf if runtime_s is None else now_s + runtime_s
            run = self._runs[spec.key] = Run(spec, now_s, end_s, end_s)
        for pod in pods:
            if pod not in self._run_of:
                self._run_of[pod] = run
                run.pods.add(pod)
                if run.end_s < inf:
                    insort(self._ends, (run.end_s, pod))

    def ended(self, pod: str) -> float:
        """The pod is gone. Returns when that was expected; infinity for one that was not known."""
        run = self._run_of.pop(pod, None)
        if run is None:
            return inf
        if run.end_s < inf:
            del self._ends[bisect_left(self._ends, (run.end_s, pod))]
        run.pods.discard(pod)
        if not run.pods:
            del self._runs[run.spec.key]
        return run.end_s

    def end_s(self, pod: str) -> float:
        run = self._run_of.get(pod)
        return inf if run is None else run.end_s

    def job_end_s(self, job: str) -> float | None:
        """None: it does not run."""
        run = self._runs.get(job)
        return None if run is None else run.end_s

    def advance(self, now_s: float) -> bool:
        """Those that should have ended and have not are expected to need as long again as they are late. Whether there are
        any."""
        late = {
            id(run): run
            for _, pod in self._ends[: bisect_right(self._ends, (now_s, "\U0010ffff"))]
            if (run := self._run_of[pod])
        }
        for run in late.values():
            for pod in run.pods:
                del self._ends[bisect_left(self._ends, (run.end_s, pod))]
            run.end_s = now_s + max(LEAST_MORE_S, now_s - run.promised_end_s)
            for pod in run.pods:
                insort(self._ends, (run.end_s, pod))
        return bool(late)

    def overdue(self, now_s: float) -> list[JobSpec]:
        """Jobs that have run for as long as they said they would at most, and longer: to be stopped where that was asked for."""
        return [
            run.spec
            for run in self._runs.values()
            if run.spec.max_runtime_s is not None and now_s >= run.started_s + run.spec.max_runtime_s
        ]
