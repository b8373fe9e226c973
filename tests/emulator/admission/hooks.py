"""Webhooks for tests: configurations, answers, and a network without sockets."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aliquot.emulator.network import CallFailed, Endpoint, Reply
from tests.emulator.api import Api

Json = dict[str, Any]
Handler = Callable[[Json], Awaitable[Json] | Json]

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1"
EVERY_CONFIG = {
    "operations": ["*"],
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["configmaps"],
}


def hook(name: str = "h.example.com", **changes: Any) -> Json:
    return {
        "name": name,
        "clientConfig": {"url": f"https://{name}/"},
        "rules": [EVERY_CONFIG],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **changes,
    }


async def configure(api: Api, kind: str, *hooks: Json, name: str = "w") -> Json:
    """`kind` is Mutating or Validating."""
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": list(hooks),
    }
    made: Json = await api.ok("POST", f"{CONFIGURATIONS}/{kind.lower()}webhookconfigurations", body)
    return made


def allow(review: Json, **more: Any) -> Json:
    response = {"uid": review["request"]["uid"], "allowed": True, **more}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def deny(review: Json, **status: Any) -> Json:
    return allow(review, allowed=False, **({"status": status} if status else {}))


def patch(review: Json, *operations: Json) -> Json:
    encoded = base64.b64encode(json.dumps(operations).encode()).decode()
    return allow(review, patch=encoded, patchType="JSONPatch")


def label(review: Json, key: str, value: str) -> Json:
    """Sets one label, whatever there is."""
    labels = review["request"]["object"]["metadata"].get("labels")
    return patch(
        review,
        {"op": "add", "path": "/metadata/labels", "value": {**(labels or {}), key: value}},
    )


class Wire:
    """A Network: each host has a handler, which gets the review and answers one, or fails."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.reviews: list[tuple[str, Json]] = []
        """(host, what it was sent), in the order of the calls."""
        self.endpoints: list[Endpoint] = []

    def asked(self, host: str = "h.example.com") -> list[Json]:
        return [review["request"] for name, review in self.reviews if name == host]

    async def get(self, endpoint: Endpoint, *, timeout_s: float) -> Reply:
        raise AssertionError("webhooks are sent to, never read from")

    async def post(self, endpoint: Endpoint, body: bytes, *, timeout_s: float) -> Reply:
        host = endpoint.url.removeprefix("https://").partition("/")[0].partition(":")[0]
        review = json.loads(body)
        self.reviews.append((host, review))
        self.endpoints.append(endpoint)
        try:
            async with asyncio.timeout(timeout_s):
                answer = self.handlers.get(host, allow)(review)
                if not isinstance(answer, dict):
                    answer = await answer
        except TimeoutError:
            raise CallFailed(f'Post "{endpoint.url}": context deadline exceeded') from None
        return Reply(200, json.dumps(answer).encode())

    async def close(self) -> None:
        pass
