"""Keeps the webhook's certificate in a Secret, and the cluster told of whom to trust.

Replicas share the Secret: whoever finds that something is due renews it, and the others take it over. The cluster is told
first, and only then does the server show what is new.
"""

import base64
from collections.abc import Mapping
from typing import Any

from aliquot.admission.certificates import Held, due_in_s, renewed
from aliquot.admission.policy import CONCERNS, GROUP, NAME, PODS_MADE
from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import SECRETS, Resource
from aliquot.kube.roles import ADMISSION, CLUSTER_ROLES

FIELD_MANAGER = "aliquot-admission"
SECRET = "aliquot-admission-certificate"
PATH = "/mutate"
CONFIGURATIONS = Resource(
    GROUP, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", namespaced=False
)
_LOOK_S = 3600.0
"""Between looks at the Secret, which another replica may have renewed."""
_FIELDS = {
    "ca.crt": "authorities",
    "ca.key": "authority_key",
    "tls.crt": "certificate",
    "tls.key": "key",
}


class Registration:
    """`client_config`: where the API server finds the webhook (`service` or `url`); `host`: the name it expects there."""

    def __init__(
        self, client: Client, *, clock: Clock, namespace: str, client_config: Mapping[str, Any], host: str
    ) -> None:
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._client_config = client_config
        self._host = host

    async def certificate(self) -> Held:
        """What to serve with; it has not ended, and the cluster trusts it. Raises ApiError."""
        held = await self._kept()
        ca_bundle = base64.b64encode(held.authorities).decode()
        await self._client.apply(
            CONFIGURATIONS,
            configuration({**self._client_config, "caBundle": ca_bundle}, await owners(self._client)),
            field_manager=FIELD_MANAGER,
            force=True,
        )
        return held

    def look_again_s(self, held: Held) -> float:
        return min(_LOOK_S, max(1.0, due_in_s(held, self._clock.now())))

    async def _kept(self) -> Held:
        while True:
            try:
                secret = await self._client.get(SECRETS, SECRET, self._namespace)
            except errors.NotFound:
                secret = None
            before = _read((secret or {}).get("data") or {})
            held = renewed(before, self._host, self._clock.now())
            if held == before:
                return held
            try:
                if secret is None:
                    await self._client.create(SECRETS, _secret(held), self._namespace)
                else:
                    version = {"resourceVersion": secret["metadata"]["resourceVersion"]}
                    body = {"metadata": version, "data": _secret(held)["data"]}
                    await self._client.patch(SECRETS, SECRET, body, self._namespace)
            except (errors.Conflict, errors.AlreadyExists):
                # Another replica was first.
                continue
            return held


async def owners(client: Client) -> list[dict[str, Any]]:
    """The webhook's ClusterRole: whoever takes that away, as Helm does, takes the configuration with it, and nobody goes on to be
    asked who does not answer any more. Raises ApiError."""
    try:
        role = await client.get(CLUSTER_ROLES, ADMISSION["metadata"]["name"])
    except (errors.NotFound, errors.Forbidden):
        return []
    metadata = role["metadata"]
    return [
        {
            "apiVersion": CLUSTER_ROLES.api_version,
            "kind": CLUSTER_ROLES.kind,
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
    ]


def configuration(client_config: Mapping[str, Any], owners: list[dict[str, Any]]) -> dict[str, Any]:
    webhook = {
        "name": "gpu-class.aliquot.dev",
        "clientConfig": dict(client_config),
        "rules": [{**PODS_MADE, "scope": "Namespaced"}],
        "matchConditions": [CONCERNS],
        # Let through, such a pod would run without what it asks for.
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "sideEffects": "None",
        "timeoutSeconds": 5,
        "admissionReviewVersions": ["v1"],
    }
    return {"metadata": {"name": NAME, "ownerReferences": owners}, "webhooks": [webhook]}


def _read(data: Mapping[str, str]) -> Held | None:
    if any(not data.get(name) for name in _FIELDS):
        return None
    return Held(**{field: base64.b64decode(data[name]) for name, field in _FIELDS.items()})


def _secret(held: Held) -> dict[str, Any]:
    data = {name: base64.b64encode(getattr(held, field)).decode() for name, field in _FIELDS.items()}
    return {"metadata": {"name": SECRET}, "type": "Opaque", "data": data}
