"""Runs the commands of a hooks file, as mig-parted runs them."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from aliquot.gpu.mig_config.hooks import HookPoint, Hooks


def load(path: Path | None) -> "Hooks":
    """Raises click.ClickException with the place and the fix."""
    from aliquot.document import DocumentError
    from aliquot.gpu.mig_config import hooks

    if path is None:
        return {}
    try:
        return hooks.load(path)
    except DocumentError as error:
        raise click.ClickException(str(error)) from error


def run(hooks: "Hooks", point: "HookPoint", variables: Mapping[str, str]) -> None:
    """Each gets its own variables and `variables`, and no others. Raises click.ClickException for the first that fails."""
    for number, hook in enumerate(hooks.get(point, ()), 1):
        name = f"hook {number} of {point.value}, {hook.command}"
        try:
            done = subprocess.run(
                [hook.command, *hook.args],
                env={**hook.envs, **variables},
                cwd=hook.workdir or None,
                stdin=subprocess.DEVNULL,
                stdout=2,
                check=False,
            )
        except OSError as error:
            raise click.ClickException(f"{name}: {error.strerror}: {error.filename}") from error
        except ValueError as error:
            raise click.ClickException(f"{name}: {error}") from error
        if done.returncode != 0:
            raise click.ClickException(f"{name}: ended with {done.returncode}")


def variables_of(
    *, config_file: str, name: str | None, hooks_file: Path | None, mode_only: bool, skip_reset: bool
) -> dict[str, str]:
    """What hooks are told of the command's options, and what else of the kind stands in the environment."""
    inherited = {key: value for key, value in os.environ.items() if key.startswith("MIG_PARTED_")}
    return inherited | {
        "MIG_PARTED_CONFIG_FILE": config_file,
        "MIG_PARTED_SELECTED_CONFIG": name or "",
        "MIG_PARTED_HOOKS_FILE": str(hooks_file or ""),
        "MIG_PARTED_MODE_CHANGE_ONLY": "true" if mode_only else "false",
        "MIG_PARTED_SKIP_RESET": "true" if skip_reset else "false",
    }
