"""From a bearer token to who came with it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from aliquot.access.identity.configuration import OidcIssuer
from aliquot.access.identity.oidc import claims
from aliquot.access.identity.oidc.keys import IssuerKeys
from aliquot.access.identity.proof import NotProven, Proof
from aliquot.access.identity.web import Web
from aliquot.clock import Clock

LONGEST_TOKEN = 16_384
_REMEMBERED = 512
"""Tokens that came before: somebody sends theirs with each call."""
_NO_TOKEN = "the token is no signed JWT"


class OidcTokens:
    def __init__(self, issuer: OidcIssuer, web: Web, *, clock: Clock) -> None:
        self.issuer = issuer
        self._keys = IssuerKeys(issuer.issuer, web, clock=clock)
        self._clock = clock

    async def prove(self, token: str, *, nonce: str = "") -> Proof:
        """Raises NotProven."""
        header, _ = unchecked(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self.issuer.algorithms:
            raise NotProven("the token is signed in a way that is not configured for its issuer (alg)")
        if key_id is not None and not isinstance(key_id, str):
            raise NotProven(_NO_TOKEN)
        for key in await self._keys.fitting(key_id, algorithm):
            payload = verified(token, key, algorithm)
            if payload is not None:
                return claims.prove(payload, token, self.issuer, self._clock.now(), nonce=nonce)
        raise NotProven("the token's signature is wrong")


@lru_cache(maxsize=_REMEMBERED)
def unchecked(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, of which nothing is proven. Raises NotProven."""
    from joserfc import jws
    from joserfc.errors import JoseError

    if len(token) > LONGEST_TOKEN:
        raise NotProven("the token is too long")
    try:
        found = jws.extract_compact(token.encode())
        said = msgspec.json.decode(found.payload, type=dict[str, Any])
        return dict(found.headers()), said
    except (JoseError, ValueError, TypeError, msgspec.DecodeError):
        raise NotProven(_NO_TOKEN) from None


def verified(token: str, key: Any, algorithm: str) -> bytes | None:
    """The payload; None: this key did not sign it in this way."""
    from joserfc.errors import JoseError

    try:
        return _payload(token, _This(key), algorithm)
    except (JoseError, ValueError, TypeError):
        return None


class _This:
    """A key, and no other that looks like it: joserfc's have no hash."""

    def __init__(self, key: Any) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _This) and self.key is other.key

    def __hash__(self) -> int:
        return id(self.key)


@lru_cache(maxsize=_REMEMBERED)
def _payload(token: str, key: _This, algorithm: str) -> bytes:
    """Raises as joserfc does, which is not remembered. What a key signed it has signed: whether the key still counts, and what the
    token says, is looked at each time."""
    from joserfc import jws

    return jws.deserialize_compact(token, key.key, algorithms=[algorithm]).payload
