"""The state directory of an emulated cluster: what is in it, who holds it, where its sockets are.

DIR/kubeconfig       admin access, 0600
DIR/cluster.json     what `aliquot status` shows; rewritten at each start
DIR/inventory.yaml   the nodes of the last start
DIR/log              of a detached cluster
DIR/lock             held (flock) by the process that runs the cluster
DIR/pki, DIR/store.db, DIR/nodes/NAME   the emulator's own
"""

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec


class StateError(click.ClickException):
    """One line: what is wrong with the state directory, and the fix."""


class Running(msgspec.Struct, kw_only=True):
    """Of the process that holds, or last held, the directory."""

    pid: int
    server: str
    ready: bool
    nodes: int
    joined_by: str
    """`unix sockets` or `memory`: how kubelets and agents are joined."""
    runtime: str


def default_path() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "aliquot" / "default"


class StateDirectory:
    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.kubeconfig = self.path / "kubeconfig"
        self.inventory = self.path / "inventory.yaml"
        self.log = self.path / "log"
        self.store = self.path / "store.db"
        self._cluster = self.path / "cluster.json"
        self._lock = self.path / "lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory for this process. Raises StateError when another one does."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = self._lock.open("a+")
        except OSError as error:
            raise StateError(f"{self.path}: {error.strerror}; choose another with --state DIR") from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                running = self.running()
                who = f"process {running.pid}" if running else "another process"
                raise StateError(
                    f"{self.path}: in use by {who}; stop it with 'aliquot down --state {self.path}' or choose another --state"
                ) from None
            yield

    def is_held(self) -> bool:
        """Whether some process runs the cluster now."""
        try:
            handle = self._lock.open("a+")
        except OSError:
            return False
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def running(self) -> Running | None:
        """What the last start wrote; check `is_held` to know whether it still runs."""
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

    def sockets(self, node: str) -> Path:
        """A short private directory with `device-plugins/` and `pod-resources/` of a node: a unix socket's path
        has 107 bytes at most."""
        top = self._sockets_directory()
        top.mkdir(mode=0o700, exist_ok=True)
        found = top.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise StateError(f"{top}: not a private directory of this user; remove it")
        path = top / node
        for directory in (path, path / "device-plugins", path / "pod-resources"):
            directory.mkdir(mode=0o700, exist_ok=True)
        return path


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
