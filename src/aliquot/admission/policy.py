"""The rule of `pods` as policies that the API server follows by itself.

The mutating one leaves alone what it does not understand; the validating one then refuses it, for only that kind can say
why.
"""

from typing import Any

from aliquot.admission.pods import DEFAULT_SCHEDULER, NAME_PATTERN, NO_NAME, SCHEDULER
from aliquot.kube.api.gpuclass import CLASS_ANNOTATION, CLASS_PREFIX, LONGEST_NAME

NAME = "aliquot-gpu-class"
GROUP = "admissionregistration.k8s.io"

PODS_MADE: dict[str, Any] = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["pods"],
}
_ANNOTATED = f"has(object.metadata.annotations) && '{CLASS_ANNOTATION}' in object.metadata.annotations"
_CONTAINERS = "(object.spec.containers + object.spec.?initContainers.orValue([]))"
_ASKS = (
    f"{_CONTAINERS}.exists(c, has(c.resources) && has(c.resources.limits) && "
    f"c.resources.limits.exists(r, r.startsWith('{CLASS_PREFIX}')))"
)
CONCERNS: dict[str, Any] = {"name": "asks-for-a-gpu-class", "expression": f"({_ANNOTATED}) || {_ASKS}"}
"""A match condition, of webhooks too: other pods do not depend on us."""

_NAMED = f"object.metadata.?annotations[?'{CLASS_ANNOTATION}'].orValue('')"
_IS_NAME = f"{_NAMED}.size() <= {LONGEST_NAME} && {_NAMED}.matches(r'{NAME_PATTERN}')"
_RESOURCES = "/spec/containers/0/resources"


def mutating(version: str, *, scheduler: str = SCHEDULER) -> tuple[dict[str, Any], dict[str, Any]]:
    """The policy and its binding, in a version that the cluster serves."""
    return _policy(
        "Mutating",
        version,
        {
            "matchConditions": [CONCERNS],
            "reinvocationPolicy": "IfNeeded",
            "variables": [
                {"name": "resource", "expression": f"'{CLASS_PREFIX}' + {_NAMED}"},
                # As a JSON pointer has it; a name has nothing in it that would be written otherwise.
                {"name": "key", "expression": f"'{CLASS_PREFIX.replace('/', '~1')}' + {_NAMED}"},
                {
                    "name": "adds",
                    "expression": f"{_IS_NAME} && !{_CONTAINERS}.exists(c, has(c.resources) && "
                    "has(c.resources.limits) && variables.resource in c.resources.limits)",
                },
                {"name": "first", "expression": "object.spec.containers[0]"},
            ],
            "mutations": [
                _mutation(" + ".join([f"(variables.adds ? {_asking()} : [])", _scheduled(scheduler)]))
            ],
        },
    )


def validating() -> tuple[dict[str, Any], dict[str, Any]]:
    return _policy(
        "Validating",
        "v1",
        {
            "matchConditions": [{"name": "annotated", "expression": _ANNOTATED}],
            "validations": [
                {
                    "expression": _IS_NAME,
                    "messageExpression": f'"annotation {CLASS_ANNOTATION}: \'" + {_NAMED} + "\' {_quoted(NO_NAME)}"',
                }
            ],
        },
        validationActions=["Deny"],
    )


def _policy(
    kind: str, version: str, spec: dict[str, Any], **binding: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    policy = {
        "apiVersion": f"{GROUP}/{version}",
        "kind": f"{kind}AdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [PODS_MADE]}, **spec},
    }
    bound = {
        "apiVersion": policy["apiVersion"],
        "kind": f"{kind}AdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME, **binding},
    }
    return policy, bound


def _mutation(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def _asking() -> str:
    """An expression: the list of operations that give the first container one of the resource."""
    parts = [f"(has(variables.first.resources) ? [] : [{_add(_RESOURCES, '{}')}])"]
    for kind in ("limits", "requests"):
        there = f"has(variables.first.resources) && has(variables.first.resources.{kind})"
        parts.append(f"({there} ? [] : [{_add(f'{_RESOURCES}/{kind}', '{}')}])")
        path = f"'{_RESOURCES}/{kind}/' + variables.key"
        parts.append(f"[JSONPatch{{op: 'add', path: {path}, value: '1'}}]")
    return f"({' + '.join(parts)})"


def _scheduled(scheduler: str) -> str:
    default = f"object.spec.?schedulerName.orValue('{DEFAULT_SCHEDULER}') == '{DEFAULT_SCHEDULER}'"
    text = _add("/spec/schedulerName", f"'{scheduler}'")
    return f"({default} && {_is_ours()} ? [{text}] : [])"


def _is_ours() -> str:
    return f"(!({_ANNOTATED}) || {_IS_NAME})"


def _add(path: str, value: str) -> str:
    return f"JSONPatch{{op: 'add', path: '{path}', value: {value}}}"


def _quoted(text: str) -> str:
    return text.replace('"', r"\"")
