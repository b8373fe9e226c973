"""An API server that becomes one of another minor while it serves, as the control plane of EKS does in an update.

Behind one address and over one store there is an `ApiServer` of the minor that is served. At a change its successor takes over
what is stored, watches end so that clients list anew, and requests that arrive meanwhile wait: nobody is refused.
"""

import asyncio
from collections.abc import Callable, Sequence

from aliquot.clock import Clock
from aliquot.emulator import discovery
from aliquot.emulator.app import ApiServer
from aliquot.emulator.deprecated_requests import Use
from aliquot.emulator.http.exchange import Receive, Scope, Send
from aliquot.emulator.network import Network
from aliquot.emulator.versions import Surface


class ChangingApi:
    """`make` makes the server of a surface. `network` is what all of them call others by, and is closed with this."""

    def __init__(self, make: Callable[[Surface], ApiServer], *, clock: Clock, network: Network) -> None:
        self.clock = clock
        self._make = make
        self._network = network
        self._server: ApiServer | None = None
        self._serves = asyncio.Event()
        self._stopping = False
        self._earlier: list[Use] = []

    async def become(self, surface: Surface) -> int:
        """Gives how many objects have gone: those of kinds that this surface does not have. Raises StoreError."""
        self._serves.clear()
        before, after = self._server, self._make(surface)
        try:
            gone = _unknown(after)
            await after.start(made_anew=gone)
            if before is not None:
                self._earlier += before.deprecated.uses()
                before.stop()
            self._server = after
            if self._stopping:
                after.stop()
        finally:
            if self._server is not None:
                self._serves.set()
        return len(gone)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._serving()).app(scope, receive, send)

    async def is_administrator(self, scope: Scope) -> bool:
        return await (await self._serving()).is_administrator(scope)

    def uses(self) -> Sequence[Use]:
        """Of deprecated APIs, by all servers that this has been."""
        return [*self._earlier, *(self._server.deprecated.uses() if self._server is not None else ())]

    def stop(self) -> None:
        self._stopping = True
        if self._server is not None:
            self._server.stop()

    async def close(self) -> None:
        if self._server is not None:
            await self._server.close()
        await self._network.close()

    async def _serving(self) -> ApiServer:
        await self._serves.wait()
        assert self._server is not None
        return self._server


def _unknown(server: ApiServer) -> list[tuple[str, str]]:
    """(storage, name) of what is stored and is of no kind of this server's. At AWS it would stay in etcd, out of reach."""
    return [
        (storage, record.name)
        for storage in server.store.resources()
        if discovery.stored_versions(storage) and server.registry.stored_as(storage) is None
        for record in server.store.list(storage).records
    ]
