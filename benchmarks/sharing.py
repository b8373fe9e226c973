"""A GPU shared by 1, 2, 4 and 7 processes that launch the same kernel: by time, under MPS, and by MIG where it is on.

Two kernels: one fills the GPU, so that sharing can only divide it; the other takes an eighth, so that what lets several
run at once gains. No setting of the GPU is changed: MPS is a daemon of our own that ends with its measurement. Writes
build/sharing.png as well, where matplotlib is installed.
"""

import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.clusters import percentile

PROCESSES = (1, 2, 4, 7)
WORKER = (sys.executable, "-m", "benchmarks.sharing_worker")
CHART = Path("build/sharing.png")
_CONTROL = "nvidia-cuda-mps-control"
_START_S = 120.0
"""For a process to load the driver, and for a kernel to be compiled for the GPU."""

Environment = Mapping[str, str]


def main(short: bool = False) -> None:
    gpu = _first_gpu()
    if gpu is None:
        print("no NVIDIA GPU that nvidia-smi can list: nothing was measured")
        return
    seconds = 2.0 if short else 10.0
    with tempfile.TemporaryDirectory(prefix="aliquot-") as directory:
        nobody = {"CUDA_VISIBLE_DEVICES": gpu.device, "CUDA_MPS_PIPE_DIRECTORY": f"{directory}/no-daemon"}
        try:
            full = int(_checked([*WORKER, "0", "0"], nobody))
        except WorkerFailed as error:
            print(f"{gpu.product}: CUDA cannot be used, nothing was measured: {error}")
            return
        print(f"{gpu.product}: {gpu.device}, each figure over {seconds:g} s")
        measured: list[Measured] = []
        for kernel, blocks in (("fills the GPU", full), ("an eighth of it", max(1, full // 8))):
            command = [*WORKER, str(blocks), str(seconds)]
            for way in _ways(gpu, Path(directory)):
                measured += _measure(kernel, way, command, seconds)
    print("\n".join(table(measured)))
    _chart(measured, CHART)


# --- arithmetic ---


@dataclass(frozen=True)
class Measured:
    kernel: str
    way: str
    processes: int
    per_second: tuple[float, ...]
    """Launches of each process."""
    took_ms: tuple[float, ...]
    """Every launch of every process."""
    failure: str = ""

    @property
    def total_per_second(self) -> float:
        return sum(self.per_second)


def fairness(values: Sequence[float]) -> float:
    """Jain's index: 1 where all have the same, 1/n where one has all."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 0.0


def measured_from(kernel: str, way: str, launches_ms: Sequence[Sequence[float]], seconds: float) -> Measured:
    return Measured(
        kernel,
        way,
        len(launches_ms),
        tuple(len(one) / seconds for one in launches_ms),
        tuple(ms for one in launches_ms for ms in one),
    )


def alone(measured: Sequence[Measured], kernel: str) -> float:
    """Launches per second of one process that has the GPU to itself: what was measured first for this kernel."""
    return next((m.total_per_second for m in measured if m.kernel == kernel and m.processes == 1), 0.0)


def table(measured: Sequence[Measured]) -> list[str]:
    lines = [
        f"  {'kernel':<17}{'shared':<18}{'processes':>9}{'launches/s':>12}{'x alone':>9}"
        f"{'p50 ms':>9}{'p99 ms':>9}{'fairness':>10}"
    ]
    for one in measured:
        start = f"  {one.kernel:<17}{one.way:<18}{one.processes:>9}"
        if one.failure or not one.took_ms:
            lines.append(f"{start}   {one.failure or 'no launch ended in time'}")
            continue
        base = alone(measured, one.kernel)
        took_ms = list(one.took_ms)
        lines.append(
            f"{start}{one.total_per_second:>12.1f}{one.total_per_second / base if base else 0:>9.2f}"
            f"{percentile(took_ms, 0.5):>9.2f}{percentile(took_ms, 0.99):>9.2f}{fairness(one.per_second):>10.3f}"
        )
    return lines


# --- the GPU, and the ways to share it ---


@dataclass(frozen=True)
class SharedGpu:
    product: str
    uuid: str
    slices: tuple[str, ...]
    """MIG UUIDs; empty where MIG is off."""

    @property
    def device(self) -> str:
        """What is shared by time and under MPS: the GPU, or with MIG its first slice."""
        return self.slices[0] if self.slices else self.uuid


def first_listed(text: str) -> SharedGpu | None:
    """The first GPU that `nvidia-smi -L` prints, with its slices."""
    found: SharedGpu | None = None
    for line in text.splitlines():
        if gpu := re.match(r"GPU \d+: (.+) \(UUID: (GPU-[^)]+)\)", line):
            if found is not None:
                break
            found = SharedGpu(gpu[1], gpu[2], ())
        elif found and (mig := re.match(r"\s+MIG .+\(UUID: (MIG-[^)]+)\)", line)):
            found = SharedGpu(found.product, found.uuid, (*found.slices, mig[1]))
    return found


def _first_gpu() -> SharedGpu | None:
    if shutil.which("nvidia-smi") is None:
        return None
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return first_listed(listed.stdout) if listed.returncode == 0 else None


@dataclass(frozen=True)
class Way:
    name: str
    environment: Callable[[int, int], Environment]
    """(which process, of how many) -> what it is started with."""
    daemon: Environment | None = None
    """Of the MPS daemon that must run."""
    at_most: int = max(PROCESSES)
    """Processes."""


def _ways(gpu: SharedGpu, directory: Path) -> Iterator[Way]:
    apart = {"CUDA_MPS_PIPE_DIRECTORY": str(directory / "no-daemon")}
    shared = {"CUDA_VISIBLE_DEVICES": gpu.device}
    yield Way("by time", lambda _which, _count: shared | apart)
    if shutil.which(_CONTROL) is not None:
        daemon = shared | {
            "CUDA_MPS_PIPE_DIRECTORY": str(directory / "pipe"),
            "CUDA_MPS_LOG_DIRECTORY": str(directory / "log"),
        }
        # A client finds its GPU by what the daemon was told of; to say it again would number it anew.
        client = {"CUDA_MPS_PIPE_DIRECTORY": daemon["CUDA_MPS_PIPE_DIRECTORY"]}
        yield Way("MPS", lambda _which, _count: client, daemon)
        yield Way("MPS, 1/n each", lambda _which, count: client | limits(count), daemon)
    if gpu.slices:
        yield Way(
            "MIG",
            lambda which, _count: {"CUDA_VISIBLE_DEVICES": gpu.slices[which]} | apart,
            at_most=len(gpu.slices),
        )


def limits(count: int) -> dict[str, str]:
    """Of one client in `count`."""
    return {
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(100 // count),
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=1G",
    }


@contextmanager
def _mps(environment: Environment | None) -> Iterator[None]:
    if environment is None:
        yield
        return
    for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"):
        Path(environment[name]).mkdir(exist_ok=True)
    _checked([_CONTROL, "-d"], environment)
    try:
        yield
    finally:
        subprocess.run(
            [_CONTROL],
            env=os.environ | environment,
            input="quit\n",
            text=True,
            check=False,
            capture_output=True,
        )


# --- processes ---


class WorkerFailed(Exception):
    """One line of what it said."""


def _measure(kernel: str, way: Way, command: Sequence[str], seconds: float) -> Iterator[Measured]:
    for count in PROCESSES:
        if count > way.at_most:
            continue
        try:
            with _mps(way.daemon):
                environments = [way.environment(which, count) for which in range(count)]
                launches_ms = together(command, environments, seconds)
        except WorkerFailed as error:
            yield Measured(kernel, way.name, count, (), (), str(error))
        else:
            yield measured_from(kernel, way.name, launches_ms, seconds)


def together(
    command: Sequence[str], environments: Sequence[Environment], seconds: float
) -> list[list[float]]:
    """What each process measured; they start when all of them are ready. Raises WorkerFailed."""
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(command, environment)) for environment in environments]
        for worker in workers:
            assert worker.stdout is not None
            if worker.stdout.readline().strip() != "ready":
                _, said = worker.communicate(timeout=_START_S)
                raise WorkerFailed(_last_line(said))
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        results = []
        for worker in workers:
            out, said = worker.communicate(timeout=seconds + _START_S)
            if worker.returncode:
                raise WorkerFailed(_last_line(said))
            results.append(json.loads(out))
        return results


@contextmanager
def _worker(command: Sequence[str], environment: Environment) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    worker = subprocess.Popen(
        command, env=os.environ | environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.communicate()


def _checked(command: Sequence[str], environment: Environment) -> str:
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=_START_S
    )
    if done.returncode:
        raise WorkerFailed(_last_line(done.stderr or done.stdout))
    return done.stdout


def _last_line(said: str) -> str:
    return said.strip().rpartition("\n")[2] or "it ended without a word"


# --- the chart ---


def _chart(measured: Sequence[Measured], path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        return
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    kernels = list(dict.fromkeys(one.kernel for one in measured))
    figure, panels = pyplot.subplots(2, len(kernels), figsize=(6 * len(kernels), 8), squeeze=False)
    for column, kernel in enumerate(kernels):
        base = alone(measured, kernel)
        for way in dict.fromkeys(one.way for one in measured):
            of_way = [m for m in measured if (m.kernel, m.way) == (kernel, way) and m.took_ms]
            counts = [one.processes for one in of_way]
            rates = [one.total_per_second / base if base else 0 for one in of_way]
            panels[0][column].plot(counts, rates, marker="o", label=way)
            late_ms = [percentile(list(one.took_ms), 0.99) for one in of_way]
            panels[1][column].plot(counts, late_ms, marker="o", label=way)
        panels[0][column].set(title=kernel, ylabel="launches, in those of one process alone")
        panels[1][column].set(xlabel="processes", ylabel="p99 of a launch, ms")
        panels[0][column].legend()
        for panel in panels[:, column]:
            panel.set_ylim(bottom=0)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)
    print(f"  drawn in {path}")
