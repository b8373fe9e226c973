"""What the agent sees of the pods that a grant names, in a cluster with its real roles."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aliquot.access.cluster.entering import why_not
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.people import Person
from aliquot.access.core.rules import Rule
from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.emulator.app import ApiServer
from aliquot.emulator.storage.store import Store
from aliquot.kube import roles
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import NAMESPACES, PODS, SERVICEACCOUNTS

SHELL = (Rule(("",), ("pods/exec",), ("create", "get"), ("web",)),)
LOGS = (Rule(("",), ("pods/log",), ("get",), ("web",)),)


def spec(rules: tuple[Rule, ...] = SHELL) -> GrantSpec:
    return GrantSpec(
        id="r" + "0" * 26,
        template="pod-exec",
        cluster="east",
        namespace="shop",
        rules=rules,
        role="",
        holder=Person("https://login.example.com", "ada"),
        ticket="",
        digest="sha256:00",
        end_s=3600.0,
        max_end_s=7200.0,
    )


def run(main: Callable[[Client], Awaitable[None]]) -> None:
    async def within() -> None:
        clock = VirtualClock()
        server = ApiServer(Store(), clock=clock, rng=random.Random(1))
        await server.start()
        transport = AsgiTransport(server.app, "root", ("system:masters",))
        client = Client(transport, clock=clock, rng=random.Random(1))
        await client.create(NAMESPACES, {"metadata": {"name": "shop"}})
        for name in ("default", "web"):
            account = {"metadata": {"name": name, "namespace": "shop"}}
            await client.apply(SERVICEACCOUNTS, account, field_manager="tests", force=True)
        try:
            await main(client)
        finally:
            server.stop()
            await transport.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(within())


async def make_pod(client: Client, **spec: Any) -> None:
    containers = [{"name": "main", "image": "web:1"}]
    await client.create(
        PODS, {"metadata": {"name": "web"}, "spec": {"containers": containers, **spec}}, "shop"
    )


async def bind(client: Client, role: str) -> None:
    subject = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}
    await client.create(roles.CLUSTER_ROLE_BINDINGS, roles.binding(role, subject, name="web"))


def test_an_ordinary_pod_is_entered() -> None:
    async def main(client: Client) -> None:
        await make_pod(client, serviceAccountName="web")
        assert await why_not(client, spec()) == ""

    run(main)


def test_a_pod_that_runs_as_an_administrator_is_not() -> None:
    async def main(client: Client) -> None:
        await make_pod(client, serviceAccountName="web")
        await bind(client, "cluster-admin")
        found = await why_not(client, spec())
        assert found == "pod web runs as ServiceAccount web, which may * *.* in the whole cluster"
        assert await why_not(client, spec(LOGS)) == ""

    run(main)


def test_nor_is_one_that_sees_more_than_was_given() -> None:
    async def main(client: Client) -> None:
        await make_pod(client, serviceAccountName="web")
        await bind(client, "view")
        assert "which may get" in await why_not(client, spec())

    run(main)


def test_nor_one_that_is_root_on_its_node() -> None:
    async def main(client: Client) -> None:
        await make_pod(client, hostPID=True)
        assert await why_not(client, spec()) == "pod web is as good as root on its node: hostPID"

    run(main)


@pytest.mark.parametrize("rules", [SHELL, (Rule(("",), ("pods/attach",), ("create",), ("web",)),)])
def test_a_pod_that_is_not_there_may_become_anything(rules: tuple[Rule, ...]) -> None:
    async def main(client: Client) -> None:
        assert await why_not(client, spec(rules)) == "there is no pod web in namespace shop"

    run(main)
