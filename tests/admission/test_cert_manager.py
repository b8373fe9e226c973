"""The webhook with a certificate of cert-manager, for which the test stands: the kinds, and what becomes of a Certificate."""

import asyncio
import base64
import json
import random
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from aliquot.admission import cert_manager, installation
from aliquot.admission.cert_manager import CERTIFICATES, INJECT, ISSUERS, ManagedCertificate
from aliquot.admission.certificates import Held, renewed
from aliquot.admission.registration import CONFIGURATIONS, Registration
from aliquot.admission.server import WebhookServer, listen
from aliquot.cli.main import cli
from aliquot.clock import SystemClock
from aliquot.emulator.testing import EmulatedApi
from aliquot.kube import kubeconfig
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.resources import CRDS, PODS, SECRETS
from tests.admission.test_webhook import pod

NAMESPACE = "aliquot-system"


def crd(kind: str, plural: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    spec = {"group": "cert-manager.io", "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": f"{plural}.cert-manager.io"}, "spec": spec}


def made_anew(before: Held | None = None) -> Held:
    """Another certificate for the test's webhook, by the same authority as `before`."""
    soon_s = 0.0 if before is None else 61 * 86_400.0
    return renewed(before, "127.0.0.1", SystemClock().now() + soon_s)


class World:
    """`client` is an administrator's; `its_own` has the rights of the webhook's ServiceAccount, and no others."""

    def __init__(self, api: EmulatedApi, client: Client, its_own: Client) -> None:
        self.api = api
        self.client = client
        self.its_own = its_own
        self.listening = listen("127.0.0.1", 0)
        self.port: int = self.listening.getsockname()[1]
        url = {"url": f"https://127.0.0.1:{self.port}/mutate"}
        self.managed = ManagedCertificate(its_own, namespace=NAMESPACE, client_config=url)
        self.own = Registration(
            its_own, clock=SystemClock(), namespace=NAMESPACE, client_config=url, host="127.0.0.1"
        )
        self.server = WebhookServer(self.managed, self.listening, scheduler="aliquot")

    async def issue(self, held: Held) -> None:
        """As cert-manager does."""
        data = {"ca.crt": held.authorities, "tls.crt": held.certificate, "tls.key": held.key}
        body = {
            "metadata": {"name": cert_manager.SECRET, "namespace": NAMESPACE},
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(pem).decode() for name, pem in data.items()},
        }
        await self.client.apply(SECRETS, body, field_manager="cert-manager", force=True)

    async def inject(self, held: Held) -> None:
        """As its injector does."""
        bundle = base64.b64encode(held.authorities).decode()
        patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": bundle}]
        await self.client.patch(CONFIGURATIONS, "aliquot-gpu-class", patch, kind=PatchKind.JSON)

    async def configuration(self) -> dict[str, Any]:
        return await self.client.get(CONFIGURATIONS, "aliquot-gpu-class")

    async def bundle(self) -> bytes:
        found = await self.configuration()
        return base64.b64decode(found["webhooks"][0]["clientConfig"]["caBundle"])

    async def shown(self) -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", self.port))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.server.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def cluster(directory: Path, *, with_it: bool = True) -> AsyncIterator[World]:
    with EmulatedApi(directory, version="1.35", controllers=False) as api:
        account = api.kubeconfig_of("system:serviceaccount:aliquot-system:aliquot-admission")
        transports = [kubeconfig.load(str(path), None).transport() for path in (api.kubeconfig, account)]
        client, its_own = (Client(one, clock=SystemClock(), rng=random.Random(1)) for one in transports)
        if with_it:
            for kind, plural in (("Issuer", "issuers"), ("Certificate", "certificates")):
                await client.apply(CRDS, crd(kind, plural), field_manager="tests")
        world = World(api, client, its_own)
        try:
            yield world
        finally:
            world.listening.close()
            for one in transports:
                await one.close()


async def install(world: World, *arguments: str) -> tuple[int, str]:
    """By the command, as an administrator."""
    command = [sys.executable, "-m", "aliquot.cli.main", "admission", "install", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, "--kubeconfig", str(world.api.kubeconfig), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def asked_for(world: World) -> list[str]:
    found = []
    for resource in (ISSUERS, CERTIFICATES):
        if await cert_manager.is_served(world.client):
            listed = await world.client.list(resource, NAMESPACE)
            found += [f"{resource.kind} {one['metadata']['name']}" for one in listed.items]
    return found


ALL = [
    "Issuer aliquot-admission",
    "Issuer aliquot-admission-root",
    "Certificate aliquot-admission",
    "Certificate aliquot-admission-authority",
]


@pytest.mark.parametrize(
    ("with_it", "choice", "asked", "said"),
    [
        (True, "auto", ALL, "Certificate aliquot-admission (cert-manager.io/v1): applied"),
        (True, "cert-manager", ALL, "Certificate aliquot-admission (cert-manager.io/v1): applied"),
        (True, "self", [], "Service aliquot-admission (v1): applied"),
        (False, "auto", [], "Service aliquot-admission (v1): applied"),
        (False, "cert-manager", [], "install cert-manager, or give --certificates self"),
    ],
)
async def test_who_is_asked_for_the_certificate(
    tmp_path: Path, with_it: bool, choice: str, asked: list[str], said: str
) -> None:
    async with cluster(tmp_path, with_it=with_it) as world:
        code, output = await install(world, "--certificates", choice)
        assert said in output
        assert code == (1 if choice == "cert-manager" and not with_it else 0)
        assert await asked_for(world) == asked
        if code == 0:
            assert await cert_manager.is_asked(world.its_own, NAMESPACE) is bool(asked)


async def test_one_may_go_back_to_the_webhooks_own(tmp_path: Path) -> None:
    async with cluster(tmp_path) as world:
        await install(world)
        await install(world, "--certificates", "self")
        assert await asked_for(world) == []
        held = made_anew()
        await world.issue(held)
        await world.managed.certificate()
        assert INJECT in (await world.configuration())["metadata"]["annotations"]
        own = await world.own.certificate()
        assert await world.bundle() == own.authorities
        assert "annotations" not in (await world.configuration())["metadata"]


async def test_pods_are_changed_by_a_webhook_with_its_certificate(tmp_path: Path) -> None:
    async with cluster(tmp_path) as world:
        await installation.apply(world.client, installation.webhook(by_cert_manager=True))
        held = made_anew()
        await world.issue(held)
        async with world.serving():
            assert await world.shown() == held.certificate.decode()
            made = await world.client.create(PODS, pod("a", "small"))
            assert made["spec"]["containers"][0]["resources"]["limits"] == {"class.aliquot.dev/small": "1"}
            found = await world.configuration()
            assert found["metadata"]["annotations"] == {INJECT: "aliquot-system/aliquot-admission"}


async def test_what_it_renews_is_shown_from_then_on(tmp_path: Path) -> None:
    async with cluster(tmp_path) as world:
        await installation.apply(world.client, installation.webhook(by_cert_manager=True))
        first = made_anew()
        await world.issue(first)
        async with world.serving():
            assert await world.shown() == first.certificate.decode()
            second = made_anew(first)
            await world.issue(second)
            await world.inject(second)
            assert await world.server.look() == 60.0
            assert await world.shown() == second.certificate.decode()
            # Another authority too.
            third = made_anew()
            await world.issue(third)
            await world.inject(third)
            await world.server.look()
            assert (await world.shown(), await world.bundle()) == (
                third.certificate.decode(),
                third.authorities,
            )
            await world.client.create(PODS, pod("a", "small"))


async def test_it_waits_until_it_is_issued_and_says_so(tmp_path: Path) -> None:
    async with cluster(tmp_path) as world:
        await installation.apply(world.client, installation.webhook(by_cert_manager=True))
        held, other = made_anew(), made_anew()
        with capture_logs() as logs:
            waiting = asyncio.create_task(world.managed.certificate())
            await asyncio.sleep(0.5)
            assert not waiting.done()
            await world.issue(Held(held.authorities, b"", held.certificate, other.key))
            await asyncio.sleep(2.5)
            assert not waiting.done()
            await world.issue(held)
            assert (await waiting).certificate == held.certificate
        told = [one["why"] for one in logs if one["event"] == "waits for cert-manager"]
        assert told == ["the certificate has not been issued", "certificate and key do not belong together"]


def test_an_address_outside_of_the_cluster_has_no_such_certificate() -> None:
    arguments = ["--certificates", "cert-manager", "--url", "https://a.example"]
    done = CliRunner().invoke(cli, ["admission", "serve", *arguments])
    assert done.exit_code == 2
    assert "with --url, give --certificates self" in done.output


def test_what_is_asked_is_of_one_name() -> None:
    (certificate,) = [
        one
        for one in cert_manager.objects(NAMESPACE, "aliquot-admission")
        if one["kind"] == "Certificate" and one["metadata"]["name"] == "aliquot-admission"
    ]
    assert certificate["spec"]["dnsNames"] == ["aliquot-admission.aliquot-system.svc"]
    assert json.dumps(certificate["spec"]["issuerRef"], sort_keys=True) == json.dumps(
        {"group": "cert-manager.io", "kind": "Issuer", "name": "aliquot-admission"}
    )
