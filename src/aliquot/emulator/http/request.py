"""What a request asks for, read from its method, path and query as kube-apiserver reads them.

`/api/v1/namespaces/NS/pods/NAME/log?follow=true` is the verb `get` on `pods/log`. Trailing slashes do not matter.
Nothing here looks anything up: whether the resource exists is asked later.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aliquot.emulator.statuses import bad_request

_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_PARTS = ("status", "finalize")
_WHOLE = re.compile(r"([-+]?)0*([0-9]+)")
_MOST_DIGITS = 20
"""Of a number in 64 bits."""


def parse_int(text: str) -> int:
    """As Go's strconv.ParseInt reads it, in 64 bits. Raises ValueError with its words."""
    return _whole(text, "ParseInt", -(2**63), 2**63 - 1)


def parse_uint(text: str) -> int:
    """As Go's strconv.ParseUint reads it, in 64 bits. Raises ValueError with its words."""
    return _whole(text, "ParseUint", 0, 2**64 - 1)


def _whole(text: str, function: str, smallest: int, largest: int) -> int:
    match = _WHOLE.fullmatch(text)
    if match is None or (match[1] and smallest == 0):
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax')
    sign, digits = match.groups()
    if len(digits) > _MOST_DIGITS or not smallest <= int(sign + digits) <= largest:
        raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
    return int(sign + digits)


class Query:
    """The query's parameters. Of repeated ones the first counts, as in Go's url.Values.Get."""

    __slots__ = ("_all", "_values")

    def __init__(self, text: str = "") -> None:
        self._all = parse_qsl(text, keep_blank_values=True) if text else []
        self._values: Mapping[str, str] = dict(reversed(self._all))

    def text(self, name: str) -> str:
        return self._values.get(name, "")

    def texts(self, name: str) -> list[str]:
        return [value for key, value in self._all if key == name]

    def flag(self, name: str) -> bool:
        """As Kubernetes reads booleans: `?watch`, `?watch=1`, `?watch=True` are all true."""
        value = self._values.get(name)
        return value is not None and value.lower() not in ("0", "f", "false")

    def has(self, name: str) -> bool:
        return name in self._values

    def number(self, name: str) -> int | None:
        """Raises StatusError 400 for what is no whole number."""
        value = self._values.get(name, "")
        if not value:
            return None
        try:
            return parse_int(value)
        except ValueError as error:
            raise bad_request(str(error)) from None


@dataclass(frozen=True, slots=True)
class Request:
    """`plural` is empty where the path names no resource: then `path` alone says what is asked.

    A list or watch of one object, by a field selector on its name, carries that name: it is authorized as such.
    """

    method: str
    path: str
    verb: str
    query: Query
    group: str = ""
    version: str = ""
    namespace: str = ""
    plural: str = ""
    name: str = ""
    subresource: str = ""


def parse(method: str, path: str, query_text: str) -> Request:
    """Never fails for a path; StatusError 400 for parameters that cannot be read comes when they are."""
    query = Query(query_text)
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["api", version, *rest] if rest:
            group = ""
        case ["apis", group, version, *rest] if rest:
            pass
        case _:
            return Request(method, path, method.lower(), query)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_PARTS:
            rest = rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    if len(rest) > 3:
        # Only proxies go deeper, and there are none.
        return Request(method, path, method.lower(), query)
    verb = _VERBS.get(method, "")
    if not name and verb == "get":
        verb = "watch" if query.flag("watch") else "list"
        name = _named(query.text("fieldSelector"))
    elif not name and verb == "delete":
        verb = "deletecollection"
    return Request(method, path, verb, query, group, version, namespace, plural, name, subresource)


def _named(field_selector: str) -> str:
    for term in field_selector.split(","):
        key, equals, value = term.partition("=")
        if key == "metadata.name" and equals and not value.startswith(("=", "!")):
            return value
        if key == "metadata.name" and value.startswith("="):
            return value[1:]
    return ""
