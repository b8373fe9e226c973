"""Where a part that runs shows its metrics, and how it is, to whoever asks over HTTP."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from aliquot.metrics.server import WaitsFor

_F = TypeVar("_F", bound=Callable[..., Any])


def metrics_options(command: _F) -> _F:
    """`metrics_port` and `metrics_address`, of a part of which one machine may have many."""
    port = click.option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        default=0,
        show_default=True,
        help="Where Prometheus finds /metrics, and probes find /healthz and /readyz; 0: nowhere.",
    )
    address = click.option(
        "--metrics-address",
        default="",
        help="The address that they listen on.  [default: every one of the machine]",
    )
    return port(address(command))


@asynccontextmanager
async def serving_metrics(
    text: Callable[[], Awaitable[str]], address: str, port: int, *, waits_for: "WaitsFor" = lambda: ""
) -> AsyncIterator[None]:
    """As `metrics.server.serving`; nothing with port 0. Raises click.ClickException where it cannot listen."""
    if not port:
        yield
        return
    from aliquot.metrics.server import serving

    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(serving(text, address, port, waits_for=waits_for))
        except OSError as error:
            # Names that are not known have numbers of their own, and asyncio's words name the address once more.
            cause = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            where = f"{address or 'every address'}, port {port}"
            fix = "give another --metrics-address or --metrics-port; port 0: no metrics"
            raise click.ClickException(f"metrics cannot be served on {where}: {cause}; {fix}") from error
        yield
