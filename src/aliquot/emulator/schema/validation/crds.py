"""CustomResourceDefinitions: names, versions, and whether their schemas are structural."""

from collections.abc import Mapping
from typing import Any

from aliquot.emulator.schema.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from aliquot.emulator.schema.validation import names, structural
from aliquot.emulator.schema.validation.metadata import IMMUTABLE

Obj = Mapping[str, Any]

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_TYPES = ("array", "boolean", "integer", "number", "object", "string")


def crd(obj: Obj) -> list[FieldError]:
    """Problems of a definition, its name included (which must be PLURAL.GROUP)."""
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    names_ = spec.get("names", {})
    errors: list[FieldError] = []
    if name != f"{names_.get('plural', '')}.{spec.get('group', '')}":
        errors.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    group = spec.get("group", "")
    if not group:
        errors.append(required("spec.group"))
    elif problems := names.dns_subdomain(group):
        errors.append(invalid("spec.group", group, ",".join(problems)))
    elif "." not in group:
        errors.append(invalid("spec.group", group, "should be a domain with at least one dot"))
    scope = spec.get("scope", "")
    if not scope:
        errors.append(required("spec.scope"))
    elif scope not in ("Cluster", "Namespaced"):
        errors.append(not_supported("spec.scope", scope, ("Cluster", "Namespaced")))
    return errors + _versions(spec.get("versions") or ()) + _names(names_)


def _names(value: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("plural", "singular", "kind", "listKind"):
        name = value.get(field, "")
        if not name:
            errors.append(required(f"spec.names.{field}"))
            continue
        problems = names.dns_1035_label(name.lower() if field in ("kind", "listKind") else name)
        if problems:
            mixed = (
                "may have mixed case, but should otherwise match: " if field in ("kind", "listKind") else ""
            )
            errors.append(invalid(f"spec.names.{field}", name, mixed + ",".join(problems)))
    for field in ("shortNames", "categories"):
        for index, name in enumerate(value.get(field, ())):
            if problems := names.dns_1035_label(name):
                errors.append(invalid(f"spec.names.{field}[{index}]", name, ",".join(problems)))
    if value.get("kind") and value.get("kind") == value.get("listKind"):
        errors.append(
            invalid("spec.names.listKind", value["listKind"], "kind and listKind may not be the same")
        )
    return errors


def _versions(versions: Any) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    unique = True
    for index, version in enumerate(versions):
        where, name = f"spec.versions[{index}]", version.get("name", "")
        unique &= name not in seen
        seen.add(name)
        if problems := names.dns_1035_label(name):
            errors.append(invalid(f"{where}.name", name, ",".join(problems)))
        schema = version.get("schema", {}).get("openAPIV3Schema")
        if schema is None:
            errors.append(required(f"{where}.schema.openAPIV3Schema"))
        else:
            errors += _root(schema, f"{where}.schema.openAPIV3Schema")
        errors += _columns(version.get("additionalPrinterColumns", ()), f"{where}.additionalPrinterColumns")
    if not unique:
        errors.append(invalid("spec.versions", list(versions), "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        text = "must have exactly one version marked as storage version"
        errors.append(invalid("spec.versions", list(versions), text))
    return errors


def _columns(columns: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, column in enumerate(columns):
        where, kind = f"{path}[{index}]", column.get("type", "")
        if not column.get("name"):
            errors.append(required(f"{where}.name"))
        text = f"must be one of {','.join(_COLUMN_TYPES)}"
        if not kind:
            errors.append(required(f"{where}.type", text))
        elif kind not in _COLUMN_TYPES:
            errors.append(invalid(f"{where}.type", kind, text))
        if not column.get("jsonPath"):
            errors.append(required(f"{where}.JSONPath"))
    return errors


def _root(schema: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if schema.get("nullable"):
        errors.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    kind = schema.get("type", "")
    if not kind:
        errors.append(required(f"{path}.type", "must not be empty at the root"))
    elif kind != "object":
        errors.append(invalid(f"{path}.type", kind, "must be object at the root"))
    return errors + _structural(schema, path)


def _structural(node: Obj, path: str) -> list[FieldError]:
    """What makes a schema structural: every field has one type, and every list says how its items go together."""
    errors: list[FieldError] = []
    kind = node.get("type", "")
    free = node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-int-or-string")
    if kind and kind not in _TYPES:
        errors.append(not_supported(f"{path}.type", kind, _TYPES))
    if not kind and not free and not path.endswith("openAPIV3Schema"):
        text = "must not be empty for specified object fields"
        if path.endswith(".items"):
            text = "must not be empty for specified array items"
        errors.append(required(f"{path}.type", text))
    if kind == "array" and not isinstance(node.get("items"), Mapping):
        errors.append(required(f"{path}.items", "must be specified"))
    if node.get("x-kubernetes-preserve-unknown-fields") is False:
        text = "must be true or undefined"
        errors.append(invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, text))
    errors += _list_type(node, path)
    if "default" in node:
        for problem in structural.validate(node["default"], node, "default"):
            errors.append(invalid(f"{path}.default", node["default"], problem.detail or str(problem)))
    if node.get("properties") and isinstance(node.get("additionalProperties"), Mapping):
        text = "additionalProperties and properties are mutual exclusive"
        errors.append(forbidden(f"{path}.additionalProperties", text))
    for name, child in (node.get("properties") or {}).items():
        errors += _structural(child, f"{path}.properties[{name}]")
    for word in ("items", "additionalProperties"):
        if isinstance(node.get(word), Mapping):
            errors += _structural(node[word], f"{path}.{word}")
    return errors


def _list_type(node: Obj, path: str) -> list[FieldError]:
    kind, keys = node.get("x-kubernetes-list-type"), node.get("x-kubernetes-list-map-keys", ())
    errors: list[FieldError] = []
    if kind is not None:
        if node.get("type") != "array":
            text = "must be array if x-kubernetes-list-type is specified"
            errors.append(invalid(f"{path}.type", node.get("type", ""), text))
        if kind not in ("atomic", "set", "map"):
            errors.append(not_supported(f"{path}.x-kubernetes-list-type", kind, ("atomic", "map", "set")))
    if kind == "map":
        if not keys:
            text = "must not be empty if x-kubernetes-list-type is map"
            errors.append(required(f"{path}.x-kubernetes-list-map-keys", text))
        fields = (node.get("items") or {}).get("properties") or {}
        for index, key in enumerate(keys):
            where = f"{path}.x-kubernetes-list-map-keys[{index}]"
            if key not in fields:
                errors.append(invalid(where, key, "entries must all be names of item properties"))
            if key in keys[:index]:
                errors.append(duplicate(where, key))
    return errors


def crd_update(obj: Obj, old: Obj) -> list[FieldError]:
    spec, before = obj["spec"], old["spec"]
    established = any(
        condition.get("type") == "Established" and condition.get("status") == "True"
        for condition in old.get("status", {}).get("conditions", ())
    )
    pairs = [("group", spec.get("group"), before.get("group"))]
    pairs += [("names.plural", spec["names"].get("plural"), before["names"].get("plural"))]
    if established:
        pairs.append(("scope", spec.get("scope"), before.get("scope")))
        pairs.append(("names.kind", spec["names"].get("kind"), before["names"].get("kind")))
    return [invalid(f"spec.{name}", new, IMMUTABLE) for name, new, previous in pairs if new != previous]
