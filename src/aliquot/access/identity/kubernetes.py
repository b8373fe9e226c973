"""Users and ServiceAccounts of a cluster, as its API server says in a TokenReview. Whoever comes with such a token says of which cluster:
a token is shown to nobody but the server it is of."""

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from aliquot.access.cluster.naming import NAMESPACE
from aliquot.access.core.people import Group, Identity, Person
from aliquot.access.identity.configuration import ClusterIssuer
from aliquot.access.identity.oidc.claims import credential_id
from aliquot.access.identity.oidc.tokens import LONGEST_TOKEN
from aliquot.access.identity.proof import IssuerSilent, NotProven, Proof
from aliquot.kube.client import Client
from aliquot.kube.errors import ApiError
from aliquot.kube.resources import Resource

HOLDS_S = 10.0
"""As long as an API server itself takes a token for good that it has looked at."""
_ANSWER_WITHIN_S = 10.0
"""Whoever calls gives up after 30 s, and is to be told why before."""
_SAID_EVERY_S = 60.0
"""A server says it anew at each call. It counts as said at the minute, so that who calls often is written down seldom."""
_TOKENREVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
_CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_OURS = f"system:serviceaccount:{NAMESPACE}:"
_NOT_THEIRS = "the token is none that this cluster knows, or is not for this server"


class _User(Struct, frozen=True):
    username: str = ""
    groups: list[str] = []
    extra: Mapping[str, list[str]] = {}


class _Status(Struct, frozen=True):
    authenticated: bool = False
    user: _User = _User()
    audiences: list[str] = []


class _Review(Struct, frozen=True):
    status: _Status


class ClusterTokens:
    """`client` may create tokenreviews."""

    def __init__(self, cluster: ClusterIssuer, client: Client) -> None:
        self._cluster = cluster
        self._client = client

    async def prove(self, token: str) -> Proof:
        """Raises NotProven."""
        if not token or len(token) > LONGEST_TOKEN or not token.isprintable():
            raise NotProven(_NOT_THEIRS)
        asked: dict[str, Any] = {"spec": {"token": token, "audiences": [self._cluster.audience]}}
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                review = await self._client.create(_TOKENREVIEWS, asked, into=_Review)
        except (ApiError, TimeoutError) as error:
            raise IssuerSilent(
                f"cluster {self._cluster.cluster} cannot be asked about the token now: try again",
                str(error) or f"no answer within {_ANSWER_WITHIN_S:g} s",
            ) from None
        status = review.status
        # A server that does not know of audiences names none: it has looked at the token as one for itself.
        if not status.authenticated or self._cluster.audience not in status.audiences:
            raise NotProven(_NOT_THEIRS)
        user = status.user
        if not user.username or user.username == "system:anonymous":
            raise NotProven(_NOT_THEIRS)
        if user.username.startswith(_OURS):
            raise NotProven("a grant's own account is nobody who may ask or agree")
        now_s = self._client.clock.now()
        known_as = user.extra.get(_CREDENTIAL_ID, [])
        return Proof(
            identity=Identity(
                person=Person(self._cluster.issuer, user.username),
                groups=frozenset(Group(f"{self._cluster.issuer}#{one}") for one in user.groups if one),
                name=user.username,
            ),
            auth="kubernetes",
            credential=known_as[0] if known_as else credential_id(token, None),
            said_s=now_s // _SAID_EVERY_S * _SAID_EVERY_S,
            until_s=now_s + HOLDS_S,
        )
