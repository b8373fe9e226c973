"""Tokens of an OpenID Connect issuer, as structured authentication configuration names it.

The algorithms are public-key ones, whatever a token says of itself. A token ends at the second of its `exp`: there is
no leeway; one that is not to be used before a time may be used a minute before it, as with the real server.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from aliquot.clock import Clock
from aliquot.emulator.authentication.claims import ClaimMappings, Claims
from aliquot.emulator.authentication.issuer_keys import IssuerKeys, KeysUnknown
from aliquot.emulator.authentication.tokens import ISSUER, TokenRefused, issuer_of
from aliquot.emulator.network import Network
from aliquot.emulator.rbac import User

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
NOT_BEFORE_LEEWAY_S = 60


@dataclass(frozen=True, slots=True)
class Issuer:
    url: str
    audiences: tuple[str, ...]
    """A token must be for one of these."""
    mappings: ClaimMappings
    discovery_url: str = ""
    """Where the discovery document is, if not below the URL."""
    authority: str = ""
    """PEM of whom to trust when the issuer is asked; empty for those whom the machine trusts."""
    algorithms: tuple[str, ...] = ALGORITHMS


class OidcTokens:
    """A TokenSource."""

    def __init__(self, issuer: Issuer, network: Network, *, clock: Clock) -> None:
        self._issuer = issuer
        self._keys = IssuerKeys(
            issuer.url,
            network,
            clock=clock,
            discovery_url=issuer.discovery_url,
            authority=issuer.authority,
        )
        self._clock = clock

    async def authenticate(self, token: str, audiences: Sequence[str]) -> tuple[User, tuple[str, ...]] | None:
        if issuer_of(token) != self._issuer.url or ISSUER not in audiences:
            return None
        claims = await self._claims(token)
        self._check(claims)
        return self._issuer.mappings.user(claims), (ISSUER,)

    async def _claims(self, token: str) -> Claims:
        from joserfc import jws
        from joserfc.errors import JoseError

        try:
            unchecked = jws.extract_compact(token.encode())
            keys = await self._keys.for_token(unchecked.headers().get("kid"))
            signed = jws.deserialize_compact(token, keys, algorithms=self._issuer.algorithms)
            claims = msgspec.json.decode(signed.payload)
        except (JoseError, ValueError, msgspec.DecodeError, KeysUnknown) as error:
            raise TokenRefused(f"oidc: verify token: {error}") from error
        if not isinstance(claims, dict):
            raise TokenRefused("oidc: a token's payload is an object")
        return claims

    def _check(self, claims: Claims) -> None:
        aud = claims.get("aud")
        named = aud if isinstance(aud, list) else [aud]
        if not any(audience in named for audience in self._issuer.audiences):
            raise TokenRefused(f"oidc: expected audience in {list(self._issuer.audiences)} got {named}")
        now, ends = self._clock.now(), claims.get("exp")
        if not isinstance(ends, int | float) or now > ends:
            raise TokenRefused(f"oidc: token is expired (Token Expiry: {ends})")
        begins = claims.get("nbf", 0)
        if not isinstance(begins, int | float) or now + NOT_BEFORE_LEEWAY_S < begins:
            raise TokenRefused(f"oidc: current time is before the nbf (not before) time: {begins}")
