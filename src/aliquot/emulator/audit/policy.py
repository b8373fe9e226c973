"""Audit policies: how much is recorded of which requests. The first rule that matches decides; without one, nothing is."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from aliquot import document
from aliquot.document import Document
from aliquot.emulator.http.request import Request
from aliquot.emulator.rbac import User
from aliquot.emulator.schema.validation import names

_ANY = "*"
_API_VERSION = "audit.k8s.io/v1"
_LONG_SUBRESOURCES = ("attach", "exec", "log", "portforward", "proxy")


class Level(Enum):
    """Each records what those before it do."""

    NONE = "None"
    METADATA = "Metadata"
    REQUEST = "Request"
    REQUEST_RESPONSE = "RequestResponse"

    def covers(self, other: "Level") -> bool:
        return _LEVELS.index(self) >= _LEVELS.index(other)


_LEVELS = tuple(Level)


class Stage(Enum):
    REQUEST_RECEIVED = "RequestReceived"
    RESPONSE_STARTED = "ResponseStarted"
    """Of requests that go on for long alone: watches, logs."""
    RESPONSE_COMPLETE = "ResponseComplete"
    PANIC = "Panic"


class GroupResources(msgspec.Struct, frozen=True, rename="camel"):
    group: str = ""
    resources: tuple[str, ...] = ()
    """`pods`, `pods/log`, `pods/*`, `*/scale`, `*`; none are all."""
    resource_names: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    """Empty fields match everything."""

    level: Level
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    """"" is that of resources without one."""
    non_resource_urls: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool | None = None

    def matches(self, user: User | None, request: Request) -> bool:
        if self.users and (user is None or user.name not in self.users):
            return False
        if self.user_groups and (user is None or not set(self.user_groups) & set(user.groups)):
            return False
        if self.verbs and request.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return bool(request.plural) and self._resource_matches(request)
        if self.non_resource_urls:
            return not request.plural and any(
                _path_matches(request.path, url) for url in self.non_resource_urls
            )
        return True

    def _resource_matches(self, request: Request) -> bool:
        if self.namespaces and request.namespace not in self.namespaces:
            return False
        return not self.resources or any(_is_of(request, one) for one in self.resources)


@dataclass(frozen=True, slots=True)
class Extent:
    """What is recorded of one request."""

    level: Level
    omitted: frozenset[Stage] = frozenset()
    omits_managed_fields: bool = False


class Policy(msgspec.Struct, frozen=True, rename="camel"):
    rules: tuple[Rule, ...]
    api_version: str = _API_VERSION
    kind: str = "Policy"
    metadata: dict[str, Any] = {}
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool = False

    def extent(self, user: User | None, request: Request) -> Extent:
        """`user` is who authenticated, whomever they act as; None when nobody did."""
        rule = next((one for one in self.rules if one.matches(user, request)), None)
        if rule is None:
            return Extent(Level.NONE)
        omits = rule.omit_managed_fields
        return Extent(
            rule.level,
            frozenset((*self.omit_stages, *rule.omit_stages)),
            self.omit_managed_fields if omits is None else omits,
        )


def load(path: Path) -> Policy:
    """Raises DocumentError, which names the line."""
    found = document.parse(document.read(path), source=str(path))
    policy = found.into(Policy)
    if (policy.api_version, policy.kind) != (_API_VERSION, "Policy"):
        raise found.error(
            (), f"a Policy of {_API_VERSION} is expected, not {policy.kind} of {policy.api_version}"
        )
    if not policy.rules:
        raise found.error(("rules",), "rules: at least one is needed: without any, nothing would be recorded")
    for index, rule in enumerate(policy.rules):
        _check(found, ("rules", index), rule)
    return policy


def _check(found: Document, path: tuple[str | int, ...], rule: Rule) -> None:
    where = f"rules[{path[1]}]"
    if rule.non_resource_urls and (rule.resources or rule.namespaces):
        raise found.error(
            (*path, "nonResourceURLs"),
            f"{where}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs",
        )
    for index, url in enumerate(rule.non_resource_urls):
        place, named = (*path, "nonResourceURLs", index), f"{where}.nonResourceURLs[{index}]: {url!r}"
        if url != _ANY and not url.startswith("/"):
            raise found.error(place, f"{named} must begin with a '/' character")
        if _ANY in url[:-1]:
            raise found.error(place, f"{named}: the wildcard '*' must be the final character")
    for index, one in enumerate(rule.resources):
        place, named = (*path, "resources", index), f"{where}.resources[{index}]"
        if one.group and (problems := names.dns_subdomain(one.group)):
            raise found.error((*place, "group"), f"{named}.group: {one.group!r}: {', '.join(problems)}")
        if one.resource_names and not one.resources:
            raise found.error(
                (*place, "resourceNames"),
                f"{named}.resourceNames: using resourceNames requires at least one resource",
            )


def _path_matches(path: str, wanted: str) -> bool:
    if wanted in (_ANY, path):
        return True
    return wanted.endswith(_ANY) and path.startswith(wanted.rstrip(_ANY))


def _is_of(request: Request, wanted: GroupResources) -> bool:
    if wanted.group != request.group:
        return False
    if wanted.resources and wanted.resource_names and request.name not in wanted.resource_names:
        return False
    return not wanted.resources or any(_is(request, one) for one in wanted.resources)


def _is(request: Request, wanted: str) -> bool:
    if wanted == _ANY:
        return True
    resource, slash, subresource = wanted.partition("/")
    if slash and subresource == _ANY:
        return resource == request.plural
    if slash and resource == _ANY:
        return bool(request.subresource) and subresource == request.subresource
    return (resource, subresource) == (request.plural, request.subresource)


def is_long_running(request: Request) -> bool:
    return request.verb == "watch" or request.subresource in _LONG_SUBRESOURCES
