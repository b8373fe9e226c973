"""Who a client certificate names: the user is its common name, the groups are its organizations.

TLS has seen its chain when the connection began; a connection may outlive what it began with, so that the times are
looked at again at every request. There is no revocation: the end of a certificate is its `notAfter`.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aliquot.clock import Clock, rfc3339
from aliquot.emulator.authentication.tokens import CREDENTIAL_ID
from aliquot.emulator.rbac import User

_UID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
_CLIENT_USAGES = frozenset([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])


class CertificateRefused(Exception):
    """The certificate is no good here; the text says why, for the log."""


class ClientCertificates:
    def __init__(self, authority: x509.Certificate, *, clock: Clock) -> None:
        self._clock = clock
        # To hash an authority costs as much as all the rest of a request's authentication.
        self._read = lru_cache(maxsize=4096)(partial(_read, authority=authority))

    def authenticate(self, der: bytes) -> User | None:
        """None for a certificate that names nobody. Raises CertificateRefused."""
        found = self._read(der)
        if isinstance(found, str):
            raise CertificateRefused(found)
        now = self._clock.now()
        if now < found.begins:
            raise CertificateRefused(
                f"certificate is not yet valid: it is {rfc3339(now)}, it begins {rfc3339(found.begins)}"
            )
        if now > found.ends:
            raise CertificateRefused(
                f"certificate has expired: it is {rfc3339(now)}, it ended {rfc3339(found.ends)}"
            )
        return found.user


@dataclass(frozen=True, slots=True)
class _Read:
    """Times in Unix seconds."""

    user: User | None
    begins: float
    ends: float


def _read(der: bytes, authority: x509.Certificate) -> _Read | str:
    """What a certificate says for good, or why it never will be any."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(authority)
        names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        uids = [str(one.value) for one in certificate.subject.get_attributes_for_oid(_UID)]
        organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        usages = _usages(certificate)
    except InvalidSignature:
        return "certificate signed by unknown authority"
    except ValueError as error:
        return f"certificate signed by unknown authority: {error}"
    if not _CLIENT_USAGES & usages:
        return "certificate specifies an incompatible key usage"
    if len(uids) > 1:
        return f"expected 1 UID, but found multiple: {', '.join(uids)}"
    user = None
    if names and names[0]:
        extra = {CREDENTIAL_ID: (f"X509SHA256={certificate.fingerprint(SHA256()).hex()}",)}
        groups = tuple(str(one.value) for one in organizations)
        user = User(names[0], groups, uids[0] if uids else "", extra)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return _Read(user, begins.timestamp(), ends.timestamp())


def _usages(certificate: x509.Certificate) -> frozenset[x509.ObjectIdentifier]:
    """A certificate that says nothing of its use may be used for all."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return _CLIENT_USAGES
    return frozenset(found.value)
