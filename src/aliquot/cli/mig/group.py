"""The group of the `mig` commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from aliquot.cli.mig.applying import apply_config, recover, restore
from aliquot.cli.mig.checking import assert_applied, plan_changes
from aliquot.cli.mig.checkpointing import checkpoint
from aliquot.cli.mig.outcomes import Exit
from aliquot.cli.mig.profiles import profiles
from aliquot.cli.mig.writing import export, generate


class _Group(click.Group):
    """A wrong command line is bad input, 1: 2 is what `plan` says of changes."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _bad_input():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _bad_input():
            return super().invoke(ctx)


@contextmanager
def _bad_input() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        # Of the class for click's stubs; click itself reads the instance's.
        error.exit_code = int(Exit.BAD_INPUT)  # type: ignore[misc]
        raise


@click.group(cls=_Group)
def mig() -> None:
    """Cut GPUs into MIG slices, by the files of mig-parted: try on paper, apply, verify, put back.

    \b
    Exit codes:
      0  done, or nothing to do
      1  bad input: a file, an option, a path; assert: not applied
      2  plan: there is something to do
      3  somebody uses what has to go
      4  these GPUs cannot be so
      5  the driver failed: a lost GPU, no permission
      6  a change was cut short: `aliquot mig recover`
      7  a MIG mode waits for a reset or a reboot: then apply again
    """


for command in (
    profiles,
    plan_changes,
    apply_config,
    assert_applied,
    export,
    generate,
    checkpoint,
    restore,
    recover,
):
    mig.add_command(command)
