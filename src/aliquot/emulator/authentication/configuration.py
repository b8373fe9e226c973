"""The files and options that say who is let in: AuthenticationConfiguration, `--oidc-...`, and a file of tokens."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from aliquot import document
from aliquot.document import Document, DocumentError
from aliquot.emulator.authentication.authenticator import Anonymous
from aliquot.emulator.authentication.claims import ClaimMappings, Expression, FromClaim, Mapped, Rule
from aliquot.emulator.authentication.oidc import ALGORITHMS, Issuer
from aliquot.emulator.authentication.tokens import ISSUER
from aliquot.emulator.rbac import User

API_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1")


class ConfigurationError(Exception):
    """One line: where what is wrong, and what would be right."""


class _Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    pass


class _Issuer(_Spec, frozen=True):
    url: str
    audiences: tuple[str, ...]
    audience_match_policy: str = ""
    discovery_url: str = msgspec.field(name="discoveryURL", default="")
    certificate_authority: str = ""


class _ClaimRule(_Spec, frozen=True):
    claim: str = ""
    required_value: str = ""
    expression: str = ""
    message: str = ""


class _UserRule(_Spec, frozen=True):
    expression: str
    message: str = ""


class _Prefixed(_Spec, frozen=True):
    claim: str = ""
    prefix: str | None = None
    expression: str = ""


class _Plain(_Spec, frozen=True):
    claim: str = ""
    expression: str = ""


class _Extra(_Spec, frozen=True):
    key: str
    value_expression: str


class _Mappings(_Spec, frozen=True):
    username: _Prefixed
    groups: _Prefixed | None = None
    uid: _Plain | None = None
    extra: tuple[_Extra, ...] = ()


class _Jwt(_Spec, frozen=True):
    issuer: _Issuer
    claim_mappings: _Mappings
    claim_validation_rules: tuple[_ClaimRule, ...] = ()
    user_validation_rules: tuple[_UserRule, ...] = ()


class _Path(_Spec, frozen=True):
    path: str


class _Anonymous(_Spec, frozen=True):
    enabled: bool
    conditions: tuple[_Path, ...] = ()


class _Configuration(_Spec, frozen=True):
    api_version: str
    kind: str
    jwt: tuple[_Jwt, ...] = ()
    anonymous: _Anonymous | None = None


def load(path: Path, *, minor: int) -> tuple[tuple[Issuer, ...], Anonymous]:
    """An AuthenticationConfiguration. Raises ConfigurationError."""
    try:
        return read(document.parse(document.read(path), source=str(path)), minor=minor)
    except DocumentError as error:
        raise ConfigurationError(str(error)) from error


def read(found: Document, *, minor: int) -> tuple[tuple[Issuer, ...], Anonymous]:
    """Raises DocumentError."""
    wanted = found.into(_Configuration)
    if wanted.kind != "AuthenticationConfiguration" or wanted.api_version not in API_VERSIONS:
        raise found.error(("kind",), f"{API_VERSIONS[0]}, kind AuthenticationConfiguration is expected")
    urls: set[str] = set()
    issuers = []
    for index, jwt in enumerate(wanted.jwt):
        where = ("jwt", index)
        if jwt.issuer.url in urls:
            raise found.error((*where, "issuer", "url"), f"{jwt.issuer.url}: each issuer is named once")
        urls.add(jwt.issuer.url)
        issuers.append(_issuer(found, where, jwt, minor))
    anonymous = wanted.anonymous
    if anonymous is None:
        return tuple(issuers), Anonymous()
    paths = tuple(one.path for one in anonymous.conditions)
    return tuple(issuers), Anonymous(anonymous.enabled, paths or None)


def _issuer(found: Document, where: tuple[str | int, ...], jwt: _Jwt, minor: int) -> Issuer:
    at = (*where, "issuer")
    if not jwt.issuer.url.startswith("https://"):
        raise found.error((*at, "url"), f"{jwt.issuer.url}: an issuer is reached by https://")
    if jwt.issuer.url == ISSUER:
        raise found.error((*at, "url"), f"{ISSUER} is the cluster's own issuer")
    if not jwt.issuer.audiences:
        raise found.error((*at, "audiences"), "at least one audience is required")
    if len(jwt.issuer.audiences) > 1 and jwt.issuer.audience_match_policy != "MatchAny":
        raise found.error(
            (*at, "audienceMatchPolicy"), "must be MatchAny, as there is more than one audience"
        )
    read_mappings = _Reading(found, where, minor)
    return Issuer(
        jwt.issuer.url,
        jwt.issuer.audiences,
        read_mappings.mappings(jwt),
        jwt.issuer.discovery_url,
        jwt.issuer.certificate_authority,
    )


class _Reading:
    """Compiles the expressions of one issuer; refusals name their place."""

    def __init__(self, found: Document, where: tuple[str | int, ...], minor: int) -> None:
        self._found = found
        self._where = where
        self._minor = minor

    def mappings(self, jwt: _Jwt) -> ClaimMappings:
        """Raises DocumentError."""
        mapped, rules = jwt.claim_mappings, "claimValidationRules"
        if mapped.username.claim and mapped.username.prefix is None:
            raise self._error("a prefix is required; it may be empty", "claimMappings", "username", "prefix")
        if mapped.groups is not None and mapped.groups.claim and mapped.groups.prefix is None:
            raise self._error("a prefix is required; it may be empty", "claimMappings", "groups", "prefix")
        username = self._mapped(mapped.username, mapped.username.prefix, "username")
        if username is None:
            raise self._error("a claim or an expression is required", "claimMappings", "username")
        return ClaimMappings(
            username,
            self._mapped(mapped.groups, mapped.groups.prefix, "groups")
            if mapped.groups is not None
            else None,
            self._mapped(mapped.uid, "", "uid") if mapped.uid is not None else None,
            tuple(
                (one.key, self._expression(one.value_expression, "claims", "claimMappings", "extra", index))
                for index, one in enumerate(mapped.extra)
            ),
            {rule.claim: rule.required_value for rule in jwt.claim_validation_rules if rule.claim},
            tuple(
                Rule(self._expression(rule.expression, "claims", rules, index), rule.message)
                for index, rule in enumerate(jwt.claim_validation_rules)
                if rule.expression
            ),
            tuple(
                Rule(self._expression(rule.expression, "user", "userValidationRules", index), rule.message)
                for index, rule in enumerate(jwt.user_validation_rules)
            ),
        )

    def _mapped(self, asked: _Prefixed | _Plain, prefix: str | None, what: str) -> Mapped | None:
        if asked.claim and asked.expression:
            raise self._error("a claim or an expression, not both", "claimMappings", what)
        if asked.expression:
            return self._expression(asked.expression, "claims", "claimMappings", what, "expression")
        return FromClaim(asked.claim, prefix or "") if asked.claim else None

    def _expression(self, text: str, variable: str, *where: str | int) -> Expression:
        from aliquot.emulator.cel import CompileError, Environment
        from aliquot.emulator.cel.types import DYN

        try:
            return Expression(text, Environment({variable: DYN}, minor=self._minor).compile(text))
        except CompileError as error:
            raise self._error(str(error), *where) from error

    def _error(self, message: str, *where: str | int) -> DocumentError:
        return self._found.error((*self._where, *where), message)


def from_options(
    issuer_url: str,
    client_id: str,
    *,
    username_claim: str = "sub",
    username_prefix: str = "",
    groups_claim: str = "",
    groups_prefix: str = "",
    required: Mapping[str, str] | None = None,
    algorithms: tuple[str, ...] = ("RS256",),
    authority: str = "",
) -> Issuer:
    """One issuer, as kube-apiserver's `--oidc-...` options name it. Raises ConfigurationError."""
    if not issuer_url.startswith("https://"):
        raise ConfigurationError(f"{issuer_url}: an issuer is reached by https://")
    if issuer_url == ISSUER:
        raise ConfigurationError(f"{ISSUER} is the cluster's own issuer")
    unknown = [one for one in algorithms if one not in ALGORITHMS]
    if unknown:
        raise ConfigurationError(f"{unknown[0]}: the algorithms are {', '.join(ALGORITHMS)}")
    if username_prefix == "-":
        username_prefix = ""
    elif not username_prefix and username_claim != "email":
        # Else `sub` of one issuer could be anybody's name.
        username_prefix = f"{issuer_url}#"
    mappings = ClaimMappings(
        FromClaim(username_claim, username_prefix),
        FromClaim(groups_claim, groups_prefix) if groups_claim else None,
        required=required or {},
    )
    return Issuer(issuer_url, (client_id,), mappings, authority=authority, algorithms=algorithms)


def load_tokens(path: Path) -> dict[str, User]:
    """Lines of `token,user,uid[,"group,group"]`, as kube-apiserver's `--token-auth-file`. Raises ConfigurationError."""
    users: dict[str, User] = {}
    try:
        with path.open(newline="") as handle:
            for number, row in enumerate(csv.reader(handle), 1):
                _add_token(users, f"{path}:{number}", [cell.strip() for cell in row])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    return users


def _add_token(users: dict[str, User], where: str, row: list[Any]) -> None:
    if not any(row) or row[0].startswith("#"):
        return
    if len(row) < 3 or not row[0] or not row[1]:
        raise ConfigurationError(f'{where}: token,user,uid[,"group,group"] is expected')
    if row[0] in users:
        raise ConfigurationError(f"{where}: the token is there already, for {users[row[0]].name}")
    groups = tuple(filter(None, (group.strip() for group in row[3].split(",")))) if len(row) > 3 else ()
    users[row[0]] = User(row[1], groups, row[2])
