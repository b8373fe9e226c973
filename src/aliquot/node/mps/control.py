"""One control daemon, as NVIDIA's program runs it and talks to it.

The daemon is a child of ours while we live, and goes on when we are gone: its clients must not end because an agent is
exchanged. The next agent finds it by its pipe directory, and asks it like its own.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

SERVERS = "get_server_list"
"""The command whose answer is a line with the process id of each server."""
QUIT = "quit"
_PROGRAM = "nvidia-cuda-mps-control"
_ANSWER_S = 5.0


class ControlError(Exception):
    """One line: what the daemon, or the program that asks it, said."""


class Control(Protocol):
    """What `daemons` asks of MPS, for the device that `environment` names."""

    async def start(self, environment: Mapping[str, str]) -> None:
        """Raises ControlError."""
        ...

    async def ask(self, environment: Mapping[str, str], command: str) -> str:
        """The daemon's answer. Raises ControlError where none answers."""
        ...


def environment(device_id: str, pipe: Path, log: Path) -> dict[str, str]:
    """By which a daemon, its clients and who asks it find each other."""
    return {
        "CUDA_VISIBLE_DEVICES": device_id,
        "CUDA_MPS_PIPE_DIRECTORY": str(pipe),
        "CUDA_MPS_LOG_DIRECTORY": str(log),
    }


class NvidiaControl:
    """Through nvidia-cuda-mps-control, which is on the path where the driver is."""

    async def start(self, environment: Mapping[str, str]) -> None:
        # `-d` returns once the daemon listens, or says why it does not.
        await self._run(environment, ["-d"], "")

    async def ask(self, environment: Mapping[str, str], command: str) -> str:
        return await self._run(environment, [], command + "\n")

    async def _run(self, environment: Mapping[str, str], arguments: list[str], text: str) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                _PROGRAM,
                *arguments,
                env={**os.environ, **environment},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # Signals to this process are not for the daemon.
                start_new_session=True,
            )
        except OSError as error:
            raise ControlError(f"{_PROGRAM}: {error.strerror or error}") from error
        try:
            async with asyncio.timeout(_ANSWER_S):
                output, _ = await process.communicate(text.encode())
        except TimeoutError:
            process.kill()
            await process.wait()
            raise ControlError(f"{_PROGRAM} does not answer within {_ANSWER_S:g} s") from None
        said = output.decode(errors="replace").strip()
        if process.returncode:
            raise ControlError(said.partition("\n")[0] or f"{_PROGRAM} ended with {process.returncode}")
        return said
