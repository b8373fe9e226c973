"""The webhook as an API server without mutating policies calls it, over HTTPS on loopback."""

import asyncio
import base64
import json
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aliquot.admission import installation
from aliquot.admission.policy import NAME
from aliquot.admission.registration import CONFIGURATIONS, SECRET, Registration
from aliquot.admission.reviews import NotAReview, answer
from aliquot.admission.server import CannotListen, WebhookServer, listen
from aliquot.clock import SystemClock
from aliquot.emulator.testing import EmulatedApi
from aliquot.kube import errors, kubeconfig
from aliquot.kube.client import Client
from aliquot.kube.resources import PODS, SECRETS
from aliquot.kube.roles import CLUSTER_ROLES

DAY = 86_400.0


class MovedClock:
    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return SystemClock().now() + self.ahead_s


def pod(name: str, class_name: str | None = None) -> dict[str, Any]:
    annotations = {"aliquot.dev/gpu-class": class_name} if class_name is not None else {}
    return {
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "i"}]},
    }


class World:
    """`its_own` has the rights of the webhook's ServiceAccount, and no others."""

    def __init__(self, client: Client, its_own: Client, clock: MovedClock) -> None:
        self.client = client
        self.its_own = its_own
        self.clock = clock
        self.listening = listen("127.0.0.1", 0)
        self.port: int = self.listening.getsockname()[1]
        self.registration = self.registered_as("127.0.0.1")
        self.server = WebhookServer(self.registration, self.listening, scheduler="aliquot")

    def registered_as(self, host: str) -> Registration:
        return Registration(
            self.its_own,
            clock=self.clock,
            namespace="aliquot-system",
            client_config={"url": f"https://127.0.0.1:{self.port}/mutate"},
            host=host,
        )

    async def shown(self) -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", self.port))

    async def bundle(self) -> bytes:
        found = await self.client.get(CONFIGURATIONS, "aliquot-gpu-class")
        return base64.b64decode(found["webhooks"][0]["clientConfig"]["caBundle"])


@asynccontextmanager
async def followed(directory: Path) -> AsyncIterator[World]:
    with EmulatedApi(directory, version="1.35", controllers=False) as api:
        account = api.kubeconfig_of("system:serviceaccount:aliquot-system:aliquot-admission")
        transports = [kubeconfig.load(str(path), None).transport() for path in (api.kubeconfig, account)]
        client, its_own = (Client(one, clock=SystemClock(), rng=random.Random(1)) for one in transports)
        assert await installation.served_version(client) == ""
        await installation.apply(client, installation.webhook())
        world = World(client, its_own, MovedClock())
        # Registered; whoever connects waits until it is served.
        await world.registration.certificate()
        running = asyncio.create_task(world.server.run())
        try:
            yield world
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            for one in transports:
                await one.close()


async def test_pods_are_changed_and_refused_as_by_the_policy(tmp_path: Path) -> None:
    async with followed(tmp_path) as world:
        made = await world.client.create(PODS, pod("a", "small"))
        assert made["spec"]["containers"][0]["resources"]["limits"] == {"class.aliquot.dev/small": "1"}
        assert made["spec"]["schedulerName"] == "aliquot"
        other = await world.client.create(PODS, pod("b"))
        assert other["spec"]["schedulerName"] == "default-scheduler"
        with pytest.raises(errors.ApiError, match="'Small' is no name of a GPUClass"):
            await world.client.create(PODS, pod("c", "Small"))


async def test_the_certificate_is_renewed_while_it_serves(tmp_path: Path) -> None:
    async with followed(tmp_path) as world:
        await world.client.create(PODS, pod("a", "small"))
        before = await world.shown(), await world.bundle()
        await world.server.look()
        assert (await world.shown(), await world.bundle()) == before
        world.clock.ahead_s = 61 * DAY
        await world.server.look()
        after = await world.shown(), await world.bundle()
        assert after[0] != before[0] and after[1] == before[1]
        # The authority nears its end: the cluster hears of the next one, and goes on to trust the one before.
        world.clock.ahead_s = 3300 * DAY
        await world.registration.certificate()
        assert (await world.bundle()).endswith(before[1]) and len(await world.bundle()) > len(before[1])


async def test_it_goes_with_what_it_stands_on(tmp_path: Path) -> None:
    """As Helm takes that away, which knows nothing of what the webhook has made."""
    async with followed(tmp_path) as world:
        role = await world.client.get(CLUSTER_ROLES, "aliquot-admission")
        (owner,) = (await world.client.get(CONFIGURATIONS, NAME))["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("ClusterRole", role["metadata"]["uid"])


async def test_replicas_take_over_what_one_has_made(tmp_path: Path) -> None:
    async with followed(tmp_path) as world:
        other = world.registered_as("127.0.0.1")
        assert await other.certificate() == await world.registration.certificate()
        world.clock.ahead_s = 61 * DAY
        one, two = await asyncio.gather(other.certificate(), world.registration.certificate())
        assert one == two
        secret = await world.client.get(SECRETS, SECRET, "aliquot-system")
        assert base64.b64decode(secret["data"]["tls.crt"]) == one.certificate


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"apiVersion": "v1", "request": {"uid": "u", "object": null}}'],
)
def test_what_is_no_review_is_refused(body: bytes) -> None:
    with pytest.raises(NotAReview, match="not an AdmissionReview of a pod"):
        answer(body, scheduler="aliquot")


def test_an_answer_names_the_request() -> None:
    review = {"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "object": pod("a")}}
    assert json.loads(answer(json.dumps(review).encode(), scheduler="aliquot")) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "u", "allowed": True},
    }


def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{port}: .*; give another --port"):
            listen("127.0.0.1", port)
