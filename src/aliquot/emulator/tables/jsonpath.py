"""The JSONPath that printer columns are written in: fields, indexes, wildcards, slices and one comparison filter.

.spec.size    .metadata.labels.example\\.com/tier    .status.conditions[?(@.type=="Ready")].status
"""

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterable[Any]]


class JSONPathError(ValueError):
    """The expression is not one that is understood here."""


_FIELD = re.compile(r"\.?((?:\\.|[^.\[\]\\\s])+)")
_BRACKET = re.compile(
    r"""\[(?:
        (?P<wildcard>\*)
      | (?P<index>-?\d+)
      | (?P<slice>-?\d*:-?\d*)
      | '(?P<single>(?:\\.|[^'])*)'
      | "(?P<double>(?:\\.|[^"])*)"
      | \?\((?P<filter>.*?)\)
    )\]""",
    re.VERBOSE,
)
_FILTER = re.compile(r"\s*@(?P<left>[^=!<>]*?)\s*(?:(?P<compare>==|!=|<=|>=|<|>)\s*(?P<right>.+?)\s*)?")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@lru_cache(maxsize=512)
def compile_path(expression: str) -> Callable[[Any], list[Any]]:
    """A function from a JSON value to all that the path finds in it. Raises JSONPathError."""
    steps = tuple(_steps(expression))

    def find(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = [child for parent in found for child in step(parent)]
        return found

    return find


def _steps(expression: str) -> Iterable[Step]:
    text = expression.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    position = 1 if text.startswith(("$", "@")) else 0
    while position < len(text):
        if text[position:] == ".":
            return
        if text.startswith((".*", "*"), position):
            yield _children
            position += 2 if text[position] == "." else 1
            continue
        if match := _BRACKET.match(text, position):
            yield _bracket(match)
        elif (match := _FIELD.match(text, position)) is not None:
            yield _field(re.sub(r"\\(.)", r"\1", match[1]))
        else:
            raise JSONPathError(f"cannot read {text[position:]!r} in the path {expression!r}")
        position = match.end()


def _field(name: str) -> Step:
    return lambda value: (value[name],) if isinstance(value, Mapping) and name in value else ()


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return [value[key] for key in sorted(value)]
    return value if _is_list(value) else ()


def _bracket(match: re.Match[str]) -> Step:
    if match["wildcard"]:
        return _children
    if match["index"]:
        index = int(match["index"])
        return lambda value: value[index:][:1] if _is_list(value) else ()
    if match["slice"]:
        start, stop = (int(bound) if bound else None for bound in match["slice"].split(":"))
        return lambda value: value[start:stop] if _is_list(value) else ()
    if match["filter"] is not None:
        return _filter(match["filter"])
    return _field(re.sub(r"\\(.)", r"\1", match["single"] or match["double"] or ""))


def _filter(text: str) -> Step:
    match = _FILTER.fullmatch(text)
    if match is None:
        raise JSONPathError(f"cannot read the filter {text!r}")
    find = compile_path(match["left"])
    if match["compare"] is None:
        return lambda value: [item for item in _children(value) if find(item)]
    compare, wanted = _COMPARE[match["compare"]], _literal(match["right"])

    def holds(item: Any) -> bool:
        try:
            return any(compare(found, wanted) for found in find(item))
        except TypeError:
            return False

    return lambda value: [item for item in _children(value) if holds(item)]


def _literal(text: str) -> Any:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        raise JSONPathError(f"cannot read the value {text!r}") from None


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
