"""Who asks: a client certificate, a bearer token, a caller in this process, or nobody (`system:anonymous`).

A certificate's subject is trusted as TLS has checked its chain before the request got here. A token that is there
but no good is refused rather than taken for anonymous.
"""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from aliquot.emulator.rbac import Attributes, Authorizer, User, forbidden
from aliquot.emulator.statuses import bad_request, failure, unauthorized
from aliquot.emulator.tokens import ServiceAccountTokens, TokenRefused, service_account

_log = structlog.get_logger(__name__)

AUTHENTICATED: Final = "system:authenticated"
ANONYMOUS: Final = User("system:anonymous", ("system:unauthenticated",))

IDENTITY: Final = "aliquot.identity"
"""The ASGI extension of callers in this process: `{"user": str, "groups": [str]}`. No socket can carry it."""
TLS: Final = "tls"
"""The ASGI extension of the server: `{"client_cert_name": ..., "user": str, "groups": [str]}`."""

Headers = Mapping[bytes, bytes]


class Authenticator:
    """`static` tokens belong to users that are given out with the cluster; `tokens` are ServiceAccounts'."""

    def __init__(
        self, tokens: ServiceAccountTokens | None = None, static: Mapping[str, User] | None = None
    ) -> None:
        self._tokens = tokens
        self._static = dict(static or {})

    def authenticate(self, extensions: Mapping[str, Any], headers: Headers) -> User:
        """Raises StatusError 401."""
        for name in (IDENTITY, TLS):
            if (found := extensions.get(name)) and found.get("user"):
                return _authenticated(User(found["user"], tuple(found["groups"])))
        token = _bearer(headers)
        if token is None:
            return ANONYMOUS
        if (user := self._static.get(token)) is not None:
            return _authenticated(user)
        if self._tokens is not None:
            try:
                return self._tokens.authenticate(token)[0]
            except TokenRefused as refusal:
                _log.info("token refused", why=str(refusal))
        raise unauthorized()


def impersonated(
    user: User, headers: Headers, repeated: Mapping[bytes, list[bytes]], authorizer: Authorizer
) -> User:
    """Whom `user` asks to act as (`kubectl --as`), or `user`. `repeated` has every value of each header.

    Raises StatusError 400 and 403.
    """
    name = _text(headers.get(b"impersonate-user", b""))
    groups = [_text(value) for value in repeated.get(b"impersonate-group", ())]
    uid = _text(headers.get(b"impersonate-uid", b""))
    extra = {
        _text(key).removeprefix("impersonate-extra-"): tuple(_text(value) for value in values)
        for key, values in repeated.items()
        if key.startswith(b"impersonate-extra-")
    }
    if not name:
        if groups or uid or extra:
            raise bad_request(
                "requested to impersonate groups, a uid or extra fields without impersonating a user"
            )
        return user
    account = _service_account_parts(name)
    if account is not None:
        _may(authorizer, user, "serviceaccounts", account[1], namespace=account[0])
    else:
        _may(authorizer, user, "users", name)
    for group in groups:
        _may(authorizer, user, "groups", group)
    if uid:
        _may(authorizer, user, "uids", uid, group="authentication.k8s.io")
    for key, values in extra.items():
        for value in values:
            _may(authorizer, user, "userextras", value, group="authentication.k8s.io", subresource=key)
    if account is not None and not groups:
        groups = list(service_account(*account).groups)
    elif name == ANONYMOUS.name:
        groups = groups or list(ANONYMOUS.groups)
    return _authenticated(User(name, tuple(groups), uid, extra))


def _may(
    authorizer: Authorizer,
    user: User,
    resource: str,
    name: str,
    *,
    group: str = "",
    namespace: str = "",
    subresource: str = "",
) -> None:
    asked = Attributes(
        verb="impersonate",
        group=group,
        version="v1",
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
    )
    decision = authorizer.authorize(user, asked)
    if not decision.allowed:
        refusal = forbidden(user, asked, decision.reason)
        raise failure(refusal.code, refusal.reason, refusal.message, refusal.details)


def _authenticated(user: User) -> User:
    if AUTHENTICATED in user.groups or user.name == ANONYMOUS.name:
        return user
    return User(user.name, (*user.groups, AUTHENTICATED), user.uid, user.extra)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _service_account_parts(name: str) -> tuple[str, str] | None:
    parts = name.split(":")
    return (parts[2], parts[3]) if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"] else None
