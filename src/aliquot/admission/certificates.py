"""What the webhook's server is known by: an authority of its own, and the server's certificate, renewed before they end.

Pure but for chance. A new authority stands beside the old one until that has ended, so that whoever trusts the bundle
trusts what either has signed.
"""

import datetime
import ipaddress
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)
_AUTHORITY_LASTS, _AUTHORITY_RENEWED = 3650 * _DAY, 365 * _DAY
_SERVER_LASTS, _SERVER_RENEWED = 90 * _DAY, 30 * _DAY
_BACKDATED = datetime.timedelta(minutes=5)
"""For the sake of clocks that go slow."""


@dataclass(frozen=True, slots=True)
class Held:
    """As PEM."""

    authorities: bytes
    """The one that signs, then those before it."""
    authority_key: bytes
    certificate: bytes
    key: bytes


def renewed(held: Held | None, name: str, now_s: float) -> Held:
    """`held` itself while nothing of it is due and it is of `name`; what cannot be read is made anew."""
    now = datetime.datetime.fromtimestamp(now_s, datetime.UTC)
    try:
        if held is None or _ends_within(_AUTHORITY_RENEWED, held.authorities, now):
            return _signed(_new_authority(held, now), name, now)
        same_name = _names(held.certificate) == [name]
        signer = x509.load_pem_x509_certificates(held.authorities)[0]
        certificate = x509.load_pem_x509_certificate(held.certificate)
        certificate.verify_directly_issued_by(signer)
        load_pem_private_key(held.key, None)
        if not same_name or _ends_within(_SERVER_RENEWED, held.certificate, now):
            return _signed(held, name, now)
    except Exception:
        return _signed(_new_authority(None, now), name, now)
    return held


def due_in_s(held: Held, now_s: float) -> float:
    """When something of it is to be renewed."""
    now = datetime.datetime.fromtimestamp(now_s, datetime.UTC)
    ends = (
        _end(held.authorities) - _AUTHORITY_RENEWED,
        _end(held.certificate) - _SERVER_RENEWED,
    )
    return max(0.0, (min(ends) - now).total_seconds())


def belong_together(held: Held) -> bool:
    """Whether the key is the certificate's, and both can be read."""
    try:
        key = load_pem_private_key(held.key, None)
        certificate = x509.load_pem_x509_certificates(held.certificate)[0]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return key.public_key() == certificate.public_key()


def _end(pem: bytes) -> datetime.datetime:
    return x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc


def _ends_within(margin: datetime.timedelta, pem: bytes, now: datetime.datetime) -> bool:
    return _end(pem) - now <= margin


def _names(pem: bytes) -> list[str]:
    certificate = x509.load_pem_x509_certificate(pem)
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(one.value) for one in extension.value]


def _new_authority(held: Held | None, now: datetime.datetime) -> Held:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "aliquot-admission")])
    certificate = (
        _builder(subject, subject, key.public_key(), now, _AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    older = [
        one.public_bytes(Encoding.PEM)
        for one in (x509.load_pem_x509_certificates(held.authorities) if held is not None else ())
        if one.not_valid_after_utc > now
    ]
    return Held(b"".join([certificate.public_bytes(Encoding.PEM), *older]), _pem(key), b"", b"")


def _signed(held: Held, name: str, now: datetime.datetime) -> Held:
    authority = x509.load_pem_x509_certificates(held.authorities)[0]
    signer = load_pem_private_key(held.authority_key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    certificate = (
        _builder(authority.subject, subject, key.public_key(), now, _SERVER_LASTS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, SHA256())
    )
    return replace(held, certificate=certificate.public_bytes(Encoding.PEM), key=_pem(key))


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    lasts: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lasts)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
