"""A document that is taken apart field by field: what nobody has taken is still there at the end, and can be told."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Misread(ValueError):
    """A field that has another type than its name promises."""


class Fields:
    """`path` names a field from the top: `spec.driver.version`. A field that is absent, empty or null counts as not there."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document: dict[str, Any] = copy.deepcopy(dict(document))

    def take(self, path: str, type_: type[T]) -> T | None:
        """The field, which is gone from here then. Raises Misread."""
        *parents, last = path.split(".")
        place: Any = self._document
        for step in parents:
            place = place.get(step) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            return None
        value = place.pop(last)
        if _is_nothing(value):
            return None
        if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
            raise Misread(f"{path}: {value!r} is not {_CALLED.get(type_, type_.__name__)}")
        return value

    def text(self, path: str) -> str:
        return self.take(path, str) or ""

    def truth(self, path: str, default: bool = False) -> bool:
        found = self.take(path, bool)
        return default if found is None else found

    def drop(self, path: str) -> None:
        """It says nothing, wherever it stands."""
        self.take(path, object)

    def put(self, path: str, value: Any) -> None:
        """Back again: it is nobody's after all."""
        *parents, last = path.split(".")
        place = self._document
        for step in parents:
            place = place.setdefault(step, {})
        place[last] = value

    def left(self) -> Iterator[tuple[str, Any]]:
        """(path, value) of what nobody has taken and says something."""
        yield from _leaves("", self._document)


_CALLED = {str: "text", bool: "true or false", int: "a whole number", dict: "an object", list: "a list"}


def _is_nothing(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(f"{path}.{name}".removeprefix("."), one)
    elif not _is_nothing(value):
        yield path, value
