"""Groups of commands that import one only to run it, so that `--help` stays fast."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

Listed = tuple[str, str, str]
"""The module, its attribute, and one line of help, which stands in the list so that nothing is imported to show it."""


class LazyGroup(click.Group):
    def __init__(self, *args: Any, listed: Mapping[str, Listed], **more: Any) -> None:
        super().__init__(*args, **more)
        self._listed = listed

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._listed:
            return None
        module, attribute, _ = self._listed[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in self._listed.items()])
