"""A cluster on virtual time with real RBAC, admission and controllers, and the parts of ours that work in it."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from aliquot.access.cluster import installation, policies
from aliquot.access.cluster.naming import AGENT, SENTINEL
from aliquot.access.cluster.roles import TemplateRole
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.people import Person
from aliquot.access.core.rules import Rule
from aliquot.cli import identities
from aliquot.clock import Clock, VirtualClock, VirtualTimeLoop
from aliquot.emulator.app import ApiServer
from aliquot.emulator.controllers.run import run_all
from aliquot.emulator.faults import SteppedClock
from aliquot.emulator.storage.store import Store
from aliquot.kube import roles
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import NAMESPACES
from aliquot.kube.transport import Request, Response, Transport
from tests.simulation.faults import Weather

POD_LOGS = TemplateRole(
    "aliquot-bg:pod-logs",
    (Rule(("",), ("pods", "pods/log"), ("get", "list")), Rule(("",), ("configmaps",), ("list",))),
)
NODES = TemplateRole("aliquot-bg:nodes", (Rule(("",), ("nodes",), ("get", "list")),))
RESTART = Rule(("apps",), ("deployments",), ("get", "patch"), ("web",))
DRAIN = Rule(("",), ("nodes",), ("get", "patch"), ("n1",))
TEMPLATES = (POD_LOGS, NODES)
HELD = (RESTART, DRAIN)

ROOT = ("root", ("system:masters",))
START_S = 1_767_225_600.0
"""Of virtual time."""


def grant_id(number: int) -> str:
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    text = ""
    while len(text) < 26:
        number, digit = divmod(number, 32)
        text = digits[digit] + text
    return f"r{text}"


def spec(number: int = 1, **fields: Any) -> GrantSpec:
    """Pods' logs in namespace `shop`, for an hour from the beginning of virtual time."""
    given: dict[str, Any] = {
        "id": grant_id(number),
        "template": "pod-logs",
        "cluster": "east",
        "namespace": "shop",
        "rules": POD_LOGS.rules,
        "role": POD_LOGS.name,
        "holder": Person("https://login.example.com", "ada"),
        "ticket": "CHG0001",
        "digest": "sha256:00",
        "end_s": START_S + 3600.0,
        "max_end_s": START_S + 7200.0,
    }
    return GrantSpec(**(given | fields))


class Bearer:
    """A transport that shows a token, and nothing else."""

    def __init__(self, transport: Transport, token: str) -> None:
        self._transport = transport
        self._token = token

    async def send(self, request: Request) -> Response:
        headers = {**request.headers, "authorization": f"Bearer {self._token}"}
        return await self._transport.send(
            Request(request.method, request.path, request.query, headers, request.body, request.timeout_s)
        )

    async def close(self) -> None:
        await self._transport.close()


class World:
    """`clock` is ours, `server_clock` the API server's and its controllers'. `weather` is what ours meet."""

    def __init__(self, server: ApiServer, clock: Clock, server_clock: SteppedClock, seed: int) -> None:
        self.server = server
        self.clock = clock
        self.server_clock = server_clock
        self.weather = Weather(server.app, random.Random(seed))
        self.controllers: asyncio.Task[None] | None = None
        self._seed = seed
        self._transports: list[Transport] = []
        self._nobody = self._transport("", ())
        self.root = self.client(*ROOT)
        self.agent = self._account(AGENT)
        self.sentinel = self._account(SENTINEL)

    def client(self, user: str, groups: Sequence[str] = (), *, weather: bool = False) -> Client:
        groups = (*groups, "system:authenticated")
        rng = random.Random(f"{self._seed} {user}")
        if not weather:
            return Client(self._transport(user, groups), clock=self.clock, rng=rng)
        transport = AsgiTransport(self.weather.app, user, groups)
        self._transports.append(transport)
        return Client(self.weather.over(transport, rng), clock=self.clock, rng=rng)

    def agent_transport(self) -> Transport:
        identity = identities.account(AGENT)
        return self._transport(identity.user, identity.groups)

    def _account(self, name: str) -> Client:
        identity = identities.account(name)
        return self.client(identity.user, identity.groups, weather=True)

    def _transport(self, user: str, groups: Sequence[str]) -> AsgiTransport:
        transport = AsgiTransport(self.server.app, user, groups)
        self._transports.append(transport)
        return transport

    def stop_controllers(self) -> None:
        assert self.controllers is not None
        self.controllers.cancel()

    async def control(self) -> None:
        user = identities.CONTROLLER_MANAGER
        transport = self._transport(user.user, user.groups)
        client = Client(transport, clock=self.server_clock, rng=random.Random(self._seed))
        await run_all(client, self.server_clock, random.Random(self._seed))

    async def status_with(self, token: str, path: str = "/api/v1/namespaces/shop/pods") -> int:
        """Of a request that shows `token`."""
        request = Request("GET", path, {}, {"accept": "application/json"}, b"", 5.0)
        answer = await Bearer(self._nobody, token).send(request)
        await answer.read()
        return answer.status

    async def close(self) -> None:
        self.server.stop()
        for transport in self._transports:
            await transport.close()


@cache
def _token_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@asynccontextmanager
async def world(*, seed: int = 1, offset_s: float = 0.0, guarded: bool = True) -> AsyncIterator[World]:
    """`offset_s`: of the server's clock from ours; without `guarded` there are no policies."""
    clock = VirtualClock()
    server_clock = SteppedClock(clock)
    server_clock.offset_s = offset_s
    server = ApiServer(Store(), clock=server_clock, rng=random.Random(seed), token_key=_token_key())
    await server.start()
    made = World(server, clock, server_clock, seed)
    await roles.install(made.root, identities.cluster_roles())
    wanted = installation.objects(TEMPLATES, HELD)
    if not guarded:
        wanted = wanted[len(policies.objects(())) :]
    await installation.install(made.root, wanted)
    await made.root.create(NAMESPACES, {"metadata": {"name": "shop"}})
    async with asyncio.TaskGroup() as group:
        made.controllers = group.create_task(made.control())
        await asyncio.sleep(1)
        try:
            yield made
        finally:
            made.stop_controllers()
    await made.close()


def run(main: Callable[[World], Awaitable[None]], **options: Any) -> None:
    """`main` on virtual time."""

    async def within() -> None:
        async with world(**options) as made:
            await main(made)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(within())
