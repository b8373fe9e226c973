"""Break glass from end to end on an emulated cluster: from the last approval to a credential that the API server takes, and from
a revocation to its refusal. Everything over its own wire: the server's API, the cluster's API.

Beside it what there is at least: a client that makes a ServiceAccount, a RoleBinding and a token itself, and asks with that, in the
same run; and of revoking the bound that is published.
"""

import asyncio
import itertools
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

import aiohttp

from aliquot.access.core.times import WORST_AFTER_REVOKE_S
from aliquot.clock import SystemClock
from aliquot.kube import kubeconfig, roles
from aliquot.kube.client import Client
from aliquot.kube.resources import SERVICEACCOUNTS
from benchmarks.access_installation import (
    CLUSTER,
    NAMESPACE,
    TEMPLATES,
    Installation,
    installed,
)
from benchmarks.clusters import machine, percentile

T = TypeVar("T")

GRANTS, AT_ONCE, HOLDERS = 200, 4, 20
REVOKED_AT_ONCE = 40
"""Each of them is tried all the while."""
PEOPLE = {
    **{f"dev-{number}": ("developers",) for number in range(HOLDERS)},
    "lea": ("leads",),
    "sam": ("security",),
}
GOAL_S = 1.0
_AGAIN_S = 0.01
_TRIED_EVERY_S = 0.5


def main(short: bool = False) -> None:
    count = 12 if short else GRANTS
    with installed(PEOPLE) as there:
        bare, ready, refused = asyncio.run(measured(there, count))
    print(
        f"{count} grants, {AT_ONCE} at a time; API server, controllers, broker and holders share {machine()}"
    )
    print(f"  {'seconds':<52}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>8}  goal")
    row("ServiceAccount, RoleBinding and token, bare", bare, "")
    row("last approval to a credential that is taken", ready, f"p99 {GOAL_S:g}")
    row(f"revoked to refused, tried every {_TRIED_EVERY_S:g} s", refused, f"all {WORST_AFTER_REVOKE_S:g}")
    print(
        f"  the last approval takes {percentile(ready, 0.5) / percentile(bare, 0.5):.1f} times as long as bare"
    )
    if max(refused) > WORST_AFTER_REVOKE_S + _TRIED_EVERY_S:
        raise SystemExit("a credential was taken for longer than is published")


def row(name: str, seconds: list[float], goal: str) -> None:
    shares = "".join(f"{percentile(seconds, share):>8.2f}" for share in (0.5, 0.9, 0.99))
    print(f"  {name:<52}{shares}{max(seconds):>8.2f}  {goal}")


@dataclass(frozen=True)
class Holder:
    """Of a credential."""

    grant: str
    token: str


class Clients:
    def __init__(
        self,
        there: Installation,
        client: Client,
        session: aiohttp.ClientSession,
        api_server: str,
        tls: ssl.SSLContext,
    ) -> None:
        self._there = there
        self._client = client
        self._session = session
        self._pods = f"{api_server}/api/v1/namespaces/{NAMESPACE}/pods"
        self._tls = tls
        self._numbers = itertools.count()

    async def post(
        self, who: str, path: str, body: object = None, *, taken: tuple[int, ...] = (200, 201)
    ) -> object:
        """None: not now."""
        headers = {"Authorization": f"Bearer {self._there.tokens[who]}"}
        async with self._session.post(f"{self._there.url}{path}", json=body, headers=headers) as answer:
            if answer.status in taken:
                return await answer.json()
            if answer.status != 409:
                raise SystemExit(f"{path}: {answer.status} {await answer.text()}")
            return None

    async def status_with(self, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.get(self._pods, headers=headers, ssl=self._tls) as answer:
            await answer.read()
            return answer.status

    async def bare(self) -> float:
        name = f"bare-{next(self._numbers)}"
        began = time.perf_counter()
        await self._client.create(SERVICEACCOUNTS, {"metadata": {"name": name}}, NAMESPACE)
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": roles.ROLES.group, "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
        }
        await self._client.create(roles.ROLE_BINDINGS, binding, NAMESPACE)
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        given = await self._client.create(SERVICEACCOUNTS, asked, NAMESPACE, subresource="token", name=name)
        await self._until(given["status"]["token"], 200)
        return time.perf_counter() - began

    async def granted(self) -> tuple[Holder, float]:
        number = next(self._numbers)
        holder = f"dev-{number % HOLDERS}"
        asked = {
            "template": f"shop-logs-{number % TEMPLATES}",
            "cluster": CLUSTER,
            "namespace": NAMESPACE,
            "justification": "checkout is down",
        }
        found = await self.post(holder, "/v1/requests", asked)
        assert isinstance(found, dict)
        request = f"/v1/requests/{found['id']}"
        await self.post("lea", f"{request}:approve", {"digest": found["digest"]})
        began = time.perf_counter()
        await self.post("sam", f"{request}:approve", {"digest": found["digest"]})
        await self.post(holder, f"{request}:activate")
        credential = f"/v1/grants/{found['id']}:credential"
        while (made := await self.post(holder, credential)) is None:  # noqa: ASYNC110
            await asyncio.sleep(_AGAIN_S)
        assert isinstance(made, dict)
        await self._until(made["token"], 200)
        return Holder(found["id"], made["token"]), time.perf_counter() - began

    async def revoked(self, one: Holder) -> float:
        """Its holder tries all the while."""
        for _ in range(random.randrange(20)):
            await self.status_with(one.token)
            await asyncio.sleep(_TRIED_EVERY_S)
        await self.post("sam", f"/v1/grants/{one.grant}:revoke", {"why": "checkout is up"})
        began = time.perf_counter()
        await self._until(one.token, 401, every_s=_TRIED_EVERY_S)
        return time.perf_counter() - began

    async def _until(self, token: str, status: int, *, every_s: float = _AGAIN_S) -> None:
        while await self.status_with(token) != status:  # noqa: ASYNC110
            await asyncio.sleep(every_s)


async def measured(there: Installation, count: int) -> tuple[list[float], list[float], list[float]]:
    async with AsyncExitStack() as stack:
        connection = kubeconfig.load(str(there.kubeconfig), None)
        transport = connection.transport()
        stack.push_async_callback(transport.close)
        client = Client(transport, clock=SystemClock(), rng=random.Random(1))
        assert connection.ca is not None
        # Without the administrator's certificate, which the API server would look at before the token.
        tls = ssl.create_default_context(cadata=connection.ca.decode())
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        clients = Clients(there, client, session, connection.server, tls)
        bare = await _so_many(clients.bare, count)
        granted = await _so_many(clients.granted, count)
        holders = iter([holder for holder, _ in granted])
        refused = await _so_many(lambda: clients.revoked(next(holders)), count, REVOKED_AT_ONCE)
        return bare, [seconds for _, seconds in granted], refused


async def _so_many(one: Callable[[], Awaitable[T]], count: int, at_once: int = AT_ONCE) -> list[T]:
    left = iter(range(count))

    async def worker() -> list[T]:
        return [await one() for _ in left]

    return [found for each in await asyncio.gather(*(worker() for _ in range(at_once))) for found in each]
