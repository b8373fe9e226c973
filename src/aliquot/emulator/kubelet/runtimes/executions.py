"""Commands that are run beside a container's own, for a person: with pipes, or on a terminal."""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import TypeAlias

import msgspec

from aliquot.emulator.kubelet.runtimes import terminal_process
from aliquot.emulator.kubelet.runtimes.local_process import LocalProcess, Pipe
from aliquot.emulator.kubelet.runtimes.shim import Command
from aliquot.emulator.streaming.session import CannotExecute, Output

Executed: TypeAlias = "Piped | OnTerminal"


def execute(command: Command, *, stdin: bool, tty: bool) -> Executed:
    """Raises CannotExecute."""
    try:
        return _on_terminal(command) if tty else Piped(command, stdin=stdin)
    except (OSError, ValueError) as error:
        raise CannotExecute(f'exec: "{command.command[0]}": {error}') from error


class Piped:
    def __init__(self, command: Command, *, stdin: bool) -> None:
        """Raises OSError, ValueError."""
        self.process = LocalProcess(command, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)

    async def output(self) -> AsyncGenerator[tuple[Output, bytes], None]:
        read: asyncio.Queue[tuple[Output, bytes]] = asyncio.Queue(1)

        async def pump(kind: Output, pipe: Pipe | None) -> None:
            assert pipe is not None
            async for chunk in pipe.chunks():
                await read.put((kind, chunk))
            await read.put((kind, b""))

        pumps = [
            asyncio.create_task(pump(Output.STDOUT, self.process.stdout)),
            asyncio.create_task(pump(Output.STDERR, self.process.stderr)),
        ]
        still_open = len(pumps)
        try:
            while still_open:
                kind, chunk = await read.get()
                if chunk:
                    yield kind, chunk
                else:
                    still_open -= 1
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def write(self, data: bytes) -> None:
        if self.process.stdin is not None:
            await self.process.stdin.write(data)

    def close_input(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        pass

    async def ended(self) -> int:
        return await self.process.ended()

    async def leave(self) -> None:
        self.process.kill()
        await self.process.ended()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def _on_terminal(command: Command) -> "OnTerminal":
    """Raises OSError, ValueError."""
    near, far = pty.openpty()
    try:
        with tempfile.TemporaryFile() as file:
            file.write(msgspec.json.encode({**asdict(command), "env": {"TERM": "xterm", **command.env}}))
            file.seek(0)
            program = (sys.executable, "-I", "-S", terminal_process.__file__, str(file.fileno()))
            between = Command(sys.executable, program, {}, command.directory)
            process = LocalProcess(between, stdin=far, stdout=far, stderr=far, pass_fds=(file.fileno(),))
    except BaseException:
        os.close(near)
        raise
    finally:
        os.close(far)
    return OnTerminal(process, Pipe(near))


class OnTerminal:
    def __init__(self, process: LocalProcess, terminal: Pipe) -> None:
        self.process = process
        self._terminal = terminal

    async def output(self) -> AsyncGenerator[tuple[Output, bytes], None]:
        """Until the command has ended: what it left behind may hold the terminal for long."""
        ended = asyncio.ensure_future(self.process.ended())
        try:
            async with aclosing(self._terminal.chunks(ended)) as chunks:
                async for chunk in chunks:
                    yield Output.STDOUT, chunk
        finally:
            ended.cancel()

    async def write(self, data: bytes) -> None:
        await self._terminal.write(data)

    def close_input(self) -> None:
        """A terminal has no end of input but the one that is typed."""

    def resize(self, columns: int, rows: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._terminal.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def ended(self) -> int:
        return await self.process.ended()

    async def leave(self) -> None:
        self.process.kill()
        await self.process.ended()
        self._terminal.close()
