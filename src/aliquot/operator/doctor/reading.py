"""Reads what the doctor looks at. What a user may not see is left out, and said."""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aliquot.kube import errors
from aliquot.kube.api.core import Lease, Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.client import Client
from aliquot.kube.resources import (
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    EVENTS,
    GPUNODES,
    GPUPOLICIES,
    LEASES,
    NODES,
    PODS,
    RUNTIMECLASSES,
    SECRETS,
    Resource,
)
from aliquot.kube.roles import LEASES_IN
from aliquot.operator.core.refusals import REASON, daemon_set_of, refusal
from aliquot.operator.doctor.installation import DISCOVERY
from aliquot.operator.doctor.seen import Seen, Webhook

T = TypeVar("T")

_OURS = "aliquot-"
_INJECTED = "cert-manager.io/inject-ca-from"
_CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)


@dataclass(frozen=True, slots=True)
class WebhookNames:
    configuration: str
    secret: str
    """With the certificate that the webhook has made."""
    managed_secret: str
    """With the one by cert-manager, which then is named in an annotation of the configuration."""


async def read(client: Client, *, namespace: str, webhook: WebhookNames) -> Seen:
    """Raises ApiError where the API server does not answer."""
    reader = _Reader(client)
    crds = await reader.listed(CRDS, dict)
    gpu_nodes = await reader.listed(GPUNODES, GPUNode)
    leases = await reader.listed(LEASES, Lease, LEASES_IN)
    runtime_classes = await reader.listed(RUNTIMECLASSES, dict)
    return Seen(
        now_s=client.clock.now(),
        namespace=namespace,
        crds={one["metadata"]["name"]: one for one in crds},
        policies=await reader.listed(GPUPOLICIES, dict),
        nodes=await reader.listed(NODES, Node),
        gpu_nodes={one.metadata.name: one for one in gpu_nodes},
        pods=await reader.listed(PODS, Pod, namespace),
        deployments=_ours(await reader.listed(DEPLOYMENTS, dict, namespace)),
        daemon_sets=await reader.listed(DAEMONSETS, dict, namespace),
        leases={one.metadata.name: one for one in leases},
        runtime_classes=frozenset(one["metadata"]["name"] for one in runtime_classes),
        discovery_refused=await reader.refusal(DISCOVERY, namespace),
        webhook=await reader.webhook(webhook, namespace),
        unread=reader.unread,
    )


def _ours(workloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in workloads if one["metadata"]["name"].startswith(_OURS)]


class _Reader:
    def __init__(self, client: Client) -> None:
        self._client = client
        self.unread: dict[Resource, str] = {}

    async def listed(self, resource: Resource, into: type[T], namespace: str | None = None) -> list[T]:
        async def ask() -> list[T]:
            return list((await self._client.list(resource, namespace, into=into)).items)

        return await self._asked(resource, ask) or []

    async def refusal(self, daemon_set: str, namespace: str) -> str:
        """Events may go unseen: what they explain is told without."""
        try:
            found = await self._client.list(EVENTS, namespace, field_selector=f"reason={REASON}")
        except errors.Forbidden:
            return ""
        about = [one for one in found.items if daemon_set_of(one) == daemon_set]
        return refusal(about, self._client.clock.now())

    async def webhook(self, names: WebhookNames, namespace: str) -> Webhook | None:
        found = await self._asked(
            _CONFIGURATIONS, lambda: self._client.get(_CONFIGURATIONS, names.configuration)
        )
        if found is None:
            return None
        config = found["webhooks"][0]["clientConfig"]
        is_managed = _INJECTED in (found["metadata"].get("annotations") or {})
        secret = names.managed_secret if is_managed else names.secret
        held = await self._asked(SECRETS, lambda: self._client.get(SECRETS, secret, namespace))
        data = (held or {}).get("data") or {}
        return Webhook(
            name=names.configuration,
            bundle=base64.b64decode(config.get("caBundle", "")),
            certificate=base64.b64decode(data.get("tls.crt", "")),
        )

    async def _asked(self, resource: Resource, ask: Callable[[], Awaitable[T]]) -> T | None:
        """None: it is not there, or not to be seen."""
        try:
            return await ask()
        except errors.NotFound:
            return None
        except errors.Forbidden as error:
            self.unread[resource] = error.message
            return None
