"""The words of which the policies are made: pieces of CEL that several of them need."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aliquot.access.cluster.naming import AGENT, LABEL, NAMESPACE, PREFIX, SENTINEL, account_user
from aliquot.kube.roles import NAMESPACE as INSTALLED_IN

GROUP = "admissionregistration.k8s.io"
RBAC = "rbac.authorization.k8s.io"
BINDINGS = ("rolebindings", "clusterrolebindings")
ROLES = ("roles", "clusterroles")

POLICY_PREFIX = "aliquot-break-glass-"

USER = "request.userInfo.username"
AGENT_USER = account_user(AGENT, INSTALLED_IN)
SENTINEL_USER = account_user(SENTINEL, INSTALLED_IN)
IS_AGENT = f"{USER} == '{AGENT_USER}'"
IS_SENTINEL = f"{USER} == '{SENTINEL_USER}'"
GRANT_USERS = account_user("")
"""What the names of all users begin with that grants are."""
IS_GRANT = f"{USER}.startsWith('{GRANT_USERS}')"


def is_ours(which: str) -> str:
    """Of `object` or `oldObject`; false of what is not there. Never fails: a match condition that does refuses everybody."""
    labels = f"{which}.metadata.?labels[?'{LABEL}'].hasValue()"
    return f"({which} != null && ({which}.metadata.?name.orValue('').startsWith('{PREFIX}') || {labels}))"


CONCERNS_OURS = f"{is_ours('object')} || {is_ours('oldObject')}"
ID = f"object.metadata.?labels[?'{LABEL}'].orValue('')"
OWNERS = "object.metadata.?ownerReferences.orValue([])"
TIMER_OWNS = (
    f"{OWNERS}.size() == 1 && {OWNERS}[0].apiVersion == 'batch/v1' && {OWNERS}[0].kind == 'Job' && "
    f"{OWNERS}[0].name == object.metadata.name"
)
AT_HOME = f"request.?namespace.orValue('') == '{NAMESPACE}'"


def rules(
    group: str, resources: Iterable[str], *operations: str, version: str = "v1"
) -> Mapping[str, Sequence[str]]:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": list(operations),
        "resources": list(resources),
    }


def policy(
    name: str,
    matched: Sequence[Mapping[str, Sequence[str]]],
    concerns: str,
    validations: Sequence[tuple[str, str]],
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """`validations` are (expression, what is told where it is false)."""
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [dict(one) for one in matched]},
        "matchConditions": [{"name": "concerns", "expression": concerns}],
    }
    if variables:
        spec["variables"] = [{"name": key, "expression": value} for key, value in variables.items()]
    spec["validations"] = [
        {"expression": expression, "message": message, "reason": "Forbidden"}
        for expression, message in validations
    ]
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": f"{POLICY_PREFIX}{name}"},
        "spec": spec,
    }
