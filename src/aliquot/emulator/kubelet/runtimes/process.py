"""Containers as local processes: the pod's command, with the environment and devices that Allocate answered.

No images, namespaces or volumes: a container is its command, and an event tells a pod which of its volumes its
containers will look for in vain. Probes ask this machine, as no pod has an address of its own. The runtime stands in
for the container engine's GPU hook too: a process sees, through CUDA_VISIBLE_DEVICES, the devices its container was
given, and none when it was given none.
"""

import asyncio
import contextlib
import os
import random
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from aliquot.clock import Clock
from aliquot.emulator.kubelet.attaching import watching
from aliquot.emulator.kubelet.checkpoint import CONTAINERS, CheckpointError, CheckpointStore
from aliquot.emulator.kubelet.runtimes import checks
from aliquot.emulator.kubelet.runtimes.base import (
    ATTACHED,
    EXIT_START_ERROR,
    EXIT_UNKNOWN,
    START_ERROR,
    ContainerConfig,
    ContainerRecord,
    ExecCheck,
    GrpcCheck,
    HttpCheck,
    LogOptions,
    LogsUnavailable,
    ProbeRequest,
    ProbeResult,
    StartRefused,
    TcpCheck,
    end_reason,
)
from aliquot.emulator.kubelet.runtimes.executions import Executed, execute
from aliquot.emulator.kubelet.runtimes.logs import Printer, parse
from aliquot.emulator.kubelet.runtimes.shim import CannotStart, Shim, resolve
from aliquot.emulator.streaming.session import CannotExecute, Execution, Session, Start

_FOLLOW_INTERVAL_S = 0.1
_POLL_S = 0.1
"""How often to look where the system cannot tell of a process' end."""
_CHUNK_BYTES = 1 << 16
_SHUTDOWN_GRACE_S = 5.0

_log = structlog.get_logger()


class _Remembered(Struct, kw_only=True, rename="camel", omit_defaults=True):
    id: str
    pod_uid: str
    name: str
    attempt: int
    boot_id: str
    image: str
    started_at: float
    finished_at: float | None = None
    exit_code: int = 0
    reason: str = ""
    message: str = ""


class _Memory(Struct, kw_only=True, rename="camel"):
    boot_id: str
    machine_boot_id: str = ""
    runs: list[_Remembered] = []


@dataclass(eq=False, slots=True)
class _Run:
    remembered: _Remembered
    shim: Shim
    kill_at: float | None = None
    """Loop time."""
    killed: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """It has ended, or `kill_at` has changed."""
    executed: list[Executed] = field(default_factory=list)
    """Commands that were run beside it for people: they end with it."""


class ProcessRuntime:
    """Containers of one node, below `directory`. `base_env` is what every process gets beneath its own environment;
    nothing else of kubelet's environment reaches a container, except PATH."""

    name = "process"
    version = "1.0.0"
    mounts_volumes = False

    def __init__(
        self,
        directory: Path,
        checkpoints: CheckpointStore,
        *,
        clock: Clock,
        rng: random.Random,
        base_env: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        self._checkpoints = checkpoints
        self._clock = clock
        self._rng = rng
        self._base_env = {"PATH": os.environ.get("PATH", os.defpath)} | dict(base_env or {})
        self._runs: dict[str, _Run] = {}
        self._watching: asyncio.TaskGroup | None = None
        self._on_exit: Callable[[str], None] = lambda pod_uid: None
        self.boot_id = ""
        self._take_up()

    async def run(self, on_exit: Callable[[str], None]) -> None:
        self._on_exit = on_exit
        try:
            async with asyncio.TaskGroup() as self._watching:
                for run in self._runs.values():
                    if run.remembered.finished_at is None:
                        self._watching.create_task(self._watch(run))
                await asyncio.get_running_loop().create_future()
        finally:
            self._watching = None

    def containers(self, pod_uid: str) -> Sequence[ContainerRecord]:
        return [_record(run.remembered) for run in self._runs.values() if run.remembered.pod_uid == pod_uid]

    def pods(self) -> Sequence[str]:
        return tuple(dict.fromkeys(run.remembered.pod_uid for run in self._runs.values()))

    async def start(self, config: ContainerConfig) -> ContainerRecord:
        if not config.command:
            raise StartRefused(
                "CreateContainerError",
                f"the process runtime runs commands, not images: give container {config.name} a command",
            )
        remembered = _Remembered(
            id=f"{self._rng.getrandbits(256):064x}",
            pod_uid=config.pod_uid,
            name=config.name,
            attempt=config.attempt,
            boot_id=self.boot_id,
            image=config.image,
            started_at=self._clock.now(),
        )
        run = self._runs[remembered.id] = _Run(remembered, self._shim(remembered))
        try:
            # Remembered before it runs: a kubelet killed in between finds it.
            self._save()
        except CheckpointError as error:
            del self._runs[remembered.id]
            raise StartRefused("CreateContainerError", str(error)) from error
        try:
            self._spawn(run.shim, config)
        except CannotStart as error:
            self._finish(run, EXIT_START_ERROR, START_ERROR, str(error))
            return _record(remembered)
        if not await run.shim.begun():
            await self._watch(run)
        elif self._watching is not None:
            self._watching.create_task(self._watch(run))
        return _record(remembered)

    def stop(self, container_id: str, grace_s: float) -> None:
        run = self._runs.get(container_id)
        if run is None or run.remembered.finished_at is not None:
            return
        kill_at = asyncio.get_running_loop().time() + grace_s
        if run.kill_at is None:
            run.shim.terminate()
        if run.kill_at is None or kill_at < run.kill_at:
            run.kill_at = kill_at
            run.news.set()

    async def probe(self, container_id: str, request: ProbeRequest) -> ProbeResult:
        match request.check:
            case ExecCheck(command):
                return await self._probe_with(container_id, command, request.timeout_s)
            case HttpCheck() as check:
                return await checks.get(check, request.timeout_s)
            case TcpCheck() as check:
                return await checks.connect(check, request.timeout_s)
            case GrpcCheck() as check:
                return await checks.ask_health(check, request.timeout_s)

    async def _probe_with(self, container_id: str, command: Sequence[str], timeout_s: float) -> ProbeResult:
        """The command runs beside the container's own, with the same environment and in the same directory."""
        run = self._runs.get(container_id)
        if run is None:
            return ProbeResult(None, f'container "{container_id}" not found')
        try:
            own = run.shim.command()
            return await checks.run_command(resolve(command, own.env, Path(own.directory)), timeout_s)
        except (CannotStart, OSError) as error:
            return ProbeResult(None, str(error))

    def attach(self, container_id: str, *, stdin: bool) -> Start:
        return watching(self.logs(container_id, ATTACHED))

    def exec(self, container_id: str, execution: Execution) -> Start:
        """With the same environment as the container's own command, and in the same directory."""
        run = self._runs[container_id]

        async def start() -> Session:
            try:
                own = run.shim.command()
                command = resolve(execution.command, own.env, Path(own.directory))
            except (CannotStart, OSError) as error:
                raise CannotExecute(str(error)) from error
            executed = execute(command, stdin=execution.stdin, tty=execution.tty)
            run.executed = [*(one for one in run.executed if one.process.running), executed]
            if run.remembered.finished_at is not None:
                executed.process.kill()
            return executed

        return start

    def remove(self, container_id: str) -> None:
        run = self._runs.pop(container_id, None)
        if run is None:
            return
        run.shim.remove()
        self._save_quietly()
        pod_uid = run.remembered.pod_uid
        if pod_uid not in self.pods():
            shutil.rmtree(self._directory / pod_uid, ignore_errors=True)

    def reboot(self) -> None:
        for run in self._runs.values():
            if run.remembered.finished_at is None:
                run.shim.kill()
                self._finish(run, EXIT_UNKNOWN, "Unknown")
        self.boot_id = self._new_boot_id()
        self._save_quietly()

    async def shutdown(self) -> None:
        """Ends every process, for when the whole cluster stops: they must not outlive it by accident."""
        async with asyncio.TaskGroup() as tasks:
            for run in self._runs.values():
                if run.remembered.finished_at is None:
                    self.stop(run.remembered.id, _SHUTDOWN_GRACE_S)
                    tasks.create_task(self._watch(run))

    async def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[bytes]:
        run = self._runs.get(container_id)
        if run is None:
            raise LogsUnavailable(f'container "{container_id}" not found')
        path, printer = run.shim.log, Printer(options)
        position = 0 if options.tail_lines is None else _tail_start(path, options.tail_lines)
        begun = b""
        while not printer.full:
            # Asked before it is read: what an ended container printed is all there.
            lasting = run.remembered.finished_at is None and container_id in self._runs
            chunk = _read(path, position, position + _CHUNK_BYTES)
            position += len(chunk)
            *entries, begun = (begun + chunk).split(b"\n")
            yield printer.print(parse(entry) for entry in entries)
            if not chunk:
                if not (options.follow and lasting):
                    return
                await asyncio.sleep(_FOLLOW_INTERVAL_S)

    def _spawn(self, shim: Shim, config: ContainerConfig) -> None:
        """Raises CannotStart."""
        for device in config.options.devices:
            if not Path(device.host_path).exists():
                raise CannotStart(
                    f'error gathering device information while adding custom device "{device.host_path}": '
                    "no such file or directory"
                )
        work = self._directory / config.pod_uid / "work"
        work.mkdir(parents=True, exist_ok=True)
        env = self._base_env | {
            "HOSTNAME": config.pod_name,
            "HOME": str(work),
            "CUDA_VISIBLE_DEVICES": _visible(config),
            **config.env,
        }
        directory = Path(config.working_dir) if config.working_dir else work
        shim.start(resolve((*config.command, *config.args), env, directory))

    async def _watch(self, run: _Run) -> None:
        """Until the process has ended, killing it when its time is up."""
        loop = asyncio.get_running_loop()
        stop_watching = run.shim.watch(run.news.set)
        try:
            while run.shim.alive():
                waits_s = [] if stop_watching is not None else [_POLL_S]
                if run.kill_at is not None and not run.killed:
                    waits_s.append(max(0.0, run.kill_at - loop.time()))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(waits_s, default=None)):
                        await run.news.wait()
                run.news.clear()
                if run.kill_at is not None and loop.time() >= run.kill_at:
                    run.shim.kill()
                    run.killed = True
        finally:
            if stop_watching is not None:
                stop_watching()
        if run.remembered.finished_at is None:
            self._finish_as_left(run)
        self._on_exit(run.remembered.pod_uid)

    def _finish_as_left(self, run: _Run) -> None:
        """As the shim's last word has it."""
        code, why = run.shim.ending()
        self._finish(run, code, START_ERROR if why else end_reason(code), why)

    def _finish(self, run: _Run, exit_code: int, reason: str, message: str = "") -> None:
        run.remembered.finished_at = self._clock.now()
        run.remembered.exit_code = exit_code
        run.remembered.reason = reason
        run.remembered.message = message
        for executed in run.executed:
            executed.process.kill()
        self._save_quietly()

    def _shim(self, remembered: _Remembered) -> Shim:
        directory = self._directory / remembered.pod_uid
        return Shim(remembered.id, directory / f"{remembered.name}-{remembered.attempt}")

    def _take_up(self) -> None:
        """What an earlier process of ours started: still running, ended since, or gone with the machine."""
        memory = _Memory(boot_id="")
        try:
            found = self._checkpoints.load(CONTAINERS)
            if found is not None:
                memory = msgspec.convert(found, _Memory)
        except (CheckpointError, msgspec.ValidationError) as error:
            _log.error("containers forgotten: their record is unreadable", error=str(error))
        rebooted = memory.machine_boot_id != _machine_boot_id()
        self.boot_id = self._new_boot_id() if rebooted or not memory.boot_id else memory.boot_id
        for remembered in memory.runs:
            run = self._runs[remembered.id] = _Run(remembered, self._shim(remembered))
            if remembered.finished_at is not None:
                continue
            if rebooted:
                self._finish(run, EXIT_UNKNOWN, "Unknown")
            elif not run.shim.find():
                self._finish_as_left(run)

    def _save(self) -> None:
        runs = [run.remembered for run in self._runs.values()]
        memory = _Memory(boot_id=self.boot_id, machine_boot_id=_machine_boot_id(), runs=runs)
        self._checkpoints.save(CONTAINERS, msgspec.to_builtins(memory))

    def _save_quietly(self) -> None:
        """Where nobody can be told no: the shim's own files say the same to whoever looks next."""
        try:
            self._save()
        except CheckpointError as error:
            _log.error("containers not recorded", error=str(error))

    def _new_boot_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


def _visible(config: ContainerConfig) -> str:
    """What CUDA may use: the devices that Allocate named, by environment or by CDI; nothing when it named none."""
    named = config.options.env.get("NVIDIA_VISIBLE_DEVICES", "")
    if named and named not in ("none", "void"):
        return named
    return ",".join(name.partition("=")[2] for name in config.options.cdi_devices)


def _record(remembered: _Remembered) -> ContainerRecord:
    return ContainerRecord(**msgspec.structs.asdict(remembered))


def _machine_boot_id() -> str:
    """Empty where the system has none to tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _read(path: Path, start: int, end: int) -> bytes:
    """Less where there is less; nothing where there is no file yet."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)
    except FileNotFoundError:
        return b""


def _tail_start(path: Path, lines: int) -> int:
    """Where in the file its last `lines` lines begin."""
    try:
        position = path.stat().st_size
    except FileNotFoundError:
        return 0
    wanted = lines + 1
    while position > 0:
        start = max(0, position - _CHUNK_BYTES)
        chunk = _read(path, start, position)
        at = len(chunk)
        while wanted and (at := chunk.rfind(b"\n", 0, at)) >= 0:
            wanted -= 1
        if not wanted:
            return start + at + 1
        position = start
    return 0
