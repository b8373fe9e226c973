"""Options that the `mig` commands share."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from aliquot.cli.mig.machines import KUBELET_DIRECTORY, Source
from aliquot.cli.parameters import GivenPath


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command gets them as one `source`."""

    @wraps(command)
    def with_source(
        *args: Any, driver: str, node: str | None, state: Path | None, kubelet_dir: Path, **options: Any
    ) -> Any:
        return command(*args, source=Source(driver, node, state, kubelet_dir), **options)

    for option in (
        click.option(
            "--kubelet-dir",
            type=GivenPath(file_okay=False, path_type=Path),
            default=KUBELET_DIRECTORY,
            show_default=True,
            help="Where a kubelet, if there is one, tells which slices pods hold.",
        ),
        click.option(
            "--state",
            type=GivenPath(file_okay=False, path_type=Path),
            help="Holds simulated GPUs between commands, and the journal of changes.",
        ),
        click.option("--node", metavar="NAME", help="One node of the inventory.  [default: all of them]"),
        click.option(
            "--driver",
            default="nvml",
            show_default=True,
            metavar="nvml|simulated:INVENTORY",
            help="This machine's GPUs, or simulated ones of an inventory.",
        ),
    ):
        with_source = option(with_source)
    return with_source
