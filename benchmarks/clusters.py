"""A cluster of `aliquot up` for benchmarks, and the memory of all its processes."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ALIQUOT = Path(sys.executable).parent / "aliquot"


@dataclass(frozen=True)
class UpCluster:
    kubeconfig: Path
    ready_after_s: float
    """From the start of the command to its word that every node is ready."""
    process: psutil.Process

    def processes(self) -> list[psutil.Process]:
        """The API server's first; then that of the nodes, of many of them."""
        return [self.process, *self.process.children(recursive=True)]

    def resident_mib(self) -> float:
        return sum(process.memory_info().rss for process in self.processes()) / 2**20

    def cpu_s(self) -> float:
        return sum(map(cpu_s, self.processes()))


@contextmanager
def cluster(*arguments: str) -> Iterator[UpCluster]:
    with tempfile.TemporaryDirectory(prefix="aliquot-bench-") as state:
        started = time.perf_counter()
        subprocess.run(
            [ALIQUOT, "up", "--detach", "--state", state, *arguments], check=True, stdout=subprocess.DEVNULL
        )
        ready_after_s = time.perf_counter() - started
        try:
            status = subprocess.run(
                [ALIQUOT, "status", "--state", state, "-o", "json"],
                check=True,
                capture_output=True,
                text=True,
            )
            pid = json.loads(status.stdout)["pid"]
            yield UpCluster(Path(state) / "kubeconfig", ready_after_s, psutil.Process(pid))
        finally:
            subprocess.run([ALIQUOT, "down", "--state", state], check=True, stdout=subprocess.DEVNULL)


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> str:
    return f"{os.cpu_count()} cores, Python {sys.version.split()[0]}"
