"""A code that is typed in on another machine (RFC 8628): for a terminal that has no browser.

Weaker than the browser on the same machine: whoever sends somebody a code can be let in by them. The page says what is agreed to.
"""

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Struct

from aliquot.access.identity.login.answers import NotSignedIn, Refusal, SignedIn, asked_for
from aliquot.access.identity.login.client import Ready
from aliquot.access.outside.calling import url_trouble

_SLOWER_S = 5.0
_LONGEST_S = 1800.0
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Shown(Struct, frozen=True):
    url: str
    code: str


class _Device(Struct, frozen=True):
    device_code: str
    user_code: str
    verification_uri: str
    expires_in: float = 600.0
    interval: float = 5.0


async def sign_in(here: Ready, show: Callable[[Shown], object]) -> SignedIn:
    """`show` tells somebody where to type which code. Raises NotSignedIn, NotProven and Unreached."""
    endpoint = here.provider.device_authorization_endpoint
    if not endpoint:
        raise NotSignedIn(f"{here.client.issuer} has no sign-in with a code: use a browser")
    asked = {"client_id": here.client.client_id, "scope": " ".join(here.client.scopes)}
    status, body = await here.web.post(endpoint, asked)
    try:
        device = msgspec.json.decode(body, type=_Device)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotSignedIn(
            f"the identity provider answers with HTTP {status} and no code: may the client sign in that way?"
        ) from None
    if trouble := url_trouble(device.verification_uri):
        raise NotSignedIn(trouble)
    show(Shown(device.verification_uri, device.user_code))
    form = {
        "grant_type": _GRANT,
        "device_code": device.device_code,
        "client_id": here.client.client_id,
    }
    interval_s = max(device.interval, 1.0)
    try:
        async with asyncio.timeout(min(device.expires_in, _LONGEST_S)):
            while True:
                await asyncio.sleep(interval_s)
                try:
                    signed_in, _ = await asked_for(here.web, here.provider.token_endpoint, form, here.tokens)
                except Refusal as refusal:
                    if refusal.code == "slow_down":
                        interval_s += _SLOWER_S
                    elif refusal.code != "authorization_pending":
                        raise
                else:
                    return signed_in
    except TimeoutError:
        raise NotSignedIn("nobody typed the code in: begin again") from None
