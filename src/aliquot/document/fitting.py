"""Plain values into types, and what does not fit in words that name the part.

msgspec converts; it ignores fields that a type does not name and is vague about where in a mapping it failed, so
both are done here.
"""

import difflib
import json
import re
from collections.abc import Hashable, Iterable
from functools import lru_cache
from types import UnionType
from typing import Any, TypeVar, cast

import msgspec

from aliquot.document.parts import Key, Value

T = TypeVar("T")


class Misfit(Exception):
    """A part that does not fit. `path` leads to it."""

    def __init__(self, path: tuple[Key, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'X'?` (or `'X' or 'Y'` where the word begins both), nothing when no known word is near."""
    folded = {name.casefold(): name for name in sorted(known, reverse=True)}
    begun = sorted(name for fold, name in folded.items() if word and fold.startswith(word.casefold()))
    close = difflib.get_close_matches(word.casefold(), sorted(folded), n=1, cutoff=0.6)
    found = begun if 0 < len(begun) <= 3 else [folded[name] for name in close]
    return f"; did you mean {' or '.join(repr(name) for name in found)}?" if found else ""


def fit(value: Value, type_: type[T]) -> T:
    """Raises Misfit on unknown fields, wrong types and missing fields, at any depth."""
    _refuse_unknown_fields((), value, _described(cast(Hashable, type_)))
    try:
        return msgspec.convert(value, type_, str_keys=True)
    except msgspec.ValidationError as error:
        message, path = _locate(value, type_, str(error))
        where = _dotted(path)
        raise Misfit(path, f"{where}: {message}" if where else message) from None


@lru_cache(maxsize=256)
def _described(type_: Any) -> Any:
    return msgspec.inspect.type_info(type_)


def _dotted(path: tuple[Key, ...]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def kind_of(value: Value) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def _refuse_unknown_fields(path: tuple[Key, ...], value: Value, type_: Any) -> None:
    """Walks value and type together. msgspec would ignore fields that a type does not name. What is annotated with a schema of
    its own is in an envelope (`Metadata`)."""
    inspect = msgspec.inspect
    if isinstance(type_, inspect.Metadata):
        type_ = type_.type
    if isinstance(type_, inspect.UnionType):
        fitting = [t for t in type_.types if _takes(t, value)]
        if len(fitting) == 1:
            _refuse_unknown_fields(path, value, fitting[0])
    elif isinstance(type_, (inspect.StructType, inspect.DataclassType)) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in type_.fields}
        tag = getattr(type_, "tag_field", None)
        for key, part in value.items():
            if key in fields:
                _refuse_unknown_fields((*path, key), part, fields[key])
            elif key != tag:
                where = _dotted(path)
                place = f" in {where}" if where else ""
                hint = nearest(key, fields) or f"; known: {', '.join(sorted(fields))}"
                raise Misfit((*path, key), f"unknown field '{key}'{place}{hint}")
    elif isinstance(type_, inspect.DictType) and isinstance(value, dict):
        for key, part in value.items():
            _refuse_unknown_fields((*path, key), part, type_.value_type)
    elif isinstance(type_, (inspect.ListType, inspect.VarTupleType)) and isinstance(value, list):
        for index, part in enumerate(value):
            _refuse_unknown_fields((*path, index), part, type_.item_type)


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
