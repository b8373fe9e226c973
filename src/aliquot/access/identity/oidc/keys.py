"""The public keys of an issuer: kept, asked for anew when a token names one that is not known, and now and then anyway, so that a key
that an issuer takes back stops counting here."""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from aliquot.access.identity.oidc.discovery import discover
from aliquot.access.identity.proof import IssuerSilent, NotProven
from aliquot.access.identity.web import Web
from aliquot.access.outside.calling import Unreached
from aliquot.clock import Clock

if TYPE_CHECKING:
    from joserfc.jwk import Key

LOOK_EVERY_S = 10.0
"""At most: an unknown key in a token costs the issuer no more than that, and whoever sends such tokens cannot make it more."""
REFRESH_S = 900.0
FORGET_S = 3600.0
"""Nobody has confirmed them for that long: they do not count any more."""
_SMALLEST_RSA_BITS = 2048
_KIND = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""Of the key, by how an algorithm's name begins."""


class IssuerKeys:
    def __init__(self, issuer: str, web: Web, *, clock: Clock) -> None:
        self._issuer = issuer
        self._web = web
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._confirmed_s = float("-inf")
        self._looked_s = float("-inf")
        self._problem = "it has not been asked yet"
        self._looking = asyncio.Lock()

    async def fitting(self, key_id: str | None, algorithm: str) -> "tuple[Key, ...]":
        """Those that may have signed. Raises NotProven: there is none."""
        found = self._find(key_id, algorithm)
        if not found or self._clock.now() - self._confirmed_s >= REFRESH_S:
            async with self._looking:
                await self._look_if_due()
            found = self._find(key_id, algorithm)
        if self._clock.now() - self._confirmed_s >= FORGET_S:
            raise IssuerSilent("the keys of the token's issuer cannot be had now: try again", self._problem)
        if not found:
            raise NotProven("the token is signed with no key that its issuer publishes for that")
        return found

    def _find(self, key_id: str | None, algorithm: str) -> "tuple[Key, ...]":
        kind = _KIND[algorithm[:2]]
        fitting = tuple(
            key for key in self._keys if key.key_type == kind and key.get("alg", algorithm) == algorithm
        )
        if key_id is not None:
            return tuple(key for key in fitting if key.kid == key_id)
        return fitting if len(fitting) == 1 else ()

    async def _look_if_due(self) -> None:
        now_s = self._clock.now()
        # A clock that stepped back must not keep us from looking.
        if 0 <= now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        try:
            provider = await discover(self._issuer, self._web)
            self._keys = _usable(provider.jwks_uri, await self._web.get(provider.jwks_uri))
        except Unreached as error:
            self._problem = str(error)
            return
        self._confirmed_s = now_s


def _usable(url: str, body: bytes) -> "tuple[Key, ...]":
    try:
        keys = msgspec.json.decode(body, type=dict[str, Any])["keys"]
        if not isinstance(keys, list):
            raise TypeError("no list of keys")
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise Unreached(f"{url} is no set of keys") from None
    return tuple(key for one in keys if isinstance(one, dict) and (key := _public(one)) is not None)


def _public(described: dict[str, Any]) -> "Key | None":
    """None: not for checking signatures, not a public key, or not understood. One strange key leaves the others good."""
    from joserfc.errors import JoseError
    from joserfc.jwk import RSAKey, import_key

    # A shared secret signs for whoever knows it: never a key of an issuer.
    if described.get("kty") not in _KIND.values() or described.get("use", "sig") != "sig":
        return None
    try:
        if len(described.get("n", "")) * 6 < _SMALLEST_RSA_BITS and described["kty"] == "RSA":
            return None
        key = import_key(described)
        if isinstance(key, RSAKey) and key.raw_value.key_size < _SMALLEST_RSA_BITS:
            return None
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None if key.is_private else key
