"""What the expressions of mutating policies make: `Object{spec: Object.spec{...}}` and `JSONPatch{op: ..., ...}`.

An Object is laid over the object in hand as a server-side apply would, without anybody owning what it sets. Which
fields there are is not known to the compiler; a field of the wrong kind is found when the two are merged.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from aliquot.emulator.cel.types import DYN, STRING, Type
from aliquot.emulator.cel.values import Duration, Record, Timestamp, duration_text, timestamp_text, type_name
from aliquot.emulator.objects import Json
from aliquot.emulator.patching import structured
from aliquot.emulator.patching.structured import StructureError
from aliquot.emulator.schema.shapes import Shape, Structure

_OBJECT, _PATCH = "Object", "JSONPatch"
_PATCH_FIELDS = {"op": STRING, "path": STRING, "from": STRING, "value": DYN}


class MutationFailed(Exception):
    """The text says why."""


class MutationTypes:
    """A cel.Constructor."""

    def fields(self, type_name: str, written: Collection[str]) -> Mapping[str, Type] | None:
        if type_name == _PATCH:
            return _PATCH_FIELDS
        if type_name == _OBJECT or type_name.startswith(f"{_OBJECT}."):
            return dict.fromkeys(written, DYN)
        return None

    def construct(self, type_name: str, fields: dict[str, Any]) -> Any:
        return Record(type_name, fields, lambda _, value: value)


# --- values as JSON ---


def to_json(value: Any, path: tuple[str, ...] | None = None) -> Any:
    """`path`: the names of types from the root that Objects below must bear. Raises MutationFailed."""
    match value:
        case Record() if value.type_name == _OBJECT or value.type_name.startswith(f"{_OBJECT}."):
            here = path or tuple(value.type_name.split("."))
            expected = ".".join(here)
            if value.type_name != expected:
                raise MutationFailed(
                    f'type mismatch: unexpected type name "{value.type_name}", expected "{expected}", which matches '
                    "field name path from root Object type"
                )
            return {name: to_json(value.get(name), (*here, name)) for name in value.present}
        case Record():
            return {name: to_json(value.get(name)) for name in value.present}
        case dict():
            for key in value:
                if not isinstance(key, str):
                    raise MutationFailed(f'map key "{key}" is of type {type_name(key)}, not string')
            return {key: to_json(item, path) for key, item in value.items()}
        case list():
            return [to_json(item, path) for item in value]
        case Timestamp():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
        case None | bool() | int() | float() | str():
            return value
    raise MutationFailed(f"a value of type {type_name(value)} is no JSON")


def json_patch(patches: Any) -> list[Json]:
    """The operations of a list of JSONPatch. Raises MutationFailed."""
    operations: list[Json] = []
    for patch in patches:
        operation = {
            "op": patch.get("op") if "op" in patch else "",
            "path": patch.get("path") if "path" in patch else "",
        }
        if "from" in patch:
            operation["from"] = patch.get("from")
        if "value" in patch:
            operation["value"] = to_json(patch.get("value"))
        operations.append(operation)
    return operations


# --- laying one over the other ---


def applied(obj: Json, configuration: Any, shape: Shape) -> Json:
    """`obj` with an Object laid over it. Raises MutationFailed."""
    patch = {**to_json(configuration), "apiVersion": obj["apiVersion"], "kind": obj["kind"]}
    try:
        structured.check(patch, shape)
    except StructureError as error:
        raise MutationFailed(
            f"error applying patch: failed to convert patch object to typed object: {error}"
        ) from None
    if atomics := list(_atomics(patch, shape, "")):
        text = (
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs"
        )
        raise MutationFailed(f"{text}: {', '.join(atomics)}")
    try:
        merged: Json = structured.merge(obj, patch, shape)
    except StructureError as error:
        raise MutationFailed(f"error applying patch: failed to merge patch: {error}") from None
    return merged


def _atomics(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Where a patch would replace the whole of what it says a part of."""
    if isinstance(value, dict):
        if shape.structure is Structure.LEAF and shape.atomic:
            yield path
            return
        for name, child in value.items():
            inner = shape.child(name)
            if inner is not None:
                yield from _atomics(child, inner, f"{path}.{name}")
    elif isinstance(value, list):
        if shape.structure is Structure.LEAF:
            yield path
        for index, item in enumerate(value):
            if shape.element is not None:
                yield from _atomics(item, shape.element, f"{path}[{index}]")
