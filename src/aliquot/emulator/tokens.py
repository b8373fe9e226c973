"""ServiceAccount tokens: bound JWTs, as TokenRequest gives them out and as the server checks them.

A token is good while its ServiceAccount, and the object that it is bound to, exist with the same uid. Two margins
are the real server's and matter to whoever counts on an end: 60 s of leeway on times, and 10 s in which a token
once accepted is not looked at again.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from aliquot.clock import Clock, parse_rfc3339
from aliquot.emulator.rbac import User

ISSUER = "https://kubernetes.default.svc.cluster.local"
STORED_AS = {"ServiceAccount": "serviceaccounts", "Pod": "pods", "Secret": "secrets", "Node": "nodes"}
"""The kinds that a token is about, with their resources."""
LEEWAY_S = 60
ACCEPTED_FOR_S = 10
_LONGEST_TOKEN = 16_384
_ACCEPTED_AT_MOST = 10_000

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class TokenRefused(Exception):
    """The token is no good; the text says why, for the log. The client hears `Unauthorized` and no more."""


@dataclass(frozen=True, slots=True)
class BoundTo:
    """A Pod, Secret or Node whose end is the token's end."""

    kind: str
    name: str
    uid: str


class Lookup(Protocol):
    """Finds the metadata of a ServiceAccount, Pod, Secret or Node (namespace "" for a Node)."""

    def __call__(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None: ...


class ServiceAccountTokens:
    def __init__(self, key: SigningKey, lookup: Lookup, *, clock: Clock, rng: Random) -> None:
        self._key = key
        self._public = key.public_key()
        self._lookup = lookup
        self._clock = clock
        self._rng = rng
        self._accepted: dict[tuple[str, tuple[str, ...]], tuple[float, User, tuple[str, ...]]] = {}

    @property
    def algorithm(self) -> str:
        return "RS256" if isinstance(self._key, rsa.RSAPrivateKey) else "ES256"

    def issue(
        self,
        namespace: str,
        name: str,
        uid: str,
        *,
        expires_in_s: int,
        audiences: Sequence[str] = (),
        bound_to: BoundTo | None = None,
    ) -> tuple[str, float]:
        """(token, Unix seconds of its expiry)."""
        now = int(self._clock.now())
        private: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
        if bound_to is not None:
            private[bound_to.kind.lower()] = {"name": bound_to.name, "uid": bound_to.uid}
        claims = {
            "aud": list(audiences) or [ISSUER],
            "exp": now + expires_in_s,
            "iat": now,
            "iss": ISSUER,
            "jti": str(UUID(int=self._rng.getrandbits(128), version=4)),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        header = {"alg": self.algorithm, "typ": "JWT"}
        signed = f"{_encode(msgspec.json.encode(header))}.{_encode(msgspec.json.encode(claims))}"
        return f"{signed}.{_encode(self._sign(signed.encode()))}", float(now + expires_in_s)

    def authenticate(self, token: str, audiences: Sequence[str] = (ISSUER,)) -> tuple[User, tuple[str, ...]]:
        """(whose token it is, which of `audiences` it is for). Raises TokenRefused."""
        now = self._clock.now()
        key = (token, tuple(audiences))
        if (known := self._accepted.get(key)) is not None:
            until, user, matched = known
            if now < until:
                return user, matched
            del self._accepted[key]
        claims = self._claims(token)
        user, matched = self._check(claims, audiences, now)
        if len(self._accepted) >= _ACCEPTED_AT_MOST:
            self._accepted.clear()
        self._accepted[key] = (now + ACCEPTED_FOR_S, user, matched)
        return user, matched

    def _claims(self, token: str) -> Mapping[str, Any]:
        """Of a token that this server signed."""
        if len(token) > _LONGEST_TOKEN:
            raise TokenRefused("token is too long")
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        try:
            header = msgspec.json.decode(_decode(head))
            if not isinstance(header, dict) or header.get("alg") != self.algorithm:
                raise TokenRefused(f"not a token signed with {self.algorithm}")
            self._verify(_decode(signature), signed.encode())
            claims = msgspec.json.decode(_decode(body))
        except (ValueError, binascii.Error, msgspec.DecodeError) as error:
            raise TokenRefused(f"not a token: {error}") from error
        except InvalidSignature:
            raise TokenRefused("signed by another key") from None
        if not isinstance(claims, dict) or claims.get("iss") != ISSUER:
            raise TokenRefused("issued by somebody else")
        return claims

    def _check(
        self, claims: Mapping[str, Any], audiences: Sequence[str], now: float
    ) -> tuple[User, tuple[str, ...]]:
        if now > claims["exp"] + LEEWAY_S:
            raise TokenRefused("token has expired")
        if now < claims["nbf"] - LEEWAY_S:
            raise TokenRefused("token is not valid yet")
        matched = tuple(audience for audience in audiences if audience in claims["aud"])
        if not matched:
            raise TokenRefused(f"token is for {', '.join(claims['aud'])}")
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        self._check_alive("ServiceAccount", namespace, account, now)
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        for kind in ("Pod", "Secret", "Node"):
            if (bound := private.get(kind.lower())) is None:
                continue
            self._check_alive(kind, "" if kind == "Node" else namespace, bound, now)
            if kind != "Secret":
                extra[f"authentication.kubernetes.io/{kind.lower()}-name"] = (bound["name"],)
                extra[f"authentication.kubernetes.io/{kind.lower()}-uid"] = (bound["uid"],)
        return service_account(namespace, account["name"], account["uid"], extra), matched

    def _check_alive(self, kind: str, namespace: str, claimed: Mapping[str, str], now: float) -> None:
        found = self._lookup(kind, namespace, claimed["name"])
        if found is None or found["uid"] != claimed["uid"]:
            raise TokenRefused(f"{kind} {claimed['name']} is gone")
        deleted = found.get("deletionTimestamp")
        if deleted and now > parse_rfc3339(deleted) + LEEWAY_S:
            raise TokenRefused(f"{kind} {claimed['name']} is being deleted")

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), SHA256())
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def _verify(self, signature: bytes, data: bytes) -> None:
        if isinstance(self._public, rsa.RSAPublicKey):
            self._public.verify(signature, data, padding.PKCS1v15(), SHA256())
            return
        if len(signature) != 64:
            raise InvalidSignature
        both = encode_dss_signature(
            int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        )
        self._public.verify(both, data, ec.ECDSA(SHA256()))


def service_account(
    namespace: str, name: str, uid: str = "", extra: Mapping[str, tuple[str, ...]] | None = None
) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra or {})


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
