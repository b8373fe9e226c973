"""ServiceAccount tokens: bound JWTs, as TokenRequest gives them out and as the server checks them, and the old ones
without an end that live in Secrets of the type kubernetes.io/service-account-token.

A token is good while its ServiceAccount, and the object that it is bound to, exist with the same uid. Times have the
real server's leeway of 60 s, and so has an object that is being deleted: it matters to whoever counts on an end.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any, Protocol
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySetSerialization, RSAKey

from aliquot.clock import Clock, parse_rfc3339
from aliquot.emulator.rbac import User

ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER = "kubernetes/serviceaccount"
STORED_AS = {"ServiceAccount": "serviceaccounts", "Pod": "pods", "Secret": "secrets", "Node": "nodes"}
"""The kinds that a token is about, with their resources."""
LEEWAY_S = 60
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
NODE_NAME = "authentication.kubernetes.io/node-name"

_INVALIDATED = "service account token has been invalidated"
_LONGEST_TOKEN = 16_384
_LEGACY = "kubernetes.io/serviceaccount/"

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class TokenRefused(Exception):
    """The token is no good; the text says why, for the log. The client hears `Unauthorized` and no more."""


@dataclass(frozen=True, slots=True)
class BoundTo:
    """A Pod, Secret or Node whose end is the token's end. `node` is the (name, uid) of a Pod's."""

    kind: str
    name: str
    uid: str
    node: tuple[str, str] | None = None


class Lookup(Protocol):
    """Finds a ServiceAccount, Pod, Secret or Node (namespace "" for a Node)."""

    def __call__(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None: ...


class TokenSigner:
    """The key of ServiceAccount tokens: signs with it, knows its own signature, tells others how to."""

    def __init__(self, key: SigningKey) -> None:
        self.algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        self._key = RSAKey.import_key(key) if isinstance(key, rsa.RSAPrivateKey) else ECKey.import_key(key)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._id = urlsafe_b64encode(sha256(public).digest()).rstrip(b"=").decode()

    def key_set(self) -> KeySetSerialization:
        """The public key as a JSON Web Key Set (RFC 7517)."""
        public = self._key.as_dict(private=False)
        return {"keys": [{"use": "sig", **public, "kid": self._id, "alg": self.algorithm}]}

    def discovery(self, keys_url: str) -> dict[str, Any]:
        """The OpenID Connect discovery document of the cluster's issuer."""
        return {
            "issuer": ISSUER,
            "jwks_uri": keys_url,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.algorithm],
        }

    def sign(self, claims: Mapping[str, Any]) -> str:
        header = {"alg": self.algorithm, "kid": self._id}
        return jws.serialize_compact(
            header, msgspec.json.encode(claims), self._key, algorithms=[self.algorithm]
        )

    def legacy(self, namespace: str, account: str, uid: str, secret: str) -> str:
        """The token of a Secret: good until the Secret or the account is deleted."""
        return self.sign(
            {
                "iss": LEGACY_ISSUER,
                f"{_LEGACY}namespace": namespace,
                f"{_LEGACY}secret.name": secret,
                f"{_LEGACY}service-account.name": account,
                f"{_LEGACY}service-account.uid": uid,
                "sub": f"system:serviceaccount:{namespace}:{account}",
            }
        )

    def claims(self, token: str) -> Mapping[str, Any]:
        """Of a token that was signed here. Raises TokenRefused."""
        try:
            signed = jws.deserialize_compact(token, self._key, algorithms=[self.algorithm])
            found = msgspec.json.decode(signed.payload)
        except (JoseError, ValueError) as error:
            raise TokenRefused(f"not a token of this server: {error}") from error
        if not isinstance(found, dict):
            raise TokenRefused("a token's payload is an object")
        return found


class ServiceAccountTokens:
    def __init__(self, signer: TokenSigner, lookup: Lookup, *, clock: Clock, rng: Random) -> None:
        self.signer = signer
        self._lookup = lookup
        self._clock = clock
        self._rng = rng

    def issue(
        self,
        namespace: str,
        name: str,
        uid: str,
        *,
        expires_in_s: int,
        warns_after_s: int | None = None,
        audiences: Sequence[str] = (),
        bound_to: BoundTo | None = None,
    ) -> str:
        """`warns_after_s`: the token was asked for that long and lives longer."""
        now = int(self._clock.now())
        private: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
        if bound_to is not None:
            private[bound_to.kind.lower()] = {"name": bound_to.name, "uid": bound_to.uid}
            if bound_to.node is not None:
                private["node"] = dict(zip(("name", "uid"), bound_to.node, strict=True))
        if warns_after_s is not None:
            private["warnafter"] = now + warns_after_s
        return self.signer.sign(
            {
                "aud": list(audiences) or [ISSUER],
                "exp": now + expires_in_s,
                "iat": now,
                "iss": ISSUER,
                "jti": str(UUID(int=self._rng.getrandbits(128), version=4)),
                "kubernetes.io": private,
                "nbf": now,
                "sub": f"system:serviceaccount:{namespace}:{name}",
            }
        )

    async def authenticate(self, token: str, audiences: Sequence[str]) -> tuple[User, tuple[str, ...]] | None:
        """A TokenSource."""
        issuer = issuer_of(token)
        if issuer not in (ISSUER, LEGACY_ISSUER):
            return None
        claims = self.signer.claims(token)
        try:
            if issuer == LEGACY_ISSUER:
                return self._legacy(token, claims, audiences)
            return self._bound(claims, audiences)
        except (KeyError, TypeError, AttributeError) as error:
            raise TokenRefused(
                "service account token claims could not be validated due to unexpected private claim"
            ) from error

    def _bound(self, claims: Mapping[str, Any], audiences: Sequence[str]) -> tuple[User, tuple[str, ...]]:
        matched = tuple(audience for audience in audiences if audience in claims["aud"])
        if not matched:
            raise TokenRefused(
                f"token audiences {_go_quoted(claims['aud'])} is invalid for the target audiences "
                f"{_go_quoted(audiences)}"
            )
        now = self._clock.now()
        if now > claims["exp"] + LEEWAY_S:
            raise TokenRefused("service account token has expired")
        if now < claims["nbf"] - LEEWAY_S:
            raise TokenRefused("service account token is not valid yet")
        if now < claims["iat"] - LEEWAY_S:
            raise TokenRefused("service account token is issued in the future")
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        self._check_account(namespace, account["name"], account["uid"])
        extra = {CREDENTIAL_ID: (f"JTI={claims['jti']}",)} if claims.get("jti") else {}
        for kind in ("Secret", "Pod", "Node"):
            if (bound := private.get(kind.lower())) is None:
                continue
            # Where a pod says which node it is on, its own life decides.
            if kind != "Node" or "pod" not in private:
                self._check_bound(kind, "" if kind == "Node" else namespace, bound["name"], bound["uid"])
            if kind != "Secret":
                extra[f"authentication.kubernetes.io/{kind.lower()}-name"] = (bound["name"],)
                extra[f"authentication.kubernetes.io/{kind.lower()}-uid"] = (bound["uid"],)
        return service_account(namespace, account["name"], account["uid"], extra), matched

    def _legacy(
        self, token: str, claims: Mapping[str, Any], audiences: Sequence[str]
    ) -> tuple[User, tuple[str, ...]]:
        if ISSUER not in audiences:
            raise TokenRefused(
                f"token audiences {_go_quoted([ISSUER])} is invalid for the target audiences {_go_quoted(audiences)}"
            )
        namespace, secret_name = claims[f"{_LEGACY}namespace"], claims[f"{_LEGACY}secret.name"]
        name, uid = claims[f"{_LEGACY}service-account.name"], claims[f"{_LEGACY}service-account.uid"]
        secret = self._lookup("Secret", namespace, secret_name)
        if secret is None or "deletionTimestamp" in secret["metadata"]:
            raise TokenRefused(_INVALIDATED)
        if b64decode((secret.get("data") or {}).get("token", "")) != token.encode():
            raise TokenRefused("service account token does not match server's copy")
        self._check_account(namespace, name, uid)
        return service_account(namespace, name, uid), (ISSUER,)

    def _check_account(self, namespace: str, name: str, uid: str) -> None:
        found = self._lookup("ServiceAccount", namespace, name)
        if found is None:
            raise TokenRefused(f'serviceaccounts "{name}" not found')
        if self._is_long_gone(found):
            raise TokenRefused(f"service account {namespace}/{name} has been deleted")
        if found["metadata"]["uid"] != uid:
            raise TokenRefused(
                f"service account UID ({found['metadata']['uid']}) does not match claim ({uid})"
            )

    def _check_bound(self, kind: str, namespace: str, name: str, uid: str) -> None:
        found = self._lookup(kind, namespace, name)
        if found is None or self._is_long_gone(found):
            raise TokenRefused(_INVALIDATED)
        if found["metadata"]["uid"] != uid:
            raise TokenRefused(
                f"{kind.lower()} UID ({found['metadata']['uid']}) does not match service account {kind.lower()} ref "
                f"claim ({uid})"
            )

    def _is_long_gone(self, found: Mapping[str, Any]) -> bool:
        deleted = found["metadata"].get("deletionTimestamp")
        return bool(deleted) and self._clock.now() > parse_rfc3339(deleted) + LEEWAY_S


def issuer_of(token: str) -> str:
    """Whom a JWT says it is from, before anybody has checked it; empty for what is no JWT."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _LONGEST_TOKEN:
        return ""
    try:
        claims = msgspec.json.decode(b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_"))
    except (ValueError, msgspec.DecodeError):
        return ""
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


def service_account(
    namespace: str, name: str, uid: str = "", extra: Mapping[str, tuple[str, ...]] | None = None
) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra or {})


def _go_quoted(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
