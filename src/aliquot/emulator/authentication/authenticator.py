"""The order in which credentials are tried, and the ten seconds for which a token is taken at its word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from aliquot.clock import Clock
from aliquot.emulator.authentication.client_certificates import CertificateRefused, ClientCertificates
from aliquot.emulator.authentication.tokens import ISSUER, TokenRefused
from aliquot.emulator.rbac import User
from aliquot.emulator.statuses import unauthorized

_log = structlog.get_logger(__name__)

AUTHENTICATED: Final = "system:authenticated"
ANONYMOUS: Final = User("system:anonymous", ("system:unauthenticated",))

IDENTITY: Final = "aliquot.identity"
"""The ASGI extension of callers in this process: `{"user": str, "groups": [str]}`. No socket can carry it."""
TLS: Final = "tls"
"""The ASGI extension of the server: `{"certificate": bytes}`, the client's in DER, whose chain TLS has verified."""

ACCEPTED_FOR_S: Final = 10
_ACCEPTED_AT_MOST = 10_000

Headers = Mapping[bytes, bytes]


class TokenSource(Protocol):
    """One kind of token."""

    async def authenticate(self, token: str, audiences: Sequence[str]) -> tuple[User, tuple[str, ...]] | None:
        """(whose it is, which of `audiences` it is for); None for a token of another kind. Raises TokenRefused."""
        ...


class StaticTokens:
    """Tokens that were given out with the cluster, for the server's own audience."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = users

    async def authenticate(self, token: str, audiences: Sequence[str]) -> tuple[User, tuple[str, ...]] | None:
        user = self._users.get(token)
        return (user, (ISSUER,)) if user is not None and ISSUER in audiences else None


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Where nobody in particular is let in: everywhere, or at these paths alone."""

    enabled: bool = True
    paths: tuple[str, ...] | None = None

    def admits(self, path: str) -> bool:
        return self.enabled and (self.paths is None or path in self.paths)


class Authenticator:
    def __init__(
        self,
        *,
        clock: Clock,
        certificates: ClientCertificates | None = None,
        tokens: Sequence[TokenSource] = (),
        anonymous: Anonymous = Anonymous(),
    ) -> None:
        self._clock = clock
        self._certificates = certificates
        self._tokens = tuple(tokens)
        self._anonymous = anonymous
        self._accepted: dict[tuple[str, tuple[str, ...]], tuple[float, User, tuple[str, ...]]] = {}

    async def authenticate(self, extensions: Mapping[str, Any], headers: Headers, path: str = "") -> User:
        """Raises StatusError 401."""
        if (found := extensions.get(IDENTITY)) and found["user"]:
            return authenticated(User(found["user"], tuple(found["groups"])))
        refused = False
        if (tls := extensions.get(TLS)) and self._certificates is not None:
            try:
                user = self._certificates.authenticate(tls["certificate"])
            except CertificateRefused as refusal:
                refused = True
                _log.info("certificate refused", why=str(refusal))
            else:
                if user is not None:
                    return authenticated(user)
        token = _bearer(headers)
        if token is not None:
            try:
                return (await self.authenticate_token(token))[0]
            except TokenRefused as refusal:
                refused = True
                _log.info("token refused", why=str(refusal))
        if refused or not self._anonymous.admits(path):
            raise unauthorized()
        return ANONYMOUS

    async def authenticate_token(
        self, token: str, audiences: Sequence[str] = ()
    ) -> tuple[User, tuple[str, ...]]:
        """(whose token it is, which of `audiences` it is for: by default the server's own). Raises TokenRefused."""
        now = self._clock.now()
        wanted = tuple(audiences) or (ISSUER,)
        if (known := self._accepted.get((token, wanted))) is not None:
            until, user, matched = known
            if now < until:
                return user, matched
            del self._accepted[token, wanted]
        user, matched = await self._look(token, wanted)
        if len(self._accepted) >= _ACCEPTED_AT_MOST:
            self._accepted.clear()
        self._accepted[token, wanted] = (now + ACCEPTED_FOR_S, user, matched)
        return user, matched

    async def _look(self, token: str, audiences: tuple[str, ...]) -> tuple[User, tuple[str, ...]]:
        refusals = []
        for source in self._tokens:
            try:
                found = await source.authenticate(token, audiences)
            except TokenRefused as refusal:
                refusals.append(str(refusal))
                continue
            if found is not None:
                return authenticated(found[0]), found[1]
        if not refusals:
            raise TokenRefused("invalid bearer token")
        raise TokenRefused(f"[{', '.join(['invalid bearer token', *refusals])}]")


def authenticated(user: User) -> User:
    if AUTHENTICATED in user.groups or user.name == ANONYMOUS.name:
        return user
    return User(user.name, (*user.groups, AUTHENTICATED), user.uid, user.extra)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
