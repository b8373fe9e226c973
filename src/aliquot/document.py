"""Documents at the door: YAML or JSON text into typed msgspec values, or one line that says what is wrong.

Stricter than a YAML library on purpose: unknown fields, duplicate keys, tags that build objects, bottomless nesting
and alias bombs are refused, and every complaint names file and line. Scalars read as Kubernetes reads them (YAML
1.1 booleans, no dates, no base-60 numbers). It knows nothing of what any document means.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast

import msgspec
import yaml

T = TypeVar("T")

Key = str | int
Value = Any
"""What JSON can hold: dict, list, str, int, float, bool or None."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MAX_DEPTH = 100
_MAX_ALIAS_NODES = 100_000
"""What aliases may add to a document. Real files share a few blocks; a bomb multiplies by billions."""


class DocumentError(Exception):
    """`FILE:LINE: what is wrong; did you mean 'X'?`, always one line."""

    def __init__(self, source: str, line: int | None, message: str) -> None:
        place = source if line is None else f"{source}:{line}"
        super().__init__(f"{place}: {' '.join(message.split())}")


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'X'?` (or `'X' or 'Y'` where the word begins both), nothing when no known word is near."""
    folded = {name.casefold(): name for name in sorted(known, reverse=True)}
    begun = sorted(name for fold, name in folded.items() if word and fold.startswith(word.casefold()))
    close = difflib.get_close_matches(word.casefold(), sorted(folded), n=1, cutoff=0.6)
    found = begun if 0 < len(begun) <= 3 else [folded[name] for name in close]
    return f"; did you mean {' or '.join(repr(name) for name in found)}?" if found else ""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document as plain values, with the line of every part."""

    source: str
    value: Value
    lines: Mapping[tuple[Key, ...], int]

    def line(self, path: tuple[Key, ...]) -> int | None:
        """Of the part at `path` (`("gpus", 0, "board")`), or of the nearest part around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None

    def error(self, path: tuple[Key, ...], message: str) -> DocumentError:
        return DocumentError(self.source, self.line(path), message)

    def into(self, type_: type[T]) -> T:
        """Raises DocumentError on unknown fields, wrong types and missing fields, at any depth."""
        _refuse_unknown_fields(self, (), self.value, msgspec.inspect.type_info(type_))
        try:
            return msgspec.convert(self.value, type_, str_keys=True)
        except msgspec.ValidationError as error:
            message, path = _locate(self.value, type_, str(error))
            where = _dotted(path)
            raise self.error(path, f"{where}: {message}" if where else message) from None


def parse_all(text: str, *, source: str) -> list[Document]:
    """Every document of a stream, empty ones left out."""
    try:
        events = iter(yaml.parse(_json_as_yaml(text), Loader=_Loader))
        return [d for d in _Composer(source, events).documents() if d.value is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(source, mark.line + 1 if mark else None, error.problem or str(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(source, line, "a control character is not allowed here") from None


def parse(text: str, *, source: str) -> Document:
    """The one document of `text`."""
    documents = parse_all(text, source=source)
    if not documents:
        raise DocumentError(source, None, "the document is empty")
    if len(documents) > 1:
        raise documents[1].error((), "a second document begins here; one is expected")
    return documents[0]


def read(path: Path) -> str:
    """The text of a file. Raises DocumentError where it cannot be read or is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DocumentError(str(path), None, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError(str(path), line, "not UTF-8 text") from None


def load(text: str, type_: type[T], *, source: str) -> T:
    return parse(text, source=source).into(type_)


def load_file(path: Path, type_: type[T]) -> T:
    return load(read(path), type_, source=str(path))


def load_all(text: str, *, source: str) -> list[dict[str, Any]]:
    """Every object of a stream of manifests, as plain dicts."""
    documents = parse_all(text, source=source)
    for document in documents:
        if not isinstance(document.value, dict):
            raise document.error((), f"an object is expected, not {_kind(document.value)}")
    return [document.value for document in documents]


# --- YAML events into values with lines ---

_INT = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?\Z")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {
    spelling: truth
    for truth, words in ((True, ("true", "yes", "on")), (False, ("false", "no", "off")))
    for word in words
    for spelling in (word, word.title(), word.upper())
}
_TAG = "tag:yaml.org,2002:"


def _plain_scalar(text: str) -> Value:
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.match(text):
        digits = text.replace("_", "")
        if re.match(r"[-+]?0[0-7]", digits):
            return int(digits, 8)
        return int(digits, 0)
    if _FLOAT.match(text):
        return float(text.replace("_", ""))
    return text


_SURROGATES = re.compile(
    r"(?<!\\)((?:\\\\)*)((?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})+)"
)


def _json_as_yaml(text: str) -> str:
    """YAML is nearly a superset of JSON: it forbids tabs between tokens and escapes in surrogate pairs."""
    if text.lstrip()[:1] not in ("{", "[") or not ("\t" in text or "\\u" in text):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    # being valid JSON, it has raw tabs nowhere but between tokens
    return _SURROGATES.sub(lambda pair: pair[1] + json.loads(f'"{pair[2]}"'), text.replace("\t", " "))


@dataclass(slots=True)
class _Node:
    value: Value
    line: int
    children: dict[Key, "_Node"]
    size: int = 1


class _Composer:
    """Builds values from parser events. Depth is bounded, so recursion here is too."""

    def __init__(self, source: str, events: Iterator[Any]) -> None:
        self._source = source
        self._events = events
        self._anchors: dict[str, _Node | None] = {}
        self._alias_nodes = 0

    def documents(self) -> Iterator[Document]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                self._alias_nodes = 0
                root = self._node(next(self._events), 0)
                lines: dict[tuple[Key, ...], int] = {}
                _collect_lines(root, (), lines)
                yield Document(self._source, root.value, lines)

    def _error(self, event: Any, message: str) -> DocumentError:
        return DocumentError(self._source, event.start_mark.line + 1, message)

    def _node(self, event: Any, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise self._error(event, f"nested more than {_MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(self._scalar(event), line, {})
        elif isinstance(event, yaml.SequenceStartEvent):
            self._refuse_tag(event, "seq")
            node = self._sequence(line, depth)
        else:
            self._refuse_tag(event, "map")
            node = self._mapping(line, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> _Node:
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
                value = _plain_scalar(text)
                if isinstance(value, cast(Any, accepted)):
                    return float(value) if name == "float" else value
                raise self._error(event, f"'{text}' is no {name}")
        raise self._error(event, f"tag '{tag.replace(_TAG, '!!')}' is not accepted")

    def _sequence(self, line: int, depth: int) -> _Node:
        items: list[_Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return _Node(
            [item.value for item in items], line, dict(enumerate(items)), 1 + sum(item.size for item in items)
        )

    def _mapping(self, line: int, depth: int) -> _Node:
        own: dict[Key, _Node] = {}
        key_lines: dict[Key, int] = {}
        merged: dict[Key, _Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
                for key, node in self._merge(event, depth).items():
                    merged.setdefault(key, node)
                continue
            key = self._key(event)
            if key in own:
                raise self._error(event, f"'{key}' is given twice (first on line {key_lines[key]})")
            key_lines[key] = event.start_mark.line + 1
            own[key] = self._node(next(self._events), depth + 1)
            if isinstance(own[key].value, (str, int, float, bool, type(None))):
                # a long or folded scalar may start a line below the key that the reader looks for
                own[key] = _Node(own[key].value, key_lines[key], {})
        children = own | {key: node for key, node in merged.items() if key not in own}
        size = 1 + sum(child.size for child in children.values())
        return _Node({key: child.value for key, child in children.items()}, line, children, size)

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error(event, "a key must be a word, not a list, object or alias")
        value = self._scalar(event)
        if value is None:
            raise self._error(event, "a key is missing before ':'")
        if isinstance(value, str):
            return value
        return str(value).lower() if isinstance(value, bool) else str(event.value)

    def _merge(self, event: Any, depth: int) -> dict[Key, _Node]:
        node = self._node(next(self._events), depth + 1)
        sources = list(node.children.values()) if isinstance(node.value, list) else [node]
        found: dict[Key, _Node] = {}
        for source in sources:
            if not isinstance(source.value, dict):
                raise self._error(event, "'<<' merges objects only")
            found = source.children | found
        return found


def _collect_lines(node: _Node, path: tuple[Key, ...], lines: dict[tuple[Key, ...], int]) -> None:
    lines[path] = node.line
    for key, child in node.children.items():
        _collect_lines(child, (*path, key), lines)


# --- values into types ---


def _dotted(path: tuple[Key, ...]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def _kind(value: Value) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def _refuse_unknown_fields(document: Document, path: tuple[Key, ...], value: Value, type_: Any) -> None:
    """Walks value and type together. msgspec would ignore fields that a type does not name."""
    inspect = msgspec.inspect
    if isinstance(type_, inspect.UnionType):
        fitting = [t for t in type_.types if _takes(t, value)]
        if len(fitting) == 1:
            _refuse_unknown_fields(document, path, value, fitting[0])
    elif isinstance(type_, (inspect.StructType, inspect.DataclassType)) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in type_.fields}
        tag = getattr(type_, "tag_field", None)
        for key, part in value.items():
            if key in fields:
                _refuse_unknown_fields(document, (*path, key), part, fields[key])
            elif key != tag:
                where = _dotted(path)
                place = f" in {where}" if where else ""
                hint = nearest(key, fields) or f"; known: {', '.join(sorted(fields))}"
                raise document.error((*path, key), f"unknown field '{key}'{place}{hint}")
    elif isinstance(type_, inspect.DictType) and isinstance(value, dict):
        for key, part in value.items():
            _refuse_unknown_fields(document, (*path, key), part, type_.value_type)
    elif isinstance(type_, (inspect.ListType, inspect.VarTupleType)) and isinstance(value, list):
        for index, part in enumerate(value):
            _refuse_unknown_fields(document, (*path, index), part, type_.item_type)


def _takes(type_: Any, value: Value) -> bool:
    inspect = msgspec.inspect
    if isinstance(value, dict):
        if isinstance(type_, inspect.StructType) and type_.tag_field is not None:
            return value.get(type_.tag_field) == type_.tag
        return isinstance(type_, (inspect.StructType, inspect.DataclassType, inspect.DictType))
    if isinstance(value, list):
        return isinstance(type_, (inspect.ListType, inspect.VarTupleType))
    return False


_PATH = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(\.\.\.)\]")
_WORDS = {
    "object": "an object",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}


def _locate(value: Value, type_: Any, text: str) -> tuple[str, tuple[Key, ...]]:
    """msgspec's message in our words, and the path it speaks of.

    msgspec writes `[...]` for "some value of this mapping"; which one is found by trying each alone.
    """
    message, _, where = text.partition(" - at ")
    in_key = where.startswith("`key` in ")
    where = where.removeprefix("`key` in ").strip("`")
    path: tuple[Key, ...] = ()
    for field, index, some in _PATH.findall(where):
        if some:
            path = (*path, _failing_key(value, type_, path, text))
        else:
            path = (*path, int(index) if index else field)
    if in_key:
        path = (*path, _failing_key(value, type_, path, text))
    return _in_words(message, _part(value, path), type_), path


def _part(value: Value, path: tuple[Key, ...]) -> Value:
    for key in path:
        value = value[key]
    return value


def _with_part(value: Value, path: tuple[Key, ...], part: Value) -> Value:
    if not path:
        return part
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with_part(value[path[0]], path[1:], part)
    return copy


def _failing_key(value: Value, type_: Any, path: tuple[Key, ...], text: str) -> str:
    entries = _part(value, path)
    for key in entries:
        try:
            msgspec.convert(_with_part(value, path, {key: entries[key]}), type_, str_keys=True)
        except msgspec.ValidationError as error:
            if str(error) == text:
                return cast(str, key)
    return cast(str, next(iter(entries)))


def _in_words(message: str, value: Value, type_: Any) -> str:
    missing = re.match(r"Object missing required field `(.+)`", message)
    if missing:
        return f"field '{missing[1]}' is missing"
    enum = re.match(r"Invalid (?:enum )?value '?(.*?)'?$", message)
    if enum and isinstance(value, str):
        return f"'{value}' is not a known value{nearest(value, _words_of(type_))}"
    expected = re.match(r"Expected `([^`]+)`(.*?)(?:, got `(.+)`)?$", message)
    if expected:
        wanted, limit, got = expected.groups()
        found = _speak(got) if got else json.dumps(value, default=str, ensure_ascii=False)
        return f"{_speak(wanted)}{limit} is expected, not {found}"
    return message[:1].lower() + message[1:].replace("`", "'")


def _speak(types: str) -> str:
    words = [_WORDS.get(name, name) for name in types.split(" | ")]
    return " or ".join(word for word in words if word != "nothing") or "nothing"


def _words_of(type_: Any) -> set[str]:
    """Every enum or literal spelling reachable from a type: what a misspelt word may have meant."""
    seen: set[int] = set()
    words: set[str] = set()
    stack: list[Any] = [msgspec.inspect.type_info(type_)]
    while stack:
        found = stack.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, msgspec.inspect.EnumType):
            words |= {str(member.value) for member in found.cls}
        elif isinstance(found, msgspec.inspect.LiteralType):
            words |= {str(value) for value in found.values}
        for name in ("fields", "types"):
            stack.extend(getattr(found, name, ()))
        for name in ("type", "item_type", "value_type"):
            inner = getattr(found, name, None)
            if inner is not None and not isinstance(inner, (type, UnionType)):
                stack.append(inner)
    return words
