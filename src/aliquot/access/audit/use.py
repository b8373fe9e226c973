"""What a grant was used for, counted, and what of its rights was never needed. Pure.

Counts are kept by what was done, not by when, and adding them up comes to the same in whatever order they came. How many kinds of use
are told apart is bounded: beyond, names are given up first, and never what was done.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import product
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.audit.events import Event, Target
from aliquot.access.core.rules import Rule, matches

MOST_KINDS = 2000
"""Of each sort that are told apart, of one grant."""
MOST_COUNTED = 100_000
"""Requests of one grant; beyond, `isCut` says so: what was done is still noted, and how often is not."""
ANY = "*"

_READS = frozenset({"get", "list", "watch"})
_SECRETS = ("", "secrets")
_SHELLS = frozenset({"pods/exec", "pods/attach", "pods/ephemeralcontainers"})
_BEGUN = ("pods/exec", "pods/attach", "pods/portforward")
_STREAMS = ("get", "create")
"""A shell and a tunnel begin with either: with GET where it is a websocket, and then the API server asks for both rights."""


class Sort(StrEnum):
    READ = "read"
    CHANGE = "change"
    SECRET = "secret"
    """Read or changed."""
    EXEC = "exec"
    FORWARD = "forward"
    """A tunnel to a pod, a service or a node: port-forward and proxy."""
    URL = "url"
    """What is no resource: discovery, /healthz."""
    DENIED = "denied"
    ADDRESS = "address"
    AGENT = "agent"
    ALL = "all"


class What(Struct, frozen=True, omit_defaults=True):
    verb: str = ""
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    """Of an address or an agent, itself; of a URL, its path."""
    container: str = ""
    failed: bool = False
    """It was let through, and came to nothing: there was none, or it was in conflict."""
    by: str = ""
    """Of what was denied: `rights`, or `admission`."""


class Count(Struct, frozen=True):
    count: int
    first_s: float
    last_s: float

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.count + other.count, min(self.first_s, other.first_s), max(self.last_s, other.last_s)
        )


Tally: TypeAlias = Mapping[tuple[Sort, What], Count]


def tally(events: Iterable[Event], new: Iterable[str]) -> Tally:
    """`new`: ids of those that are to be counted. Of the others it is only heeded when they were: each is counted once, and goes on
    until it is over."""
    left = set(new)
    found: dict[tuple[Sort, What], Count] = {}
    for event in events:
        one = Count(1 if event.id in left else 0, event.received_s, event.at_s)
        left.discard(event.id)
        for key in _keys(event):
            found[key] = found[key] + one if key in found else one
    return found


def _keys(event: Event) -> Iterator[tuple[Sort, What]]:
    yield Sort.ALL, What()
    yield _done(event)
    for address in event.addresses:
        yield Sort.ADDRESS, What(name=address)
    if event.agent:
        yield Sort.AGENT, What(name=event.agent)


def _done(event: Event) -> tuple[Sort, What]:
    target = event.target
    what = (
        What(event.verb, name=event.path)
        if target is None
        else What(event.verb, target.group, target.resource, target.namespace, target.name, event.container)
    )
    if event.denied:
        if event.cannot_act is not None:
            verb, resource = event.cannot_act
            # Whom somebody may act as is no namespace's business; what they may do as them can be.
            where = what.namespace if verb != "impersonate" else ""
            what = What(verb, resource=resource, namespace=where, name="" if resource else what.name)
        return Sort.DENIED, replace(what, by=event.denied)
    what = replace(what, failed=event.code >= 400)
    return (Sort.URL if target is None else sort_of(target, event.verb)), what


def sort_of(target: Target, verb: str) -> Sort:
    _, _, sub = target.resource.partition("/")
    if (target.group, target.resource) == _SECRETS:
        return Sort.SECRET
    if not target.group and target.resource in _SHELLS:
        return Sort.EXEC
    if not target.group and sub in ("portforward", "proxy"):
        return Sort.FORWARD
    return Sort.READ if verb in _READS else Sort.CHANGE


def folded(sort: Sort, what: What) -> What:
    """As it is counted where there are too many to tell apart."""
    if sort in (Sort.ADDRESS, Sort.AGENT, Sort.ALL):
        return What(name=ANY)
    if sort in (Sort.DENIED, Sort.URL):
        # Whoever is refused may have asked for anything.
        return What(verb=ANY, resource=ANY, name=ANY, by=what.by, failed=what.failed)
    return replace(what, namespace=ANY, name=ANY, container=ANY if what.container else "")


# --- what is told of it ---


class Line(Struct, frozen=True, rename="camel"):
    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    container: str
    failed: bool
    by: str
    count: int
    first_s: float
    last_s: float


class Seen(Struct, frozen=True, rename="camel"):
    """An address, or a program."""

    name: str
    count: int
    first_s: float
    last_s: float


class GrantUse(Struct, frozen=True, kw_only=True, rename="camel"):
    """What one grant was used for. In each list the latest is the last."""

    grant: str
    count: int = 0
    """Of all requests, those that were refused too."""
    first_s: float | None = None
    last_s: float | None = None
    read: tuple[Line, ...] = ()
    changed: tuple[Line, ...] = ()
    secrets: tuple[Line, ...] = ()
    """Read or changed."""
    shells: tuple[Line, ...] = ()
    forwards: tuple[Line, ...] = ()
    urls: tuple[Line, ...] = ()
    denied: tuple[Line, ...] = ()
    """The verb and the resource are the right that was missing, where `by` is `rights`."""
    addresses: tuple[Seen, ...] = ()
    agents: tuple[Seen, ...] = ()
    rights: int = 0
    """That were given: each of one verb, one resource and, where names are given, one name."""
    unused: tuple[Rule, ...] = ()
    """Rights that were never used."""
    unused_rights: int = 0
    is_folded: bool = False
    """More kinds of use than are told apart: some stand as `*`."""
    is_cut: bool = False
    """More requests than are counted."""


def summary(grant: str, rules: Iterable[Rule], found: Tally) -> GrantUse:
    """`rules`: that the grant gives."""
    total = found.get((Sort.ALL, What()))
    lines = {sort: _lines(found, sort) for sort in _TOLD}
    given, used = list(_cells(rules)), _used(found)
    unused = [cell for cell in given if not _is_used(cell, used)]
    return GrantUse(
        grant=grant,
        count=total.count if total is not None else 0,
        first_s=total.first_s if total is not None else None,
        last_s=total.last_s if total is not None else None,
        read=lines[Sort.READ],
        changed=lines[Sort.CHANGE],
        secrets=lines[Sort.SECRET],
        shells=lines[Sort.EXEC],
        forwards=lines[Sort.FORWARD],
        urls=lines[Sort.URL],
        denied=lines[Sort.DENIED],
        addresses=_seen(found, Sort.ADDRESS),
        agents=_seen(found, Sort.AGENT),
        rights=len(given),
        unused=_joined(unused),
        unused_rights=len(unused),
        is_folded=any(count >= MOST_KINDS for count in Counter(sort for sort, _ in found).values()),
        is_cut=total is not None and total.count >= MOST_COUNTED,
    )


_TOLD = (Sort.READ, Sort.CHANGE, Sort.SECRET, Sort.EXEC, Sort.FORWARD, Sort.URL, Sort.DENIED)
_DONE = (Sort.READ, Sort.CHANGE, Sort.SECRET, Sort.EXEC, Sort.FORWARD)


def _lines(found: Tally, sort: Sort) -> tuple[Line, ...]:
    lines = [
        Line(
            *(what.verb, what.group, what.resource, what.namespace, what.name, what.container),
            *(what.failed, what.by, count.count, count.first_s, count.last_s),
        )
        for (one, what), count in found.items()
        if one is sort
    ]
    return tuple(sorted(lines, key=lambda line: (line.first_s, line.last_s, _text(line))))


def _seen(found: Tally, sort: Sort) -> tuple[Seen, ...]:
    seen = [
        Seen(what.name, count.count, count.first_s, count.last_s)
        for (one, what), count in found.items()
        if one is sort
    ]
    return tuple(sorted(seen, key=lambda one: (one.first_s, one.last_s, one.name)))


def _text(line: Line) -> tuple[str, ...]:
    return (line.verb, line.group, line.resource, line.namespace, line.name, line.container, line.by)


def _cells(rules: Iterable[Rule]) -> Iterator[Rule]:
    cells = (
        Rule((group,), (resource,), (verb,), (name,) if name else ())
        for rule in rules
        for group, resource, verb, name in product(
            rule.api_groups, rule.resources, rule.verbs, rule.resource_names or ("",)
        )
    )
    return iter(dict.fromkeys(cells))


def _used(found: Tally) -> Mapping[tuple[str, str, str], set[str]]:
    """By group, resource and verb, the names of what it was used for."""
    used: dict[tuple[str, str, str], set[str]] = {}
    for sort, what in found:
        if sort in _DONE:
            for verb in _needed(what):
                used.setdefault((what.group, what.resource, verb), set()).add(what.name)
    return used


def _is_used(cell: Rule, used: Mapping[tuple[str, str, str], set[str]]) -> bool:
    return any(
        matches(cell, group, resource, verb)
        and (not cell.resource_names or not names.isdisjoint((*cell.resource_names, ANY)))
        for (group, resource, verb), names in used.items()
    )


def _needed(what: What) -> tuple[str, ...]:
    return _STREAMS if what.resource in _BEGUN and what.verb in _STREAMS else (what.verb,)


def _joined(cells: Iterable[Rule]) -> tuple[Rule, ...]:
    """Of one resource as one rule."""
    verbs: dict[Rule, list[str]] = {}
    for cell in cells:
        verbs.setdefault(replace(cell, verbs=()), []).extend(cell.verbs)
    return tuple(replace(cell, verbs=tuple(some)) for cell, some in verbs.items())
