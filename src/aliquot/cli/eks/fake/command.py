"""`aliquot eks fake`: an AWS with EKS on this machine, whose clusters are emulated."""

import asyncio
import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.eks.parameters import known_region

if TYPE_CHECKING:
    from aliquot.cli.eks.fake.serving import Running

_NEEDED = ("botocore", "moto", "flask", "flask_cors")
_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")


@click.command()
@click.option(
    "--start",
    type=click.DateTime(_FORMATS),
    help="When it is there at first, in UTC: 1.31 can be made until 2026-11-26.  [default: now]",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, max=3600, min_open=True),
    default=60.0,
    show_default=True,
    metavar="N",
    help="How many of its seconds pass in one of ours. Clusters' own time is ours.",
)
@click.option("--region", default="eu-west-1", show_default=True, callback=known_region)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="On 127.0.0.1.  [default: one that is free]"
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where clusters keep certificates and kubeconfigs.  [default: a directory that goes at the end]",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND:OPERATION[:CODE][*TIMES]",
    help="What is to go wrong, once or as often as told: refuse:OPERATION:ERROR, lose:OPERATION (it is done, and its answer is lost), or fail:OPERATION:ERRORCODE (what it begins fails); or ill:CLUSTER[/nodegroup|addon|fargate/NAME]:ISSUECODE, for good. May be repeated.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log what each part does, and not only what goes wrong.")
def fake(
    start: datetime | None,
    speed: float,
    region: str,
    port: int,
    data: Path | None,
    faults: tuple[str, ...],
    verbose: bool,
) -> None:
    """Run an AWS with EKS on this machine, until Ctrl-C. It is a fake, and costs nothing.

    EKS is this program's own; EC2, IAM, KMS and STS are moto's. Each cluster has an emulated Kubernetes of its minor behind
    its endpoint, with nodes as its node groups have them. What a shell or a program has to set to talk to it goes to stdout:
    aws, boto3, eksctl and `aliquot eks` then find it. Everybody who reaches it may do everything; nothing outlives it.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(f"not installed: {', '.join(missing)}; pip install 'aliquot[eks-fake]'")
    import uvloop

    from aliquot.cli import logs
    from aliquot.cli.eks.fake import wanted_faults
    from aliquot.cli.eks.fake.serving import CannotServe, serve_until_stopped
    from aliquot.cli.failures import innermost
    from aliquot.clock import SystemClock
    from aliquot.eks.fake.model import Model
    from aliquot.eks.fake.moto import NotStarted

    model = Model()
    try:
        wanted = [wanted_faults.parse(one, model) for one in faults]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--fault") from None
    logs.configure(verbose=verbose)

    def say(text: str) -> None:
        click.echo(text, err=True)

    def ready(running: "Running") -> None:
        at = datetime.fromtimestamp(running.aws_time.start_s, UTC)
        for name, value in environment(running.url, region).items():
            click.echo(f"export {name}={value}")
        # Last: whoever waits for this line finds all there is to set.
        say(f"a fake of AWS at {running.url}, where it is {at:%Y-%m-%d %H:%M} UTC; Ctrl-C ends it")

    told: BaseException | None = None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(
                serve_until_stopped(
                    region=region,
                    start_s=start.replace(tzinfo=UTC).timestamp() if start is not None else None,
                    speed=speed,
                    port=port,
                    directory=data,
                    faults=wanted,
                    clock=SystemClock(),
                    say=say,
                    ready=ready,
                )
            )
    except* (CannotServe, NotStarted) as group:
        told = innermost(group)
    if told is not None:
        raise click.ClickException(str(told))
    say("ended; nothing is left")


def environment(url: str, region: str) -> dict[str, str]:
    """What whoever is to talk to the fake has to have set. The keys are nobody's."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIAFAKEOFALIQUOT000",
        "AWS_SECRET_ACCESS_KEY": "a-fake-checks-no-signature",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,  # which botocore goes by
    }
