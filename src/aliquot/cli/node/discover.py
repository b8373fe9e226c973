"""`aliquot node discover`: says on the Node whether it has GPUs, before there is a driver."""

import random
from functools import partial
from pathlib import Path

import click

from aliquot.cli.connect import cluster_options, connect, serve
from aliquot.cli.node.options import node_name_option


@click.command()
@node_name_option
@click.option(
    "--sys-root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/sys"),
    show_default=True,
    help="Where the kernel lists its devices: the host's /sys, where it is mounted.",
)
@cluster_options
def discover(node_name: str, sys_root: Path, kubeconfig: str | None, context: str | None) -> None:
    """Keep the label aliquot.dev/pci-10de.present of this node: true with a GPU of NVIDIA on its PCI bus, and absent
    without. For clusters without Node Feature Discovery. Runs until stopped."""
    serve(lambda: _discover(node_name, sys_root, kubeconfig, context))


async def _discover(node_name: str, sys_root: Path, kubeconfig: str | None, context: str | None) -> None:
    import asyncio

    from aliquot.node.discovery.labeller import Labeller
    from aliquot.node.discovery.pci import read_bus

    async with connect(kubeconfig, context) as client:
        labeller = Labeller(
            node_name,
            client=client,
            read_bus=partial(read_bus, sys_root),
            rng=random.Random(),
            run_blocking=asyncio.to_thread,
        )
        await labeller.run()
