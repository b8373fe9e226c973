"""A container as kubelet's side sees it: a process that outlives kubelet, and the files it leaves.

What runs is `shim_process`, with the container's command below it. The container's id is in its command line; that,
not a pid alone, tells whether a process found later is still the one that was started. For Linux and macOS.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from aliquot.emulator.kubelet.runtimes import shim_process
from aliquot.emulator.kubelet.runtimes.base import EXIT_SIGKILL

_PROGRAM = shim_process.__file__
_SUFFIXES = ("pid", "config", "part", "exit", "log")


class CannotStart(Exception):
    """The command cannot be run; the text says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a container's process is made of, as FILES.config has it."""

    executable: str
    command: Sequence[str]
    env: Mapping[str, str]
    directory: str


def resolve(command: Sequence[str], env: Mapping[str, str], directory: Path) -> Command:
    """Finds the executable as a container engine does: by the container's own PATH. Raises CannotStart."""
    if not directory.is_dir():
        raise CannotStart(f'chdir to cwd ("{directory}") failed: no such directory')
    name = command[0]
    # A name with a slash is relative to where the command works, not to where kubelet does.
    path = str(directory / name) if "/" in name else name
    executable = shutil.which(path, path=env.get("PATH", os.defpath))
    if executable is None:
        raise CannotStart(f'exec: "{name}": executable file not found in $PATH')
    return Command(executable, tuple(command), dict(env), str(directory))


class Shim:
    """`files` is a path to which `.pid`, `.config`, `.exit` and `.log` are added; its directory is made when needed."""

    def __init__(self, container_id: str, files: Path) -> None:
        self.container_id = container_id
        self._files = files
        self._pid: int | None = None
        self._is_child = False
        self._begun: int | None = None
        """Where a shim that was just started says that its command runs."""

    @property
    def log(self) -> Path:
        return self._file("log")

    def start(self, command: Command) -> None:
        """To be followed by `begun`. Raises CannotStart."""
        self._begun, begun = os.pipe()
        try:
            self._files.parent.mkdir(parents=True, exist_ok=True)
            self._write_config(command)
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", _PROGRAM, self.container_id, str(self._files)],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_DUP2, begun, 1),
                ],
                setsid=True,
                # Until it is ready for them.
                setsigmask=(signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD),
            )
        except (OSError, ValueError, UnicodeEncodeError) as error:
            os.close(self._begun)
            raise CannotStart(f'exec: "{command.command[0]}": {error}') from error
        finally:
            os.close(begun)
        self._is_child = True

    async def begun(self) -> bool:
        """Wait until the command runs. False when it never will: then the process is about to end."""
        assert self._begun is not None
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._begun, readable.set)
        try:
            await readable.wait()
            return os.read(self._begun, 1) != b""
        finally:
            loop.remove_reader(self._begun)
            os.close(self._begun)
            self._begun = None

    def find(self) -> bool:
        """Takes up a process that another kubelet started. False when it is no longer there."""
        with contextlib.suppress(OSError, ValueError):
            self._pid = int(self._file("pid").read_text())
        return self.alive()

    def command(self) -> Command:
        """As it was started. Raises FileNotFoundError when it never was."""
        return msgspec.json.decode(self._file("config").read_bytes(), type=Command)

    def alive(self) -> bool:
        """Also reaps a child that has ended."""
        if self._pid is None:
            return False
        if self._is_child:
            try:
                ended, _ = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:
                ended = self._pid
            return ended == 0
        return self.container_id in _command_line(self._pid)

    def terminate(self) -> None:
        """SIGTERM to the command, as to a container's first process."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the command; all that it has started goes with it."""
        self._send(signal.SIGUSR1)

    def watch(self, tell: Callable[[], None]) -> Callable[[], None] | None:
        """Has `tell` called when the process ends. Returns what undoes that, None where the system cannot tell."""
        if self._pid is None or not hasattr(os, "pidfd_open"):
            return None
        try:
            descriptor = os.pidfd_open(self._pid)
        except OSError:
            return None
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, tell)

        def undo() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)

        return undo

    def ending(self) -> tuple[int, str]:
        """Exit code of a container that has ended, and why it could not be started if so.

        A shim that was killed has left no word, and its command was killed with it.
        """
        try:
            code, _, why = self._file("exit").read_text().partition("\n")
            return int(code), why
        except (OSError, ValueError):
            return EXIT_SIGKILL, ""

    def remove(self) -> None:
        """The files of a process that has ended."""
        for suffix in _SUFFIXES:
            self._file(suffix).unlink(missing_ok=True)

    def _write_config(self, command: Command) -> None:
        """For the owner's eyes alone: it holds what the pod's secrets say. Raises OSError, UnicodeEncodeError."""
        descriptor = os.open(self._file("config"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(asdict(command)))

    def _send(self, number: signal.Signals) -> None:
        if self.alive() and self._pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, number)

    def _file(self, suffix: str) -> Path:
        return self._files.with_name(f"{self._files.name}.{suffix}")


def _command_line(pid: int) -> str:
    """Empty when there is no such process, or only its remains."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            return (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return ""
    command = ["ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout
