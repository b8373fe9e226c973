"""CertificateSigningRequests: kubelets' own are approved, approved ones are signed, old ones are swept away."""

import asyncio
import random
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Protocol

import structlog
from cryptography import x509

from aliquot.clock import Clock, parse_rfc3339, rfc3339
from aliquot.emulator.certificate_requests import signers
from aliquot.emulator.certificate_requests.strategy import request_of
from aliquot.kube import errors
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import Resource

REQUESTS = Resource(
    "certificates.k8s.io",
    "v1",
    "certificatesigningrequests",
    "CertificateSigningRequest",
    namespaced=False,
)
_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)

SWEEP_S = 3600.0
JUDGED_S = 3600.0
"""How long an issued or a denied request stays."""
PENDING_S = 24 * 3600.0

_log = structlog.get_logger()

Json = dict[str, Any]


class Signs(Protocol):
    """The cluster's authority."""

    def sign(self, request: x509.CertificateSigningRequest, usages: list[str], lasts_s: int) -> bytes:
        """PEM."""
        ...


class CertificateRequests:
    def __init__(
        self, client: Client, clock: Clock, rng: random.Random, requests: Cache[Json], authority: Signs
    ) -> None:
        self._client = client
        self._clock = clock
        self._requests = requests
        self._authority = authority
        self.controller = Controller("certificaterequests", self.reconcile, rng=rng)
        requests.subscribe(self._changed)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.controller.run())
            tasks.create_task(self._sweep_now_and_then())

    def _changed(self, old: Json | None, new: Json | None) -> None:
        if new is not None:
            self.controller.enqueue(new["metadata"]["name"])

    async def reconcile(self, name: str) -> float | None:
        found = self._requests.get(name)
        if found is None or (found.get("status") or {}).get("certificate"):
            return None
        try:
            request = signers.parse(request_of(found))
        except signers.RequestInvalid as error:
            _log.warning("certificate request cannot be read", name=name, error=str(error))
            return None
        judged = {one["type"] for one in conditions(found)}
        if "Approved" in judged and "Failed" not in judged:
            await self._sign(found, request)
        elif not judged & {"Approved", "Denied"}:
            await self._approve(found, request)
        return None

    async def _approve(self, found: Json, request: x509.CertificateSigningRequest) -> None:
        """A kubelet's client certificate, where its maker may have one."""
        spec = found["spec"]
        if spec["signerName"] != signers.KUBELET_CLIENT:
            return
        if not signers.is_kubelet_client(request, spec.get("usages") or ()):
            return
        for right, whose in (("selfnodeclient", "self "), ("nodeclient", "")):
            if whose and spec.get("username") != signers.common_name(request):
                continue
            if not await self._may(spec, right):
                continue
            message = f"Auto approving {whose}kubelet client certificate after SubjectAccessReview."
            await self._judge(found, "approval", "Approved", "AutoApproved", message)
            return

    async def _may(self, spec: Json, right: str) -> bool:
        asked = {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "verb": "create",
            "subresource": right,
        }
        who = {"user": spec.get("username", ""), "groups": spec.get("groups") or []}
        extra = {"extra": spec["extra"]} if spec.get("extra") else {}
        review = {"spec": {**who, **extra, "uid": spec.get("uid", ""), "resourceAttributes": asked}}
        answer = await self._client.create(_REVIEWS, review)
        return bool(answer["status"]["allowed"])

    async def _sign(self, found: Json, request: x509.CertificateSigningRequest) -> None:
        spec = found["spec"]
        if spec["signerName"] not in signers.SIGNERS:
            return
        usages = list(spec.get("usages") or ())
        if wrong := signers.problem(spec["signerName"], request, usages):
            await self._judge(found, "status", "Failed", "SignerValidationFailure", wrong)
            return
        certificate = self._authority.sign(request, usages, signers.lasts_s(spec.get("expirationSeconds")))
        encoded = b64encode(certificate).decode()
        await self._patch(found, "status", {"certificate": encoded, "conditions": conditions(found)})

    async def _judge(self, found: Json, endpoint: str, kind: str, reason: str, message: str) -> None:
        made = {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastUpdateTime": rfc3339(self._clock.now()),
        }
        await self._patch(found, endpoint, {"conditions": [*conditions(found), made]})

    async def _patch(self, found: Json, endpoint: str, status: Json) -> None:
        version = {"resourceVersion": found["metadata"]["resourceVersion"]}
        try:
            await self._client.patch(
                REQUESTS,
                found["metadata"]["name"],
                {"metadata": version, "status": status},
                subresource=endpoint,
            )
        except errors.NotFound:
            return

    async def _sweep_now_and_then(self) -> None:
        while True:
            for found in [one for one in self._requests.values() if is_over(one, self._clock.now())]:
                try:
                    await self._client.delete(
                        REQUESTS, found["metadata"]["name"], uid=found["metadata"]["uid"]
                    )
                except (errors.NotFound, errors.Conflict):
                    continue
                except errors.ApiError as error:
                    _log.warning("certificate requests not swept", error=error.message)
                    break
            await asyncio.sleep(SWEEP_S)


def conditions(found: Mapping[str, Any]) -> list[Json]:
    return list((found.get("status") or {}).get("conditions") or ())


def is_over(found: Mapping[str, Any], now: float) -> bool:
    """Nobody waits for it any more: issued or denied for an hour, issued and expired, or unjudged for a day."""
    judged: list[Json] = conditions(found)
    pem: str = (found.get("status") or {}).get("certificate") or ""
    if not judged:
        return now - parse_rfc3339(found["metadata"]["creationTimestamp"]) > PENDING_S
    for one in judged:
        issued = one["type"] == "Approved" and bool(pem)
        since = one.get("lastUpdateTime")
        if (issued or one["type"] == "Denied") and since and now - parse_rfc3339(since) > JUDGED_S:
            return True
        if issued and _ends(pem) < now:
            return True
    return False


def _ends(pem: str) -> float:
    try:
        certificates = x509.load_pem_x509_certificates(b64decode(pem))
    except ValueError:
        return float("inf")
    return certificates[0].not_valid_after_utc.timestamp()
