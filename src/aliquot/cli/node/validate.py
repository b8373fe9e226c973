"""`aliquot node validate`: whether the GPUs of this node can be used."""

import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import cluster_options, connect, serve
from aliquot.cli.drivers import driver_option, open_driver
from aliquot.cli.metrics import metrics_options, serving_metrics
from aliquot.cli.node.options import node_name_option
from aliquot.kube.roles import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from aliquot.node.validation.checks import Answer
    from aliquot.node.validation.workload import Workload


@click.command()
@node_name_option
@click.option(
    "--workload/--no-workload",
    default=True,
    show_default=True,
    help="Also run a pod on this node that gets a device and computes with it.",
)
@click.option("--image", default="", help="Of that pod: the one that this command runs in.")
@click.option(
    "--image-pull-secret",
    "pull_secrets",
    multiple=True,
    help="Of that pod; may be given several times.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="KEY=VALUE",
    help="Of that pod, such as its queue: aliquot.dev/queue=system; may be given several times.",
)
@click.option("--namespace", default=NAMESPACE, show_default=True, help="Of that pod.")
@driver_option
@metrics_options
@cluster_options
def validate(
    node_name: str,
    workload: bool,
    image: str,
    pull_secrets: tuple[str, ...],
    labels: tuple[str, ...],
    namespace: str,
    driver_name: str,
    metrics_address: str,
    metrics_port: int,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Check that the driver answers, containers get devices, the node advertises them, and a pod can use one. Says so by
    the condition ChecksPassed of the GPUNode, and is ready while they pass. Checks again every 5 minutes. Runs until stopped.
    """
    from aliquot.node.validation.workload import Workload

    if workload and not image:
        raise click.UsageError("which image is the pod to have? Give --image, or --no-workload")
    pod = Workload(image, namespace, pull_secrets, dict(map(_label, labels))) if workload else None
    ask, not_injected = _asking(driver_name, node_name)
    place = _Place(node_name, metrics_address, metrics_port)
    serve(lambda: _validate(place, pod, ask, not_injected, kubeconfig, context))


@dataclass(frozen=True, slots=True)
class _Place:
    node_name: str
    metrics_address: str
    metrics_port: int


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise click.UsageError(f"--label '{text}' is not KEY=VALUE")
    return key, value


def _asking(driver_name: str, node_name: str) -> "tuple[Callable[[], Answer], Callable[[], str]]":
    from aliquot.node.validation.answers import answer_anew, answer_of, not_injected

    if driver_name == "nvml":
        from aliquot.gpu.nvml import NvmlDriver

        return partial(answer_anew, NvmlDriver), partial(not_injected, Path("/dev"))
    # Of a simulated driver nothing is injected into anybody.
    return partial(answer_of, open_driver(driver_name, node_name)), lambda: ""


async def _validate(
    place: _Place,
    workload: "Workload | None",
    ask_driver: "Callable[[], Answer]",
    not_injected: "Callable[[], str]",
    kubeconfig: str | None,
    context: str | None,
) -> None:
    import asyncio

    from aliquot.clock import SystemClock
    from aliquot.node.validation.validator import Validator

    async with connect(kubeconfig, context) as client:
        validator = Validator(
            place.node_name,
            client=client,
            clock=SystemClock(),
            rng=random.Random(),
            run_blocking=asyncio.to_thread,
            ask_driver=ask_driver,
            not_injected=not_injected,
            workload=workload,
        )
        async with serving_metrics(
            validator.text, place.metrics_address, place.metrics_port, waits_for=validator.waits_for
        ):
            await validator.run()
