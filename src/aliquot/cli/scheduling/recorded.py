"""Recorded cycles as commands get them: from a file, or from the cluster as it is."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import connect, run
from aliquot.cli.logs import silent
from aliquot.cli.parameters import GivenName

if TYPE_CHECKING:
    from aliquot.scheduler.recording.document import Recording

UNREADABLE = 2

scheduler_names_option = click.option(
    "--scheduler-name",
    "names",
    type=GivenName(),
    multiple=True,
    help="What the scheduler runs with; may be given several times.  [default: aliquot; of 'aliquot up' also "
    "default-scheduler]",
)


class UnreadableRecording(click.ClickException):
    exit_code = UNREADABLE


def read_recording(path: Path) -> "Recording":
    from aliquot.scheduler.recording.document import Unreadable, decoded

    try:
        return decoded(path.read_bytes())
    except OSError as error:
        raise UnreadableRecording(f"{path}: {error.strerror}") from error
    except Unreadable as error:
        raise UnreadableRecording(f"{path}: {error}") from error


def recorded_now(names: Collection[str], kubeconfig: str | None, context: str | None) -> "Recording":
    """All that the scheduler would decide on now; it is not decided."""
    with silent():
        found: Recording = run(lambda: _observed(names, kubeconfig, context))
    return found


async def _observed(names: Collection[str], kubeconfig: str | None, context: str | None) -> "Recording":
    from aliquot.cli.explain import default_names
    from aliquot.clock import SystemClock
    from aliquot.scheduler.onlooking import looked
    from aliquot.scheduler.recording.capturing import captured

    async with connect(kubeconfig, context) as client:
        try:
            return await looked(
                client,
                lambda scheduler: captured(scheduler.case()),
                clock=SystemClock(),
                names=names or await default_names(client),
            )
        except TimeoutError:
            raise click.ClickException(
                "the API server did not answer all that was asked of it within 30 s; try again"
            ) from None
