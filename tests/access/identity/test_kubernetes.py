import asyncio
from typing import Any

import pytest

from aliquot.access.cluster.naming import NAMESPACE
from aliquot.access.core.people import Person
from aliquot.access.identity.configuration import ClusterIssuer
from aliquot.access.identity.kubernetes import ClusterTokens
from aliquot.access.identity.proof import IssuerSilent, NotProven
from aliquot.kube.resources import SERVICEACCOUNTS
from tests.access.cluster.world import World, run

PROD = ClusterIssuer(cluster="prod", issuer="https://kubernetes/prod")


async def token(world: World, name: str, namespace: str, *audiences: str) -> str:
    asked: dict[str, Any] = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": list(audiences), "expirationSeconds": 600},
    }
    answer = await world.root.create(SERVICEACCOUNTS, asked, namespace, subresource="token", name=name)
    return str(answer["status"]["token"])


def test_a_service_account_is_who_its_cluster_says_if_the_token_is_for_us() -> None:
    async def main(world: World) -> None:
        await world.root.create(SERVICEACCOUNTS, {"metadata": {"name": "ci"}}, "shop")
        tokens = ClusterTokens(PROD, world.root)
        proof = await tokens.prove(await token(world, "ci", "shop", "aliquot-access"))
        assert proof.person == Person("https://kubernetes/prod", "system:serviceaccount:shop:ci")
        assert "https://kubernetes/prod#system:serviceaccounts:shop" in proof.identity.groups
        assert proof.credential.startswith("JTI=")
        for bad in (
            await token(world, "ci", "shop"),
            await token(world, "ci", "shop", "somebody-else"),
            "nobody",
            "",
            "a\nb",
            "x" * 20_000,
        ):
            with pytest.raises(NotProven, match="none that this cluster knows"):
                await tokens.prove(bad)
        mine = await token(world, "ci", "shop", "aliquot-access")
        await asyncio.sleep(700)
        with pytest.raises(NotProven, match="none that this cluster knows"):
            await tokens.prove(mine)

    run(main)


def test_a_grants_own_account_is_nobody() -> None:
    async def main(world: World) -> None:
        await world.root.create(SERVICEACCOUNTS, {"metadata": {"name": "anything"}}, NAMESPACE)
        tokens = ClusterTokens(PROD, world.root)
        with pytest.raises(NotProven, match="nobody who may ask"):
            await tokens.prove(await token(world, "anything", NAMESPACE, "aliquot-access"))

    run(main, guarded=False)


def test_a_cluster_that_does_not_let_us_ask_proves_nobody() -> None:
    async def main(world: World) -> None:
        await world.root.create(SERVICEACCOUNTS, {"metadata": {"name": "ci"}}, "shop")
        tokens = ClusterTokens(PROD, world.client("stranger"))
        with pytest.raises(IssuerSilent) as silent:
            await tokens.prove(await token(world, "ci", "shop", "aliquot-access"))
        assert "forbidden" in silent.value.detail and "stranger" not in str(silent.value)

    run(main)


def test_a_cluster_that_does_not_answer_is_not_waited_for_for_long() -> None:
    async def main(world: World) -> None:
        await world.root.create(SERVICEACCOUNTS, {"metadata": {"name": "ci"}}, "shop")
        mine = await token(world, "ci", "shop", "aliquot-access")
        client = world.root

        async def never(*_: Any, **__: Any) -> Any:
            await asyncio.sleep(3600)

        client.create = never  # type: ignore[method-assign]
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(IssuerSilent, match="cannot be asked about the token now"):
            await ClusterTokens(PROD, client).prove(mine)
        # Whoever asks gives up after 30 s, and is to be told why before.
        assert asyncio.get_running_loop().time() - began_s <= 10

    run(main)
