"""A local process that stands for a container, and outlives the process that started it.

A shell is its parent, both in a process group of their own: the shell writes the exit code into a file when the
command ends, so that nobody has to be there to see it. The container's id is in the shell's command line; that, not
a pid alone, tells whether a process found later is still the one that was started. For Linux and macOS.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aliquot.emulator.kubelet.runtimes.base import EXIT_SIGKILL

_SHELL = "/bin/sh"

# $0 is the container's id, $1 where its files go, $2 where it works, then comes the command. The traps keep the shell
# alive for its last words; the command has the signals' default actions. What the shell itself has to say about how
# the command ended does not belong into the log.
_SCRIPT = """
files=$1
cd "$2" || exit 126
shift 2
echo $$ >"$files.pid"
trap : TERM INT HUP QUIT
exec 3>&2 2>/dev/null
(exec "$@" 2>&3 3>&-)
code=$?
echo $code >"$files.part" && mv "$files.part" "$files.exit"
exit $code
"""


class CannotStart(Exception):
    """The command cannot be run; the text says why."""


class Shim:
    """`files` is a path to which `.pid`, `.exit` and `.log` are added; its directory is made when needed."""

    def __init__(self, container_id: str, files: Path) -> None:
        self.container_id = container_id
        self._files = files
        self._pid: int | None = None
        self._is_child = False

    @property
    def log(self) -> Path:
        return self._file("log")

    def start(self, command: Sequence[str], env: Mapping[str, str], working_dir: Path) -> None:
        """Raises CannotStart."""
        if not working_dir.is_dir():
            raise CannotStart(f'chdir to cwd ("{working_dir}") failed: no such directory')
        name = command[0]
        # A name with a slash is relative to where the command works, not to where kubelet does.
        path = str(working_dir / name) if "/" in name else name
        executable = shutil.which(path, path=env.get("PATH", os.defpath))
        if executable is None:
            raise CannotStart(f'exec: "{name}": executable file not found in $PATH')
        arguments = (self.container_id, str(self._files), str(working_dir), executable, *command[1:])
        try:
            self._files.parent.mkdir(parents=True, exist_ok=True)
            self._pid = os.posix_spawn(
                _SHELL,
                [_SHELL, "-c", _SCRIPT, *arguments],
                env,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, str(self.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=(),
                # Python ignores these; what it starts should not.
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            )
        except (OSError, ValueError) as error:
            raise CannotStart(f'exec: "{name}": {error}') from error
        self._is_child = True

    def find(self) -> bool:
        """Takes up a process that another kubelet started. False when it is no longer there."""
        with contextlib.suppress(OSError, ValueError):
            self._pid = int(self._file("pid").read_text())
        return self.alive()

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
        """SIGTERM to the command, as to a container's first process; to all of them where it cannot be told apart."""
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children")
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(children.read_text().split(maxsplit=1)[0]), signal.SIGTERM)
            return
        self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the command, and to everything it has started that did not leave its process group."""
        self._signal_group(signal.SIGKILL)

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

    def exit_code(self) -> int:
        """Of a process that has ended. Nobody can write one after SIGKILL."""
        try:
            return int(self._file("exit").read_text())
        except (OSError, ValueError):
            return EXIT_SIGKILL

    def remove(self) -> None:
        """The files of a process that has ended."""
        for suffix in ("pid", "part", "exit", "log"):
            self._file(suffix).unlink(missing_ok=True)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, number)

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
