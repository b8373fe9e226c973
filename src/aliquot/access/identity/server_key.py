"""The one secret of this server: from it come the key that signs sessions, the one that challenges are known again by, and the one
that seals what the database holds of authenticator apps. Servers that share a database share it."""

import contextlib
import hmac
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

KEY_BYTES = 32
_NONCE_BYTES = 12


class Unusable(Exception):
    """One line: the file, and what is wrong with it."""


class ServerKey:
    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from joserfc.jwk import OKPKey

        if len(secret) != KEY_BYTES:
            raise ValueError(f"{KEY_BYTES} bytes are needed, not {len(secret)}")
        self._mac = _derived(secret, b"challenges")
        self._sealing = _derived(secret, b"sealing")
        self.signing = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(_derived(secret, b"sessions")))

    def mac(self, data: bytes) -> bytes:
        return hmac.digest(self._mac, data, "sha256")

    def seal(self, plain: bytes, about: str, random_bytes: Callable[[int], bytes]) -> str:
        """`about`: without the same it cannot be opened."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = random_bytes(_NONCE_BYTES)
        return urlsafe_b64encode(nonce + AESGCM(self._sealing).encrypt(nonce, plain, about.encode())).decode()

    def unseal(self, sealed: str, about: str) -> bytes | None:
        """None: not sealed by this key, or about something else."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            data = urlsafe_b64decode(sealed.encode())
            return AESGCM(self._sealing).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], about.encode())
        except (ValueError, InvalidTag):
            return None


def load(path: Path) -> ServerKey:
    """Made where there is none. Raises Unusable."""
    try:
        if not path.exists():
            _make(path)
        there = path.stat()
        # What Kubernetes mounts is root's, and its pod's group may read it.
        if there.st_mode & (0o077 if there.st_uid == os.geteuid() else 0o007):
            raise Unusable(f"{path} may be read by others: chmod 600 {path}")
        return ServerKey(path.read_bytes())
    except OSError as error:
        raise Unusable(f"{path} cannot be read or made: {error.strerror or error}") from None
    except ValueError as error:
        raise Unusable(f"{path} is no key: {error}; bring the right file back, or remove it") from None


def _make(path: Path) -> None:
    """Whole or not at all, and never over one that somebody else has made meanwhile."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(new)
    finally:
        new.unlink()


def _derived(secret: bytes, what: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"aliquot access " + what).derive(secret)
