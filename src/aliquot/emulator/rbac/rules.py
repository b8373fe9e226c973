"""Policy rules: what one rule allows, and whether a set of rules covers another."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aliquot.emulator.field_selectors import Term

ALL = "*"


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. `groups` as authenticated, `system:authenticated` included."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is asked: a verb on a resource, or, where `resource` is empty, on the URL path `path`."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: tuple[Term, ...] = ()
    """What a field selector limits a list, a watch or a deletecollection to."""

    def selects(self, field: str, value: str) -> bool:
        """Only objects are asked for that have `value` in `field`."""
        return any(term.equal and term.field == field and term.value == value for term in self.fields)

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Rule:
    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> "Rule":
        """From the JSON of an rbac.authorization.k8s.io/v1 PolicyRule."""
        return cls(
            verbs=tuple(rule.get("verbs") or ()),
            groups=tuple(rule.get("apiGroups") or ()),
            resources=tuple(rule.get("resources") or ()),
            names=tuple(rule.get("resourceNames") or ()),
            urls=tuple(rule.get("nonResourceURLs") or ()),
        )

    def allows(self, asked: Attributes) -> bool:
        if ALL not in self.verbs and asked.verb not in self.verbs:
            return False
        if not asked.resource:
            return any(_url_covers(url, asked.path) for url in self.urls)
        return (not self.names or asked.name in self.names) and self.is_about(asked)

    def is_about(self, asked: Attributes) -> bool:
        """Allows it, on a resource, for some name at least."""
        return (
            (ALL in self.verbs or asked.verb in self.verbs)
            and (ALL in self.groups or asked.group in self.groups)
            and _resource_listed(self.resources, asked.full_resource)
        )

    def covers(self, other: "Rule") -> bool:
        """Does this rule alone grant all that `other`, one part of a broken-down rule, grants?"""
        return (
            _has_all(self.verbs, other.verbs)
            and _has_all(self.groups, other.groups)
            and all(_resource_listed(self.resources, wanted) for wanted in other.resources)
            and all(any(_url_covers(own, wanted) for own in self.urls) for wanted in other.urls)
            and (not self.names or (bool(other.names) and set(other.names) <= set(self.names)))
        )

    def parts(self) -> Iterator["Rule"]:
        """The smallest rules that together say the same."""
        for group in self.groups:
            for resource in self.resources:
                for verb in self.verbs:
                    for names in ((name,) for name in self.names) if self.names else [()]:
                        yield Rule((verb,), (group,), (resource,), names)
        for url in self.urls:
            for verb in self.verbs:
                yield Rule((verb,), urls=(url,))

    def __str__(self) -> str:
        fields = (
            ("APIGroups", self.groups),
            ("Resources", self.resources),
            ("NonResourceURLs", self.urls),
            ("ResourceNames", self.names),
            ("Verbs", self.verbs),
        )
        return "{" + ", ".join(f"{name}:{go_list(values)}" for name, values in fields if values) + "}"


def go_list(values: Iterable[str]) -> str:
    """`["a" "b"]`, as Go prints a list of quoted strings."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def missing(held: Sequence[Rule], wanted: Iterable[Rule]) -> tuple[Rule, ...]:
    """What `wanted` grants and `held` does not, compacted for people to read."""
    parts = [part for rule in wanted for part in rule.parts()]
    return _compact(part for part in parts if not any(own.covers(part) for own in held))


def _compact(parts: Iterable[Rule]) -> tuple[Rule, ...]:
    """Parts that differ only in their verb, merged."""
    merged: dict[Rule, Rule] = {}
    for part in parts:
        key = replace(part, verbs=()) if part.resources else part
        known = merged.get(key)
        if known is None:
            merged[key] = part
        elif part.verbs[0] not in known.verbs:
            merged[key] = replace(known, verbs=known.verbs + part.verbs)
    return tuple(merged.values())


def _has_all(held: Sequence[str], wanted: Sequence[str]) -> bool:
    return ALL in held or set(wanted) <= set(held)


def _resource_listed(listed: Sequence[str], wanted: str) -> bool:
    if ALL in listed or wanted in listed:
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in listed


def _url_covers(own: str, wanted: str) -> bool:
    if own in (ALL, wanted):
        return True
    return own.endswith(ALL) and wanted.rstrip(ALL).startswith(own.rstrip(ALL))
