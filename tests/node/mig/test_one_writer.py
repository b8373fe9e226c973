import os
import subprocess
import sys
from pathlib import Path

import pytest

from aliquot.node.mig.one_writer import GpuHeld, held


def test_a_second_writer_learns_who_the_first_is(tmp_path: Path) -> None:
    message = f"^process {os.getpid()} is changing GPU-1: wait until it has ended$"
    with (
        held(tmp_path / "new", "GPU-1"),
        held(tmp_path / "new", "GPU-2"),
        pytest.raises(GpuHeld, match=message),
        held(tmp_path / "new", "GPU-1"),
    ):
        pass
    with held(tmp_path / "new", "GPU-1"):
        pass


def test_an_error_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path, "GPU-1"):
        _ = 1 / 0
    with held(tmp_path, "GPU-1"):
        pass


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys, time\n"
        "from aliquot.node.mig.one_writer import held\n"
        "with held(pathlib.Path(sys.argv[1]), 'GPU-1'):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(GpuHeld, match=f"process {other.pid} "), held(tmp_path, "GPU-1"):
            pass
        other.kill()
    with held(tmp_path, "GPU-1"):
        pass


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(GpuHeld, match=r"file/x.*: Not a directory: choose another --state"),
        held(tmp_path / "file" / "x", "GPU-1"),
    ):
        pass
