"""What a token endpoint answers."""

import msgspec
from msgspec import Struct

from aliquot.access.identity.oidc.tokens import OidcTokens
from aliquot.access.identity.proof import Proof
from aliquot.access.identity.web import Web

_LONGEST_CODE = 64


class NotSignedIn(Exception):
    """One line: why, and what to do."""


class Refusal(NotSignedIn):
    def __init__(self, code: str) -> None:
        shown = (
            code if len(code) <= _LONGEST_CODE and code.isprintable() else "in a way that is not understood"
        )
        super().__init__(f"the identity provider refuses: {shown}")
        self.code = code


class SignedIn(Struct, frozen=True):
    token: str
    """The ID token: what is shown to Aliquot."""
    refresh: str
    until_s: float


class _Tokens(Struct, frozen=True):
    id_token: str
    refresh_token: str = ""


class _Error(Struct, frozen=True):
    error: str


async def asked_for(
    web: Web, endpoint: str, form: dict[str, str], tokens: OidcTokens, *, nonce: str = "", refresh: str = ""
) -> tuple[SignedIn, Proof]:
    """`refresh`: what is used further where no new one comes. Raises NotSignedIn, NotProven and Unreached."""
    status, body = await web.post(endpoint, form)
    try:
        if status != 200:
            raise Refusal(msgspec.json.decode(body, type=_Error).error)
        found = msgspec.json.decode(body, type=_Tokens)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotSignedIn(
            f"the identity provider answers with HTTP {status} and no ID token: is 'openid' among the scopes of the client?"
        ) from None
    proof = await tokens.prove(found.id_token, nonce=nonce)
    return SignedIn(found.id_token, found.refresh_token or refresh, proof.until_s), proof
