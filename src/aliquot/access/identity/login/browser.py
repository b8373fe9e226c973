"""Authorization code with PKCE (RFC 7636) over a loopback redirect (RFC 8252). What is not the answer to our own question is not taken."""

import asyncio
import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from msgspec import Struct

from aliquot.access.identity.login.answers import NotSignedIn, Refusal, SignedIn, asked_for
from aliquot.access.identity.login.client import RandomBytes, Ready

_RANDOM_BYTES = 32
_WAIT_S = 300.0
_PATH = "/callback"
_DONE = "You are signed in. This window can be closed."
_NOT_THIS = "This is not the answer to a sign-in that was begun here."


class Begun(Struct, frozen=True):
    url: str
    """For the browser."""
    state: str
    nonce: str
    verifier: str
    redirect: str


def begin(here: Ready, redirect: str, random_bytes: RandomBytes) -> Begun:
    """Raises NotSignedIn."""
    if not here.provider.authorization_endpoint or not here.provider.token_endpoint:
        raise NotSignedIn(f"{here.client.issuer} signs nobody in with a browser")
    state, nonce, verifier = (_text(random_bytes(_RANDOM_BYTES)) for _ in range(3))
    asked = {
        "response_type": "code",
        "client_id": here.client.client_id,
        "redirect_uri": redirect,
        "scope": " ".join(here.client.scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": _text(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    endpoint = here.provider.authorization_endpoint
    return Begun(
        f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", state, nonce, verifier, redirect
    )


def answers(begun: Begun, query: Mapping[str, str]) -> bool:
    return hmac.compare_digest(query.get("state", "").encode(), begun.state.encode())


async def finish(here: Ready, begun: Begun, query: Mapping[str, str]) -> SignedIn:
    """`query`: of what came back. Raises NotSignedIn, NotProven and Unreached."""
    if not answers(begun, query):
        raise NotSignedIn("what came back is the answer to another sign-in: begin again")
    # RFC 9207: another provider's answer is not mixed in.
    said_by = query.get("iss")
    is_said = here.provider.authorization_response_iss_parameter_supported
    if (said_by is not None or is_said) and said_by != here.client.issuer:
        raise NotSignedIn("what came back is of another identity provider: begin again")
    if error := query.get("error"):
        raise Refusal(error)
    code = query.get("code")
    if not code:
        raise NotSignedIn("what came back has no code: begin again")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": begun.redirect,
        "client_id": here.client.client_id,
        "code_verifier": begun.verifier,
    }
    signed_in, _ = await asked_for(
        here.web, here.provider.token_endpoint, form, here.tokens, nonce=begun.nonce
    )
    return signed_in


async def sign_in(
    here: Ready, open_: Callable[[str], object], *, random_bytes: RandomBytes, wait_s: float = _WAIT_S
) -> SignedIn:
    """`open_` shows somebody the page. Raises NotSignedIn, NotProven and Unreached."""
    from aiohttp import web

    came: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
    begun: Begun | None = None

    async def answer(request: web.Request) -> web.Response:
        # Any page in the browser can call here; only the provider's redirect knows the state.
        if begun is None or came.done() or not answers(begun, request.query):
            return web.Response(status=400, text=_NOT_THIS)
        came.set_result(dict(request.query))
        return web.Response(text=_DONE, headers={"Cache-Control": "no-store"})

    app = web.Application()
    app.router.add_get(_PATH, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        begun = begin(here, f"http://127.0.0.1:{runner.addresses[0][1]}{_PATH}", random_bytes)
        open_(begun.url)
        async with asyncio.timeout(wait_s):
            query = await came
    except TimeoutError:
        raise NotSignedIn(f"nobody signed in within {wait_s:g} s: begin again") from None
    finally:
        await runner.cleanup()
    return await finish(here, begun, query)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
