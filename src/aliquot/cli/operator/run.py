"""`aliquot operator run`: keeps to GPUPolicies."""

import random
from typing import TYPE_CHECKING

import click

from aliquot import __version__
from aliquot.cli.connect import cluster_options, connect, election, leader_elect_option, serve
from aliquot.cli.metrics import metrics_options, serving_metrics

if TYPE_CHECKING:
    from aliquot.operator.core.operands import Image

OUR_IMAGE = f"aliquot:{__version__}"


@click.command("run")
@click.option(
    "--image",
    "our_image",
    envvar="ALIQUOT_IMAGE",
    show_envvar=True,
    default=OUR_IMAGE,
    show_default=True,
    metavar="REPOSITORY/NAME:TAG",
    help="Aliquot's own image, for operands whose policy names none: the agent and the validator.",
)
@leader_elect_option
@metrics_options
@cluster_options
def run_operator(
    our_image: str,
    leader_elect: bool,
    metrics_port: int,
    metrics_address: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Bring GPU nodes from bare to validated, and upgrade their drivers. Runs until stopped."""
    from aliquot.operator.core.operands import parse_image

    try:
        image = parse_image(our_image)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--image") from error
    serve(lambda: _operate(image, leader_elect, (metrics_address, metrics_port), kubeconfig, context))


async def _operate(
    image: "Image", leader_elect: bool, metrics: tuple[str, int], kubeconfig: str | None, context: str | None
) -> None:
    from aliquot.clock import SystemClock
    from aliquot.operator.core.operands import shipped
    from aliquot.operator.operator import COMPONENT, Operator

    rng = random.Random()
    async with connect(kubeconfig, context) as client:
        operator = Operator(
            client,
            clock=SystemClock(),
            rng=rng,
            images=shipped(image),
            election=election(client, COMPONENT, rng) if leader_elect else None,
        )
        async with serving_metrics(operator.metrics, *metrics, waits_for=operator.waits_for):
            await operator.run()
