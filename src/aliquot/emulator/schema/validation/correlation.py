"""A value beside the one that it succeeds: what did not change may stay as it was, even where it is wrong now.

Fields of an object are compared by name, items of a list of type map by their keys. The items of other lists
cannot be told apart: such a list is as it was only as a whole.
"""

from collections.abc import Mapping
from typing import Any

Node = Mapping[str, Any]

MISSING = object()


class Correlated:
    __slots__ = ("_children", "_unchanged", "node", "old", "value")

    def __init__(self, value: Any, old: Any, node: Node) -> None:
        self.value = value
        self.old = old
        self.node = node
        self._unchanged: bool | None = None
        self._children: dict[str | int, Correlated | None] = {}

    @property
    def unchanged(self) -> bool:
        if self._unchanged is None:
            self._unchanged = _same(self.value, self.old)
        return self._unchanged

    def key(self, name: str) -> "Correlated | None":
        """The field `name`; None where there is nothing to compare it with."""
        if name not in self._children:
            self._children[name] = self._key(name)
        return self._children[name]

    def _key(self, name: str) -> "Correlated | None":
        new, old = self.value, self.old
        if not isinstance(new, dict) or not isinstance(old, dict) or name not in new or name not in old:
            return None
        node = (self.node.get("properties") or {}).get(name)
        if node is None:
            node = self.node.get("additionalProperties")
        return Correlated(new[name], old[name], node) if isinstance(node, Mapping) else None

    def index(self, at: int) -> "Correlated | None":
        if at not in self._children:
            self._children[at] = self._index(at)
        return self._children[at]

    def _index(self, at: int) -> "Correlated | None":
        items = self.node.get("items")
        if (
            not isinstance(self.value, list)
            or not isinstance(self.old, list)
            or not isinstance(items, Mapping)
        ):
            return None
        old = predecessor(self.value[at], self.old, self.node)
        return None if old is MISSING else Correlated(self.value[at], old, items)


def predecessor(item: Any, old_items: Any, node: Node) -> Any:
    """The item of a list of type map that `item` succeeds; MISSING where there is none."""
    if node.get("x-kubernetes-list-type") != "map" or not isinstance(item, dict):
        return MISSING
    keys = node.get("x-kubernetes-list-map-keys") or ()
    wanted = [item.get(key) for key in keys]
    for old in old_items if isinstance(old_items, list) else ():
        if isinstance(old, dict) and [old.get(key) for key in keys] == wanted:
            return old
    return MISSING


def _same(one: Any, other: Any) -> bool:
    """Equal, and of equal types: true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
