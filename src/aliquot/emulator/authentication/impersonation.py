"""Acting as somebody else (`kubectl --as`): whom, and whether the one who asks may.

Two ways lead there. The old one is the right to `impersonate` each part of the identity: the user or ServiceAccount,
every group, the uid, every value of an extra field. Constrained impersonation (1.36) wants two rights, and so gives
out less: `impersonate:MODE` on the identity, and `impersonate-on:MODE:VERB` on the very thing that is asked for. The
mode follows from the name: serviceaccount, arbitrary-node (or associated-node, for a pod that acts as the node it is
on), user-info for everybody else.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from aliquot.emulator.authentication.authenticator import ANONYMOUS, authenticated
from aliquot.emulator.authentication.tokens import NODE_NAME, service_account
from aliquot.emulator.rbac import Attributes, Authorizer, User, forbidden
from aliquot.emulator.schema.validation.names import dns_label, dns_subdomain
from aliquot.emulator.statuses import bad_request, denied

_PREFIX = b"impersonate-"
_EXTRA = "impersonate-extra-"
_GROUP = "authentication.k8s.io"
_NODE = "system:node:"
_ACCOUNT = "system:serviceaccount:"
[_UNAUTHENTICATED] = ANONYMOUS.groups


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The identity as the headers name it."""

    name: str
    groups: tuple[str, ...]
    uid: str
    extra: tuple[tuple[str, str], ...]
    """Every value with its key."""

    @property
    def account(self) -> tuple[str, str] | None:
        namespace, _, name = self.name.removeprefix(_ACCOUNT).partition(":")
        known = self.name.startswith(_ACCOUNT) and not dns_label(namespace) and not dns_subdomain(name)
        return (namespace, name) if known else None

    def identity(self) -> User:
        groups = self.groups
        if self.account is not None and not groups:
            groups = service_account(*self.account).groups
        extra: dict[str, tuple[str, ...]] = {}
        for key, value in self.extra:
            extra[key] = (*extra.get(key, ()), value)
        user = User(self.name, groups, self.uid, extra)
        if _UNAUTHENTICATED in groups:
            return user
        if self.name == ANONYMOUS.name:
            return replace(user, groups=(*groups, _UNAUTHENTICATED))
        return authenticated(user)

    def __str__(self) -> str:
        """As Go prints it with %#v."""
        extra: dict[str, list[str]] = {}
        for key, value in self.extra:
            extra.setdefault(key, []).append(value)
        values = ", ".join(f"{_quoted(key)}:{_strings(extra[key])}" for key in sorted(extra))
        return (
            f"&user.DefaultInfo{{Name:{_quoted(self.name)}, UID:{_quoted(self.uid)}, Groups:{_strings(self.groups)}, "
            f"Extra:map[string][]string{f'{{{values}}}' if extra else '(nil)'}}}"
        )

    def parts(self) -> Iterator[Attributes]:
        """What the right is wanted to, without a verb."""
        if self.account is not None:
            namespace, name = self.account
            yield Attributes(verb="", resource="serviceaccounts", namespace=namespace, name=name)
        else:
            yield Attributes(verb="", resource="users", name=self.name)
        for group in self.groups:
            yield Attributes(verb="", resource="groups", name=group)
        if self.uid:
            yield Attributes(verb="", group=_GROUP, resource="uids", name=self.uid)
        for key, value in self.extra:
            yield Attributes(verb="", group=_GROUP, resource="userextras", subresource=key, name=value)


def impersonated(
    user: User,
    headers: Sequence[tuple[bytes, bytes]],
    asked: Attributes,
    authorizer: Authorizer,
    *,
    constrained: bool,
) -> User:
    """Whom `user` asks to act as, or `user`. `headers` are all of the request's, names in lower case; `asked` is what
    is to be done, by whomever; `constrained`: whether the narrow way is open.

    Raises StatusError 400 and 403.
    """
    wanted = _wanted(headers)
    if wanted is None:
        return user
    if not (constrained and _may_narrowly(user, wanted, asked, authorizer)):
        _must_broadly(user, wanted, authorizer)
    return wanted.identity()


def _wanted(headers: Sequence[tuple[bytes, bytes]]) -> _Wanted | None:
    said = [(_text(name), _text(value)) for name, value in headers if name.startswith(_PREFIX)]
    if not said:
        return None
    wanted = _Wanted(
        next((value for name, value in said if name == "impersonate-user"), ""),
        tuple(value for name, value in said if name == "impersonate-group"),
        next((value for name, value in said if name == "impersonate-uid"), ""),
        tuple((unquote(name.removeprefix(_EXTRA)), value) for name, value in said if name.startswith(_EXTRA)),
    )
    if wanted.name:
        return wanted
    if wanted.groups or wanted.uid or wanted.extra:
        raise bad_request(f"requested {wanted} without impersonating a user name")
    return None


def _must_broadly(user: User, wanted: _Wanted, authorizer: Authorizer) -> None:
    for part in wanted.parts():
        asked = replace(part, verb="impersonate", version="v1")
        decision = authorizer.authorize(user, asked)
        if not decision.allowed:
            refusal = forbidden(user, asked, decision.reason)
            raise denied(refusal.code, refusal.reason, refusal.message, refusal.details)


def _may_narrowly(user: User, wanted: _Wanted, asked: Attributes, authorizer: Authorizer) -> bool:
    return any(
        all(
            authorizer.authorize(
                user, replace(one, verb=f"impersonate:{mode}", group=_GROUP, version="v1")
            ).allowed
            for one in identity
        )
        and authorizer.authorize(user, replace(asked, verb=f"impersonate-on:{mode}:{asked.verb}")).allowed
        for mode, identity in _modes(user, wanted)
    )


def _modes(user: User, wanted: _Wanted) -> Iterator[tuple[str, list[Attributes]]]:
    """Each mode with what the right to the identity is wanted to. Accounts and nodes come with their own groups."""
    alone = not (wanted.groups or wanted.uid or wanted.extra)
    if wanted.name.startswith(_NODE):
        node = wanted.name.removeprefix(_NODE)
        if alone and user.extra.get(NODE_NAME) == (node,):
            yield "associated-node", [Attributes(verb="", resource="nodes", name="*")]
        if alone:
            yield "arbitrary-node", [Attributes(verb="", resource="nodes", name=node)]
    elif wanted.account is None:
        yield "user-info", list(wanted.parts())
    elif alone:
        yield "serviceaccount", list(wanted.parts())


def _strings(values: Sequence[str]) -> str:
    return f"[]string{{{', '.join(map(_quoted, values))}}}" if values else "[]string(nil)"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
