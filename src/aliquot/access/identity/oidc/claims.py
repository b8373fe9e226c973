"""What a token says, once its signature holds: whether it counts for us now, and who it says somebody is."""

import hashlib
from typing import Any

import msgspec
from msgspec import Struct

from aliquot.access.core.people import Group, Identity, Person
from aliquot.access.identity.configuration import OidcIssuer
from aliquot.access.identity.proof import NotProven, Proof

SKEW_S = 60.0
"""An issuer's clock may be that much ahead of ours. At its end a token is over by our clock: there is no leeway."""
LONGEST_S = 86_400.0
_LONGEST_TEXT = 255


class _Claims(Struct, frozen=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    iat: float
    nbf: float | None = None
    azp: str | None = None
    client_id: str | None = None
    auth_time: float | None = None
    acr: str | None = None
    amr: list[str] | None = None
    jti: str | None = None
    nonce: str | None = None
    name: str | None = None
    email: str | None = None


def prove(payload: bytes, token: str, issuer: OidcIssuer, now_s: float, *, nonce: str = "") -> Proof:
    """`nonce`: that of the sign-in which the token came of; empty: of none. Raises NotProven."""
    try:
        claims = msgspec.json.decode(payload, type=_Claims)
        everything = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotProven(f"the token's claims are not as they have to be: {error}") from None
    if claims.iss != issuer.issuer:
        raise NotProven("the token is of another issuer")
    _check_audience(claims, issuer)
    _check_time(claims, now_s)
    if nonce and claims.nonce != nonce:
        raise NotProven("the token is of another sign-in")
    identity = Identity(
        person=Person(issuer.issuer, _plain(claims.sub, "sub")),
        groups=_groups(everything, issuer),
        name=(claims.name or "")[:_LONGEST_TEXT],
        email=(claims.email or "")[:_LONGEST_TEXT],
    )
    return Proof(
        identity=identity,
        auth="oidc",
        credential=credential_id(token, claims.jti),
        said_s=claims.iat,
        until_s=claims.exp,
        signed_in_s=claims.auth_time,
        acr=claims.acr or "",
        amr=frozenset(claims.amr or ()),
    )


def credential_id(token: str, token_id: str | None) -> str:
    """By which the log names a token; nobody can use it."""
    if token_id and len(token_id) <= _LONGEST_TEXT and token_id.isprintable():
        return f"JTI={token_id}"
    return f"SHA256={hashlib.sha256(token.encode()).hexdigest()}"


def _check_audience(claims: _Claims, issuer: OidcIssuer) -> None:
    named = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if issuer.audience not in named:
        raise NotProven("the token is for somebody else: its aud is not that of this server")
    asked = claims.azp or claims.client_id
    if asked is None and len(named) > 1:
        raise NotProven("the token is for several, and does not say who asked for it (azp)")
    if asked is not None and asked not in (issuer.clients or (issuer.audience,)):
        raise NotProven("the token was asked for by a client that is not configured here (azp)")


def _check_time(claims: _Claims, now_s: float) -> None:
    if now_s >= claims.exp:
        raise NotProven("the token is over: sign in again")
    if claims.iat > now_s + SKEW_S or (claims.nbf or 0) > now_s + SKEW_S:
        raise NotProven("the token does not count yet: its issuer's clock, or ours, is wrong")
    if claims.exp - claims.iat > LONGEST_S:
        raise NotProven("the token is good for more than a day, which none may be here")


def _groups(claims: dict[str, Any], issuer: OidcIssuer) -> frozenset[Group]:
    """Whole, behind their issuer: whatever is written in one, it is a group of no other issuer."""
    said = claims.get(issuer.groups_claim)
    if said is None:
        elsewhere = claims.get("_claim_names")
        if isinstance(elsewhere, dict) and issuer.groups_claim in elsewhere:
            raise NotProven(
                "the token leaves the groups out, as there are too many: have the provider send those of this application alone"
            )
        return frozenset()
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise NotProven("the token's groups are no list of texts")
    return frozenset(Group(f"{issuer.issuer}#{one}") for one in names if one)


def _plain(text: str, what: str) -> str:
    if not text or len(text) > _LONGEST_TEXT or not text.isprintable():
        raise NotProven(f"the token's {what} is empty, too long, or not printable")
    return text
