"""What each part of an emulated cluster reaches the API with, and the chance that it draws."""

import random
from collections.abc import Callable
from typing import TypeAlias

from aliquot.cli.identities import Identity
from aliquot.clock import Clock
from aliquot.kube.asgi_transport import Application, AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.transport import Transport

Reach: TypeAlias = Callable[[Identity], Transport]
"""How the API is reached, as whom."""
Dress: TypeAlias = Callable[[str, Transport], Transport]
"""What a component's transport is wrapped into, by the component's name."""


def in_memory(app: Application) -> Reach:
    """`app` runs in the same event loop."""
    return lambda identity: AsgiTransport(app, identity.user, identity.groups)


class Parts:
    """Each component draws its chance from `seed` and its own name."""

    def __init__(
        self, reach: Reach, *, clock: Clock, seed: int, dress: Dress = lambda _component, transport: transport
    ) -> None:
        self.clock = clock
        self._reach = reach
        self._seed = seed
        self._dress = dress
        self._transports: list[Transport] = []

    def client(self, component: str, identity: Identity) -> Client:
        transport = self._dress(component, self._reach(identity))
        self._transports.append(transport)
        agent = component.partition(" ")[0]
        return Client(transport, clock=self.clock, rng=self.rng(component), user_agent=f"aliquot-{agent}")

    def rng(self, name: str) -> random.Random:
        return random.Random(f"{self._seed} {name}")

    async def close(self) -> None:
        for transport in self._transports:
            await transport.close()
