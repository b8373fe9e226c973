"""How long jobs run, for those who wait: what runs is followed, and what has ended is remembered by its template."""

from aliquot.clock import Clock, parse_rfc3339
from aliquot.kube.api.core import Pod
from aliquot.kube.resources import key
from aliquot.scheduler.core.backfill.runtimes import RuntimeHistory
from aliquot.scheduler.core.backfill.stage import Backfill, Style
from aliquot.scheduler.core.jobs import JobSpec


class Timing:
    """Keeps `backfill` in step. Without a style whoever fits goes in front."""

    def __init__(self, *, clock: Clock, style: Style | None) -> None:
        self._clock = clock
        self._history = RuntimeHistory()
        self._runs: dict[str, tuple[JobSpec, float]] = {}
        """By pod: its job, and when it started."""
        self.backfill = None if style is None else Backfill(style, estimate=self._history.estimate)

    def placed(self, pod: Pod, spec: JobSpec) -> None:
        """The pod has a node."""
        started = pod.status.start_time
        started_s = parse_rfc3339(started) if started else self._clock.now()
        known = self._runs.get(key(pod))
        if known is not None and known[0] == spec and not started:
            return
        self._runs[key(pod)] = spec, started_s
        if self.backfill is not None:
            self.backfill.started(spec, [key(pod)], started_s)

    def gone(self, name: str, *, succeeded: bool) -> None:
        """The pod has ended, or is no more, or does not get its node after all."""
        now = self._clock.now()
        run = self._runs.pop(name, None)
        if run is not None and succeeded:
            spec, started_s = run
            self._history.ended(spec, max(0.0, now - started_s))
        if self.backfill is not None:
            self.backfill.ended(name, now)

    def node_came(self) -> None:
        """There is more room than was known of when starts were promised."""
        if self.backfill is not None:
            self.backfill.may_be_earlier = True
