"""Certificates, as far as they are looked at. What cannot be read has ended."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def ends_s(pem: bytes) -> float | None:
    """When the first of it ends: of a bundle the one that signs now. None: there is none that can be read."""
    found = _read(pem)
    return found[0].not_valid_after_utc.timestamp() if found else None


def is_trusted(certificate: bytes, bundle: bytes) -> bool:
    """Directly, as ours are; or over those that come with it."""
    chain = _read(certificate)
    return bool(chain) and any(_is_signed_by(one, authority) for one in chain for authority in _read(bundle))


def _is_signed_by(certificate: "Certificate", authority: "Certificate") -> bool:
    if certificate == authority:
        return True
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:
        # A key of another kind, another name, a signature that does not fit: each has its own.
        return False
    return True


def _read(pem: bytes) -> "Sequence[Certificate]":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return ()
