"""Standard Webhooks (standardwebhooks.com): what is signed is `id.timestamp.body`, symmetrically (v1, HMAC-SHA256).

A signature says who sent something and when, never that it came for the first time: whoever takes a delivery remembers its id.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_S = 300
SECRET_PREFIX = "whsec_"
LEAST_KEY_BYTES, MOST_KEY_BYTES = 24, 64
_ID = re.compile(r"[A-Za-z0-9_./:~-]{1,128}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_MOST_SIGNATURES = 16


class Verified(Struct, frozen=True):
    id: str
    at_s: float


class Unverified(Exception):
    """One line: why it is not taken. It tells nobody how near they came."""


def key_of(secret: str) -> bytes:
    """Of `whsec_` and base64. Raises ValueError."""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"a signing secret is {SECRET_PREFIX} and base64") from None
    if not LEAST_KEY_BYTES <= len(key) <= MOST_KEY_BYTES:
        raise ValueError(
            f"a signing secret has {LEAST_KEY_BYTES} to {MOST_KEY_BYTES} bytes, not {len(key)}: make one with "
            "`openssl rand -base64 32`"
        )
    return key


def signed(keys: Sequence[bytes], delivery_id: str, at_s: float, body: bytes) -> dict[str, str]:
    """Its headers, with a signature of each key. Raises ValueError for an id that is none."""
    if _ID.fullmatch(delivery_id) is None:
        raise ValueError(f"{delivery_id!r} is no delivery's id")
    timestamp = str(int(at_s))
    signatures = " ".join(f"v1,{_signature(key, delivery_id, timestamp, body)}" for key in keys)
    return {ID: delivery_id, TIMESTAMP: timestamp, SIGNATURE: signatures}


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_s: float) -> Verified:
    """`headers`: by their names in lower case. Raises Unverified. No key signs nothing."""
    for name in (ID, TIMESTAMP, SIGNATURE):
        if not headers.get(name):
            raise Unverified(f"header {name} is missing")
    delivery_id, timestamp = headers[ID], headers[TIMESTAMP]
    if _ID.fullmatch(delivery_id) is None:
        raise Unverified(f"header {ID} is no id: up to 128 letters, digits and _./:~-")
    if _TIMESTAMP.fullmatch(timestamp) is None:
        raise Unverified(f"header {TIMESTAMP} is no time: seconds since 1970")
    expected = [_signature(key, delivery_id, timestamp, body).encode() for key in keys]
    offered = [
        text.encode(errors="replace")
        for version, _, text in (one.partition(",") for one in headers[SIGNATURE].split(" "))
        if version == "v1"
    ][:_MOST_SIGNATURES]
    # All are compared, so that the time it takes does not tell which key it was.
    if not sum(hmac.compare_digest(one, key) for one in offered for key in expected):
        raise Unverified("it is not signed with a secret that is known here")
    at_s = float(timestamp)
    if abs(now_s - at_s) > TOLERANCE_S:
        side = "old" if at_s < now_s else "ahead of the clock here"
        raise Unverified(f"it is {abs(now_s - at_s):.0f} s {side}: {TOLERANCE_S} s are the most")
    return Verified(delivery_id, at_s)


def _signature(key: bytes, delivery_id: str, timestamp: str, body: bytes) -> str:
    content = f"{delivery_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
