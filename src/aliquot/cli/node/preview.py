"""`aliquot node preview`: what an agent would advertise on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.drivers import driver_option, open_driver
from aliquot.cli.output import Format, emit, output_option, table
from aliquot.cli.plugin_options import config_file_option, plugin_options, read_config, settle

if TYPE_CHECKING:
    from aliquot.node.plugin_config.file import Flags
    from aliquot.node.preview import Preview, PreviewedDevice, PreviewedResource


@click.command()
@driver_option
@click.option("--node-name", default="node-0", show_default=True, help="Which node of the inventory.")
@config_file_option
@click.option(
    "--against",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Another configuration: print what --config-file would change of it.",
)
@plugin_options
@output_option
def preview(
    driver_name: str,
    node_name: str,
    config_file: Path | None,
    against: Path | None,
    given: "Flags",
    output: Format,
) -> None:
    """Print what this node would advertise: resources, device ids, what Allocate would answer, and the Node's labels.

    Exit code 1 when something cannot be advertised; stderr says what and why.
    """
    from aliquot.gpu.simulated import SimulatedDriver
    from aliquot.node import preview as previews
    from aliquot.node.host import Host
    from aliquot.node.inventory import observe
    from aliquot.node.labels.machine_type import read_machine_type

    driver = open_driver(driver_name, node_name)
    snapshot = observe(driver)
    host = Host(driver_here=not isinstance(driver, SimulatedDriver))

    def previewed(path: Path | None) -> "Preview":
        settings = settle(given, read_config(path))
        machine_type = read_machine_type(settings.machine_type_file)
        return previews.preview(snapshot, settings, machine_type, host.companions(settings))

    shown = previewed(config_file)
    if against is not None:
        before = previewed(against)
        changes = previews.changes(before, shown)
        told = [(change.what, change.before or "-", change.after or "-") for change in changes]
        emit(output, lambda: changes, columns=("WHAT", "BEFORE", "AFTER"), rows=told)
        _end_preview(shown)
        return
    rows = []
    for resource in shown.resources:
        rows += [_row(resource, device) for device in resource.devices] or [
            (resource.name, "", "none now", "", "")
        ]
    emit(
        output, lambda: shown, columns=("RESOURCE", "GPU", "WHAT", "DEVICE ID", "ALLOCATE ANSWERS"), rows=rows
    )
    if output.is_table and shown.labels:
        click.echo()
        table(("LABEL", "VALUE"), list(shown.labels.items()))
    _end_preview(shown)


def _end_preview(shown: "Preview") -> None:
    for note in shown.notes:
        click.echo(f"note: {note}", err=True)
    if shown.problems:
        raise click.ClickException("\n       ".join(shown.problems))


def _row(resource: "PreviewedResource", device: "PreviewedDevice") -> tuple[str, str, str, str, str]:
    what = f"{device.profile} at slot {device.start}" if device.profile else "whole GPU"
    ids = device.kubelet_ids
    if ids != (device.id,):
        what = f"{what}, {device.sharing} x {len(ids)}"
    answer = device.answer
    said = [f"{key}={value}" for key, value in sorted(answer.environment.items())]
    said += [f"{host}:{inside}" for inside, host in sorted(answer.mounts.items())]
    said += [f"{key}={value}" for key, value in sorted(answer.annotations.items())]
    said += [name for name in answer.cdi_devices if not answer.annotations]
    shown_id = ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1].rpartition('::')[2]}"
    return (
        resource.name,
        f"{device.gpu_index} {device.product}",
        what,
        shown_id,
        device.fault or " ".join(said),
    )
