"""Credentials of a grant: short tokens of its ServiceAccount, bound to its Secret. None lets anybody in past the grant's end.

What the API server gives is looked at before it is handed on: how long it is good for by the answer and by the token itself, and
that it is bound. A token that is not what was asked for goes nowhere.
"""

from base64 import urlsafe_b64decode

import msgspec
from msgspec import Struct

from aliquot.access.cluster import skew
from aliquot.access.cluster.naming import NAMESPACE, ends_at, grant_of, object_name
from aliquot.access.core import times
from aliquot.access.core.life.grant import GrantSpec
from aliquot.clock import parse_rfc3339, rfc3339
from aliquot.kube import errors
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.kube.client import Client
from aliquot.kube.resources import SECRETS, SERVICEACCOUNTS


class NotMinted(Exception):
    """One line: why there is no credential."""


class Credential(Struct, frozen=True):
    token: str
    expires_s: float
    id: str
    """By which the cluster's audit events name it (`JTI=...`)."""

    def __repr__(self) -> str:
        return f"Credential({self.id}, until {rfc3339(self.expires_s)})"


class _Secret(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta


class _Answer(Struct, frozen=True, rename="camel"):
    token: str
    expiration_timestamp: str


class _TokenRequest(Struct, frozen=True):
    status: _Answer


class _Bound(Struct, frozen=True):
    uid: str


class _Private(Struct, frozen=True):
    namespace: str
    secret: _Bound


class _Claims(Struct, frozen=True):
    exp: float
    sub: str
    jti: str
    kubernetes: _Private = msgspec.field(name="kubernetes.io")


async def mint(client: Client, spec: GrantSpec) -> Credential:
    """Raises NotMinted, skew.ClocksDiffer and ApiError."""
    server_s = await skew.check(client)
    try:
        secret = await client.get(SECRETS, object_name(spec.id), NAMESPACE, into=_Secret)
    except errors.NotFound:
        raise NotMinted(f"{spec.id} is not made, or has been revoked") from None
    end_s = _end(spec, secret.metadata)
    # Whichever clock is ahead.
    seconds = times.lifetime_s(end_s, max(client.clock.now(), server_s))
    if not seconds:
        raise NotMinted(
            f"{spec.id} ends too soon: a credential lives for {times.TOKEN_FLOOR_S} s and has to be dead by then"
        )
    bound = {"apiVersion": "v1", "kind": "Secret", "name": secret.metadata.name, "uid": secret.metadata.uid}
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds, "boundObjectRef": bound},
    }
    try:
        answer = await client.create(
            SERVICEACCOUNTS,
            asked,
            NAMESPACE,
            subresource="token",
            name=object_name(spec.id),
            into=_TokenRequest,
        )
    except (errors.NotFound, errors.Conflict):
        raise NotMinted(f"{spec.id} has been revoked") from None
    return checked(
        answer.status.token, answer.status.expiration_timestamp, end_s, secret.metadata.uid, spec.id
    )


def checked(token: str, told: str, end_s: float | None, secret_uid: str, grant: str) -> Credential:
    """A token that was given, if it is what was asked for. Raises NotMinted."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims)
        expires_s = max(claims.exp, parse_rfc3339(told))
    except (IndexError, ValueError, msgspec.DecodeError) as error:
        raise NotMinted(f"the API server gave no token that can be read: {error}") from None
    if times.is_too_long(expires_s, end_s):
        raise NotMinted(
            f"the API server gave a token until {rfc3339(expires_s)}, which would outlive {grant}: it is thrown away"
        )
    if claims.kubernetes.secret.uid != secret_uid:
        raise NotMinted(f"the API server gave a token that is not bound to the Secret of {grant}")
    if claims.sub != f"system:serviceaccount:{NAMESPACE}:{object_name(grant)}":
        raise NotMinted(f"the API server gave a token of {claims.sub}, which is not the account of {grant}")
    return Credential(token, expires_s, f"JTI={claims.jti}")


def _end(spec: GrantSpec, secret: ObjectMeta) -> float | None:
    """The earlier of what was decided and what the cluster's object says: they differ while an end is being moved."""
    if grant_of(secret) != spec.id or secret.deletion_timestamp is not None:
        raise NotMinted(f"Secret {NAMESPACE}/{secret.name} is not, or no longer, of {spec.id}")
    there_s = ends_at(secret.annotations)
    return None if there_s is None else min(there_s, spec.end_s)
