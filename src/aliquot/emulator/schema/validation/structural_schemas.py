"""What makes the schema of a CRD structural: every field has one type, and every list says how its items go together.

The words are those of Kubernetes (apiextensions' ValidateStructural and ValidateCustomResourceDefinitionOpenAPISchema).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from aliquot.emulator.schema import decoding
from aliquot.emulator.schema.errors import FieldError, forbidden, invalid, not_supported, required
from aliquot.emulator.schema.shapes import Definitions, Shape
from aliquot.emulator.schema.validation import crd_rules, patterns, rules, structural

Node = Mapping[str, Any]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_PRESERVE, _EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
_EITHER, _LIST_TYPE, _KEYS = (
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
)
_MAP_TYPE = "x-kubernetes-map-type"
_RESOURCE_FIELDS = ("apiVersion", "kind", "metadata")
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_NOT_SUPPORTED = "is not supported"
_FORBIDDEN_INSIDE = {
    **dict.fromkeys(("type", "title", "description", _KEYS, rules.WORD), "empty"),
    **dict.fromkeys(("additionalProperties", "default", _LIST_TYPE, _MAP_TYPE), "undefined"),
    **dict.fromkeys(("nullable", _PRESERVE, _EMBEDDED, _EITHER), "false"),
}
"""Of anyOf and its like, which judge values and declare nothing."""


class _Level(Enum):
    """Where a node stands, for the words about its type."""

    ROOT = "must not be empty at the root"
    ITEM = "must not be empty for specified array items"
    FIELD = "must not be empty for specified object fields"


def problems(root: Node, path: str, minor: int) -> list[FieldError]:
    """What is wrong with a schema, its rules not compiled yet."""
    errors: list[FieldError] = []
    if root.get("nullable"):
        errors.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    errors += _node(root, path, _Level.ROOT, "", minor)
    if not any(error.detail.endswith(_NOT_SUPPORTED) for error in errors) and _names_its_dialect(root):
        # Kubernetes finds it when it makes the schema structural, and then looks no further.
        return [invalid(path, "", f"OpenAPIV3Schema 'schema' {_NOT_SUPPORTED}")]
    return errors


def _names_its_dialect(node: Node) -> bool:
    """Whether `$schema` is said anywhere in it."""
    return bool(node.get("$schema")) or any(map(_names_its_dialect, _inside(node)))


def _inside(node: Node) -> Iterator[Node]:
    for word in ("items", "additionalProperties", "not"):
        yield from (node[word],) if isinstance(node.get(word), Mapping) else ()
    for word in ("allOf", "anyOf", "oneOf"):
        yield from node.get(word) or ()
    yield from (node.get("properties") or {}).values()


def _node(node: Node, path: str, level: _Level, no_default: str, minor: int) -> list[FieldError]:
    """`no_default`: why there may be none here, if so."""
    errors = (
        _kind(node, path, level) + _words(node, path) + _list_type(node, path) + crd_rules.forms(node, path)
    )
    errors += _combinations(node, path, complete=level is _Level.ROOT)
    if "default" in node:
        errors += _default(node, path, no_default, minor)
    properties, others, items = (
        node.get("properties") or {},
        node.get("additionalProperties"),
        node.get("items"),
    )
    if others is not None:
        if level is _Level.ROOT:
            errors.append(forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if properties and others is not True:
            text = "additionalProperties and properties are mutual exclusive"
            errors.append(forbidden(f"{path}.additionalProperties", text))
    for name, child in properties.items():
        where = f"{path}.properties[{name}]"
        reason = no_default
        if name in _RESOURCE_FIELDS and level is _Level.ROOT:
            reason = f"in top-level {name}"
        errors += _node(child, where, _Level.FIELD, reason, minor)
    if level is _Level.ROOT or node.get(_EMBEDDED):
        errors += _resource_fields(properties, path, level)
    if isinstance(items, Mapping):
        errors += _node(items, f"{path}.items", _Level.ITEM, no_default, minor)
    elif isinstance(items, list):
        errors.append(forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if isinstance(others, Mapping):
        errors += _node(others, f"{path}.additionalProperties", _Level.FIELD, no_default, minor)
    return errors


def _kind(node: Node, path: str, level: _Level) -> list[FieldError]:
    errors: list[FieldError] = []
    kind = node.get("type", "")
    if kind == "null":
        text = "type cannot be set to null, use nullable as an alternative"
        errors.append(forbidden(f"{path}.type", text))
    if kind and kind not in TYPES:
        errors.append(not_supported(f"{path}.type", kind, TYPES))
    if node.get(_EMBEDDED) and kind != "object":
        text = f"must be object if {_EMBEDDED} is true"
        errors.append(invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text))
    elif not kind and not node.get(_EITHER) and not node.get(_PRESERVE) and "$ref" not in node:
        errors.append(required(f"{path}.type", level.value))
    if level is _Level.ROOT and kind and kind != "object":
        errors.append(invalid(f"{path}.type", kind, "must be object at the root"))
    if kind == "array" and node.get("items") is None:
        errors.append(required(f"{path}.items", "must be specified"))
    return errors


def _words(node: Node, path: str) -> list[FieldError]:
    """Words that do not go together, or have no meaning."""
    errors = [
        forbidden(f"{path}.{word}", f"{word} {_NOT_SUPPORTED}") for word in _UNSUPPORTED if word in node
    ]
    if node.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(forbidden(f"{path}.uniqueItems", text))
    if node.get(_PRESERVE) is False:
        errors.append(invalid(f"{path}.{_PRESERVE}", False, "must be true or undefined"))
    both = [word for word in (_PRESERVE, _EMBEDDED) if node.get(_EITHER) and node.get(word)]
    errors += [invalid(f"{path}.{word}", True, f"must be false if {_EITHER} is true") for word in both]
    if node.get(_EMBEDDED):
        if node.get("additionalProperties") is not None:
            text = f"must not be used if {_EMBEDDED} is set"
            errors.append(forbidden(f"{path}.additionalProperties", text))
        if not node.get(_PRESERVE) and not node.get("properties"):
            text = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
            errors.append(required(f"{path}.properties", text))
    map_type = node.get(_MAP_TYPE)
    if map_type is not None:
        if node.get("type") != "object":
            text = f"must be object if {_MAP_TYPE} is specified"
            kind = node.get("type", "")
            errors.append(invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text))
        if map_type not in ("atomic", "granular"):
            errors.append(not_supported(f"{path}.{_MAP_TYPE}", map_type, ("atomic", "granular")))
    pattern = node.get("pattern")
    if pattern and (wrong := patterns.problem(pattern)):
        text = f"must be a valid regular expression, but isn't: {wrong}"
        errors.append(invalid(f"{path}.pattern", pattern, text))
    return errors


def _resource_fields(properties: Node, path: str, level: _Level) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("kind", "apiVersion"):
        if name in properties and properties[name].get("type") != "string":
            where = f"{path}.properties[{name}].type"
            errors.append(invalid(where, properties[name].get("type", ""), "must be string"))
    metadata = properties.get("metadata")
    if metadata is None:
        return errors
    where = f"{path}.properties[metadata]"
    if metadata.get("type") != "object":
        errors.append(invalid(f"{where}.type", metadata.get("type", ""), "must be object"))
    if level is _Level.ROOT:
        said = {key for key in metadata if key not in ("type", "default")}
        named = set(metadata.get("properties") or ())
        if said - {"properties"} or not named <= {"name", "generateName"}:
            text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            errors.append(forbidden(where, text))
    return errors


# --- lists ---


def _list_type(node: Node, path: str) -> list[FieldError]:
    kind, keys = node.get(_LIST_TYPE), node.get(_KEYS) or ()
    errors: list[FieldError] = []
    if kind is not None:
        if node.get("type") != "array":
            text, found = f"must be array if {_LIST_TYPE} is specified", node.get("type", "")
            errors.append(invalid(f"{path}.type", found, text) if found else required(f"{path}.type", text))
        if kind not in ("atomic", "set", "map"):
            errors.append(not_supported(f"{path}.{_LIST_TYPE}", kind, ("atomic", "set", "map")))
    if keys and kind != "map":
        text = f"must be map if {_KEYS} is non-empty"
        where = f"{path}.{_LIST_TYPE}"
        errors.append(required(where, text) if kind is None else invalid(where, kind, text))
    items = node.get("items")
    if not isinstance(items, Mapping):
        return errors
    if kind in ("set", "map") and items.get("nullable"):
        text = f"cannot be nullable when {_LIST_TYPE} is {kind}"
        errors.append(forbidden(f"{path}.items.nullable", text))
    if kind == "set":
        errors += _set_items(items, path)
    if kind == "map":
        errors += _map_items(items, keys, path)
    return errors


def _set_items(items: Node, path: str) -> list[FieldError]:
    text = f"must be atomic as item of a list with {_LIST_TYPE}=set"
    if items.get("type") == "array" and items.get(_LIST_TYPE) not in (None, "atomic"):
        return [invalid(f"{path}.items.{_LIST_TYPE}", items[_LIST_TYPE], text)]
    if items.get("type") == "object" and items.get(_MAP_TYPE) != "atomic":
        return [invalid(f"{path}.items.{_MAP_TYPE}", items.get(_LIST_TYPE), text)]
    return []


def _map_items(items: Node, keys: Iterable[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    named = list(keys)
    if not named:
        errors.append(required(f"{path}.{_KEYS}", f"must not be empty if {_LIST_TYPE} is map"))
    if items.get("type") != "object":
        text = f"must be object if parent array's {_LIST_TYPE} is map"
        return [*errors, invalid(f"{path}.items.type", items.get("type", ""), text)]
    fields = items.get("properties") or {}
    for index, key in enumerate(named):
        where = f"{path}.items.properties[{key}]"
        if key not in fields:
            errors.append(invalid(f"{path}.{_KEYS}", named, "entries must all be names of item properties"))
        else:
            if fields[key].get("type") in ("array", "object"):
                text = f"must be a scalar type if parent array's {_LIST_TYPE} is map"
                errors.append(invalid(f"{where}.type", items.get("type"), text))
            if key not in (items.get("required") or ()) and fields[key].get("default") is None:
                text = f"this property is in {_KEYS}, so it must have a default or be a required property"
                errors.append(required(f"{where}.default", text))
            if fields[key].get("nullable"):
                text = f"this property is in {_KEYS}, so it cannot be nullable"
                errors.append(forbidden(f"{where}.nullable", text))
        if key in named[:index]:
            errors.append(invalid(f"{path}.{_KEYS}", named, "must not contain duplicate entries"))
    return errors


# --- anyOf and its like: values alone are judged there, nothing is declared ---


def _combinations(node: Node, path: str, *, complete: bool) -> list[FieldError]:
    """`complete`: what they judge must be declared beside them, as is asked of those at the root alone."""
    errors: list[FieldError] = []
    is_either = bool(node.get(_EITHER))
    for word in ("anyOf", "allOf", "oneOf"):
        parts: list[Any] = list(node.get(word) or ())
        if word == "anyOf" and is_either and parts == _INT_OR_STRING:
            continue
        for index, part in enumerate(parts):
            may_choose = word == "allOf" and index == 0 and is_either
            where = f"{path}.{word}[{index}]"
            errors += _nested(part, where, may_choose=may_choose)
            errors += _undeclared(part, node, where) if complete else []
    if isinstance(node.get("not"), Mapping):
        errors += _nested(node["not"], f"{path}.not", may_choose=False)
        errors += _undeclared(node["not"], node, f"{path}.not") if complete else []
    return errors


def _nested(part: Node, path: str, *, may_choose: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for word, state in _FORBIDDEN_INSIDE.items():
        if part.get(word) not in (None, "", False, [], {}):
            errors.append(forbidden(f"{path}.{word}", f"must be {state} to be structural"))
    if "metadata" in (part.get("properties") or {}):
        text = "must not be specified in a nested context"
        errors.append(forbidden(f"{path}.properties[metadata]", text))
    for step, child in _below_part(part):
        chosen = may_choose and step.startswith("anyOf") and list(part["anyOf"]) == _INT_OR_STRING
        if not chosen:
            errors += _nested(child, f"{path}.{step}", may_choose=False)
    return errors


def _below_part(part: Node) -> Iterable[tuple[str, Node]]:
    """Each step from `part` to another that is within it."""
    for name, child in (part.get("properties") or {}).items():
        yield f"properties[{name}]", child
    for word in ("items", "not"):
        if isinstance(part.get(word), Mapping):
            yield word, part[word]
    for word in ("anyOf", "allOf", "oneOf"):
        for index, child in enumerate(part.get(word) or ()):
            yield f"{word}[{index}]", child


def _undeclared(part: Node, spine: Node, path: str) -> list[FieldError]:
    """`spine`: what the structure says of the same place."""
    errors: list[FieldError] = []
    for step, child in _below_part(part):
        where = f"{path}.{step}"
        if step.startswith("properties["):
            beside = (spine.get("properties") or {}).get(step[len("properties[") : -1])
        else:
            beside = spine.get("items") if step == "items" else spine
        if isinstance(beside, Mapping):
            errors += _undeclared(child, beside, where)
        else:
            errors.append(required(f"{_spine_path(path)}.{step}", f"because it is defined in {where}"))
    return errors


def _spine_path(path: str) -> str:
    """The path of the structure that a part of anyOf and its like speaks of."""
    choices = ("anyOf", "allOf", "oneOf", "not")
    kept = [step for step in path.split(".") if step.partition("[")[0] not in choices]
    return ".".join(kept)


# --- defaults ---


def _default(node: Node, path: str, no_default: str, minor: int) -> list[FieldError]:
    where = f"{path}.default"
    if no_default:
        return [forbidden(where, f"must not be set {no_default}")]
    value = node["default"]
    if not _holds_resource(node):
        _, unknown = decoding.decode({"default": value}, _shape({"default": node}))
        if unknown:
            return [invalid(where, value, "must not have unknown fields")]
    errors = structural.validate(value, node)
    if errors:
        return [replace(error, field=_below(where, error.field)) for error in errors]
    judged_by = rules.compiled(node) if rules.has_rules(node) else None
    return rules.check(judged_by, value, None, minor, where) if judged_by is not None else []


def _below(path: str, field: str) -> str:
    if field in ("", "<nil>"):
        return path
    return f"{path}{field}" if field.startswith("[") else f"{path}.{field}"


def _shape(properties: Node) -> Shape:
    return Shape(Definitions({}), {"type": "object", "properties": properties})


def _holds_resource(node: Node) -> bool:
    """Whether there is a whole object in it, whose metadata is pruned by Kubernetes' own definition."""
    children = [node.get("items"), node.get("additionalProperties"), *(node.get("properties") or {}).values()]
    return bool(node.get(_EMBEDDED)) or any(
        _holds_resource(one) for one in children if isinstance(one, Mapping)
    )
