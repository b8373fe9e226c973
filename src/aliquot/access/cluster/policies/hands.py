"""What some may not do, whatever RBAC gives them: who holds a grant, the agent, the sentinel."""

from typing import Any

from aliquot.access.cluster.naming import HEARTBEAT, NAMESPACE
from aliquot.access.cluster.policies.words import (
    AT_HOME,
    IS_AGENT,
    IS_GRANT,
    IS_SENTINEL,
    is_ours,
    policy,
    rules,
)
from aliquot.kube.roles import NAMESPACE as INSTALLED_IN

_EVERYTHING = ("*/*",)
_ALL = ("CREATE", "UPDATE", "DELETE", "CONNECT")
_FORBIDDEN_GROUPS = (
    "rbac.authorization.k8s.io",
    "admissionregistration.k8s.io",
    "certificates.k8s.io",
)


def of_grants() -> dict[str, Any]:
    """A grant never leads to more than it is: not to rights, not to another identity, not to us."""
    groups = ", ".join(f"'{one}'" for one in _FORBIDDEN_GROUPS)
    return policy(
        "identities",
        [rules("*", _EVERYTHING, *_ALL, version="*")],
        IS_GRANT,
        [
            (
                f"!(request.resource.group in [{groups}])",
                "a grant gives no right over rights, identities and admission",
            ),
            (
                "request.resource.group != '' || request.resource.resource != 'serviceaccounts'",
                "a grant gives no right over ServiceAccounts and their tokens",
            ),
            (
                "request.resource.group != 'apiregistration.k8s.io' || request.operation == 'DELETE'",
                "a grant gives no right to serve an API, only to take away one that is broken",
            ),
            (
                "request.resource.group != '' || request.resource.resource != 'nodes' || "
                "request.?subResource.orValue('') != 'proxy'",
                "a grant gives no way through a kubelet, where nothing is checked or recorded",
            ),
            (
                f"!(request.?namespace.orValue('') in ['{NAMESPACE}', '{INSTALLED_IN}'])",
                "a grant gives no right over what grants are made by",
            ),
        ],
    )


def of_agent_and_sentinel() -> dict[str, Any]:
    """RBAC lets the agent write any binding, role and Job, and the sentinel delete any: here it is any of ours. That one is past
    due when the sentinel deletes it, no policy can say."""
    events = "request.resource.resource == 'events'"
    token = "request.resource.resource == 'serviceaccounts' && request.?subResource.orValue('') == 'token'"
    heartbeat = f"request.resource.resource == 'leases' && {AT_HOME} && request.?name.orValue('') in ['', '{HEARTBEAT}']"
    made = f"({events}) || ({token} && {AT_HOME}) || ({heartbeat}) || {is_ours('object')}"
    return policy(
        "hands",
        [rules("*", _EVERYTHING, *_ALL, version="*")],
        f"{IS_AGENT} || {IS_SENTINEL}",
        [
            ("request.operation != 'CONNECT'", "neither agent nor sentinel joins anything"),
            (
                f"request.operation != 'DELETE' || {is_ours('oldObject')}",
                "agent and sentinel delete what is of grants, and nothing else",
            ),
            (
                f"!({IS_AGENT}) || request.operation == 'DELETE' || {made}",
                "the agent writes what is of grants, and nothing else",
            ),
            (
                f"!({IS_SENTINEL}) || request.operation == 'DELETE' || {events}",
                "the sentinel deletes, and writes nothing",
            ),
        ],
    )
