"""Certificates and keys that do not belong together, in the words of Go's crypto/tls."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def problem(certificates: bytes, key: bytes) -> str:
    """Empty where there is none, or none that could be named: what cannot be parsed is not judged."""
    if b"-----BEGIN CERTIFICATE-----" not in certificates:
        return "tls: failed to find any PEM data in certificate input"
    if b"PRIVATE KEY-----" not in key:
        return "tls: failed to find any PEM data in key input"
    try:
        certified = x509.load_pem_x509_certificates(certificates)[0].public_key()
        own = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""
    if type(certified) is not type(own):
        return "tls: private key type does not match public key type"
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    same = certified.public_bytes(*form) == own.public_bytes(*form)
    return "" if same else "tls: private key does not match public key"
