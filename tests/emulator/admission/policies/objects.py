"""Policies and bindings for tests."""

from typing import Any

from tests.emulator.api import Api

Json = dict[str, Any]

GROUP = "/apis/admissionregistration.k8s.io/v1"
CONFIG_MAPS = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}


def resources(*rules: Json, **more: Any) -> Json:
    return {"resourceRules": list(rules) or [CONFIG_MAPS], **more}


def rule(group: str, version: str, *plurals: str, operations: str = "*") -> Json:
    return {
        "operations": [operations],
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": list(plurals),
    }


def validating(name: str = "p", *expressions: str, **spec: Any) -> Json:
    validations = {"validations": [{"expression": one} for one in expressions]} if expressions else {}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"matchConstraints": resources(), **validations, **spec},
    }


def mutating(name: str = "p", *mutations: Json, **spec: Any) -> Json:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": resources(),
            "mutations": list(mutations),
            "reinvocationPolicy": "Never",
            **spec,
        },
    }


def lay(expression: str) -> Json:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> Json:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def binding(policy: Json, name: str = "b", **spec: Any) -> Json:
    kind = policy["kind"]
    actions = {"validationActions": ["Deny"]} if kind.startswith("Validating") else {}
    return {
        "apiVersion": policy["apiVersion"],
        "kind": f"{kind}Binding",
        "metadata": {"name": name},
        "spec": {"policyName": policy["metadata"]["name"], **actions, **spec},
    }


def collection(obj: Json) -> str:
    """Where objects of its kind are."""
    kind = obj["kind"].lower()
    plural = f"{kind}s" if kind.endswith("binding") else f"{kind.removesuffix('y')}ies"
    return f"/apis/{obj['apiVersion']}/{plural}"


async def bind(api: Api, policy: Json, **spec: Any) -> None:
    """A policy with a binding "b"."""
    await api.ok("POST", collection(policy), policy)
    bound = binding(policy, **spec)
    await api.ok("POST", collection(bound), bound)
