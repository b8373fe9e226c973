"""`aliquot completion`: the script that a shell sources to complete our commands."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    For bash: source <(aliquot completion bash)
    """
    from aliquot.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "aliquot", "_ALIQUOT_COMPLETE").source())
