"""Where a daemon meets its clients: pipes, logs, and the shared memory that is mounted at /dev/shm. Blocks."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_LEAST_SHM_BYTES = 64 << 20
_MEMINFO = Path("/proc/meminfo")


class DirectoryError(Exception):
    """One line: which place cannot be had, and why."""


@dataclass(frozen=True, slots=True)
class Directories:
    """`root` is `mpsRoot`, which this process sees at the host's path."""

    root: Path

    def of(self, device_id: str) -> Path:
        return self.root / device_id

    def pipe(self, device_id: str) -> Path:
        return self.of(device_id) / "pipe"

    def log(self, device_id: str) -> Path:
        return self.of(device_id) / "log"

    @property
    def shm(self) -> Path:
        return self.root / "shm"

    def known(self) -> tuple[str, ...]:
        """Devices that have, or had, a daemon."""
        try:
            return tuple(sorted(one.name for one in self.root.iterdir() if (one / "pipe").is_dir()))
        except FileNotFoundError:
            return ()

    def make(self, device_id: str) -> None:
        """Raises DirectoryError."""
        for path in (self.pipe(device_id), self.log(device_id), self.shm):
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DirectoryError(f"{path}: {error.strerror or error}") from error

    def remove(self, device_id: str) -> None:
        shutil.rmtree(self.of(device_id), ignore_errors=True)

    def exclusive_mark(self, device_id: str) -> Path:
        """There while the GPU's compute mode is ours to restore."""
        return self.of(device_id) / "exclusive"


def mount_shm(path: Path) -> None:
    """A tmpfs of half the machine's memory, as NVIDIA's plugin has it. Raises DirectoryError."""
    if os.path.ismount(path):
        return
    size = max(_LEAST_SHM_BYTES, _memory_bytes() // 2)
    command = ["mount", "-t", "tmpfs", "-o", f"mode=1777,nosuid,nodev,size={size}", "aliquot-mps", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = next(filter(None, done.stderr.splitlines()), f"mount ended with {done.returncode}")
        raise DirectoryError(f"{path}: {said}")


def _memory_bytes() -> int:
    try:
        first = _MEMINFO.read_text().partition("\n")[0]
        return int(first.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return 0
