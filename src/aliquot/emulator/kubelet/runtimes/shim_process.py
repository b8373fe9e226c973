"""The process between kubelet and one container, as containerd's shim is: a program of its own, run by its path.

    python -I -S shim_process.py CONTAINER-ID FILES

It lives as long as the container does, whatever becomes of kubelet, and sees to it that

- the container's environment is what FILES.config says, and nothing of anybody else's;
- each line that is printed goes into FILES.log with the time at which it came: `TIME F text`, or `TIME P text` for
  a piece of a line that is longer than a line may be;
- one byte on its standard output says that the command runs: there is none if it cannot be run;
- SIGTERM is passed on to the command, and SIGUSR1 kills it;
- nothing that the container started outlives it. On Linux not even what has left its session: the orphans of all
  its descendants become the shim's own children. Elsewhere, what leaves the session gets away;
- FILES.exit says how it ended: the exit code, and on a second line why it could not even be started.

Imports nothing but a little of the standard library: there is one such process for each container.
"""
# ruff: noqa: PTH104, PTH123, PTH208, TID251 - pathlib is a third of a small interpreter; no event loop to block here

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_CHUNK_BYTES = 1 << 16
_LONGEST_LINE_BYTES = 1 << 14
_SWEEP_INTERVAL_S = 0.01
_START_ERROR = 128
_HANDLED = (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD)
_NOT_DEFAULT_IN_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT)


def main(files: str) -> None:
    with open(f"{files}.pid", "w") as file:
        file.write(str(os.getpid()))
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    output, into = os.pipe()
    try:
        command = _start(f"{files}.config", into)
    except OSError as error:
        _leave_word(files, _START_ERROR, str(error.strerror))
        return
    os.close(into)
    _tell_begun()
    woken = _listen()
    os.set_blocking(output, False)
    log = Log(os.open(f"{files}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640))
    code = _attend(command, woken, output, log)
    log.close()
    _leave_word(files, code)


def _tell_begun() -> None:
    # Whoever started us may be gone.
    with contextlib.suppress(OSError):
        os.write(1, b".")
    os.dup2(2, 1)


def _listen() -> int:
    """Signals arrive as bytes in the descriptor that is returned. Whoever started us has held them back until now."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    for number in _HANDLED:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(wake)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return woken


# The command.


def _start(config_file: str, output: int) -> int:
    """The command's pid. Raises OSError when it cannot be run."""
    with open(config_file) as file:
        config = json.load(file)
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _become(config, output)
        except (OSError, ValueError) as error:
            os.write(tell, str(getattr(error, "errno", errno.EINVAL)).encode())
        finally:
            os._exit(_START_ERROR)
    os.close(tell)
    # A successful exec closes it; otherwise it says what went wrong.
    failure = os.read(told, 16)
    os.close(told)
    if failure:
        os.waitpid(pid, 0)
        why = os.strerror(int(failure)).lower()
        raise OSError(int(failure), f'exec: "{config["command"][0]}": {why}')
    return pid


def _become(config: dict[str, Any], output: int) -> NoReturn:
    """Turns this process into the command."""
    # Should the shim be killed, the command does not go on unattended.
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in _NOT_DEFAULT_IN_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(config["directory"])
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execve(config["executable"], config["command"], config["env"])


def _attend(command: int, woken: int, output: int, log: "Log") -> int:
    """Until the command has ended, and with it all that it started. Returns its exit code."""
    watched = [woken, output]
    while True:
        ready, _, _ = select.select(watched, (), ())
        if output in ready:
            chunk = _read(output)
            if chunk == b"":
                watched.remove(output)
            log.write(chunk or b"")
        if woken in ready:
            signals = os.read(woken, _CHUNK_BYTES)
            if signal.SIGUSR1 in signals:
                _signal(command, signal.SIGKILL)
            elif signal.SIGTERM in signals:
                _signal(command, signal.SIGTERM)
            ended, _ = _reap()
            if command in ended:
                _sweep(command)
                while chunk := _read(output):
                    log.write(chunk)
                return ended[command]


def _read(descriptor: int) -> bytes | None:
    """What is there now; None when there is nothing yet, b"" when nothing will come."""
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except BlockingIOError:
        return None


def _reap() -> tuple[dict[int, int], bool]:
    """Exit codes of the children that have ended, by pid, and whether there are others."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended, False
        if pid == 0:
            return ended, True
        code = os.waitstatus_to_exitcode(status)
        ended[pid] = code if code >= 0 else 128 - code


def _sweep(command: int) -> None:
    """Kills what is left. The children of those who are killed become ours in turn, until nobody is left."""
    with contextlib.suppress(OSError):
        os.killpg(command, signal.SIGKILL)
    while _reap()[1]:
        for pid in _children():
            _signal(pid, signal.SIGKILL)
        time.sleep(_SWEEP_INTERVAL_S)


def _children() -> list[int]:
    """Of this process."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
            parent = file.read().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append(int(pid))
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


# What is left for kubelet to read.


def _leave_word(files: str, code: int, why: str = "") -> None:
    with open(f"{files}.part", "w") as file:
        file.write(f"{code}\n{why}")
    os.rename(f"{files}.part", f"{files}.exit")


class Log:
    """Lines with times, into a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._begun = b""

    def write(self, output: bytes) -> None:
        *lines, rest = (self._begun + output).split(b"\n")
        entries: list[tuple[bytes, bytes]] = []
        for line in lines:
            pieces, last = _pieces(line)
            entries += [*pieces, (b"F", last)]
        pieces, self._begun = _pieces(rest)
        self._enter([*entries, *pieces])

    def close(self) -> None:
        """What was begun without a line end is a line too."""
        if self._begun:
            self._enter([(b"F", self._begun)])
        os.close(self._descriptor)

    def _enter(self, entries: list[tuple[bytes, bytes]]) -> None:
        now = _stamp(time.time_ns())
        text = b"".join(b"%s %s %s\n" % (now, tag, line) for tag, line in entries)
        # A full disk costs lines, not the container.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, text)


def _pieces(line: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Full-length pieces of a line, and its rest."""
    starts = range(0, len(line) - _LONGEST_LINE_BYTES, _LONGEST_LINE_BYTES)
    pieces = [(b"P", line[start : start + _LONGEST_LINE_BYTES]) for start in starts]
    return pieces, line[len(pieces) * _LONGEST_LINE_BYTES :]


def _stamp(unix_ns: int) -> bytes:
    """`2026-01-31T12:00:00.123456789Z`"""
    seconds, fraction_ns = divmod(unix_ns, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{fraction_ns:09d}Z".encode()


if __name__ == "__main__":
    main(sys.argv[2])
