"""Keys that sign notes (c2sp.org/signed-note): the log's own, and those of witnesses. What is signed is checked by `verify`."""

from base64 import b64encode
from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aliquot.access.log.verify import (
    COSIGNATURE,
    ED25519,
    Key,
    cosigned,
    from_base64,
    is_key_name,
)

_PREFIX = "PRIVATE+KEY+"


@dataclass(frozen=True)
class SigningKey:
    name: str
    kind: int
    """`verify.ED25519` of a log, `verify.COSIGNATURE` of a witness."""
    seed: bytes
    """32 bytes that nobody else knows."""

    @cached_property
    def public(self) -> Key:
        return Key(self.name, self.kind, self._private.public_key().public_bytes_raw())

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def text(self) -> str:
        """To be kept: `PRIVATE+KEY+NAME+ID+BASE64`, as Go's sumdb writes it."""
        encoded = b64encode(bytes([self.kind]) + self.seed).decode()
        return f"{_PREFIX}{self.name}+{self.public.id.hex()}+{encoded}"

    def __repr__(self) -> str:
        return f"SigningKey({self.public.text})"

    def sign(self, text: str) -> str:
        """A signature line under a note's text. Raises ValueError: a witness's key does not sign so."""
        if self.kind != ED25519:
            raise ValueError(f"{self.public.text} is a witness's: it only cosigns")
        return self._line(self._private.sign(text.encode()))

    def cosign(self, text: str, at_s: int) -> str:
        """A witness's signature line under a checkpoint's text. Raises ValueError: it is no witness's key."""
        if self.kind != COSIGNATURE:
            raise ValueError(f"{self.public.text} is a log's: only witnesses cosign")
        return self._line(at_s.to_bytes(8, "big") + self._private.sign(cosigned(text, at_s)))

    def _line(self, signature: bytes) -> str:
        return f"\u2014 {self.name} {b64encode(self.public.id + signature).decode()}\n"


def new_key(name: str, kind: int, seed: bytes) -> SigningKey:
    """Raises ValueError."""
    if not is_key_name(name):
        raise ValueError(f"{name!r} is no name of a key: no blanks, no '+', as in log.example.com/access")
    return SigningKey(name, kind, seed)


def parse_signing_key(text: str) -> SigningKey:
    """Raises ValueError, which does not show the key."""
    name, _, rest = text.strip().removeprefix(_PREFIX).partition("+")
    id_, _, encoded = rest.partition("+")
    try:
        decoded = from_base64(encoded)
    except ValueError:
        decoded = b""
    if not text.startswith(_PREFIX) or len(decoded) != 33 or decoded[0] not in (ED25519, COSIGNATURE):
        raise ValueError(
            "it is no private key: PRIVATE+KEY+NAME+ID+BASE64, as 'aliquot access log new-key' writes it"
        )
    key = new_key(name, decoded[0], decoded[1:])
    if key.public.id.hex() != id_:
        raise ValueError(f"it is damaged: the id of {name} should be {key.public.id.hex()}")
    return key
