"""`aliquot scheduler snapshot`: a cluster as the scheduler sees it, in a file."""

from pathlib import Path

import click

from aliquot.cli.connect import cluster_options
from aliquot.cli.parameters import GivenPath
from aliquot.cli.scheduling.recorded import recorded_now, scheduler_names_option


@click.command()
@click.argument("file", type=GivenPath(dir_okay=False))
@scheduler_names_option
@cluster_options
def snapshot(file: str, names: tuple[str, ...], kubeconfig: str | None, context: str | None) -> None:
    """Write all that the scheduler would decide on now into FILE: for 'aliquot scheduler simulate --recording', and for
    'aliquot scheduler replay'. Changes nothing in the cluster."""
    from aliquot.scheduler.recording.document import encoded

    recording = recorded_now(names, kubeconfig, context)
    try:
        Path(file).write_bytes(encoded(recording))
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    waiting = sum(bool(job.waiting) for job in recording.jobs)
    click.echo(
        f"{file}: {len(recording.nodes)} nodes, {len(recording.pods)} pods placed, {waiting} jobs waiting, "
        f"{len(recording.queues)} queues"
    )
