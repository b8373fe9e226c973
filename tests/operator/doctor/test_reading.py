"""What the doctor reads of the webhook: whose certificate it has, only its configuration says."""

import base64
import random

import pytest

from aliquot.clock import VirtualClock, rfc3339
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import EVENTS, SECRETS, SERVICEACCOUNTS
from aliquot.operator.doctor.reading import WebhookNames, read
from tests.emulator.api import Api, on_virtual_time

NAMESPACE = "aliquot-system"
NAMES = WebhookNames("aliquot-gpu-class", "its-own", "managed")
PATH = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_what_is_said_of_discoverys_pods() -> None:
    async def main(api: Api) -> None:
        transport = AsgiTransport(api.server.app, "admin", ("system:masters",))
        client = Client(transport, clock=VirtualClock(), rng=random.Random(0))
        await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for name, message in (("aliquot-p-driver", "another's"), ("aliquot-discovery", "exceeded quota: q")):
            about = {"kind": "DaemonSet", "name": name, "namespace": NAMESPACE}
            event = {"metadata": {"name": name, "namespace": NAMESPACE}, "involvedObject": about}
            told = {
                "reason": "FailedCreate",
                "message": f"Error creating: {message}",
                "lastTimestamp": rfc3339(client.clock.now()),
            }
            await client.create(EVENTS, event | told)
        seen = await read(client, namespace=NAMESPACE, webhook=NAMES)
        assert seen.discovery_refused == "exceeded quota: q"

    on_virtual_time(main)


@pytest.mark.parametrize(
    ("annotations", "certificate"),
    [({}, b"its own"), ({"cert-manager.io/inject-ca-from": "aliquot-system/aliquot-admission"}, b"managed")],
    ids=["made by itself", "by cert-manager"],
)
def test_whose_certificate_is_looked_at(annotations: dict[str, str], certificate: bytes) -> None:
    async def main(api: Api) -> None:
        transport = AsgiTransport(api.server.app, "admin", ("system:masters",))
        client = Client(transport, clock=VirtualClock(), rng=random.Random(0))
        await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        await client.create(SERVICEACCOUNTS, {"metadata": {"name": "default"}}, NAMESPACE)
        for name, text in (("its-own", "its own"), ("managed", "managed")):
            await client.create(
                SECRETS, {"metadata": {"name": name}, "data": {"tls.crt": encoded(text)}}, NAMESPACE
            )
        webhook = {
            "name": "gpu-class.aliquot.dev",
            "clientConfig": {"url": "https://127.0.0.1:1/mutate"},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        metadata = {"name": "aliquot-gpu-class", "annotations": annotations}
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
        await api.ok("POST", PATH, {**kind, "metadata": metadata, "webhooks": [webhook]})
        seen = await read(client, namespace=NAMESPACE, webhook=NAMES)
        assert seen.webhook is not None
        assert (seen.webhook.name, seen.webhook.bundle) == ("aliquot-gpu-class", b"")
        assert seen.webhook.certificate == certificate
        assert seen.unread == {}

    on_virtual_time(main)
