"""The GPU driver that a command talks to: the real one, or a simulated one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from aliquot.gpu.driver import Driver


def driver_option(command: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--driver",
        "driver_name",
        default="nvml",
        show_default=True,
        metavar="nvml|simulated:INVENTORY",
        help="The real driver, or a simulated one with the GPUs of an inventory.",
    )(command)


def open_driver(name: str, node_name: str, *, state_file: Path | None = None, wait: bool = False) -> "Driver":
    """The driver that `--driver` names; a simulated one keeps its state in `state_file`. `wait`: the real one may come
    later.

    Raises click.ClickException with the fix.
    """
    from aliquot.document import DocumentError
    from aliquot.gpu.driver import DriverError

    kind, _, inventory_path = name.partition(":")
    if kind == "nvml" and not inventory_path:
        from aliquot.gpu.late_driver import late
        from aliquot.gpu.nvml import NvmlDriver

        if wait:
            return late(NvmlDriver)
        try:
            return NvmlDriver()
        except DriverError as error:
            raise click.ClickException(
                f"{error}; without a GPU, try --driver simulated:INVENTORY; to wait for the driver, "
                "--fail-on-init-error=false"
            ) from error
    if kind == "simulated" and inventory_path:
        from aliquot.gpu import inventory
        from aliquot.gpu.simulated import SimulatedDriver

        try:
            machine = inventory.load(Path(inventory_path)).node(node_name)
        except DocumentError as error:
            raise click.ClickException(str(error)) from error
        except KeyError as error:
            raise click.ClickException(f"{inventory_path}: {error.args[0]}") from error
        try:
            return SimulatedDriver(machine.gpus, node=node_name, fabric=machine.fabric, state_file=state_file)
        except ValueError as error:
            raise click.ClickException(f"{state_file}: {error}; delete the file to begin anew") from error
        except OSError as error:
            raise click.ClickException(
                f"{state_file}: {error.strerror}; is --kubelet-dir one that 'aliquot status' shows?"
            ) from error
    raise click.UsageError(f"--driver {name!r} is neither 'nvml' nor 'simulated:INVENTORY'")
