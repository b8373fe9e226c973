"""Containers that only exist as times: each runs for as long as its pod's annotations say, and ends as they say.

    aliquot.dev/run-for: 30s       how long; until deleted, when absent
    aliquot.dev/exit-code: "1"     how it ends; 0 when absent. Without run-for it then ends at once
    aliquot.dev/failing-probes: readiness,liveness,startup
                                   which probes fail, from now on; all others succeed

Init containers end at once, with 0: the annotations are for the others. SIGTERM ends a container at once. Nothing
is executed and nothing looks into a volume, so thousands of nodes fit into one process.

A container that `programs` recognises is that program instead: it ends when the program does, is as well as the program
says, and prints what it prints. It goes on over a new kubelet. A new process gives it to its program again, with its
log begun anew; a reboot ends it.
"""

import asyncio
import contextlib
import heapq
import random
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import msgspec
import structlog
from msgspec import Struct

from aliquot.clock import Clock
from aliquot.emulator.kinds.go_durations import NANOSECONDS, nanoseconds
from aliquot.emulator.kubelet.attaching import told, watching
from aliquot.emulator.kubelet.checkpoint import CONTAINERS, CheckpointError, CheckpointStore
from aliquot.emulator.kubelet.runtimes.base import (
    ATTACHED,
    EXIT_SIGTERM,
    EXIT_UNKNOWN,
    ContainerConfig,
    ContainerRecord,
    LogOptions,
    LogsUnavailable,
    ProbeRequest,
    ProbeResult,
    StartRefused,
    end_reason,
)
from aliquot.emulator.kubelet.runtimes.logs import LogLine, Printer, tail
from aliquot.emulator.kubelet.runtimes.program_runs import ProgramRuns
from aliquot.emulator.kubelet.runtimes.programs import End, Programs
from aliquot.emulator.streaming.session import Execution, SessionRefused, Start

_READS_NOTHING = (
    "simulated containers read no input: there is nothing to type into. In a cluster with --runtime process, "
    "kubectl exec -it runs a shell."
)
RUN_FOR = "aliquot.dev/run-for"
EXIT_CODE = "aliquot.dev/exit-code"
FAILING_PROBES = "aliquot.dev/failing-probes"


_log = structlog.get_logger()


class _Run(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """One container, as it is remembered."""

    id: str
    pod_uid: str
    name: str
    attempt: int
    boot_id: str
    image: str
    started_at: float
    ends_at: float | None = None
    """None: not by itself."""
    exit_code: int = 0
    finished_at: float | None = None
    reason: str = ""
    words: tuple[str, ...] = ()
    """What it printed when it started."""
    message: str = ""
    """What its program left when it ended."""
    holder: str = ""
    """`namespace/pod`, of a container that was given devices."""
    config: ContainerConfig | None = None
    """Of one that is a program's."""


class _Memory(Struct, kw_only=True, rename="camel"):
    boot_id: str
    runs: list[_Run] = []


class SimulatedRuntime:
    """Containers of one node. Given the same `checkpoints`, a new one knows what the old one ran.

    With `programs`, whoever made it closes it at the end.
    """

    name = "simulated"
    version = "1.0.0"
    mounts_volumes = True

    def __init__(
        self,
        checkpoints: CheckpointStore,
        *,
        clock: Clock,
        rng: random.Random,
        programs: Programs | None = None,
    ) -> None:
        self._checkpoints = checkpoints
        self.programs = programs
        self._programs_running = ProgramRuns(clock, self._program_ended)
        self._clock = clock
        self._rng = rng
        self._pods: dict[str, dict[str, _Run]] = {}
        self._runs: dict[str, _Run] = {}
        self._ends: list[tuple[float, str]] = []
        """Heap of (when, container id); also of containers that have ended otherwise since."""
        self._sooner = asyncio.Event()
        self._followed: dict[str, asyncio.Event] = {}
        """Set when a container whose log is being followed ends before its time."""
        memory = self._load()
        self.boot_id = memory.boot_id
        for run in memory.runs:
            self._add(run)

    async def run(self, on_exit: Callable[[str], None]) -> None:
        self._resume()
        while True:
            self._sooner.clear()
            wait_s = self._ends[0][0] - self._clock.now() if self._ends else None
            if wait_s is None or wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._sooner.wait()
                continue
            _, container_id = heapq.heappop(self._ends)
            run = self._runs.get(container_id)
            if run is not None:
                on_exit(run.pod_uid)

    def containers(self, pod_uid: str) -> Sequence[ContainerRecord]:
        return [self._record(run) for run in self._pods.get(pod_uid, {}).values()]

    def pods(self) -> Sequence[str]:
        return tuple(self._pods)

    async def start(self, config: ContainerConfig) -> ContainerRecord:
        program = self.programs.of(config, resumed=False) if self.programs is not None else None
        run_for_s, exit_code = (None, 0) if program is not None else _as_told(config)
        now = self._clock.now()
        run = _Run(
            id=f"{self._rng.getrandbits(256):064x}",
            pod_uid=config.pod_uid,
            name=config.name,
            attempt=config.attempt,
            boot_id=self.boot_id,
            image=config.image,
            started_at=now,
            ends_at=None if run_for_s is None else now + run_for_s,
            exit_code=exit_code,
            words=_first_words(config),
            holder=f"{config.pod_namespace}/{config.pod_name}" if config.options.device_ids else "",
            config=config if program is not None else None,
        )
        self._add(run)
        try:
            self._save()
        except CheckpointError as error:
            self._discard(run)
            raise StartRefused("CreateContainerError", str(error)) from error
        if program is not None:
            self._programs_running.start(run.id, program)
        return self._record(run)

    def device_holders(self) -> Sequence[str]:
        """`namespace/pod` of containers that run and were given devices."""
        return sorted({run.holder for run in self._runs.values() if run.holder and self._record(run).running})

    async def close(self) -> None:
        """This process ends, and its programs with it; to the next one the containers have gone on."""
        await self._programs_running.close()

    def stop(self, container_id: str, grace_s: float) -> None:
        run = self._runs.get(container_id)
        if run is None or not self._record(run).running:
            return
        if container_id in self._programs_running:
            self._programs_running.stop(container_id, grace_s)
            return
        self._end(run, EXIT_SIGTERM, end_reason(EXIT_SIGTERM))
        self._save_quietly()

    async def probe(self, container_id: str, request: ProbeRequest) -> ProbeResult:
        failing = request.annotations.get(FAILING_PROBES, "").split(",")
        if request.kind.lower() in (name.strip().lower() for name in failing):
            return ProbeResult(False, f"annotation {FAILING_PROBES} says so")
        if container_id in self._programs_running:
            return await self._programs_running.probe(container_id, request)
        return ProbeResult(True)

    def attach(self, container_id: str, *, stdin: bool) -> Start:
        """Who would type learns that nobody reads it: most such containers run until they are deleted."""
        return told(_READS_NOTHING) if stdin else watching(self.logs(container_id, ATTACHED))

    def exec(self, container_id: str, execution: Execution) -> Start:
        raise SessionRefused(
            501, "simulated containers run no commands; in a cluster with --runtime process they do"
        )

    def remove(self, container_id: str) -> None:
        run = self._runs.get(container_id)
        if run is not None:
            self._discard(run)
            self._save_quietly()

    def reboot(self) -> None:
        for run in self._runs.values():
            if self._record(run).running:
                self._end(run, EXIT_UNKNOWN, "Unknown")
                self._programs_running.forget(run.id)
        if self.programs is not None:
            self.programs.rebooted()
        self.boot_id = self._new_boot_id()
        self._save_quietly()

    async def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[bytes]:
        run = self._runs.get(container_id)
        if run is None:
            raise LogsUnavailable(f'container "{container_id}" not found')
        printer = Printer(options)
        said = self._programs_running.said(run.id)
        yield printer.print(tail(self._lines(run), options))
        while options.follow and not printer.full and self._record(run).running:
            if run.id in self._programs_running:
                await self._programs_running.more(run.id)
            else:
                await self._ended(run)
            now_said = self._programs_running.said(run.id)
            new = list(self._programs_running.lines(run.id))[-(now_said - said) :] if now_said > said else []
            said = now_said
            yield printer.print([*new, *_last_words(run, self._record(run))])

    def _lines(self, run: _Run) -> list[LogLine]:
        first = [LogLine(run.started_at, words.encode()) for words in run.words]
        return [*first, *self._programs_running.lines(run.id), *_last_words(run, self._record(run))]

    async def _ended(self, run: _Run) -> None:
        told = self._followed.setdefault(run.id, asyncio.Event())
        while self._record(run).running:
            told.clear()
            left_s = None if run.ends_at is None else max(0.0, run.ends_at - self._clock.now())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await told.wait()

    def _record(self, run: _Run) -> ContainerRecord:
        """As it is now: the moment of its end may have passed unseen."""
        if run.finished_at is None and run.ends_at is not None and run.ends_at <= self._clock.now():
            run.finished_at = run.ends_at
            run.reason = end_reason(run.exit_code)
        return ContainerRecord(
            id=run.id,
            pod_uid=run.pod_uid,
            name=run.name,
            attempt=run.attempt,
            boot_id=run.boot_id,
            image=run.image,
            started_at=run.started_at,
            finished_at=run.finished_at,
            exit_code=0 if run.finished_at is None else run.exit_code,
            reason=run.reason,
            message=run.message,
        )

    def _resume(self) -> None:
        """Programs of containers that an earlier process ran."""
        for run in list(self._runs.values()):
            if run.config is None or run.id in self._programs_running or not self._record(run).running:
                continue
            try:
                program = self.programs.of(run.config, resumed=True) if self.programs is not None else None
            except StartRefused as refused:
                run.message = refused.message
                self._end(run, EXIT_UNKNOWN, "Unknown")
            else:
                if program is not None:
                    self._programs_running.start(run.id, program)

    def _program_ended(self, container_id: str, end: End) -> None:
        run = self._runs[container_id]
        run.message = end.message
        self._end(run, end.exit_code, end_reason(end.exit_code))
        self._save_quietly()

    def _end(self, run: _Run, exit_code: int, reason: str) -> None:
        run.finished_at = run.ends_at = self._clock.now()
        run.exit_code = exit_code
        run.reason = reason
        self._schedule(run)
        if run.id in self._followed:
            self._followed[run.id].set()

    def _schedule(self, run: _Run) -> None:
        if run.ends_at is not None:
            heapq.heappush(self._ends, (run.ends_at, run.id))
            self._sooner.set()

    def _add(self, run: _Run) -> None:
        self._runs[run.id] = run
        self._pods.setdefault(run.pod_uid, {})[run.id] = run
        self._schedule(run)

    def _discard(self, run: _Run) -> None:
        del self._runs[run.id]
        self._programs_running.forget(run.id)
        self._followed.pop(run.id, None)
        of_pod = self._pods[run.pod_uid]
        del of_pod[run.id]
        if not of_pod:
            del self._pods[run.pod_uid]

    def _load(self) -> _Memory:
        try:
            found = self._checkpoints.load(CONTAINERS)
            if found is not None:
                return msgspec.convert(found, _Memory)
        except (CheckpointError, msgspec.ValidationError) as error:
            _log.error("containers forgotten: their record is unreadable", error=str(error))
        return _Memory(boot_id=self._new_boot_id())

    def _save(self) -> None:
        memory = _Memory(boot_id=self.boot_id, runs=list(self._runs.values()))
        self._checkpoints.save(CONTAINERS, msgspec.to_builtins(memory))

    def _save_quietly(self) -> None:
        """Where nobody can be told no. What is lost shows when it is looked for, and is then started anew."""
        try:
            self._save()
        except CheckpointError as error:
            _log.error("containers not recorded", error=str(error))

    def _new_boot_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


def duration_s(text: str) -> float:
    """Seconds of `30s`, `1h30m`, `500ms`, or of a plain number. Raises ValueError."""
    found = nanoseconds(text)
    if found is not None and found >= 0:
        return found / NANOSECONDS
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else _refuse(text)


def _refuse(text: str) -> float:
    raise ValueError(f"{text!r} is not a duration: write 30s, 5m or 1h30m")


def _as_told(config: ContainerConfig) -> tuple[float | None, int]:
    """Run time in seconds (None: without end) and exit code. Raises StartRefused."""
    if config.must_end:
        return 0.0, 0
    run_for, exit_code = config.annotations.get(RUN_FOR), config.annotations.get(EXIT_CODE)
    name, text = RUN_FOR, run_for
    try:
        run_for_s = None if run_for is None else duration_s(run_for)
        name, text = EXIT_CODE, exit_code
        code = 0 if exit_code is None else int(exit_code)
        if not 0 <= code <= 255:
            raise ValueError("not within 0 to 255")
    except ValueError as error:
        raise StartRefused("CreateContainerConfigError", f'annotation {name}: "{text}": {error}') from error
    if run_for_s is None and exit_code is not None:
        run_for_s = 0.0
    return run_for_s, code


def _first_words(config: ContainerConfig) -> tuple[str, ...]:
    devices = [f"{name}={value}" for name, value in sorted(config.options.env.items())]
    return (f"simulated container {config.name}, image {config.image}, attempt {config.attempt}", *devices)


def _last_words(run: _Run, record: ContainerRecord) -> Iterator[LogLine]:
    if record.finished_at is not None:
        yield LogLine(record.finished_at, f"ended with exit code {record.exit_code}".encode())
