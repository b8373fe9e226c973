"""The public keys of an OpenID Connect issuer: found by discovery, kept, and asked for anew when a key is unknown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aliquot.clock import Clock
from aliquot.emulator.network import CallFailed, Endpoint, Network

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

WELL_KNOWN = "/.well-known/openid-configuration"
REFRESH_S = 10.0
"""Between two looks at most: an unknown key in a token costs the issuer no more than that."""
_TIMEOUT_S = 30.0


class KeysUnknown(Exception):
    """The issuer cannot be asked, or its answer is none; the text says why."""


class IssuerKeys:
    def __init__(
        self, issuer: str, network: Network, *, clock: Clock, discovery_url: str = "", authority: str = ""
    ) -> None:
        """`authority`: PEM of whom to trust when the issuer is asked; empty for those whom the machine trusts."""
        self._issuer = issuer
        self._network = network
        self._authority = authority.encode()
        self._discovery_url = discovery_url or issuer.rstrip("/") + WELL_KNOWN
        self._clock = clock
        self._keys_url = ""
        self._keys: KeySet | None = None
        self._looked_at = float("-inf")

    async def for_token(self, key_id: str | None) -> "KeySet":
        """Keys among which that of a token should be. Raises KeysUnknown when none are known."""
        known = self._keys
        if known is not None and (key_id is None or any(key.kid == key_id for key in known.keys)):
            return known
        if self._clock.now() - self._looked_at >= REFRESH_S:
            self._looked_at = self._clock.now()
            known = self._keys = await self._look()
        if known is None:
            raise KeysUnknown(f"the keys of {self._issuer} are not known yet")
        return known

    async def _look(self) -> "KeySet":
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        if not self._keys_url:
            document = _object(self._discovery_url, await self._get(self._discovery_url))
            if document.get("issuer") != self._issuer:
                raise KeysUnknown(
                    f"{self._discovery_url}: issuer did not match the issuer returned by provider, expected "
                    f'"{self._issuer}" got "{document.get("issuer")}"'
                )
            self._keys_url = str(document.get("jwks_uri", ""))
        found = _object(self._keys_url, await self._get(self._keys_url))
        usable = [
            key for key in found.get("keys") or () if key.get("use", "sig") == "sig" and _is_public(key)
        ]
        try:
            return KeySet.import_key_set({"keys": usable})
        except (JoseError, ValueError, KeyError) as error:
            raise KeysUnknown(f"{self._keys_url}: {error}") from error

    async def _get(self, url: str) -> bytes:
        try:
            reply = await self._network.get(Endpoint(url, self._authority), timeout_s=_TIMEOUT_S)
        except CallFailed as error:
            raise KeysUnknown(str(error)) from error
        if reply.status != 200:
            raise KeysUnknown(f'Get "{url}": HTTP {reply.status}')
        return reply.body


def _is_public(key: Mapping[str, Any]) -> bool:
    """A shared secret signs for whoever knows it: never a key of an issuer."""
    return key.get("kty") in ("RSA", "EC")


def _object(url: str, body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise KeysUnknown(f"{url}: {error}") from error
    if not isinstance(found, dict):
        raise KeysUnknown(f"{url}: a JSON object is expected")
    return found
