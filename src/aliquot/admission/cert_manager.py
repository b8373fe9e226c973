"""The webhook's certificate by cert-manager, where a cluster has it: what it is asked for, and what it has made.

An authority of the namespace's own signs it, so that whoever trusts that one trusts the next certificate too. cert-manager
renews both; its injector tells the API server of the authority, and so does the webhook itself, in the same words.
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from aliquot.admission.certificates import Held, belong_together
from aliquot.admission.registration import CONFIGURATIONS, FIELD_MANAGER, configuration, owners
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import SECRETS, Resource

GROUP = "cert-manager.io"
ISSUERS = Resource(GROUP, "v1", "issuers", "Issuer")
CERTIFICATES = Resource(GROUP, "v1", "certificates", "Certificate")
NAME = "aliquot-admission"
"""Of the Certificate, and of the Issuer that signs it."""
AUTHORITY = "aliquot-admission-authority"
ROOT = "aliquot-admission-root"
"""Signs the authority: whoever signs himself."""
SECRET = "aliquot-admission-tls"
"""Not the one that the webhook makes for itself: a Secret cannot change its type."""
INJECT = "cert-manager.io/inject-ca-from"

_LOOK_S = 60.0
"""Between looks at the Secret."""
_ISSUED_S = 2.0
"""Between looks while there is none yet."""

_log = structlog.get_logger()


async def is_served(client: Client) -> bool:
    """Raises ApiError."""
    try:
        listed = msgspec.json.decode(await client.get_raw(f"/apis/{GROUP}/v1"))
    except errors.NotFound:
        return False
    return {ISSUERS.plural, CERTIFICATES.plural} <= {one["name"] for one in listed["resources"]}


async def is_asked(client: Client, namespace: str) -> bool:
    """Whether whoever installed the webhook has left its certificate to cert-manager. Raises ApiError."""
    try:
        await client.get(CERTIFICATES, NAME, namespace)
    except errors.NotFound:
        return False
    return True


def objects(namespace: str, service: str) -> tuple[dict[str, Any], ...]:
    """`service`: by which the API server reaches the webhook."""
    key = {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"}
    return (
        _issuer(ROOT, namespace, {"selfSigned": {}}),
        _certificate(
            AUTHORITY,
            namespace,
            {
                "isCA": True,
                "commonName": NAME,
                "secretName": AUTHORITY,
                "duration": "87600h",
                "renewBefore": "8760h",
                "privateKey": key,
                "issuerRef": {"group": GROUP, "kind": "Issuer", "name": ROOT},
            },
        ),
        _issuer(NAME, namespace, {"ca": {"secretName": AUTHORITY}}),
        _certificate(
            NAME,
            namespace,
            {
                "dnsNames": [f"{service}.{namespace}.svc"],
                "secretName": SECRET,
                "duration": "2160h",
                "renewBefore": "720h",
                "usages": ["digital signature", "server auth"],
                "privateKey": key,
                "issuerRef": {"group": GROUP, "kind": "Issuer", "name": NAME},
            },
        ),
    )


async def forget(client: Client, namespace: str) -> None:
    """Where the webhook makes its certificate itself. Raises ApiError."""
    for resource, names in ((CERTIFICATES, (NAME, AUTHORITY)), (ISSUERS, (NAME, ROOT))):
        for name in names:
            try:
                await client.delete(resource, name, namespace)
            except errors.NotFound:
                continue


class ManagedCertificate:
    """As `registration.Registration`, with what cert-manager has made."""

    def __init__(self, client: Client, *, namespace: str, client_config: Mapping[str, Any]) -> None:
        self._client = client
        self._namespace = namespace
        self._client_config = client_config

    async def certificate(self) -> Held:
        """What to serve with; the cluster trusts it. Waits until it has been issued. Raises ApiError."""
        held = await self._issued()
        config = {**self._client_config, "caBundle": base64.b64encode(held.authorities).decode()}
        body = configuration(config, await owners(self._client))
        body["metadata"]["annotations"] = {INJECT: f"{self._namespace}/{NAME}"}
        await self._client.apply(CONFIGURATIONS, body, field_manager=FIELD_MANAGER, force=True)
        return held

    def look_again_s(self, _held: Held) -> float:
        return _LOOK_S

    async def _issued(self) -> Held:
        said = ""
        while True:
            held = await self._kept()
            if not (missing := _missing(held)):
                return held
            if missing != said:
                said = missing
                _log.warning(
                    "waits for cert-manager",
                    secret=f"{self._namespace}/{SECRET}",
                    why=missing,
                    look_at=f"kubectl -n {self._namespace} describe certificates",
                )
            await asyncio.sleep(_ISSUED_S)

    async def _kept(self) -> Held:
        try:
            data = (await self._client.get(SECRETS, SECRET, self._namespace)).get("data") or {}
        except errors.NotFound:
            data = {}
        authorities, certificate, key = (
            base64.b64decode(data.get(name, "")) for name in ("ca.crt", "tls.crt", "tls.key")
        )
        return Held(authorities, b"", certificate, key)


def _missing(held: Held) -> str:
    if not held.certificate or not held.key:
        return "the certificate has not been issued"
    if not held.authorities:
        return "the Secret has no ca.crt"
    return "" if belong_together(held) else "certificate and key do not belong together"


def _issuer(name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{GROUP}/v1", "kind": "Issuer", "metadata": metadata, "spec": spec}


def _certificate(name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{GROUP}/v1", "kind": "Certificate", "metadata": metadata, "spec": spec}
