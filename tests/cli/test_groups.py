"""Every command that is written can be called."""

import importlib
import pkgutil

import click
import pytest

import aliquot.cli
from aliquot.cli.main import COMMANDS, cli


def _commands_of(module: str) -> list[click.Command]:
    found = vars(importlib.import_module(module)).values()
    return [one for one in found if isinstance(one, click.Command)]


def _reachable(command: click.Command) -> list[click.Command]:
    if not isinstance(command, click.Group):
        return [command]
    context = click.Context(command)
    below = [command.get_command(context, name) for name in command.list_commands(context)]
    return [command, *(one for child in below if child is not None for one in _reachable(child))]


@pytest.mark.parametrize(
    "package", [aliquot.cli.__name__, "aliquot.cli.access", "aliquot.cli.mig", "aliquot.cli.partition"]
)
def test_every_command_is_in_a_group(package: str) -> None:
    context = click.Context(cli)
    called = {
        id(one)
        for name in COMMANDS
        if (top := cli.get_command(context, name)) is not None
        for one in [top, *_reachable(top)]
    }
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    for module in modules:
        if not module.ispkg:
            for command in _commands_of(module.name):
                assert command is cli or id(command) in called, f"{module.name}: {command.name}"
