"""Which policies a cluster is given."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from aliquot.admission import installation
from aliquot.emulator.versions import Surface
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from tests.emulator.api import Api, FixedClock, new_api

GROUP = "admissionregistration.k8s.io"
Start = Callable[[Surface], Awaitable[tuple[Api, Client]]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    made: list[Api] = []

    async def begin(surface: Surface) -> tuple[Api, Client]:
        api = await new_api(FixedClock(), surface=surface)
        made.append(api)
        transport = AsgiTransport(api.server.app, "admin", ("system:masters",))
        return api, Client(transport, clock=FixedClock(), rng=random.Random(1))

    yield begin
    for api in made:
        api.server.stop()
        await api.close()


async def names(api: Api, version: str, plural: str) -> list[str]:
    status, answer = await api.get(f"/apis/{GROUP}/{version}/{plural}")
    found: list[dict[str, Any]] = answer["items"] if status == 200 else []
    return [one["metadata"]["name"] for one in found]


@pytest.mark.parametrize(
    ("minor", "enabled", "version"),
    [
        ("1.36", (), "v1"),
        ("1.36", ("v1beta1", "v1alpha1"), "v1"),
        ("1.34", ("v1beta1", "v1alpha1"), "v1beta1"),
        ("1.32", ("v1alpha1",), "v1alpha1"),
    ],
)
async def test_the_best_version_that_is_served(
    start: Start, minor: str, enabled: tuple[str, ...], version: str
) -> None:
    api, client = await start(Surface(minor, frozenset(f"{GROUP}/{one}" for one in enabled)))
    for _ in range(2):  # it is safe to repeat
        assert await installation.install_policies(client) == version
    for plural in ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"):
        assert await names(api, version, plural) == ["aliquot-gpu-class"]
    for plural in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        assert await names(api, "v1", plural) == ["aliquot-gpu-class"]


async def test_nothing_is_installed_where_none_is_served(start: Start) -> None:
    api, client = await start(Surface("1.35"))
    assert await installation.install_policies(client) == ""
    assert await names(api, "v1", "validatingadmissionpolicies") == []


async def test_a_dry_run_changes_nothing(start: Start) -> None:
    api, client = await start(Surface("1.36"))
    await installation.apply(client, installation.policies("v1"), dry_run=True)
    assert await names(api, "v1", "mutatingadmissionpolicies") == []


@pytest.mark.parametrize(
    ("name", "objects"),
    [
        ("admission", installation.policies("v1")),
        ("admission-webhook", installation.webhook()),
        ("admission-webhook-cert-manager", installation.webhook(by_cert_manager=True)),
    ],
)
def test_the_manifests_are_what_the_code_says(name: str, objects: Sequence[dict[str, Any]]) -> None:
    """`make generate` writes them."""
    manifest = Path(__file__).parents[2] / f"deploy/{name}.yaml"
    assert manifest.read_text() == installation.manifests(objects)


async def test_what_the_webhook_stands_on(start: Start) -> None:
    api, client = await start(Surface("1.35"))
    for _ in range(2):
        await installation.apply(client, installation.webhook())
    found = await api.ok("GET", "/api/v1/namespaces/aliquot-system/services/aliquot-admission")
    assert found["spec"]["ports"][0]["targetPort"] == 8443


async def test_policies_take_the_place_of_the_webhook(start: Start) -> None:
    api, client = await start(Surface("1.36"))
    await installation.forget_webhook(client)
    body = {"apiVersion": f"{GROUP}/v1", "kind": "MutatingWebhookConfiguration"}
    path = f"/apis/{GROUP}/v1/mutatingwebhookconfigurations"
    await api.ok("POST", path, {**body, "metadata": {"name": "aliquot-gpu-class"}})
    await installation.forget_webhook(client)
    assert (await api.ok("GET", path))["items"] == []
