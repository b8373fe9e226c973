"""Headers and a body into a delivery that is known to come from whom it says, just now, or the one line why it is none.

Its `key` says which one it is. Whoever takes it uses the key up (`Transaction.use_up`) in the transaction in which they act on it: the
second time it comes, nothing is done.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.standard_webhooks import TOLERANCE_S, Unverified, verify
from aliquot.access.outside.secrets import read_plain_keys, read_signing_keys
from aliquot.access.tickets.incoming.settings import BodyHook, Encoding, HookSettings, StandardHook
from aliquot.access.tickets.incoming.strict_json import read_object
from aliquot.clock import parse_rfc3339

MOST_BYTES = 1 << 20
MOST_AGE_S = 7200
"""Of what signs no attempt of its own: Jira tries five times, up to a quarter of an hour apart, with the same body."""
REMEMBERED_S = 3 * 86_400
"""Ids of Standard Webhooks: a new attempt has a new time, and the old id."""


class Hook(Struct, frozen=True, kw_only=True):
    name: str
    settings: HookSettings
    keys: tuple[bytes, ...]


class Delivery(Struct, frozen=True, kw_only=True):
    hook: str
    may_ask: bool
    key: str
    until_s: float
    """How long the key is to be remembered."""
    at_s: float
    body: dict[str, Any]


def hook_of(name: str, settings: HookSettings) -> Hook:
    """With its secrets as they are now. Raises NoSecret."""
    read = read_signing_keys if isinstance(settings, StandardHook) else read_plain_keys
    return Hook(name=name, settings=settings, keys=tuple(read(settings.secret_file)))


def receive(hook: Hook, headers: Mapping[str, str], body: bytes, now_s: float) -> Delivery | Refused:
    """`headers`: by their names in lower case. Nothing is read of a body before its signature holds."""
    if len(body) > MOST_BYTES:
        return Refused(f"it has more than {MOST_BYTES} bytes", Ground.INVALID)
    try:
        if isinstance(hook.settings, StandardHook):
            verified = verify(hook.keys, headers, body, now_s)
            key, at_s, until_s = verified.id, verified.at_s, now_s + REMEMBERED_S
            content = read_object(body)
        else:
            _verify_body(hook.settings, hook.keys, headers, body)
            content = read_object(body)
            at_s = _sent_at_s(content, now_s)
            # The id that Jira gives in a header is not signed, and could be any.
            key, until_s = hashlib.sha256(body).hexdigest(), at_s + MOST_AGE_S + TOLERANCE_S
    except Unverified as error:
        return Refused(str(error), Ground.FORBIDDEN)
    except ValueError as error:
        return Refused(str(error), Ground.INVALID)
    return Delivery(
        hook=hook.name, may_ask=hook.settings.may_ask, key=key, until_s=until_s, at_s=at_s, body=content
    )


def _verify_body(
    settings: BodyHook, keys: tuple[bytes, ...], headers: Mapping[str, str], body: bytes
) -> None:
    offered = headers.get(settings.header.lower(), "")
    if not offered:
        raise Unverified(f"header {settings.header} is missing")
    expected = [
        settings.prefix + _written(hmac.digest(key, body, "sha256"), settings.encoding) for key in keys
    ]
    text = offered.encode(errors="replace")
    if not sum(hmac.compare_digest(text, one.encode()) for one in expected):
        raise Unverified("it is not signed with a secret that is known here")


def _written(digest: bytes, encoding: Encoding) -> str:
    return digest.hex() if encoding is Encoding.HEX else base64.b64encode(digest).decode()


def _sent_at_s(content: Mapping[str, Any], now_s: float) -> float:
    """Raises Unverified, ValueError."""
    at = content.get("timestamp")
    if isinstance(at, str):
        at_s = parse_rfc3339(at)
    elif isinstance(at, int) and not isinstance(at, bool) and 0 <= at < 10**14:
        at_s = at / 1000
    else:
        raise ValueError("field 'timestamp' says when it was sent: milliseconds since 1970, or RFC 3339")
    if now_s - at_s > MOST_AGE_S:
        raise Unverified(f"it is {now_s - at_s:.0f} s old: {MOST_AGE_S} s are the most")
    if at_s - now_s > TOLERANCE_S:
        raise Unverified(f"it is {at_s - now_s:.0f} s ahead of the clock here: {TOLERANCE_S} s are the most")
    return at_s
