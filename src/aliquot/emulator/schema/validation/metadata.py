"""What metadata must be like, on create and from one version of an object to the next.

The namespace is not looked at: it comes from the URL, and the caller has put it there.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.schema.errors import FieldError, forbidden, invalid, not_supported, required, too_long
from aliquot.emulator.schema.validation import names

ANNOTATIONS_LIMIT_BYTES = 256 * 1024
IMMUTABLE = "field is immutable"
_MANAGER_LIMIT = 128
_UNCHANGING = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_NOT_IN_TEMPLATES = {
    "name": "name",
    "generateName": "generateName",
    "namespace": "namespace",
    "selfLink": "selfLink",
    "uid": "uID",
    "resourceVersion": "resourceVersion",
    "generation": "generation",
    "creationTimestamp": "creationTimestamp",
    "deletionTimestamp": "deletionTimestamp",
    "deletionGracePeriodSeconds": "deletionGracePeriodSeconds",
    "ownerReferences": "ownerReferences",
    "finalizers": "finalizers",
    "managedFields": "managedFields",
}
"""Field -> its name in errors, which Kubernetes makes of that in Go."""


def metadata(meta: Mapping[str, Any], rule: names.Rule) -> list[FieldError]:
    """Problems of a new object whose name follows `rule`."""
    errors: list[FieldError] = []
    prefix = meta.get("generateName")
    if prefix:
        errors += [invalid("metadata.generateName", prefix, text) for text in names.prefix_of(rule)(prefix)]
    name = meta.get("name")
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += [invalid("metadata.name", name, text) for text in rule(name)]
    return errors + _common(meta) + finalizers(meta.get("finalizers", ()), "metadata.finalizers")


def template_metadata(meta: Mapping[str, Any], path: str) -> list[FieldError]:
    """Problems of what a claim made from a template is to carry: labels and annotations, and nothing else."""
    errors = annotations(meta.get("annotations", {}), f"{path}.annotations")
    errors += labels(meta.get("labels", {}), f"{path}.labels")
    return errors + [
        forbidden(f"{path}.{shown}", "cannot be set")
        for name, shown in _NOT_IN_TEMPLATES.items()
        if meta.get(name)
    ]


def metadata_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    if old.get("deletionTimestamp"):
        extra = sorted(set(new.get("finalizers", ())) - set(old.get("finalizers", ())))
        if extra:
            listed = "[]string{" + ", ".join(map(json.dumps, extra)) + "}"
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}"
            errors.append(forbidden("metadata.finalizers", text))
    changed = (name for name in _UNCHANGING if new.get(name) != old.get(name))
    errors += [invalid(f"metadata.{name}", new.get(name), IMMUTABLE) for name in changed]
    return errors + _common(new)


def _common(meta: Mapping[str, Any]) -> list[FieldError]:
    errors = labels(meta.get("labels", {}), "metadata.labels")
    errors += annotations(meta.get("annotations", {}), "metadata.annotations")
    errors += _owners(meta.get("ownerReferences", ()), "metadata.ownerReferences")
    return errors + _managed_fields(meta.get("managedFields", ()), "metadata.managedFields")


def labels(value: Mapping[str, str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, text in value.items():
        errors += [invalid(path, key, problem) for problem in names.qualified_name(key)]
        errors += [invalid(path, text, problem) for problem in names.label_value(text)]
    return errors


def annotations(value: Mapping[str, str], path: str) -> list[FieldError]:
    errors = [invalid(path, key, problem) for key in value for problem in names.qualified_name(key.lower())]
    if sum(len(key.encode()) + len(text.encode()) for key, text in value.items()) > ANNOTATIONS_LIMIT_BYTES:
        errors.append(too_long(path, ANNOTATIONS_LIMIT_BYTES))
    return errors


def finalizers(value: Sequence[str], path: str) -> list[FieldError]:
    errors = [invalid(path, name, problem) for name in value for problem in names.qualified_name(name)]
    if "orphan" in value and "foregroundDeletion" in value:
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(invalid(path, list(value), text))
    return errors


def _owners(owners: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    controller = ""
    for index, owner in enumerate(owners):
        missing = (name for name in ("apiVersion", "kind", "name", "uid") if not owner.get(name))
        errors += [required(f"{path}[{index}].{name}", "must not be empty") for name in missing]
        if owner.get("apiVersion") == "v1" and owner.get("kind") == "Event":
            text = "/v1, Kind=Event is disallowed from being an owner"
            errors.append(invalid(f"{path}[{index}]", dict(owner), text))
        if owner.get("controller"):
            current = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                text = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {current}"
                )
                errors.append(invalid(path, list(owners), text))
            controller = controller or current
    return errors


def _managed_fields(entries: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, entry in enumerate(entries):
        where = f"{path}[{index}]"
        operation = entry.get("operation", "")
        if not operation:
            errors.append(required(f"{where}.operation", "must not be empty"))
        elif operation not in ("Apply", "Update"):
            errors.append(not_supported(f"{where}.operation", operation, ("Apply", "Update")))
        if entry.get("fieldsType", "FieldsV1") != "FieldsV1":
            errors.append(invalid(f"{where}.fieldsType", entry["fieldsType"], "must be `FieldsV1`"))
        if len(entry.get("manager", "")) > _MANAGER_LIMIT:
            errors.append(too_long(f"{where}.manager", _MANAGER_LIMIT))
    return errors


def label_selector(selector: Mapping[str, Any], path: str) -> list[FieldError]:
    """Problems of a metav1.LabelSelector."""
    errors = labels(selector.get("matchLabels", {}), f"{path}.matchLabels")
    for index, term in enumerate(selector.get("matchExpressions", ())):
        where = f"{path}.matchExpressions[{index}]"
        operator, values = term.get("operator", ""), term.get("values", ())
        if operator in ("In", "NotIn"):
            if not values:
                errors.append(
                    required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
                )
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(forbidden(f"{where}.values", text))
        else:
            errors.append(invalid(f"{where}.operator", operator, "not a valid selector operator"))
        errors += [
            invalid(f"{where}.key", term.get("key", ""), p) for p in names.qualified_name(term.get("key", ""))
        ]
        for position, value in enumerate(values):
            errors += [invalid(f"{where}.values[{position}]", value, p) for p in names.label_value(value)]
    return errors
