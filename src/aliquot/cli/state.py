"""The state directory of an emulated cluster: what is in it, who holds it, where its sockets are.

DIR/kubeconfig       admin access, 0600
DIR/cluster.json     what `aliquot status` shows; rewritten at each start
DIR/inventory.yaml   the nodes of the last start
DIR/log              of a detached cluster
DIR/recordings       cycles of the scheduler that failed
DIR/lock             held (flock) by the process that runs the cluster; its process id is in it
DIR/pki, DIR/store.db, DIR/nodes/NAME   the emulator's own
"""

import errno
import fcntl
import hashlib
import os
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from aliquot.emulator.versions import ONCE_ALONE

DEFAULT_PARTITIONING = "static"
_PID_WIDTH = 20
"""So that a shorter number covers a longer one."""

_ENDING_S = 5.0
_SHORT_NAME_CHARACTERS = 20
SIMULATED_GPUS = "aliquot-simulated-gpus.json"
"""In a kubelet directory: where a simulated driver keeps its state, as a real one keeps it in the hardware."""


class StateError(click.ClickException):
    """One line: what is wrong with the state directory, and the fix."""


class Running(msgspec.Struct, kw_only=True):
    """Of the process that holds, or last held, the directory."""

    pid: int
    nodes_pid: int = 0
    """Of the process that runs the nodes, where they have one of their own."""
    server: str
    ready: bool
    """Every node is."""
    settled: bool = True
    """Every node was once, or they were given the time that they may take."""
    nodes: int
    nodes_ready: int = 0
    not_ready: dict[str, str] = {}
    """Why nodes are not ready; the first few of them."""
    joined_by: str
    """`unix sockets` or `memory`: how kubelets and agents are joined."""
    runtime: str
    partitioning: str = DEFAULT_PARTITIONING
    """Of nodes that say none of their own."""
    agents: bool = True
    """Whether the node agents run in this process."""
    operator: bool = False
    """Whether nodes begin bare, and get their software by GPUPolicies."""
    operator_outside: bool = False
    """Whether that is another process's to see to."""
    kubernetes_version: str = ONCE_ALONE
    enabled_apis: tuple[str, ...] = ()
    """API versions turned on that are off by default."""
    kubelet_directories: dict[str, str] = {}
    """By node: what `aliquot node run --kubelet-dir` takes. None where they are joined in memory."""


def default_path() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "aliquot" / "default"


class StateDirectory:
    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.kubeconfig = self.path / "kubeconfig"
        self.inventory = self.path / "inventory.yaml"
        self.log = self.path / "log"
        self.recordings = self.path / "recordings"
        self.store = self.path / "store.db"
        self.export = f"export KUBECONFIG={shlex.quote(str(self.kubeconfig))}"
        """For a shell."""
        self._cluster = self.path / "cluster.json"
        self._lock = self.path / "lock"

    @contextmanager
    def held(self, inherited: int | None = None) -> Iterator[int]:
        """Hold the directory for this process; gives the lock's descriptor.

        A child that inherits the descriptor holds the directory too, and goes on holding it when this process lets
        go: it passes the number as `inherited`. Raises StateError when another process holds the directory.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600) if inherited is None else inherited
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._take(lock)
            os.set_inheritable(lock, False)
            try:
                os.pwrite(lock, f"{os.getpid():<{_PID_WIDTH}}\n".encode(), 0)
            except OSError as error:
                raise self._unusable(error) from error
            yield lock
        finally:
            os.close(lock)

    def _take(self, lock: int) -> None:
        """Raises StateError."""
        deadline = time.monotonic() + _ENDING_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._is_ending() and time.monotonic() < deadline:
                    # A command waiting for another process: no event loop, no decision.
                    time.sleep(0.02)  # noqa: TID251
                    continue
                raise StateError(
                    f"{self.path}: in use by {self._who()}; stop it with 'aliquot down --state {self.path}' or choose another --state"
                ) from None

    def _is_ending(self) -> bool:
        """Whether the process that took the lock was killed, and only that of its nodes has yet to notice."""
        if (pid := self._written_pid()) is None:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False

    def _unusable(self, error: OSError) -> StateError:
        return StateError(f"{error.filename or self.path}: {error.strerror}; {way_out(error)}")

    def holder(self) -> int | None:
        """The process that runs the cluster now; None when there is none."""
        try:
            lock = os.open(self._lock, os.O_RDWR)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if (pid := self._written_pid()) is None:
                raise StateError(
                    f"{self._lock}: held by a process that did not write its id into it; end that process"
                ) from None
            return pid
        finally:
            os.close(lock)
        return None

    def _written_pid(self) -> int | None:
        try:
            return int(self._lock.read_text())
        except (OSError, ValueError):
            return None

    def _who(self) -> str:
        return "another process" if (pid := self._written_pid()) is None else f"process {pid}"

    def running(self) -> Running | None:
        """What the last start wrote; only that of `holder` still runs."""
        try:
            return msgspec.json.decode(self._cluster.read_bytes(), type=Running)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StateError(
                f"{self._cluster}: unreadable ({error}); delete it, nothing else is lost"
            ) from error

    def write_running(self, running: Running) -> None:
        replace_file(self._cluster, msgspec.json.encode(running))

    def _sockets_directory(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:10]
        return Path(tempfile.gettempdir()) / f"aliquot-{os.getuid()}-{digest}"

    def remove_sockets(self) -> None:
        """After a clean stop: they mean nothing to the next start."""
        shutil.rmtree(self._sockets_directory(), ignore_errors=True)

    def gpus(self, node: str) -> Path:
        """Modes and slices of the simulated GPUs of a node."""
        return self.path / "nodes" / node / "gpus.json"

    def kubelet_directory(self, node: str) -> Path:
        """What /var/lib/kubelet is on a machine: private, with `device-plugins/` and `pod-resources/`.

        Its path is short, as a unix socket's has 107 bytes at most. An agent from elsewhere that runs on it finds
        the node's simulated GPUs there, the same that an agent of the cluster has.
        """
        top = self._sockets_directory()
        top.mkdir(mode=0o700, exist_ok=True)
        found = top.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise StateError(f"{top}: not a private directory of this user; remove it")
        path = top / _shortened(node)
        for directory in (path, path / "device-plugins", path / "pod-resources"):
            directory.mkdir(mode=0o700, exist_ok=True)
        link = path / SIMULATED_GPUS
        link.unlink(missing_ok=True)
        link.symlink_to(self.gpus(node))
        return path


def way_out(error: OSError) -> str:
    """What a person can do about a file that cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"{'free some space, or ' if full else ''}choose another with --state DIR"


def _shortened(node: str) -> str:
    if len(node) <= _SHORT_NAME_CHARACTERS:
        return node
    return f"{node[:8]}-{hashlib.sha256(node.encode()).hexdigest()[:10]}"


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write `content` so that a reader sees the old file or the new one, never a part."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
