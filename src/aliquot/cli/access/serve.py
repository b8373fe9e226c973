"""`aliquot access serve`: the server of break glass."""

import random
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli import connect
from aliquot.cli.failures import innermost
from aliquot.cli.metrics import metrics_options
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.access.serving.configuration import Configuration


@click.command()
@click.option(
    "--config",
    "path",
    type=GivenPath(dir_okay=False),
    required=True,
    envvar="ALIQUOT_ACCESS_CONFIG",
    show_envvar=True,
    help="docs/break-glass.md shows one.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Only read it, and the files of policy, people and templates and the log's key that it names; say what is wrong.",
)
@metrics_options
def serve(path: str, check: bool, metrics_port: int, metrics_address: str) -> None:
    """Take requests over HTTPS, make grants and end them, and write the log. Runs until stopped; whatever it was doing when it dies,
    it carries on with when it is started again."""
    import uvloop

    from aliquot.access.serving.configuration import load
    from aliquot.access.serving.https import CannotServe
    from aliquot.access.serving.service import check as check_usable
    from aliquot.access.serving.service import policy_files
    from aliquot.document import DocumentError
    from aliquot.kube.kubeconfig import KubeconfigError
    from aliquot.sql.failures import Unreachable, Unusable

    known = (CannotServe, DocumentError, Unusable, Unreachable, KubeconfigError)
    try:
        configuration = load(Path(path))
        if check:
            check_usable(configuration, Path(path).resolve().parent)
            policy = policy_files(configuration, Path(path).resolve().parent).last
            click.echo(f"{path}: nothing speaks against it, nor against {len(policy.templates)} templates")
            return
        connect.serve(
            lambda: _serve(configuration, Path(path).resolve().parent, (metrics_address, metrics_port)),
            loop_factory=uvloop.new_event_loop,
        )
    except known as error:
        raise click.ClickException(str(error)) from error
    except BaseExceptionGroup as group:
        cause = innermost(group)
        if isinstance(cause, known):
            raise click.ClickException(str(cause)) from group
        raise


async def _serve(configuration: "Configuration", base: Path, metrics: tuple[str, int]) -> None:
    from aliquot.access.serving.service import serve as serving
    from aliquot.clock import SystemClock

    await serving(configuration, base, metrics=metrics, clock=SystemClock(), rng=random.Random())
