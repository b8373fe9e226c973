"""`aliquot mig plan` and `aliquot mig assert`: what a configuration would change, and whether it would. Neither does."""

import click

from aliquot.cli.mig.configuring import chosen, config_options, goals, refuse_lost
from aliquot.cli.mig.machines import Source, machines
from aliquot.cli.mig.options import source_options
from aliquot.cli.mig.outcomes import Exit
from aliquot.cli.output import Format, emit, output_option


@click.command("plan", short_help="Show what a configuration would change.")
@config_options
@source_options
@output_option
def plan_changes(file: str, name: str | None, mode_only: bool, source: Source, output: Format) -> None:
    """Show what would change, slot by slot, and what would stay. Changes nothing.

    Exit code 0: nothing to do; 2: changes; 3: somebody uses what has to go; 4: these GPUs cannot be so.
    """
    from aliquot.cli.mig.planning import documents, plan, refuse, show

    entries = chosen(file, name)
    with machines(source) as found:
        planned = plan(found, goals(entries, mode_only=mode_only))
        if output is Format.TABLE:
            show(planned)
        else:
            emit(output, lambda: list(documents(planned)), columns=(), rows=())
        refuse_lost(found, entries)
    refuse(planned)
    if any(one.steps for one in planned):
        raise click.exceptions.Exit(Exit.CHANGES)


@click.command("assert", short_help="Check that a configuration is applied.")
@config_options
@click.option(
    "-a",
    "--valid-config",
    is_flag=True,
    envvar="MIG_PARTED_VALID_CONFIG",
    help="Only that the file is good and has the configuration.",
)
@source_options
def assert_applied(file: str, name: str | None, mode_only: bool, valid_config: bool, source: Source) -> None:
    """Exit code 0 if the GPUs are as the configuration wants them, 1 if not, with the reason for each GPU."""
    from aliquot.cli.mig.planning import differences, plan, refuse
    from aliquot.node.mig.reconfiguration import Refused

    entries = chosen(file, name)
    if valid_config:
        click.echo("the configuration is valid")
        return
    with machines(source) as found:
        refuse_lost(found, entries)
        planned = plan(found, goals(entries, mode_only=mode_only, all_matched=True))
    if any(isinstance(one.outcome, Refused) and one.outcome.reason == "NotAnswering" for one in planned):
        refuse(planned)
    if different := differences(planned):
        raise click.ClickException("\n".join(("the configuration is not applied", *different)))
    click.echo("the configuration is applied")
