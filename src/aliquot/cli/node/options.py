"""What the commands of a node have in common."""

import os
from typing import Any

import click


def node_name_option(command: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--node-name",
        default=lambda: os.environ.get("NODE_NAME"),
        callback=_given,
        help="Name of the Node.  [default: $NODE_NAME]",
    )(command)


def _given(_ctx: click.Context, _param: click.Parameter, value: Any) -> str:
    if not value:
        raise click.UsageError("which node is this? Give --node-name or $NODE_NAME")
    return str(value)
