"""A child process on any event loop: started without a fork of ours, awaited and talked to without a thread.

asyncio's own way ends in the event loop's: uvloop forks, and with the threads of gRPC about such a child dies of it
now and then. The standard library's way runs none of our code in the child.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Callable, Sequence

from aliquot.emulator.kubelet.runtimes.shim import Command

_CHUNK_BYTES = 1 << 15
_POLL_S = 0.05
"""Where the system cannot tell of a process' end."""


class LocalProcess:
    """It leads a session of its own. Where standard streams are pipes, the near ends are the caller's."""

    def __init__(
        self,
        command: Command,
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Raises OSError, ValueError."""
        self._process = subprocess.Popen(
            command.command,
            executable=command.executable,
            env=command.env,
            cwd=command.directory,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            start_new_session=True,
            bufsize=0,
        )
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        self.stdin, self.stdout, self.stderr = (
            Pipe(os.dup(stream.fileno())) if stream is not None else None for stream in streams
        )
        for stream in streams:
            if stream is not None:
                stream.close()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    async def ended(self) -> int:
        """Its exit code, as a shell has it: of a process that was killed, 128 and the signal's number."""
        while (code := self._process.poll()) is None:
            await self._changed()
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """And with it what it has left in its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _changed(self) -> None:
        if not hasattr(os, "pidfd_open"):
            await asyncio.sleep(_POLL_S)
            return
        descriptor = os.pidfd_open(self._process.pid)
        try:
            await _readable(descriptor)
        finally:
            os.close(descriptor)


class Pipe:
    """The near end of a pipe or a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._open = True
        os.set_blocking(descriptor, False)

    async def chunks(self, until: "asyncio.Future[int] | None" = None) -> AsyncGenerator[bytes, None]:
        """What comes, until nobody holds the far end any more; or until what is there when `until` is done."""
        while self._open:
            over = until is not None and until.done()
            try:
                chunk = os.read(self._descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                if over:
                    return
                await _readable(self._descriptor, until)
                continue
            except OSError:
                # Of a terminal, Linux says so when the far end is closed.
                return
            if not chunk:
                return
            yield chunk

    async def write(self, data: bytes) -> None:
        """What the far end does not take any more is lost."""
        while data and self._open:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                await _writable(self._descriptor)
            except OSError:
                return

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        """Nobody must be reading or writing."""
        if self._open:
            self._open = False
            os.close(self._descriptor)


async def _readable(descriptor: int, until: "asyncio.Future[int] | None" = None) -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _once(told))
    try:
        if until is None:
            await told
        else:
            await asyncio.wait((told, until), return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(descriptor)


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()
    loop.add_writer(descriptor, _once(told))
    try:
        await told
    finally:
        loop.remove_writer(descriptor)


def _once(future: "asyncio.Future[None]") -> Callable[[], None]:
    def tell() -> None:
        if not future.done():
            future.set_result(None)

    return tell
