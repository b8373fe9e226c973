"""Drives a run: the lines it says, and what its end means for the exit code."""

import asyncio
import os
import secrets
import signal
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.eks.records import somebody
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.estate.estate import Estate
    from aliquot.eks.plan.plan import Plan
    from aliquot.eks.upgrade.doing import Doors
    from aliquot.eks.upgrade.journal import Journal
    from aliquot.eks.upgrade.steps import Step

HELD = 3
"""Exit code: a person has to decide."""
_STOPPED = 130


def until_stopped(work: Coroutine[Any, Any, int], on: str) -> int:
    """The exit code of the work. Ctrl-C and SIGTERM end it in order: what it holds is given back. `on`: how one goes on."""

    async def listening() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(listening())
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo(f"stopped; what EKS has begun it sees to its end; {on}", err=True)
        return _STOPPED


@cache
def who_drives() -> str:
    """This process, as leases name it, and no other: in containers host and number are often the same."""
    return f"{somebody()}/{os.getpid()}-{secrets.token_hex(3)}"


async def read(doors: "Doors", cluster: str) -> "Estate":
    """All of it, as a plan rests on it. Raises Failure, ApiError."""
    from aliquot.eks.estate.reading import from_aws, with_objects
    from aliquot.eks.versions import removals

    estate = await from_aws(doors.api, cluster, clock=doors.aws_time)
    return await with_objects(estate, doors.kube, removals.shipped(), helm=False)


async def drive(
    doors: "Doors", kept: "Journal", run: str, plan: "Plan", *, poll_s: float, before: str = ""
) -> int:
    """To its end, or until it is held; the exit code. `before`: each line."""
    from aliquot.eks.upgrade.runner import Runner
    from aliquot.eks.upgrade.updates import POLL_S
    from aliquot.sql.failures import Unreachable

    owner = who_drives()
    said = _Said(before)
    runner = Runner(
        doors,
        kept,
        run,
        plan.steps,
        owner=owner,
        windows=plan.options.windows,
        ends=kept.ends(run),
        pace=poll_s / POLL_S,
        tell=said,
    )
    try:
        held = await runner.go()
    finally:
        # What ended it is to be told, and not that the journal is gone, too.
        with suppress(Unreachable):
            kept.release(run, owner)
    if held is None:
        click.echo(f"{before}{run} is {kept.ends(run)}")
        return 0
    click.echo(f"{before}held: {held.why}\n{before}to do: {held.todo}", err=True)
    return HELD


class _Said:
    """Each line once, as long as it stays the same."""

    def __init__(self, before: str) -> None:
        self._before = before
        self._last = ("", "")

    def __call__(self, step: "Step", line: str) -> None:
        if (step.id, line) == self._last:
            return
        self._last = (step.id, line)
        now = datetime.fromtimestamp(SystemClock().now(), UTC)
        click.echo(f"{self._before}{now:%H:%M:%S}  {step.id}  {line}")
