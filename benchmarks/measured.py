"""A process, and what it took: the kernel's figures."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    wall_s: float
    cpu_s: float
    most_mib: float
    said: str


def run(command: Sequence[str], *, ends: Sequence[int] = (0,)) -> Run:
    """`ends`: exit codes that are right."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ends:
        raise SystemExit(f"{command}: {process.returncode} {said!r}")
    return Run(
        wall_s=time.perf_counter() - began,
        cpu_s=used.ru_utime + used.ru_stime,
        most_mib=used.ru_maxrss / 1024,
        said=said.decode(),
    )
