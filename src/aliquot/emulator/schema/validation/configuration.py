"""Kinds that hold data or describe the cluster: config maps, secrets, namespaces, nodes, roles, priorities."""

import binascii
import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from aliquot.emulator.schema.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from aliquot.emulator.schema.validation import names, placement, resources
from aliquot.emulator.schema.validation.metadata import IMMUTABLE, label_selector, labels

Obj = Mapping[str, Any]

_LARGEST_DATA_BYTES = 1024 * 1024
_FROZEN = "field is immutable when `immutable` is set"
_LARGEST_USER_PRIORITY = 1_000_000_000
_REQUIRED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def config_map(obj: Obj) -> list[FieldError]:
    data, binary = obj.get("data", {}), obj.get("binaryData", {})
    errors: list[FieldError] = []
    for key in data:
        errors += [invalid(f"data[{key}]", key, problem) for problem in names.config_key(key)]
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    for key in binary:
        errors += [invalid(f"binaryData[{key}]", key, problem) for problem in names.config_key(key)]
    size = sum(len(text.encode()) for text in data.values()) + sum(
        _decoded_size(text) for text in binary.values()
    )
    return [*errors, too_long("", _LARGEST_DATA_BYTES)] if size > _LARGEST_DATA_BYTES else errors


def _decoded_size(text: str) -> int:
    return len(text) * 3 // 4


def secret(obj: Obj) -> list[FieldError]:
    data, kind = obj.get("data", {}), obj.get("type", "Opaque")
    errors: list[FieldError] = []
    for key in data:
        errors += [invalid(f"data[{key}]", key, problem) for problem in names.config_key(key)]
    if sum(map(_decoded_size, data.values())) > _LARGEST_DATA_BYTES:
        errors.append(too_long("data", _LARGEST_DATA_BYTES))
    if kind == "kubernetes.io/service-account-token":
        account = "kubernetes.io/service-account.name"
        if not obj["metadata"].get("annotations", {}).get(account):
            errors.append(required(f"metadata.annotations[{account}]"))
    elif kind == "kubernetes.io/basic-auth" and "username" not in data and "password" not in data:
        errors += [required("data[username]"), required("data[password]")]
    for key in _REQUIRED_KEYS.get(kind, ()):
        if key not in data:
            errors.append(required(f"data[{key}]"))
        elif key.startswith("."):
            errors += _json_content(data[key], f"data[{key}]")
    return errors


def _json_content(text: str, path: str) -> list[FieldError]:
    try:
        json.loads(b64decode(text))
    except (ValueError, binascii.Error):
        return [invalid(path, "<secret contents redacted>", "invalid character in JSON")]
    return []


def data_update(obj: Obj, old: Obj) -> list[FieldError]:
    """Config maps and secrets that say they are immutable are; a secret keeps its type anyway."""
    errors: list[FieldError] = []
    if obj.get("type") != old.get("type"):
        errors.append(invalid("type", obj.get("type", ""), IMMUTABLE))
    if old.get("immutable"):
        if not obj.get("immutable"):
            errors.append(forbidden("immutable", _FROZEN))
        changed = (name for name in ("data", "binaryData") if (obj.get(name) or {}) != (old.get(name) or {}))
        errors += [forbidden(name, _FROZEN) for name in changed]
    return errors


def namespace(obj: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in obj["spec"].get("finalizers", ()):
        errors += [invalid("spec.finalizers", name, problem) for problem in names.qualified_name(name)]
        if "/" not in name and name != "kubernetes":
            text = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid("spec.finalizers", name, text))
    return errors


def node(obj: Obj) -> list[FieldError]:
    errors = placement.taints(obj["spec"].get("taints", ()), "metadata.taints")
    for field in ("capacity", "allocatable"):
        for name, amount in obj["status"].get(field, {}).items():
            errors += resources.value(name, amount, f"status.{field}.{name}")
    return errors


def node_update(obj: Obj, old: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: list[Obj] = []
    for index, address in enumerate(obj["status"].get("addresses", ())):
        if address in seen:
            errors.append(duplicate(f"status.addresses[{index}]", dict(address)))
        seen.append(address)
    spec, before = obj["spec"], old["spec"]
    for name, shown in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        if before.get(name) and spec.get(name) != before[name]:
            text = f'node updates may not change {shown} except from "" to valid'
            errors.append(forbidden(f"spec.{name}", text))
    return errors


def role(obj: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    namespaced = obj.get("kind") == "Role"
    for index, rule in enumerate(obj.get("rules") or ()):
        where = f"rules[{index}]"
        if not rule.get("verbs"):
            errors.append(required(f"{where}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if namespaced:
                text = "namespaced rules cannot apply to non-resource URLs"
                errors.append(invalid(f"{where}.nonResourceURLs", rule["nonResourceURLs"], text))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                errors.append(invalid(f"{where}.nonResourceURLs", rule["nonResourceURLs"], text))
            continue
        if not rule.get("apiGroups"):
            errors.append(required(f"{where}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            errors.append(required(f"{where}.resources", "resource rules must supply at least one resource"))
    if (aggregation := obj.get("aggregationRule")) is not None:
        errors += _aggregation(aggregation, "aggregationRule.clusterRoleSelectors")
    return errors


def _aggregation(rule: Obj, path: str) -> list[FieldError]:
    selectors = rule.get("clusterRoleSelectors") or ()
    if not selectors:
        return [required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")]
    return [
        error
        for index, selector in enumerate(selectors)
        for error in label_selector(selector, f"{path}[{index}]")
    ]


def role_binding(obj: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    ref = obj.get("roleRef", {})
    group = "rbac.authorization.k8s.io"
    if ref.get("apiGroup", group) != group:
        errors.append(not_supported("roleRef.apiGroup", ref["apiGroup"], (group,)))
    kinds = ("Role", "ClusterRole") if obj.get("kind") == "RoleBinding" else ("ClusterRole",)
    if ref.get("kind") not in kinds:
        errors.append(not_supported("roleRef.kind", ref.get("kind", ""), kinds))
    if not ref.get("name"):
        errors.append(required("roleRef.name"))
    for index, subject in enumerate(obj.get("subjects", ())):
        where, kind = f"subjects[{index}]", subject.get("kind", "")
        if not subject.get("name"):
            errors.append(required(f"{where}.name"))
        if kind not in ("ServiceAccount", "User", "Group"):
            errors.append(not_supported(f"{where}.kind", kind, ("ServiceAccount", "User", "Group")))
        elif kind == "ServiceAccount" and not subject.get("namespace"):
            errors.append(required(f"{where}.namespace"))
    return errors


def role_binding_update(obj: Obj, old: Obj) -> list[FieldError]:
    if obj.get("roleRef") == old.get("roleRef"):
        return []
    return [invalid("roleRef", obj.get("roleRef"), "cannot change roleRef")]


def priority_class(obj: Obj) -> list[FieldError]:
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    if name.startswith("system-") and name not in ("system-node-critical", "system-cluster-critical"):
        text = "priority class names with 'system-' prefix are reserved for system use only. error: "
        return [forbidden("metadata.name", f"{text}{name} is not a known system priority class")]
    if value > _LARGEST_USER_PRIORITY and not name.startswith("system-"):
        text = f"maximum allowed value of a user defined priority is {_LARGEST_USER_PRIORITY}"
        return [forbidden("value", text)]
    return []


def priority_class_update(obj: Obj, old: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    if obj.get("value", 0) != old.get("value", 0):
        errors.append(invalid("value", obj.get("value", 0), IMMUTABLE))
    if obj.get("preemptionPolicy") != old.get("preemptionPolicy"):
        errors.append(invalid("preemptionPolicy", obj.get("preemptionPolicy"), IMMUTABLE))
    return errors


def runtime_class(obj: Obj) -> list[FieldError]:
    handler = obj.get("handler", "")
    errors = [invalid("handler", handler, problem) for problem in names.dns_label(handler)] if handler else []
    if not handler:
        errors.append(required("handler"))
    overhead = (obj.get("overhead") or {}).get("podFixed") or {}
    errors += resources.requirements({"limits": overhead}, (), "overhead")
    scheduling = obj.get("scheduling") or {}
    errors += labels(scheduling.get("nodeSelector") or {}, "scheduling.nodeSelector")
    return errors + placement.tolerations(scheduling.get("tolerations") or (), "scheduling.tolerations")


def runtime_class_update(obj: Obj, old: Obj) -> list[FieldError]:
    if obj.get("handler") == old.get("handler"):
        return []
    return [invalid("handler", obj.get("handler", ""), IMMUTABLE)]


def api_service(obj: Obj) -> list[FieldError]:
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    right = f"{spec.get('version', '')}.{spec.get('group', '')}"
    errors: list[FieldError] = []
    if name != right:
        text = f'must be `spec.version+"."+spec.group`: "{right}"'
        errors.append(invalid("metadata.name", name, text))
    if not spec.get("version"):
        errors.append(required("spec.version"))
    for field, most in (("groupPriorityMinimum", 20_000), ("versionPriority", 1000)):
        number = spec.get(field, 0)
        if not 0 < number <= most:
            text = f"must be positive and less than {most}"
            errors.append(invalid(f"spec.{field}", number, text))
    return errors


def lease(obj: Obj) -> list[FieldError]:
    spec = obj.get("spec", {})
    errors: list[FieldError] = []
    duration_s, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration_s is not None and duration_s <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", duration_s, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    return errors
