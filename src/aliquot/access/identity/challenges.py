"""What a passkey signs: who does what, to which request exactly, and when they were asked. A signature for one thing is none for another.

Nothing of a challenge is kept. Its nonce says when it was given and to what, under a code of this server's key.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable

from msgspec import Struct

from aliquot import canonical_json
from aliquot.access.core.people import Person
from aliquot.access.identity.server_key import ServerKey

FRESH_S = 300.0
LOGIN, REGISTER = "login", "register"
_TIME_BYTES, _RANDOM_BYTES = 8, 16


class Purpose(Struct, frozen=True):
    person: Person
    act: str
    """`login`, `register`, or what the API calls it: `approve`."""
    digest: str = ""
    """Of the request that it is about."""


def new_nonce(key: ServerKey, purpose: Purpose, now_s: float, random_bytes: Callable[[int], bytes]) -> str:
    head = round(now_s * 1000).to_bytes(_TIME_BYTES) + random_bytes(_RANDOM_BYTES)
    return urlsafe_b64encode(head + _code(key, purpose, head)).decode().rstrip("=")


def given_s(key: ServerKey, purpose: Purpose, nonce: str) -> float | None:
    """When this server gave it for just this. None: it did not."""
    try:
        data = urlsafe_b64decode(nonce + "=" * (-len(nonce) % 4))
    except ValueError:
        return None
    size = _TIME_BYTES + _RANDOM_BYTES
    if not hmac.compare_digest(data[size:], _code(key, purpose, data[:size])):
        return None
    return int.from_bytes(data[:_TIME_BYTES]) / 1000


def is_fresh(given_s: float, now_s: float) -> bool:
    return 0 <= now_s - given_s <= FRESH_S


def challenge(purpose: Purpose, nonce: str) -> bytes:
    """SHA-256 of the RFC 8785 form: anybody can compute what was signed."""
    return hashlib.sha256(
        canonical_json.dumps(
            {
                "act": purpose.act,
                "digest": purpose.digest,
                "issuer": purpose.person.issuer,
                "subject": purpose.person.subject,
                "nonce": nonce,
            }
        )
    ).digest()


def _code(key: ServerKey, purpose: Purpose, head: bytes) -> bytes:
    return key.mac(head + challenge(purpose, ""))
