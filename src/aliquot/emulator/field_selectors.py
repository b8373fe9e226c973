"""Field selectors: which fields each kind can be selected by, and predicates over objects.

A kind not named in `_FIELDS` can be selected by name and namespace alone, as in Kubernetes.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aliquot.kube.selectors.errors import SelectorError

Reader = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Term:
    field: str
    value: str
    equal: bool


_NODE_NAME = "spec.nodeName"
"""What all the pods of a fleet are selected by, one node's at a time."""
_PLAIN = re.compile(r"[A-Za-z0-9.-]+")


class FieldSelector:
    """All of its terms hold; with none, it selects everything."""

    __slots__ = ("_tests", "marks", "terms")

    def __init__(self, terms: Iterable[tuple[Term, Reader]] = ()) -> None:
        pairs = tuple(terms)
        self.terms = tuple(term for term, _ in pairs)
        self._tests = tuple((read, term.value, term.equal) for term, read in pairs)
        self.marks = tuple(
            f'"{term.value}"'.encode()
            for term in self.terms
            if term.equal and term.field == _NODE_NAME and _PLAIN.fullmatch(term.value)
        )
        """What the JSON of every object that is selected has in it: most others need not be decoded to be passed over."""

    @property
    def empty(self) -> bool:
        return not self.terms

    def matches(self, obj: Mapping[str, Any]) -> bool:
        return all((read(obj) == value) is equal for read, value, equal in self._tests)

    def exact(self, field: str) -> str | None:
        """The one value that `field` must have, where the selector says so: a caller may look it up in an index."""
        return next((term.value for term in self.terms if term.equal and term.field == field), None)

    def __str__(self) -> str:
        return ",".join(
            f"{term.field}{'=' if term.equal else '!='}{_escaped(term.value)}" for term in self.terms
        )


@lru_cache(maxsize=1024)
def parse_fields(
    text: str, group: str, kind: str, *, custom: bool = False, selectable: tuple[str, ...] = ()
) -> FieldSelector:
    """A selector from its text form, e.g. `spec.nodeName=n1,status.phase!=Failed`.

    `custom` marks a custom resource; `selectable` are its CRD's selectableFields, as dotted paths. Raises
    SelectorError for bad syntax and for fields that the kind cannot be selected by.
    """
    found = []
    for term in field_terms(text):
        read = _reader(term.field, group, kind, custom, selectable)
        found.append((term, read))
    return FieldSelector(found)


_SPLIT = re.compile(r"(?:\\.|[^,\\])+|\\$")
_TERM = re.compile(r"((?:\\.|[^=!\\]|!(?!=))*?)(!=|==|=)(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


def field_terms(text: str) -> list[Term]:
    """What a field selector says, of whatever kind. Raises SelectorError for bad syntax."""
    terms = []
    for part in _SPLIT.findall(text):
        match = _TERM.fullmatch(part)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        field, operator, raw = match.groups()
        terms.append(Term(field, _unescaped(raw), operator != "!="))
    return terms


def _unescaped(raw: str) -> str:
    bare = _ESCAPE.sub("", raw)
    if "=" in bare:
        raise SelectorError(f"invalid field selector: unescaped character in value: {raw}")

    def plain(match: re.Match[str]) -> str:
        if match[1] not in (",", "=", "\\") or not match[1]:
            raise SelectorError(f"invalid field selector: invalid escape sequence: {match[0]}")
        return match[1]

    return _ESCAPE.sub(plain, raw)


def _escaped(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


def _reader(field: str, group: str, kind: str, custom: bool, selectable: tuple[str, ...]) -> Reader:
    if field in ("metadata.name", "metadata.namespace"):
        return path(field)
    own = dict.fromkeys(name.lstrip(".") for name in selectable) if custom else _FIELDS.get((group, kind))
    if own is not None and field in own:
        return own[field] or path(field)
    if custom or (own is not None and kind != "Job"):
        raise SelectorError(f"field label not supported: {field}")
    if kind == "Job":
        raise SelectorError(f'field label "{field}" not supported for Job')
    raise SelectorError(
        f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )


def path(dotted: str) -> Reader:
    """Reads a field as text; a missing one is empty, booleans and numbers are as JSON writes them."""
    parts = tuple(dotted.strip(".").split("."))

    def read(obj: Mapping[str, Any]) -> str:
        value: Any = obj
        for part in parts:
            if not isinstance(value, Mapping):
                return ""
            value = value.get(part)
        return _text(value)

    return read


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _flag(dotted: str) -> Reader:
    """A boolean that is false when it is not there."""
    read = path(dotted)
    return lambda obj: read(obj) or "false"


def _number(dotted: str) -> Reader:
    read = path(dotted)
    return lambda obj: read(obj) or "0"


def _first(*candidates: str) -> Reader:
    """The first of several fields that is not empty: an Event can be stored in its core or its events.k8s.io form."""
    readers = tuple(path(dotted) for dotted in candidates)
    return lambda obj: next((text for read in readers if (text := read(obj))), "")


def _pod_ips(obj: Mapping[str, Any]) -> str:
    ips = (obj.get("status") or {}).get("podIPs") or ()
    return ",".join(entry.get("ip", "") for entry in ips)


_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT_SOURCE = (
    "source.component",
    "deprecatedSource.component",
    "reportingComponent",
    "reportingController",
)
_EVENT_REPORTER = ("reportingComponent", "reportingController")

# None: the path as written.
_FIELDS: Mapping[tuple[str, str], Mapping[str, Reader | None]] = {
    ("", "Pod"): {
        **dict.fromkeys(
            [
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "status.phase",
                "status.podIP",
                "status.nominatedNodeName",
            ]
        ),
        "spec.hostNetwork": _flag("spec.hostNetwork"),
        "status.podIPs": _pod_ips,
    },
    ("", "Node"): {"spec.unschedulable": _flag("spec.unschedulable")},
    ("", "Namespace"): {"status.phase": None},
    ("", "Secret"): {"type": None},
    ("", "Service"): {"spec.clusterIP": None, "spec.type": None},
    ("", "Event"): {
        **{
            f"involvedObject.{name}": _first(f"involvedObject.{name}", f"regarding.{name}")
            for name in _REFERENCE
        },
        "reason": None,
        "reportingComponent": _first(*_EVENT_REPORTER),
        "source": _first(*_EVENT_SOURCE),
        "type": None,
    },
    ("events.k8s.io", "Event"): {
        **{f"regarding.{name}": _first(f"regarding.{name}", f"involvedObject.{name}") for name in _REFERENCE},
        "reason": None,
        "reportingController": _first(*_EVENT_REPORTER),
        "type": None,
    },
    ("batch", "Job"): {"status.successful": _number("status.succeeded")},
    ("resource.k8s.io", "ResourceSlice"): {"spec.nodeName": None, "spec.driver": None},
}
