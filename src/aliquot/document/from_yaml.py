"""YAML events into values with lines.

Scalars read as Kubernetes reads them: YAML 1.1 booleans, no dates, no base-60 numbers. Tags that would build
objects, duplicate keys and alias bombs are refused.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, cast

import yaml

from aliquot.document.parts import MAX_DEPTH, NO_CHILDREN, DocumentError, Key, Node, Repeat, Value, finite

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MAX_ALIAS_NODES = 100_000
"""What aliases may add to a document. Real files share a few blocks; a bomb multiplies by billions."""


def read_yaml(source: str, text: str, repeats: list[Repeat] | None = None) -> list[Node]:
    """Every document of a stream, empty ones left out. Raises DocumentError."""
    try:
        loader = _Loader(text)
        try:
            composer = _Composer(source, loader.get_event, repeats)
            return [root for root in composer.documents() if root.value is not None]
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(source, mark.line + 1 if mark else None, error.problem or str(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(source, line, "a control character is not allowed here") from None
    except UnicodeEncodeError:
        raise DocumentError(source, None, "half a surrogate pair is no character") from None


_INT = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?\Z")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TRUTH_VALUES = {
    spelling: truth
    for truth, words in ((True, ("true", "yes", "on")), (False, ("false", "no", "off")))
    for word in words
    for spelling in (word, word.title(), word.upper())
}
_TAG = "tag:yaml.org,2002:"


def _plain_scalar(text: str) -> Value:
    """Raises ValueError."""
    return _common(text) if len(text) <= _COMMON_CHARS else _read(text)


def _read(text: str) -> Value:
    if text in _NULLS:
        return None
    if text in TRUTH_VALUES:
        return TRUTH_VALUES[text]
    if _INT.match(text):
        digits = text.replace("_", "")
        if re.match(r"[-+]?0[0-7]", digits):
            return int(digits, 8)
        return int(digits, 0)
    if _FLOAT.match(text):
        return finite(float(text.replace("_", "")))
    return text


_COMMON_CHARS = 64
_common = lru_cache(maxsize=4096)(_read)
"""Manifests are full of the same few words."""


class _Composer:
    """Builds values from parser events. Depth is bounded, so recursion here is too."""

    def __init__(self, source: str, next_event: Callable[[], Any], repeats: list[Repeat] | None) -> None:
        self._source = source
        self._next = next_event
        self._repeats = repeats
        self._anchors: dict[str, Node | None] = {}
        self._alias_nodes = 0

    def documents(self) -> Iterator[Node]:
        while type(event := self._next()) is not yaml.StreamEndEvent:
            if type(event) is yaml.DocumentStartEvent:
                self._anchors = {}
                self._alias_nodes = 0
                yield self._node(self._next(), 0)

    def _error(self, event: Any, message: str) -> DocumentError:
        return DocumentError(self._source, event.start_mark.line + 1, message)

    def _node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._error(event, f"nested more than {MAX_DEPTH} levels deep")
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        line = event.start_mark.line + 1
        if kind is yaml.ScalarEvent:
            node = Node(self._scalar(event), line, NO_CHILDREN)
        elif kind is yaml.SequenceStartEvent:
            self._refuse_tag(event, "seq")
            node = self._sequence(line, depth)
        else:
            self._refuse_tag(event, "map")
            node = self._mapping(line, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            raise self._error(event, f"no anchor '&{event.anchor}' before this alias")
        target = self._anchors[event.anchor]
        if target is None:
            raise self._error(event, f"'*{event.anchor}' contains itself")
        self._alias_nodes += target.size
        if self._alias_nodes > _MAX_ALIAS_NODES:
            raise self._error(event, "aliases multiply this document beyond reason")
        return target

    def _refuse_tag(self, event: Any, own: str) -> None:
        if event.tag not in (None, "!", _TAG + own):
            raise self._error(event, f"tag '{event.tag.replace(_TAG, '!!')}' is not accepted")

    def _scalar(self, event: Any) -> Value:
        text: str = event.value
        tag = event.tag
        if tag is None:
            if not event.implicit[0]:
                return text
            try:
                return _plain_scalar(text)
            except ValueError:
                raise self._error(event, "a number with too many digits") from None
        if tag in ("!", _TAG + "str"):
            return text
        for name, accepted in (("int", int), ("float", (int, float)), ("bool", bool), ("null", type(None))):
            if tag == _TAG + name:
                try:
                    value = _plain_scalar(text)
                    if isinstance(value, cast(Any, accepted)):
                        return finite(float(value)) if name == "float" else value
                except (ValueError, OverflowError):
                    raise self._error(event, "a number with too many digits") from None
                raise self._error(event, f"'{text}' is no {name}")
        raise self._error(event, f"tag '{tag.replace(_TAG, '!!')}' is not accepted")

    def _sequence(self, line: int, depth: int) -> Node:
        values: list[Value] = []
        children: dict[Key, Node] = {}
        size = 1
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            item = self._node(event, depth + 1)
            children[len(values)] = item
            values.append(item.value)
            size += item.size
        return Node(values, line, children, size)

    def _mapping(self, line: int, depth: int) -> Node:
        own: dict[Key, Node] = {}
        key_lines: dict[Key, int] = {}
        merged: dict[Key, Node] = {}
        while type(event := self._next()) is not yaml.MappingEndEvent:
            if type(event) is yaml.ScalarEvent and event.value == "<<" and event.implicit[0]:
                for key, node in self._merge(event, depth).items():
                    merged.setdefault(key, node)
                continue
            key = self._key(event)
            again = key in own
            if again and self._repeats is None:
                raise self._error(event, f"'{key}' is given twice (first on line {key_lines[key]})")
            key_line = key_lines[key] = event.start_mark.line + 1
            node = self._node(self._next(), depth + 1)
            if not node.children and not isinstance(node.value, (dict, list)):
                # a long or folded scalar may start a line below the key that the reader looks for
                node = Node(node.value, key_line, NO_CHILDREN)
            own[key] = node
            if again and self._repeats is not None:
                self._repeats.append(Repeat(key_line, key))
        children = {**own, **{key: node for key, node in merged.items() if key not in own}} if merged else own
        size = 1
        for child in children.values():
            size += child.size
        return Node({key: child.value for key, child in children.items()}, line, children, size)

    def _key(self, event: Any) -> str:
        if type(event) is not yaml.ScalarEvent:
            raise self._error(event, "a key must be a word, not a list, object or alias")
        value = self._scalar(event)
        if value is None:
            raise self._error(event, "a key is missing before ':'")
        if isinstance(value, str):
            return value
        return str(value).lower() if isinstance(value, bool) else str(event.value)

    def _merge(self, event: Any, depth: int) -> dict[Key, Node]:
        node = self._node(self._next(), depth + 1)
        sources = list(node.children.values()) if isinstance(node.value, list) else [node]
        found: dict[Key, Node] = {}
        for source in sources:
            if not isinstance(source.value, dict):
                raise self._error(event, "'<<' merges objects only")
            found = source.children | found
        return found
