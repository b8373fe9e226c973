"""All that a cluster has to have before the first grant: accounts, roles, policies."""

from collections.abc import Sequence
from typing import Any

from aliquot.access.cluster import policies, roles
from aliquot.access.cluster.roles import TemplateRole
from aliquot.access.core.rules import Rule
from aliquot.kube import roles as rbac
from aliquot.kube.client import Client
from aliquot.kube.resources import NAMESPACES, SERVICEACCOUNTS, Resource

FIELD_MANAGER = "aliquot-install"

POLICIES = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    namespaced=False,
)
POLICY_BINDINGS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
)
_RESOURCES = {
    one.kind: one
    for one in (
        NAMESPACES,
        SERVICEACCOUNTS,
        rbac.CLUSTER_ROLES,
        rbac.CLUSTER_ROLE_BINDINGS,
        rbac.ROLES,
        rbac.ROLE_BINDINGS,
        POLICIES,
        POLICY_BINDINGS,
    )
}


def objects(
    template_roles: Sequence[TemplateRole],
    held: Sequence[Rule],
    *,
    longest_s: int = policies.LONGEST_S,
    controllers: Sequence[str] = policies.CONTROLLERS,
) -> tuple[dict[str, Any], ...]:
    """In the order in which they are applied: policies before the agent has any right that they hold in check. `held`: the
    rules of templates whose grants have roles of their own."""
    names = [one.name for one in template_roles]
    return (
        *policies.objects(names, longest_s=longest_s, controllers=controllers),
        *roles.objects(template_roles, held),
    )


async def install(client: Client, wanted: Sequence[dict[str, Any]]) -> None:
    """Safe to repeat. Raises ApiError."""
    for one in wanted:
        await client.apply(_RESOURCES[one["kind"]], one, field_manager=FIELD_MANAGER, force=True)
