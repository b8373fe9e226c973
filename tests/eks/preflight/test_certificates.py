"""What the API server calls, and by which authorities it knows it."""

import base64
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from aliquot.eks.estate.objects import Crd, Objects
from aliquot.eks.preflight.checks import certificates, extensions, webhooks
from aliquot.eks.preflight.findings import Severity, Unchecked
from aliquot.eks.sightings.requests import SHA1_COUNTERS
from aliquot.eks.versions.minor import Minor
from tests.eks.preflight.estates import M131

BLOCK, WARN = Severity.BLOCK, Severity.WARN
TODAY = date(2026, 11, 29)
M130 = Minor(1, 30)

OLD = b"""\
-----BEGIN CERTIFICATE-----
MIIBfDCCASKgAwIBAgIUOtaGts9cutWuuozYcnvWCyLVjwIwCQYHKoZIzj0EATAT
MREwDwYDVQQDDAh3ZWJob29rczAgFw0yNjExMjkxMzIyMTBaGA8yMDUxMDcyMTEz
MjIxMFowEzERMA8GA1UEAwwId2ViaG9va3MwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAATR0zdc01UHlQ6zoj/+scz41f9GgvP4fKoDVQb166enbbH0xYzjjHtn3tos
mDkwDxqCW8ka5LL/zZdi4Qqbv6Huo1MwUTAdBgNVHQ4EFgQUBsyDmVMnNhFqon+p
V552XEGhuFUwHwYDVR0jBBgwFoAUBsyDmVMnNhFqon+pV552XEGhuFUwDwYDVR0T
AQH/BAUwAwEB/zAJBgcqhkjOPQQBA0kAMEYCIQDia6CXEoWc2zGHOJxNRhiWrvAr
L6M7CcqbWtkt8M4+/wIhALnePJbY5oscsWMbFS5r4I8PtFWlF2KKG2hDmxTfhY5v
-----END CERTIFICATE-----
"""
"""Signed with SHA-1, until 2051: cryptography itself makes none any more."""


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def pem(days: int) -> bytes:
    """An authority that is over so many days after today."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhooks")])
    ends = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC) + timedelta(days=days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_key().public_key())
        .serial_number(1)
        .not_valid_before(ends - timedelta(days=700))
        .not_valid_after(ends)
    )
    return builder.sign(_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


def bundle(*pems: bytes) -> str:
    return base64.b64encode(b"".join(pems)).decode()


def webhook(ca: str | None, policy: str = "Fail") -> Objects:
    one = {
        "name": "w",
        "failurePolicy": policy,
        "clientConfig": {"caBundle": ca} if ca else {"url": "https://x"},
    }
    return Objects(things={"MutatingWebhookConfiguration": ({"metadata": {"name": "x"}, "webhooks": [one]},)})


def api_service(ca: str, **spec: Any) -> Objects:
    return Objects(things={"APIService": ({"metadata": {"name": "v1.x"}, "spec": {"caBundle": ca, **spec}},)})


def crd(stored: tuple[str, ...] = ("v1",), config: dict[str, Any] | None = None, **metadata: str) -> Objects:
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": config}} if config is not None else {}
    spec = {
        "group": "example.com",
        "versions": [{"name": "v1", "storage": True}, {"name": "v1beta1", "served": False}],
        "conversion": conversion or {"strategy": "None"},
    }
    told = {"metadata": {"name": "xs.example.com"}, "spec": spec, "status": {"storedVersions": stored}}
    return Objects(crds=(msgspec.convert(told, Crd),))


@pytest.mark.parametrize(
    ("objects", "now", "found"),
    [
        (webhook(bundle(pem(400))), M131, []),
        (webhook(None), M131, []),
        (webhook(bundle(pem(31))), M131, []),
        (webhook(bundle(pem(30))), M131, [WARN]),
        (webhook(bundle(pem(-1))), M131, [BLOCK]),
        (webhook(bundle(pem(0))), M131, [BLOCK]),
        (webhook(bundle(pem(-1)), "Ignore"), M131, [WARN]),
        (webhook(bundle(pem(-1), pem(400))), M131, []),
        (webhook(bundle(OLD)), M131, [WARN]),
        (webhook(bundle(OLD)), M130, [WARN]),
        (webhook(bundle(OLD)), Minor(1, 29), []),
        (webhook(bundle(OLD, pem(400))), M130, []),
        (webhook("none"), M131, [BLOCK]),
        (webhook(bundle(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), M131, [BLOCK]),
        (api_service(bundle(pem(-1))), M131, [WARN]),
        (api_service(bundle(pem(-1)), insecureSkipTLSVerify=True), M131, []),
        (crd(config={"caBundle": bundle(pem(-1))}), M131, [BLOCK]),
        (crd(config={"caBundle": bundle(pem(400))}), M131, []),
        (crd(), M131, []),
    ],
)  # fmt: skip
def test_authorities(objects: Objects, now: Minor, found: list[Severity]) -> None:
    judged = list(certificates.judge(objects, now, now.next, TODAY))
    assert [one.severity for one in judged] == found
    assert all("\n" not in one.why for one in judged)


@pytest.mark.parametrize(
    ("count", "now", "found"),
    [(0.0, M130, []), (2.0, M130, [(BLOCK, M131)]), (2.0, M131, [(BLOCK, None)]), (2.0, Minor(1, 29), [])],
)
def test_what_the_api_server_was_shown(count: float, now: Minor, found: list[Any]) -> None:
    """Its own count is the only word on certificates that others serve."""
    objects = Objects(counters={SHA1_COUNTERS[1]: count})
    judged = certificates.judge(objects, now, now.next, TODAY)
    assert [(one.severity, one.minor) for one in judged] == found


GUARD = {"service": {"namespace": "policy", "name": "guard"}}
SERVICE = {"metadata": {"name": "guard", "namespace": "policy"}}
SLICE = {
    "metadata": {
        "name": "guard-1",
        "namespace": "policy",
        "labels": {"kubernetes.io/service-name": "guard"},
    },
    "endpoints": [{"conditions": {"ready": True}}],
}


def with_services(objects: Objects, *, ready: bool, unread: tuple[str, ...] = ()) -> Objects:
    things = {**objects.things, "Service": (SERVICE,), "EndpointSlice": (SLICE,) if ready else ()}
    return msgspec.structs.replace(objects, things=things, unread=unread)


@pytest.mark.parametrize(
    ("objects", "found"),
    [
        (with_services(crd(config=GUARD), ready=True), []),
        (with_services(crd(config=GUARD), ready=False), [BLOCK]),
        (with_services(crd(config=GUARD), ready=False, unread=("EndpointSlice",)), ["unchecked"]),
        (with_services(crd(), ready=False, unread=("EndpointSlice",)), []),
        (crd(config={"url": "https://x"}), []),
        (crd(stored=("v1", "v1beta1")), [WARN]),
        (crd(stored=("v1alpha1", "v1")), [BLOCK]),
    ],
)
def test_conversions_and_stored_versions(objects: Objects, found: list[Any]) -> None:
    judged = extensions.judge(objects)
    assert ["unchecked" if isinstance(one, Unchecked) else one.severity for one in judged] == found


@pytest.mark.parametrize(("status", "found"), [("True", []), ("False", [WARN]), ("Unknown", [])])
def test_aggregated_apis(status: str, found: list[Severity]) -> None:
    condition = {"type": "Available", "status": status, "reason": "MissingEndpoints"}
    one = {"metadata": {"name": "v1beta1.metrics.k8s.io"}, "status": {"conditions": [condition]}}
    judged = extensions.judge(Objects(things={"APIService": (one,)}))
    assert [one.severity for one in judged if not isinstance(one, Unchecked)] == found


def test_webhooks_of_which_nobody_knows_who_stands_behind_are_unchecked_and_do_not_block() -> None:
    one = {"name": "w", "clientConfig": GUARD, "rules": [{"resources": ["certificates"]}]}
    configuration = {"metadata": {"name": "x"}, "webhooks": [one]}
    there = Objects(things={"ValidatingWebhookConfiguration": (configuration,)})
    (found,) = webhooks.judge(with_services(there, ready=False, unread=("Service",)))
    assert isinstance(found, Unchecked)
    (blocked,) = webhooks.judge(with_services(there, ready=False))
    assert not isinstance(blocked, Unchecked)
    assert blocked.severity is BLOCK
