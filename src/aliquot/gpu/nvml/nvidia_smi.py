"""What the driver does only when nvidia-smi asks: resets, and the length of time slices."""

import subprocess

from aliquot.gpu.driver import DriverError, ReturnCode
from aliquot.gpu.nvml.session import return_code

_TIMEOUT_S = 120.0


def nvidia_smi(gpu_uuid: str, *arguments: str) -> None:
    """Of one GPU. Raises DriverError."""
    try:
        done = subprocess.run(
            ["nvidia-smi", *arguments, "-i", gpu_uuid],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        what = f"{arguments[0].lstrip('-')} of a GPU needs nvidia-smi, which is not on the path"
        raise DriverError(ReturnCode.NOT_SUPPORTED, what) from None
    except subprocess.TimeoutExpired:
        what = f"{gpu_uuid}: nvidia-smi {arguments[0]} did not end in time"
        raise DriverError(ReturnCode.TIMEOUT, what) from None
    if done.returncode != 0:
        lines = (line.strip() for line in (done.stdout + done.stderr).split("\n"))
        said = next(filter(None, lines), f"nvidia-smi ended with {done.returncode}")
        raise DriverError(return_code(done.returncode), f"{gpu_uuid}: {said}")
