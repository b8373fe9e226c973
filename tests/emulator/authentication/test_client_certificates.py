import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aliquot.emulator.authentication import CertificateRefused, ClientCertificates
from tests.emulator.api import FixedClock

NOW = datetime.datetime.fromtimestamp(FixedClock().time, datetime.UTC)
HOUR = datetime.timedelta(hours=1)
KEY, OTHER_KEY, LEAF_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
UID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")


def certificate(
    names: list[tuple[x509.ObjectIdentifier, str]],
    *,
    begins: datetime.datetime = NOW - HOUR,
    ends: datetime.datetime = NOW + HOUR,
    key: ec.EllipticCurvePrivateKey = KEY,
    issuer: str = "ca",
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, text) for oid, text in names]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key((KEY if issuer == "self" else LEAF_KEY).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(key, SHA256())


AUTHORITY = (
    x509.CertificateBuilder()
    .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
    .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
    .public_key(KEY.public_key())
    .serial_number(1)
    .not_valid_before(NOW - HOUR)
    .not_valid_after(NOW + 1000 * HOUR)
    .sign(KEY, SHA256())
)
CN, O = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME  # noqa: E741


def der(found: x509.Certificate) -> bytes:
    return found.public_bytes(Encoding.DER)


def test_the_user_is_the_common_name_and_groups_are_organizations() -> None:
    found = certificate([(O, "dev"), (CN, "ada"), (O, "system:masters"), (UID, "42")])
    user = ClientCertificates(AUTHORITY, clock=FixedClock()).authenticate(der(found))
    assert user is not None
    assert (user.name, user.groups, user.uid) == ("ada", ("dev", "system:masters"), "42")
    fingerprint = found.fingerprint(SHA256()).hex()
    assert user.extra == {"authentication.kubernetes.io/credential-id": (f"X509SHA256={fingerprint}",)}


@pytest.mark.parametrize("usage", [None, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
def test_a_certificate_for_anything_is_for_clients_too(usage: x509.ObjectIdentifier | None) -> None:
    certificates = ClientCertificates(AUTHORITY, clock=FixedClock())
    assert certificates.authenticate(der(certificate([(CN, "ada")], usage=usage))) is not None


@pytest.mark.parametrize("names", [[(O, "system:masters")], []])
def test_without_a_common_name_it_is_nobody(names: list[tuple[x509.ObjectIdentifier, str]]) -> None:
    assert ClientCertificates(AUTHORITY, clock=FixedClock()).authenticate(der(certificate(names))) is None


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"ends": NOW - HOUR / 2}, "has expired"),
        ({"begins": NOW + HOUR / 2}, "is not yet valid"),
        ({"key": OTHER_KEY}, "signed by unknown authority"),
        ({"issuer": "other"}, "signed by unknown authority"),
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "incompatible key usage"),
        ({"names": [(CN, "ada"), (UID, "1"), (UID, "2")]}, "expected 1 UID"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], refusal: str) -> None:
    found = certificate(**{"names": [(CN, "ada")], **changes})
    with pytest.raises(CertificateRefused, match=refusal):
        ClientCertificates(AUTHORITY, clock=FixedClock()).authenticate(der(found))


def test_a_certificate_ends_though_the_connection_goes_on() -> None:
    clock = FixedClock()
    certificates = ClientCertificates(AUTHORITY, clock=clock)
    found = der(certificate([(CN, "ada")]))
    clock.time += 3600
    assert certificates.authenticate(found) is not None
    clock.time += 1
    with pytest.raises(CertificateRefused, match="has expired"):
        certificates.authenticate(found)
