"""From the claims of a token to a user: which claim is what, what must be in them, and who may come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aliquot.emulator.authentication.tokens import CREDENTIAL_ID, TokenRefused
from aliquot.emulator.rbac import User

if TYPE_CHECKING:
    from aliquot.emulator.cel import Program

Claims = Mapping[str, Any]

RESERVED = "system:"
"""Names and groups of the cluster's own: an issuer that could hand them out would hand out the cluster."""


@dataclass(frozen=True, slots=True)
class FromClaim:
    """One claim, with a prefix before its value or values."""

    claim: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Expression:
    """CEL over `claims`, or over `user` where a user is judged."""

    text: str
    program: "Program"

    def evaluate(self, **values: Any) -> Any:
        """Raises TokenRefused."""
        outcome = self.program.evaluate(values)
        if outcome.error:
            raise TokenRefused(f"oidc: {self.text}: {outcome.error}")
        return outcome.value


Mapped = FromClaim | Expression


@dataclass(frozen=True, slots=True)
class Rule:
    """An expression that must come to true, and what is said when it does not."""

    expression: Expression
    message: str = ""

    def check(self, **values: Any) -> None:
        """Raises TokenRefused."""
        if self.expression.evaluate(**values) is not True:
            raise TokenRefused(f"oidc: {self.message or f'{self.expression.text} evaluated to false'}")


@dataclass(frozen=True, slots=True)
class ClaimMappings:
    username: Mapped
    groups: Mapped | None = None
    uid: Mapped | None = None
    extra: tuple[tuple[str, Expression], ...] = ()
    required: Mapping[str, str] = field(default_factory=dict)
    claim_rules: tuple[Rule, ...] = ()
    user_rules: tuple[Rule, ...] = ()

    def user(self, claims: Claims) -> User:
        """Raises TokenRefused."""
        for name, wanted in self.required.items():
            _check_required(claims, name, wanted)
        for rule in self.claim_rules:
            rule.check(claims=claims)
        extra = {key: _texts(expression.evaluate(claims=claims), key) for key, expression in self.extra}
        extra = {key: values for key, values in extra.items() if values}
        if isinstance(token_id := claims.get("jti"), str) and token_id:
            extra[CREDENTIAL_ID] = (f"JTI={token_id}",)
        user = User(
            _username(self.username, claims),
            _groups(self.groups, claims) if self.groups is not None else (),
            _text(self.uid, claims, "uid") if self.uid is not None else "",
            extra,
        )
        told = {
            "username": user.name,
            "groups": list(user.groups),
            "uid": user.uid,
            "extra": _lists(user.extra),
        }
        for rule in self.user_rules:
            rule.check(user=told)
        _check_reserved(user)
        return user


def _check_required(claims: Claims, name: str, wanted: str) -> None:
    if name not in claims:
        raise TokenRefused(f"oidc: required claim {name} not present in ID token")
    if claims[name] != wanted:
        raise TokenRefused(
            f"oidc: required claim {name} value does not match. Got = {claims[name]}, want = {wanted}"
        )


def _check_reserved(user: User) -> None:
    for name in (user.name, *user.groups):
        if name.startswith(RESERVED):
            raise TokenRefused(f'oidc: "{name}": names that begin with {RESERVED} are the cluster\'s own')


def _username(mapped: Mapped, claims: Claims) -> str:
    if (
        isinstance(mapped, FromClaim)
        and mapped.claim == "email"
        and claims.get("email_verified", True) is not True
    ):
        raise TokenRefused("oidc: email not verified")
    found = _text(mapped, claims, "username")
    if not found:
        raise TokenRefused("oidc: empty username")
    return found


def _text(mapped: Mapped, claims: Claims, what: str) -> str:
    if isinstance(mapped, Expression):
        found = mapped.evaluate(claims=claims)
    elif mapped.claim in claims:
        found = claims[mapped.claim]
    else:
        raise TokenRefused(f'oidc: parse {what} claims "{mapped.claim}": claim not present')
    if not isinstance(found, str):
        raise TokenRefused(f"oidc: {what} is not a string")
    return mapped.prefix + found if isinstance(mapped, FromClaim) and found else found


def _groups(mapped: Mapped, claims: Claims) -> tuple[str, ...]:
    """A string or a list of them; a claim that is not there is no group."""
    if isinstance(mapped, Expression):
        return _texts(mapped.evaluate(claims=claims), "groups")
    return tuple(mapped.prefix + group for group in _texts(claims.get(mapped.claim), "groups"))


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(one for one in value if one)
    raise TokenRefused(f"oidc: {what} is no string and no list of strings")


def _lists(extra: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {key: list(values) for key, values in extra.items()}
