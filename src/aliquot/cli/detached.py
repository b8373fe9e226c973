"""A cluster in the background: its process is started, watched until it is ready, and stopped.

The lock of the state directory is taken before anything is touched and handed to the child, so that of two starts at
once one wins and the other changes nothing. What ends the command before the cluster is up ends the child too.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from aliquot.cli.state import Running, StateDirectory

START_DEADLINE_S = 60.0
"""For everything but the nodes."""
STOP_DEADLINE_S = 30.0


def start(state: StateDirectory, arguments: Sequence[str], *, wait_s: float) -> Running:
    """Run `aliquot ARGUMENTS` in a session of its own, its output in the state directory's log.

    Returns when every node is ready, or has had `wait_s` to become so. Raises click.ClickException when the cluster
    does not come up, and then nothing is left running.
    """
    _interrupt_on(signal.SIGTERM, signal.SIGHUP)
    child = None
    try:
        with state.held() as lock, state.log.open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "aliquot.cli.main", *arguments, f"--lock-descriptor={lock}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock],
            )
        return _until_settled(state, child, wait_s)
    except BaseException:
        if child is not None and child.poll() is None:
            click.echo(f"stopping process {child.pid}, which was still starting", err=True)
            _end(child)
        raise


def stop(state: StateDirectory) -> bool:
    """Whether there was anything to stop. Raises click.ClickException when it does not stop."""
    pid = state.holder()
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_DEADLINE_S
    while state.holder() == pid:
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"process {pid} did not stop within {STOP_DEADLINE_S:.0f} s; see {state.log}"
            )
        _pause()
    return True


def _until_settled(state: StateDirectory, child: subprocess.Popen[bytes], wait_s: float) -> Running:
    deadline = time.monotonic() + START_DEADLINE_S + wait_s
    while True:
        if (code := child.poll()) is not None:
            raise click.ClickException(_last_words(state.log, code))
        running = state.running()
        if running is not None and running.pid == child.pid and running.settled:
            return running
        if time.monotonic() > deadline:
            raise click.ClickException(f"not up within {START_DEADLINE_S + wait_s:.0f} s; see {state.log}")
        _pause()


def _last_words(log: Path, code: int) -> str:
    """The one line that says why a command failed; what else is in its log is for those who ask."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith("error: "):
            return line.removeprefix("error: ")
    if not lines and shutil.disk_usage(log.parent).free == 0:
        return f"{log}: the disk is full; free some space, or choose another with --state DIR"
    # What is around a group of exceptions is drawn.
    told = [said for line in lines if (said := line.strip(" |+-"))]
    said = f": {told[-1]}" if told else ""
    return f"the cluster's process ended with code {code}{said}; see {log}"


def _interrupt_on(*signals: signal.Signals) -> None:
    """Treat them as Ctrl-C; one that is ignored (`nohup`) stays so."""
    for number in signals:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _pause() -> None:
    # A command waiting for another process: no event loop, no decision; the poll is its whole work.
    time.sleep(0.05)  # noqa: TID251
