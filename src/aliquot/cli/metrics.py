"""Where a part that runs shows its metrics, and how it is, to whoever asks over HTTP."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import click


@asynccontextmanager
async def serving_metrics(
    text: Callable[[], Awaitable[str]], address: str, port: int, *, waits_for: Callable[[], str] = lambda: ""
) -> AsyncIterator[None]:
    """As `metrics.server.serving`. Raises click.ClickException where it cannot listen."""
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
