"""The namespace where the accounts of grants are: what may be in it, and who may ask for tokens there."""

from typing import Any

from aliquot.access.cluster.naming import NAMESPACE
from aliquot.access.cluster.policies.words import AT_HOME, IS_AGENT, TIMER_OWNS, is_ours, policy, rules
from aliquot.access.core.times import FORBIDDEN_S, TOKEN_FLOOR_S

_MOST_TOKEN_S = 3600


def contents() -> dict[str, Any]:
    """No pods: a pod has a token of its account that dies with the pod, not with the grant. No Secrets that become tokens."""
    return policy(
        "home",
        [rules("", ["pods", "pods/ephemeralcontainers", "serviceaccounts", "secrets"], "CREATE", "UPDATE")],
        AT_HOME,
        [
            (
                "request.resource.resource != 'pods'",
                f"there are no pods in namespace {NAMESPACE}",
            ),
            (
                "request.resource.resource != 'serviceaccounts' || object.metadata.name == 'default' || "
                f"({is_ours('object')} && ({TIMER_OWNS}) && dyn(object).?secrets.orValue([]).size() == 0)",
                f"ServiceAccounts in namespace {NAMESPACE} are those of grants, each owned by its timer",
            ),
            (
                f"request.resource.resource != 'secrets' || ({is_ours('object')} && ({TIMER_OWNS}) && "
                "dyn(object).?type.orValue('') == 'Opaque' && dyn(object).?data.orValue({}).size() == 0)",
                f"Secrets in namespace {NAMESPACE} are those of grants: empty, and each owned by its timer",
            ),
        ],
    )


def tokens() -> dict[str, Any]:
    """Only the agent has tokens made, only short ones, and only such as die with the grant's Secret."""
    bound = "object.spec.?boundObjectRef"
    seconds = "object.spec.?expirationSeconds.orValue(3600)"
    return policy(
        "tokens",
        [rules("", ["serviceaccounts/token"], "CREATE")],
        AT_HOME,
        [
            (IS_AGENT, "credentials of grants are given out by Aliquot's agent alone"),
            (
                f"{bound}.hasValue() && {bound}.?kind.orValue('') == 'Secret' && {bound}.?name.orValue('') == "
                "request.?name.orValue('-')",
                "a grant's credential is bound to the grant's Secret",
            ),
            (
                f"{seconds} >= {TOKEN_FLOOR_S} && {seconds} <= {_MOST_TOKEN_S} && {seconds} != {FORBIDDEN_S}",
                f"a grant's credential lives for {TOKEN_FLOOR_S} to {_MOST_TOKEN_S} s",
            ),
        ],
    )
