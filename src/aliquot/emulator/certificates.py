"""The emulated cluster's own certificate authority, and what it signs.

Kept in a directory of the state (`pki/`, 0700; files 0600): the authority and the key of ServiceAccount tokens for
good, so that kubeconfigs and tokens outlive a restart; the server's certificate until it nears its end.
"""

import datetime
import ipaddress
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aliquot.clock import Clock

_DAY = datetime.timedelta(days=1)
_AUTHORITY_DAYS = 3650
_LEAF_DAYS = 365
_RENEW_DAYS = 30
_BACKDATED = datetime.timedelta(minutes=5)
_SHORT = datetime.timedelta(hours=8)
_KEY_USAGES = {
    "digital_signature": ("digital signature", "signing"),
    "content_commitment": ("content commitment",),
    "key_encipherment": ("key encipherment",),
    "data_encipherment": ("data encipherment",),
    "key_agreement": ("key agreement",),
    "key_cert_sign": ("cert sign",),
    "crl_sign": ("crl sign",),
    "encipher_only": ("encipher only",),
    "decipher_only": ("decipher only",),
}
_EXTENDED_USAGES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}
_SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


class CertificateError(Exception):
    """One line: which file is unusable, and the way out."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """PEM of a certificate and of its private key."""

    certificate: bytes
    key: bytes


class Authority:
    def __init__(self, directory: Path, *, clock: Clock, addresses: Sequence[str] = ("127.0.0.1",)) -> None:
        """Reads `directory`, making what is missing. Raises CertificateError."""
        self._clock = clock
        self._addresses = tuple(addresses)
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._key = self._private_key("ca.key")
            self._certificate = self._authority_certificate()
            self.token_key = self._private_key("serviceaccount.key")
            self._server()
        except OSError as error:
            raise CertificateError(f"{error.filename or directory}: {error.strerror}") from error

    @property
    def certificate(self) -> bytes:
        """PEM, for kubeconfigs."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def for_clients(self) -> x509.Certificate:
        """By which client certificates are known."""
        return self._certificate

    @property
    def certificate_file(self) -> Path:
        return self._directory / "ca.crt"

    @property
    def server_files(self) -> tuple[Path, Path]:
        """(certificate, key)"""
        return self._directory / "server.crt", self._directory / "server.key"

    def client(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """A certificate that makes its holder `user` in `groups`, good for a year."""
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(subject, key, _LEAF_DAYS).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        return KeyPair(builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM), _pem(key))

    def sign(self, request: x509.CertificateSigningRequest, usages: Sequence[str], lasts_s: int) -> bytes:
        """What is asked, as PEM, good for `lasts_s` from now at most. It begins five minutes ago, for the sake of clocks
        that go slow; where it lasts for hours, those are part of its time."""
        now = self._now()
        lasts = datetime.timedelta(seconds=lasts_s)
        ends = now + lasts if lasts < _SHORT else now + lasts - _BACKDATED
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(min(ends, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if (usage := _key_usage(usages)) is not None:
            builder = builder.add_extension(usage, critical=True)
        if extended := [_EXTENDED_USAGES[one] for one in usages if one in _EXTENDED_USAGES]:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        for extension in request.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, critical=extension.critical)
        return builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM)

    def _authority_certificate(self) -> x509.Certificate:
        if self.certificate_file.exists():
            return self._read_certificate(self.certificate_file)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "aliquot-emulator")])
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        certificate = (
            self._builder(subject, self._key, _AUTHORITY_DAYS, issuer=subject, authority=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, SHA256())
        )
        write_private(self.certificate_file, certificate.public_bytes(Encoding.PEM))
        return certificate

    def _server(self) -> None:
        certificate_file, key_file = self.server_files
        key = self._private_key(key_file.name)
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in _SERVER_NAMES]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in self._addresses]
        wanted = x509.SubjectAlternativeName(names)
        if certificate_file.exists() and self._still_good(self._read_certificate(certificate_file), wanted):
            return
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
        builder = (
            self._builder(subject, key, _LEAF_DAYS)
            .add_extension(wanted, critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        write_private(certificate_file, builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def _still_good(self, certificate: x509.Certificate, wanted: x509.SubjectAlternativeName) -> bool:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names == wanted and certificate.not_valid_after_utc - self._now() > _RENEW_DAYS * _DAY

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        days: int,
        *,
        issuer: x509.Name | None = None,
        authority: bool = False,
    ) -> x509.CertificateBuilder:
        now = self._now()
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=not authority,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=authority,
            crl_sign=authority,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + days * _DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(int(self._clock.now()), datetime.UTC)

    def _private_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        path = self._directory / name
        if not path.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            write_private(path, _pem(key))
            return key
        try:
            loaded = load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise _damaged(path) from error
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise _damaged(path)
        return loaded

    def _read_certificate(self, path: Path) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate(path.read_bytes())
        except ValueError as error:
            raise _damaged(path) from error


def _key_usage(usages: Sequence[str]) -> x509.KeyUsage | None:
    """The bits that the words of a CertificateSigningRequest stand for; None where none does."""
    bits = {bit: any(word in usages for word in words) for bit, words in _KEY_USAGES.items()}
    if not any(bits.values()):
        return None
    if not bits["key_agreement"]:
        bits["encipher_only"] = bits["decipher_only"] = False
    return x509.KeyUsage(**bits)


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, and for the owner alone."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _damaged(path: Path) -> CertificateError:
    return CertificateError(
        f"{path}: damaged; move the directory {path.parent} away to have new certificates (old kubeconfigs end then)"
    )
