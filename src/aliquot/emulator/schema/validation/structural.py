"""Custom objects against the OpenAPI schema of their CRD, in the words of Kubernetes' validator.

CEL rules (`x-kubernetes-validations`) are judged in `rules`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aliquot.emulator.schema.errors import (
    ErrorType,
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from aliquot.emulator.schema.shapes import Form, ListType, Shape
from aliquot.emulator.schema.validation import formats, patterns
from aliquot.emulator.schema.validation.correlation import Correlated

Node = Mapping[str, Any]


def validate(value: Any, node: Node, path: str = "", past: Correlated | None = None) -> list[FieldError]:
    """Problems of `value`; paths are relative to the object: `spec.size`.

    `past`: the value beside the one that it succeeds. A part that did not change has no problems.
    """
    errors = _problems(value, node, path, None)
    if not errors or past is None:
        return errors
    # Only where something is wrong does it matter what changed.
    return [] if past.unchanged else _problems(value, node, path, past)


def _problems(value: Any, node: Node, path: str, past: Correlated | None) -> list[FieldError]:
    errors: list[FieldError] = []
    if value is None:
        if not node.get("nullable") and _types(node):
            errors.append(_wrong_type(path, node, "null"))
        return errors + _enum(value, node, path)
    found = _type_of(value)
    types = _types(node)
    if types and not _fits(found, value, types):
        errors.append(_wrong_type(path, node, found))
    errors += _combined(value, node, path)
    match found:
        case "string":
            errors += _string(value, node, path)
        case "integer" | "number":
            errors += _number(value, node, path)
        case "array":
            errors += _list(value, node, path, past)
        case "object":
            errors += _object(value, node, path, past)
    return errors + _enum(value, node, path)


def _types(node: Node) -> tuple[str, ...]:
    if node.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    return (node["type"],) if node.get("type") else ()


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            # What is no int64 is read as a float.
            return "integer" if value in _INT64 else "number"
        case float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def _fits(found: str, value: Any, types: Sequence[str]) -> bool:
    if found in types:
        return True
    if found == "integer":
        return "number" in types
    return found == "number" and "integer" in types and float(value).is_integer() and int(value) in _WHOLE


def _wrong_type(path: str, node: Node, found: str) -> FieldError:
    wanted = ",".join(_types(node))
    if found == "number" and node.get("type") == "integer" and node.get("format") in ("int32", "int64"):
        wanted, found = node["format"], "float64"
    text = f'{_where(path)} must be of type {wanted}: "{found}"'
    return FieldError(ErrorType.TYPE_INVALID, path or "<nil>", found, text)


def _where(path: str) -> str:
    return f"{path} in body"


def _enum(value: Any, node: Node, path: str) -> list[FieldError]:
    allowed = node.get("enum")
    if not allowed or any(type(value) is type(one) and value == one for one in allowed):
        return []
    texts = [one if isinstance(one, str) else json.dumps(one, separators=(",", ":")) for one in allowed]
    return [not_supported(path, "null" if value is None else value, texts)]


def _string(value: str, node: Node, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if "maxLength" in node and len(value) > node["maxLength"]:
        errors.append(too_long(path, node["maxLength"]))
    if "minLength" in node and len(value) < node["minLength"]:
        errors.append(
            invalid(path, value, f"{_where(path)} should be at least {node['minLength']} chars long")
        )
    pattern = node.get("pattern")
    if pattern and not patterns.matches(pattern, value):
        errors.append(invalid(path, value, f"{_where(path)} should match '{pattern}'"))
    if (format_ := known_format(node)) and not formats.has_format(value, format_):
        shown = json.dumps(value, ensure_ascii=False)
        text = f"{_where(path)} must be of type {format_}: {shown}"
        errors.append(FieldError(ErrorType.TYPE_INVALID, path, value, text))
    return errors


def known_format(node: Node) -> str:
    """The format that strings must have here; empty for one that is not judged."""
    format_ = node.get("format", "")
    return format_ if format_ and node.get("type", "") in ("", "string") and formats.is_known(format_) else ""


_INTEGERS = {"int32": range(-(2**31), 2**31)}
_INT64 = range(-(2**63), 2**63)
_LARGEST_FLOAT32 = 3.4028234663852886e38
_WHOLE = range(-(2**53) + 1, 2**53)
"""Numbers with a fraction of 0 that are taken for integers."""


def integers(node: Node) -> range:
    """Which integers the format of `node` has."""
    return _INTEGERS.get(node.get("format", ""), _INT64)


def _out_of_range(value: int | float, node: Node, path: str) -> list[FieldError]:
    format_ = node.get("format", "")
    match node.get("type"):
        case "integer":
            if float(value).is_integer() and int(value) in integers(node):
                return []
            known = format_ in ("int32", "int64")
        case "number":
            if format_ != "float" or abs(value) <= _LARGEST_FLOAT32:
                return []
            known = True
        case _:
            return []
    of = f"with format {format_}" if known else "(default format)"
    return [_unplaced(f"Checked value must be of type {node['type']} {of} in {path}")]


def _number(value: int | float, node: Node, path: str) -> list[FieldError]:
    errors = _out_of_range(value, node, path)
    maximum, minimum, factor = node.get("maximum"), node.get("minimum"), node.get("multipleOf")
    if maximum is not None and (value > maximum or (node.get("exclusiveMaximum") and value == maximum)):
        words = "less than" if node.get("exclusiveMaximum") else "less than or equal to"
        errors.append(invalid(path, value, f"{_where(path)} should be {words} {_plain(maximum)}"))
    if minimum is not None and (value < minimum or (node.get("exclusiveMinimum") and value == minimum)):
        words = "greater than" if node.get("exclusiveMinimum") else "greater than or equal to"
        errors.append(invalid(path, value, f"{_where(path)} should be {words} {_plain(minimum)}"))
    if factor and (value / factor) % 1:
        errors.append(invalid(path, value, f"{_where(path)} should be a multiple of {_plain(factor)}"))
    return errors


def _plain(value: int | float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _list(value: list[Any], node: Node, path: str, past: Correlated | None) -> list[FieldError]:
    errors: list[FieldError] = []
    items = node.get("items")
    if isinstance(items, Mapping):
        for index, item in enumerate(value):
            before = past.index(index) if past is not None else None
            errors += validate(item, items, f"{path}[{index}]", before)
    if "maxItems" in node and len(value) > node["maxItems"]:
        errors.append(too_many(path, len(value), node["maxItems"]))
    if "minItems" in node and len(value) < node["minItems"]:
        errors.append(
            invalid(path, len(value), f"{_where(path)} should have at least {node['minItems']} items")
        )
    if node.get("uniqueItems") and len({_canonical(item) for item in value}) < len(value):
        errors.append(invalid(path, "", f"{_where(path)} shouldn't contain duplicates"))
    return errors


def _object(value: dict[str, Any], node: Node, path: str, past: Correlated | None) -> list[FieldError]:
    errors: list[FieldError] = []
    if "minProperties" in node and len(value) < node["minProperties"]:
        text = f"{_where(path)} should have at least {node['minProperties']} properties"
        errors.append(invalid(path, len(value), text))
    if "maxProperties" in node and len(value) > node["maxProperties"]:
        errors.append(too_many(path, len(value), node["maxProperties"]))
    properties: Mapping[str, Node] = node.get("properties") or {}
    others = node.get("additionalProperties")
    for key, child in value.items():
        where = f"{path}.{key}" if path else key
        before = past.key(key) if past is not None else None
        if key in properties:
            errors += validate(child, properties[key], where, before)
        elif isinstance(others, Mapping):
            errors += validate(child, others, where, before)
        elif others is False:
            errors.append(invalid(path, "", f"{path}.{key} in body is a forbidden property"))
    for key in node.get("required", ()):
        if key not in value:
            errors.append(required(f"{path}.{key}" if path else key))
    return errors


def _combined(value: Any, node: Node, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if node.keys().isdisjoint(_COMBINING):
        return errors
    quoted = json.dumps(path)
    if node.get("anyOf"):
        results = [validate(value, one, path) for one in node["anyOf"]]
        if all(results):
            errors.append(_unplaced(f"{quoted} must validate at least one schema (anyOf)"))
            errors += _fewest(results)
    if node.get("oneOf"):
        results = [validate(value, one, path) for one in node["oneOf"]]
        sound = sum(not result for result in results)
        if sound != 1:
            found = f"Found {sound} valid alternatives" if sound else "Found none valid"
            errors.append(_unplaced(f"{quoted} must validate one and only one schema (oneOf). {found}"))
            if not sound:
                errors += _fewest(results)
    if node.get("allOf"):
        results = [validate(value, one, path) for one in node["allOf"]]
        for result in results:
            errors += result
        if any(results):
            none = ". None validated" if all(results) else ""
            errors.append(_unplaced(f"{quoted} must validate all the schemas (allOf){none}"))
    if node.get("not") and not validate(value, node["not"], path):
        errors.append(_unplaced(f"{quoted} must not validate the schema (not)"))
    return errors


_COMBINING = frozenset(["anyOf", "oneOf", "allOf", "not"])


def _fewest(results: Sequence[list[FieldError]]) -> list[FieldError]:
    """The alternative that came nearest is the one worth telling about."""
    fewest = min(map(len, results))
    return next(errors for errors in results if len(errors) == fewest)


def _unplaced(text: str) -> FieldError:
    return invalid("<nil>", "", text)


# --- lists that are sets or maps ---


def unique_items(value: Any, shape: Shape, path: str = "") -> list[FieldError]:
    """Problems of lists in `value` that must not hold a value, or an item of the same keys, twice."""
    errors: list[FieldError] = []
    element = shape.element if shape.element and shape.element.holds_unique_items else None
    if shape.form is not Form.LIST and isinstance(value, dict):
        for name, inner in shape.fields_with_unique_items.items():
            if name in value:
                errors += unique_items(value[name], inner, f"{path}.{name}" if path else name)
        if element is not None:
            for name, child in value.items():
                if name not in shape.fields:
                    errors += unique_items(child, element, f"{path}[{name}]")
    elif shape.form is Form.LIST and isinstance(value, list):
        match shape.list_type:
            case ListType.SET:
                errors += [duplicate(f"{path}[{index}]", value[index]) for index in _repeated(value)]
            case ListType.MAP:
                errors += _unique_keys(value, shape.list_keys, path)
        if element is not None:
            for index, item in enumerate(value):
                errors += unique_items(item, element, f"{path}[{index}]")
    return errors


def _unique_keys(items: list[Any], keys: Sequence[str], path: str) -> list[FieldError]:
    for index, item in enumerate(items):
        if item is not None and not isinstance(item, dict):
            return [invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map")]
    identities = [{key: item[key] for key in keys if key in item} if item else {} for item in items]
    if len(keys) == 1:
        names = [identity.get(keys[0]) for identity in identities]
        if all(type(name) is str for name in names) and len(set(names)) == len(names):
            return []
    return [duplicate(f"{path}[{index}]", identities[index]) for index in _repeated(identities)]


def _repeated(values: Sequence[Any]) -> Iterable[int]:
    """Where a value comes a second time; a third is not told again."""
    times: dict[str, int] = {}
    for index, value in enumerate(values):
        key = _canonical(value)
        times[key] = times.get(key, 0) + 1
        if times[key] == 2:
            yield index


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
