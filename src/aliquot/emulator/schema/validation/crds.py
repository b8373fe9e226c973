"""CustomResourceDefinitions: names, versions, subresources, columns; their schemas are `structural_schemas`'."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aliquot.emulator.kinds import go_urls
from aliquot.emulator.schema.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)
from aliquot.emulator.schema.validation import (
    crd_rules,
    field_paths,
    names,
    rules,
    structural_schemas,
    webhooks,
)
from aliquot.emulator.schema.validation.metadata import IMMUTABLE

Obj = Mapping[str, Any]

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SELECTABLE = ("string", "boolean", "integer")
_MOST_SELECTABLE = 8
_LONGEST_DEPRECATION = 256


def crd(obj: Obj, minor: int, old: Obj | None = None) -> list[FieldError]:
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
    if spec.get("preserveUnknownFields"):
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        errors.append(invalid("spec.preserveUnknownFields", True, text))
    errors += _approval(obj, old)
    errors += _versions(spec.get("versions") or (), minor, old["spec"] if old is not None else {})
    errors += _names(names_) + _conversion(spec.get("conversion"))
    return errors if old is not None else errors + _first_stored(spec.get("versions") or ())


_APPROVED = "api-approved.kubernetes.io"


def _approval(obj: Obj, old: Obj | None) -> list[FieldError]:
    """Groups of Kubernetes itself take kinds that somebody approved, or whose author knows that nobody did."""
    if not f".{obj['spec'].get('group', '')}".endswith((".k8s.io", ".kubernetes.io")):
        return []
    wrong = _approval_problem(obj)
    if wrong is None or (old is not None and _approval_problem(old) == wrong):
        return []
    path, value = f"metadata.annotations[{_APPROVED}]", _annotation(obj)
    text = f'protected groups must have approval annotation "{_APPROVED}"{wrong}'
    text += ", see https://github.com/kubernetes/enhancements/pull/1111"
    return [invalid(path, value, text) if value else required(path, text)]


def _annotation(obj: Obj) -> str:
    return (obj["metadata"].get("annotations") or {}).get(_APPROVED) or ""


def _approval_problem(obj: Obj) -> str | None:
    """What the annotation must have besides being there; None when all is well."""
    value = _annotation(obj)
    if not value:
        return ""
    if value.startswith("unapproved") or ("://" in value and not go_urls.problem(value)):
        return None
    return ' with either a URL or a reason starting with "unapproved"'


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
        for index, name in enumerate(value.get(field) or ()):
            if problems := names.dns_1035_label(name):
                errors.append(invalid(f"spec.names.{field}[{index}]", name, ",".join(problems)))
    if value.get("kind") and value.get("kind") == value.get("listKind"):
        errors.append(
            invalid("spec.names.listKind", value["listKind"], "kind and listKind may not be the same")
        )
    return errors


def _conversion(conversion: Obj | None) -> list[FieldError]:
    if conversion is None:
        return []
    strategy = conversion.get("strategy", "")
    if not strategy:
        return [required("spec.conversion.strategy")]
    if strategy not in ("None", "Webhook"):
        return [not_supported("spec.conversion.strategy", strategy, ("None", "Webhook"))]
    # Kubernetes speaks of the fields of the kind that it holds, where the webhook's are beside the strategy.
    webhook = conversion.get("webhook") or {}
    client, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or ()
    client_path, versions_path = (
        "spec.conversion.webhookClientConfig",
        "spec.conversion.conversionReviewVersions",
    )
    errors: list[FieldError] = []
    if strategy == "Webhook":
        if client is None:
            errors.append(required(client_path, "required when strategy is set to Webhook"))
        else:
            errors += webhooks.client_config(client, client_path)
        if not versions:
            return [*errors, required(versions_path)]
        return errors + webhooks.review_versions(versions, versions_path)
    text = "should not be set when strategy is not set to Webhook"
    if client is not None:
        errors.append(forbidden(client_path, text))
    if versions:
        errors.append(forbidden(versions_path, text))
    return errors


# --- versions ---


_PARTS = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}
"""What each version has of its own, and the field of the spec that holds it once where all have the same."""
_SHOWN = ("name", "served", "storage", "deprecated", "deprecationWarning", *_PARTS)


def _versions(versions: Sequence[Obj], minor: int, before: Obj) -> list[FieldError]:
    """`before`: the spec as it was; empty for a new definition."""
    errors: list[FieldError] = []
    schemas = {one["name"]: _schema(one) for one in before.get("versions") or ()}
    stored = crd_rules.Stored.of([schema for schema in schemas.values() if schema is not None])
    common = _common(versions)
    for index, version in enumerate(versions):
        where, name = f"spec.versions[{index}]", version.get("name", "")
        if problems := names.dns_1035_label(name):
            errors.append(invalid(f"{where}.name", name, ",".join(problems)))
        errors += _deprecation(version, where)
        schema = _schema(version)
        if schema is None:
            errors.append(required(f"{where}.schema.openAPIV3Schema"))
        paths = {
            part: f"spec.{once}" if part in common else f"{where}.{part}" for part, once in _PARTS.items()
        }
        # What all have in common is judged once.
        judged = _PARTS if index == 0 else _PARTS.keys() - common
        if schema is not None and "schema" in judged:
            place = f"{paths['schema']}.openAPIV3Schema"
            found = structural_schemas.problems(schema, place, minor)
            if not found and rules.has_rules(schema):
                as_before = schemas.get(name) == schema
                found = crd_rules.judge(schema, place, minor, stored, as_before=as_before)
            errors += found
        if "subresources" in judged:
            errors += _subresources(version.get("subresources") or {}, paths["subresources"])
        if "additionalPrinterColumns" in judged:
            columns = version.get("additionalPrinterColumns") or ()
            errors += _columns(columns, paths["additionalPrinterColumns"])
        if "selectableFields" in judged:
            errors += _selectable(version.get("selectableFields") or (), schema, paths["selectableFields"])
    if len({version.get("name", "") for version in versions}) < len(versions):
        errors.append(
            invalid("spec.versions", _as_held(versions, common), "must contain unique version names")
        )
    if sum(bool(version.get("storage")) for version in versions) != 1:
        text = "must have exactly one version marked as storage version"
        errors.append(invalid("spec.versions", _as_held(versions, common), text))
    first = versions[0].get("name", "") if versions else ""
    if first and (problems := names.dns_1035_label(first)):
        errors.append(invalid("spec.version", first, ",".join(problems)))
    return errors


def _common(versions: Sequence[Obj]) -> set[str]:
    """The parts that are alike in all versions: Kubernetes holds them once, and speaks of them there."""
    return {
        part
        for part in _PARTS
        if all((one.get(part) or None) == (versions[0].get(part) or None) for one in versions)
    }


def _as_held(versions: Sequence[Obj], common: set[str]) -> list[dict[str, Any]]:
    empty = {"served": False, "storage": False, "deprecated": False}
    return [
        {
            field[0].upper() + field[1:]: None if field in common else version.get(field, empty.get(field))
            for field in _SHOWN
        }
        for version in versions
    ]


def _first_stored(versions: Sequence[Obj]) -> list[FieldError]:
    """A new definition is stored in the version that says so: the first of them, if there are several."""
    path, marked = "status.storedVersions", [one.get("name", "") for one in versions if one.get("storage")]
    if not marked:
        return [invalid(path, None, "must have at least one stored version")]
    if marked[0] != marked[-1]:
        return [invalid(path, marked[:1], f"must have the storage version {marked[-1]}")]
    return []


def _schema(version: Obj) -> Obj | None:
    found: Obj | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return found


def _deprecation(version: Obj, path: str) -> list[FieldError]:
    warning = version.get("deprecationWarning")
    if warning is None:
        return []
    problems: list[str] = []
    if not version.get("deprecated"):
        problems.append("can only be set for deprecated versions")
    else:
        if len(warning.encode()) > _LONGEST_DEPRECATION:
            problems.append(f"must be <= {_LONGEST_DEPRECATION} characters long")
        if not warning:
            problems.append("must not be an empty string")
        at = next((index for index, character in enumerate(warning) if not character.isprintable()), None)
        if at is not None:
            text = "must only contain printable UTF-8 characters; non-printable character found at index"
            problems.append(f"{text} {at}")
    return [invalid(f"{path}.deprecationWarning", warning, problem) for problem in problems]


def _subresources(subresources: Obj, path: str) -> list[FieldError]:
    scale = subresources.get("scale")
    if scale is None:
        return []
    errors: list[FieldError] = []
    for field, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        where, value = f"{path}.scale.{field}", scale.get(field, "")
        if not value:
            errors.append(required(where))
        elif wrong := _json_path(value):
            errors.append(invalid(where, value, wrong))
        elif not value.startswith(root):
            errors.append(invalid(where, value, f"should be a json path under {root[:-1]}"))
    selector = scale.get("labelSelectorPath")
    if selector:
        where = f"{path}.scale.labelSelectorPath"
        if wrong := _json_path(selector):
            errors.append(invalid(where, selector, wrong))
        elif not selector.startswith((".spec.", ".status.")):
            errors.append(invalid(where, selector, "should be a json path under either .spec or .status"))
    return errors


def _json_path(text: str) -> str:
    return "" if text.startswith(".") else "must be a simple json path starting with ."


def _columns(columns: Iterable[Obj], path: str) -> list[FieldError]:
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
        form = column.get("format", "")
        if form and form not in _COLUMN_FORMATS:
            errors.append(invalid(f"{where}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}"))
        json_path = column.get("jsonPath", "")
        if not json_path:
            errors.append(required(f"{where}.JSONPath"))
        elif wrong := _json_path(json_path):
            errors.append(invalid(f"{where}.JSONPath", json_path, wrong))
    return errors


def _selectable(fields: Sequence[Obj], schema: Obj | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, field in enumerate(fields):
        where, json_path = f"{path}[{index}].jsonPath", field.get("jsonPath", "")
        if not json_path:
            errors.append(required(where))
            continue
        try:
            resolved, node = field_paths.resolve(json_path, schema or {}, brackets=False)
        except field_paths.BadPath as problem:
            errors.append(invalid(where, json_path, f"is an invalid path: {problem}"))
            continue
        if resolved.partition(".")[0] == "metadata":
            errors.append(invalid(where, json_path, "must not point to fields in metadata"))
        if node.get("type") not in _SELECTABLE:
            text = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
            errors.append(invalid(where, json_path, text))
        if resolved in seen:
            errors.append(duplicate(where, json_path))
        seen.add(resolved)
    if len(seen) > _MOST_SELECTABLE:
        errors.append(too_many(path, len(seen), _MOST_SELECTABLE))
    return errors


# --- updates ---


def crd_update(obj: Obj, old: Obj, minor: int) -> list[FieldError]:
    """Problems of a definition as the successor of `old`."""
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
    errors = [invalid(f"spec.{name}", new, IMMUTABLE) for name, new, previous in pairs if new != previous]
    if spec != before:
        errors = crd(obj, minor, old) + errors
    return errors + _stored_versions(obj)


def _stored_versions(obj: Obj) -> list[FieldError]:
    """No version goes while there may be objects stored in it."""
    served = {version.get("name") for version in obj["spec"].get("versions") or ()}
    text = (
        "missing from spec.versions; {0} was previously a storage version, and must remain in spec.versions until a "
        "storage migration ensures no data remains persisted in {0} and removes {0} from status.storedVersions"
    )
    stored = (obj.get("status") or {}).get("storedVersions") or ()
    return [
        invalid(f"status.storedVersions[{index}]", name, text.format(name))
        for index, name in enumerate(stored)
        if name not in served
    ]
