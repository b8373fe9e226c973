"""Who installs while what an uninstall has begun is not over yet: waits for it, or hears why it does not go."""

import asyncio

import pytest

from aliquot.installation.going import StillThere, going, gone
from aliquot.kube import crds
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, NAMESPACES
from aliquot.kube.roles import NAMESPACE
from tests.cli.test_earlier_nodes import with_client

HELD = "Some content in the namespace has finalizers remaining: example.com/kept in 1 resource instances"


async def told(client: Client, timeout_s: float) -> list[str]:
    return [line async for line in gone(client, timeout_s)]


async def deleted(client: Client) -> None:
    """By nobody but the controller of namespaces, which is played."""
    await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
    await client.delete(NAMESPACES, NAMESPACE)


async def say_why(client: Client, **conditions: str) -> None:
    told = [
        {"type": kind, "status": "True", "reason": "Remain", "message": message}
        for kind, message in conditions.items()
    ]
    await client.patch(NAMESPACES, NAMESPACE, {"status": {"conditions": told}}, subresource="status")


def test_nobody_waits_for_what_stays() -> None:
    async def main(client: Client) -> None:
        await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        await crds.install(client)
        assert await going(client) == {}
        assert await told(client, 0) == []

    with_client(main)


def test_it_is_waited_for_as_long_as_it_takes() -> None:
    async def main(client: Client) -> None:
        await deleted(client)
        waiting = asyncio.create_task(told(client, 300))
        await asyncio.sleep(200)
        assert not waiting.done()
        nothing = {"spec": {"finalizers": None}}
        await client.patch(NAMESPACES, NAMESPACE, nothing, subresource="finalize")
        assert await waiting == [f"waiting for Namespace {NAMESPACE}, which is being deleted"]

    with_client(main)


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ({}, "see the finalizers of what is in it"),
        ({"NamespaceContentRemaining": "Some resources are remaining", "NamespaceFinalizersRemaining": HELD}, HELD),
    ],
)  # fmt: skip
def test_when_its_time_is_over_it_is_told_why(conditions: dict[str, str], why: str) -> None:
    async def main(client: Client) -> None:
        await deleted(client)
        await say_why(client, **conditions)
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(StillThere) as caught:
            await told(client, 30)
        assert asyncio.get_running_loop().time() == began_s + 30
        assert str(caught.value).startswith(f"Namespace {NAMESPACE} is being deleted")
        assert str(caught.value).endswith(f": {why}")

    with_client(main)


def test_who_does_not_wait_hears_of_a_kind_that_goes_too() -> None:
    async def main(client: Client) -> None:
        await crds.install(client)
        name = crds.GPUPOLICY_CRD["metadata"]["name"]
        await client.patch(CRDS, name, {"metadata": {"finalizers": ["example.com/kept"]}})
        await client.delete(CRDS, name)
        with pytest.raises(StillThere, match=f"CustomResourceDefinition {name} is being deleted"):
            await told(client, 0)

    with_client(main)
