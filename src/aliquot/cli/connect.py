"""How a command reaches a cluster: kubectl's own rules, and one-line errors."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.failures import innermost
from aliquot.cli.parameters import GivenPath
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.kube.client import Client
    from aliquot.kube.election import LeaderElection


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--context", help="Context of the kubeconfig.  [default: its current one]")(
        command
    )
    return click.option(
        "--kubeconfig",
        type=GivenPath(),
        help="As kubectl: $KUBECONFIG, ~/.kube/config, or the pod's service account.",
    )(command)


@asynccontextmanager
async def connect(kubeconfig: str | None, context: str | None) -> AsyncIterator["Any"]:
    """A `kube.Client` on the cluster that the options name."""
    from aliquot.kube import kubeconfig as configuration
    from aliquot.kube.client import Client

    try:
        connection = configuration.load(kubeconfig, context)
    except configuration.KubeconfigError as error:
        raise click.ClickException(str(error)) from error
    transport = connection.transport()
    try:
        yield Client(transport, clock=SystemClock(), rng=random.Random())
    finally:
        await transport.close()


leader_elect_option = click.option(
    "--leader-elect/--no-leader-elect", default=True, show_default=True, help="Run beside other replicas."
)


def election(client: "Client", name: str, rng: random.Random) -> "LeaderElection":
    """By the lease `name`, under an identity that no other process has."""
    import os
    import socket

    from aliquot.kube.election import LeaderElection
    from aliquot.kube.roles import LEASES_IN

    identity = f"{socket.gethostname()}-{os.getpid()}-{rng.getrandbits(32):08x}"
    return LeaderElection(client, namespace=LEASES_IN, name=name, identity=identity)


def run(
    main: Callable[[], Coroutine[Any, Any, Any]],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Any:
    """Run `main` to its end; what the API refuses or cannot be reached for ends as one line."""
    from aliquot.kube.errors import ApiError

    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(main())
    except* ApiError as group:
        raise click.ClickException(str(innermost(group))) from group


def serve(
    main: Callable[[], Coroutine[Any, Any, None]],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run what runs until it is stopped. SIGTERM, SIGHUP and Ctrl-C end it in order: sockets removed, leases given back."""
    from aliquot.cli import logs

    logs.configure()

    async def until_stopped() -> None:
        task = asyncio.create_task(main())
        for number in (signal.SIGTERM, signal.SIGHUP):
            # One that is ignored stays so: `nohup` means it.
            if signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise

    run(until_stopped, loop_factory=loop_factory)
