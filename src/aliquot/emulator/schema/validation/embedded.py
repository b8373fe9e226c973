"""Objects within custom objects (`x-kubernetes-embedded-resource`): they say what they are, and have metadata."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aliquot.emulator.schema.errors import FieldError, invalid, required
from aliquot.emulator.schema.validation import names
from aliquot.emulator.schema.validation.metadata import metadata

Node = Mapping[str, Any]


def resources(value: Any, node: Node, path: str = "") -> list[FieldError]:
    """Problems of all that are embedded in `value`, which is an object itself: it has been judged."""
    errors: list[FieldError] = []
    if isinstance(value, dict):
        if path and node.get("x-kubernetes-embedded-resource"):
            errors += _resource(value, path)
        properties, others = node.get("properties") or {}, node.get("additionalProperties")
        for key, child in value.items():
            if key in properties:
                errors += resources(child, properties[key], f"{path}.{key}" if path else key)
            elif isinstance(others, Mapping):
                errors += resources(child, others, f"{path}[{key}]")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            errors += resources(item, node.get("items") or {}, f"{path}[{index}]")
    return errors


def _resource(value: Mapping[str, Any], path: str) -> list[FieldError]:
    errors = [required(f"{path}.{name}") for name in ("apiVersion", "kind") if name not in value]
    for name, check in (("apiVersion", _api_version), ("kind", _kind)):
        if name not in value:
            continue
        text = value[name]
        if not isinstance(text, str):
            errors.append(invalid(f"{path}.{name}", text, "must be a string"))
        elif not text:
            errors.append(invalid(f"{path}.{name}", text, "must not be empty"))
        elif problem := check(text):
            errors.append(invalid(f"{path}.{name}", text, problem))
    if "metadata" in value:
        # It may be without a name.
        found = {**value["metadata"], "name": value["metadata"].get("name") or "fakename"}
        errors += [replace(one, field=f"{path}.{one.field}") for one in metadata(found, names.path_segment)]
    return errors


def _api_version(text: str) -> str:
    return f"unexpected GroupVersion string: {text}" if text.count("/") > 1 else ""


def _kind(text: str) -> str:
    problems = names.dns_1035_label(text.lower())
    return "may have mixed case, but should otherwise match: " + ",".join(problems) if problems else ""
