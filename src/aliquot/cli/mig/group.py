"""The group of the `mig` commands."""

import click

from aliquot.cli.mig.applying import apply_config, recover, restore
from aliquot.cli.mig.checking import assert_applied, plan_changes
from aliquot.cli.mig.checkpointing import checkpoint
from aliquot.cli.mig.profiles import profiles
from aliquot.cli.mig.writing import export, generate


@click.group()
def mig() -> None:
    """Cut GPUs into MIG slices, by the files of mig-parted: try on paper, apply, verify, put back.

    \b
    Exit codes:
      0  done, or nothing to do
      1  bad input: a file, an option, a path; assert: not applied
      2  plan: there is something to do; or the command line was wrong
      3  somebody uses what has to go
      4  these GPUs cannot be so
      5  the driver failed: a lost GPU, no permission
      6  a change was cut short: `aliquot mig recover`
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
