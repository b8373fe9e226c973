"""Defaults of admission policies and their bindings. They change their argument, a copy made for it."""

from typing import Any

_GROUP = "admissionregistration.k8s.io"


def _fill_resources(resources: dict[str, Any]) -> None:
    resources["matchPolicy"] = resources.get("matchPolicy") or "Equivalent"
    resources.setdefault("namespaceSelector", {})
    resources.setdefault("objectSelector", {})
    for word in ("resourceRules", "excludeResourceRules"):
        for rule in resources.get(word) or ():
            rule["scope"] = rule.get("scope") or "*"


def _fill_policy(obj: dict[str, Any]) -> None:
    spec = obj.get("spec") or {}
    spec["failurePolicy"] = spec.get("failurePolicy") or "Fail"
    if spec.get("matchConstraints") is not None:
        _fill_resources(spec["matchConstraints"])
    obj["spec"] = spec


def _fill_binding(obj: dict[str, Any]) -> None:
    spec = obj.get("spec") or {}
    if spec.get("matchResources") is not None:
        _fill_resources(spec["matchResources"])


FILLERS = {
    (_GROUP, "ValidatingAdmissionPolicy"): _fill_policy,
    (_GROUP, "ValidatingAdmissionPolicyBinding"): _fill_binding,
    (_GROUP, "MutatingAdmissionPolicy"): _fill_policy,
    (_GROUP, "MutatingAdmissionPolicyBinding"): _fill_binding,
}
