"""What to do next for one pod: which containers to start, which to stop, whether it has ended. Pure.

Rests only on the spec, the runs that the runtime remembers and kubelet's own memory of failures, so that a new
kubelet that finds the same runs goes on where the old one stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aliquot.emulator.kubelet.admission import is_sidecar
from aliquot.emulator.kubelet.probes import WELL, Health
from aliquot.emulator.kubelet.runtimes.base import ContainerRecord
from aliquot.kube.api.core import Container, PodSpec

FIRST_BACKOFF_S = 10.0
MAX_BACKOFF_S = 300.0
REFUSAL_RETRY_S = 10.0
"""How long until a container that could not be made, or not be run, is tried again."""
DEFAULT_GRACE_S = 30.0
LEAST_GRACE_S = 1.0
CRASH_LOOP = "CrashLoopBackOff"
NOT_RUN = "RunContainerError"


class Phase(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait after the next end of a container, set when it was last restarted."""

    delay_s: float
    since: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last start of a container came to nothing."""

    reason: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class Situation:
    spec: PodSpec
    label: str
    """The pod as kubelet's messages name it: `name_namespace(uid)`."""
    runs: Mapping[str, Sequence[ContainerRecord]]
    """By container, oldest first."""
    boot_id: str
    now: float
    backoffs: Mapping[str, Backoff] = field(default_factory=dict)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    kill_at: float | None = None
    """When the pod is to be ended: by then at the latest."""
    health: Mapping[str, Health] = field(default_factory=dict)
    """What probes say, by container id; a container that is not here is well."""
    volumes_ready: bool = True
    """Nothing of it can be started before they are."""

    def last(self, name: str) -> ContainerRecord | None:
        runs = self.runs.get(name)
        return runs[-1] if runs else None

    def health_of(self, run: ContainerRecord) -> Health:
        return self.health.get(run.id, WELL)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run now though it should."""

    reason: str
    message: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    container: str
    container_id: str
    grace_s: float
    why: str
    """As the event says it."""


@dataclass(frozen=True, slots=True)
class Plan:
    start: tuple[str, ...] = ()
    """Containers to start now, in this order; then plan again."""
    stop: tuple[Stop, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    ended: Phase | None = None
    """SUCCEEDED or FAILED once nothing runs and nothing will."""

    def again_s(self, now: float) -> float | None:
        """Seconds after which to plan again though nothing has happened."""
        times = [waiting.until for waiting in self.waiting.values() if waiting.until is not None]
        return max(0.0, min(times) - now) if times else None


def plan(situation: Situation) -> Plan:
    spec = situation.spec
    idle = "PodInitializing" if spec.init_containers else "ContainerCreating"
    ephemeral = spec.ephemeral_containers or ()
    everyone = (*(spec.init_containers or ()), *spec.containers, *ephemeral)
    waiting = {c.name: Waiting(idle) for c in everyone if situation.last(c.name) is None}
    if situation.kill_at is not None:
        return _end(situation, waiting, situation.kill_at)
    if all(_final(situation, container) for container in spec.containers):
        return _end(situation, waiting, situation.now + grace_period_s(spec))
    if not situation.volumes_ready:
        return Plan(stop=_failed_probes(situation), waiting=waiting)
    start: list[str] = []
    # Before all others: they may be there to see why those cannot begin.
    for container in ephemeral:
        _run(situation, container, "Never", start, waiting)
    if not initialized(situation):
        return _initialize(situation, start, waiting)
    for sidecar in filter(is_sidecar, spec.init_containers or ()):
        _run(situation, sidecar, "Always", start, waiting)
    for container in spec.containers:
        _run(situation, container, spec.restart_policy, start, waiting)
    return Plan(start=tuple(start), stop=_failed_probes(situation), waiting=waiting)


def initialized(situation: Situation) -> bool:
    """Whether the containers themselves may run. After a reboot the init containers have to pass again."""
    spec = situation.spec
    return any(_started_here(situation, container) for container in spec.containers) or all(
        _passed(situation, container) for container in spec.init_containers or ()
    )


def grace_period_s(spec: PodSpec) -> float:
    period_s = spec.termination_grace_period_seconds
    return DEFAULT_GRACE_S if period_s is None else float(period_s)


def next_backoff(backoff: Backoff | None, ended: ContainerRecord, now: float) -> Backoff:
    """To be remembered when a container is started again after the run `ended`."""
    if backoff is None or _expired(backoff, ended):
        return Backoff(FIRST_BACKOFF_S, now)
    return Backoff(min(2 * backoff.delay_s, MAX_BACKOFF_S), now)


def go_duration(seconds: float) -> str:
    """`10s`, `1m20s`, `5m0s`: as Go prints whole seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _started_here(situation: Situation, container: Container) -> bool:
    last = situation.last(container.name)
    return last is not None and last.boot_id == situation.boot_id


def _passed(situation: Situation, container: Container) -> bool:
    """Of an init container."""
    last = situation.last(container.name)
    if last is None or last.boot_id != situation.boot_id:
        return False
    if is_sidecar(container):
        return last.running and situation.health_of(last).started
    return not last.running and last.exit_code == 0


def _final(situation: Situation, container: Container) -> bool:
    """Whether this (ordinary) container has run and will not run again."""
    last = situation.last(container.name)
    policy = situation.spec.restart_policy
    return last is not None and not last.running and not _restarts(situation, policy, last)


def _restarts(situation: Situation, policy: str, ended: ContainerRecord) -> bool:
    """A container that was ended because of a probe has failed, whatever its exit code says."""
    failed = ended.exit_code != 0 or situation.health_of(ended).failed is not None
    return policy == "Always" or (policy == "OnFailure" and failed)


def _failed_probes(situation: Situation) -> tuple[Stop, ...]:
    """Running containers that a probe wants ended."""
    spec = situation.spec
    stops = []
    for container in (*filter(is_sidecar, spec.init_containers or ()), *spec.containers):
        last = situation.last(container.name)
        if last is None or not last.running:
            continue
        health = situation.health_of(last)
        if health.failed is not None:
            grace_s = grace_period_s(spec) if health.grace_s is None else health.grace_s
            why = f"Container {container.name} failed {health.failed.lower()} probe"
            restarts = is_sidecar(container) or spec.restart_policy != "Never"
            why += ", will be restarted" if restarts else ""
            stops.append(Stop(container.name, last.id, max(LEAST_GRACE_S, grace_s), why))
    return tuple(stops)


def _initialize(situation: Situation, start: list[str], waiting: dict[str, Waiting]) -> Plan:
    """Init containers one after the other; a sidecar lets the next begin as soon as it runs."""
    policy = situation.spec.restart_policy
    for container in situation.spec.init_containers or ():
        if _passed(situation, container):
            continue
        last = situation.last(container.name)
        if is_sidecar(container):
            _run(situation, container, "Always", start, waiting)
        elif last is None or last.running or last.exit_code != 0:
            if policy == "Never" and last is not None and not last.running:
                return _end(situation, waiting, situation.now + grace_period_s(situation.spec))
            _run(situation, container, policy, start, waiting)
        else:
            # It passed before the node went down.
            start.append(container.name)
        break
    return Plan(start=tuple(start), stop=_failed_probes(situation), waiting=waiting)


def _run(
    situation: Situation, container: Container, policy: str, start: list[str], waiting: dict[str, Waiting]
) -> None:
    """Adds the container to `start`, or to `waiting` with the reason, unless it runs or is done."""
    last = situation.last(container.name)
    if last is not None and (last.running or not _restarts(situation, policy, last)):
        return
    refusal = situation.refusals.get(container.name)
    if refusal is not None and situation.now < refusal.at + REFUSAL_RETRY_S:
        until = refusal.at + REFUSAL_RETRY_S
        waiting[container.name] = Waiting(refusal.reason, refusal.message, until)
        return
    backoff = situation.backoffs.get(container.name)
    if last is not None and last.finished_at is not None and backoff is not None:
        until = last.finished_at + backoff.delay_s
        if not _expired(backoff, last) and situation.now < until:
            text = f"back-off {go_duration(backoff.delay_s)} restarting failed container={container.name}"
            waiting[container.name] = Waiting(CRASH_LOOP, f"{text} pod={situation.label}", until)
            return
    start.append(container.name)


def _expired(backoff: Backoff, ended: ContainerRecord) -> bool:
    """A container that ran for long enough before it ended begins again with the shortest wait."""
    return ended.finished_at is not None and ended.finished_at - backoff.since > 2 * MAX_BACKOFF_S


def _end(situation: Situation, waiting: dict[str, Waiting], kill_at: float) -> Plan:
    """Containers first, all at once; then the sidecars, last started first."""
    grace_s = max(LEAST_GRACE_S, kill_at - situation.now)
    sidecars = [c.name for c in situation.spec.init_containers or () if is_sidecar(c)]
    running = {
        name: runs[-1].id for name, runs in sorted(situation.runs.items()) if runs and runs[-1].running
    }
    first = [name for name in running if name not in sidecars]
    names = first or [name for name in reversed(sidecars) if name in running][:1]
    if names:
        stop = tuple(Stop(name, running[name], grace_s, f"Stopping container {name}") for name in names)
        return Plan(stop=stop, waiting=waiting)
    ended = [situation.last(container.name) for container in situation.spec.containers]
    succeeded = all(last is not None and last.exit_code == 0 for last in ended)
    return Plan(waiting=waiting, ended=Phase.SUCCEEDED if succeeded else Phase.FAILED)
