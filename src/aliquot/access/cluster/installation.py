"""All that a cluster has to have before the first grant: policies, accounts, roles, and the sentinel."""

from collections.abc import Iterable, Sequence
from typing import Any

from aliquot.access.cluster import policies, roles
from aliquot.access.cluster.naming import SENTINEL
from aliquot.access.cluster.roles import TemplateRole
from aliquot.access.core.rules import Rule, without
from aliquot.access.core.templates.template import Template, role_name
from aliquot.kube import roles as rbac
from aliquot.kube.client import Client
from aliquot.kube.resources import DEPLOYMENTS, NAMESPACES, SERVICEACCOUNTS, Resource

FIELD_MANAGER = "aliquot-access-install"
"""Another than that of `aliquot install`, whose labels are on the namespace and would go with an apply without them."""
_METRICS_PORT = 8080

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
        DEPLOYMENTS,
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
    token_reviews: bool = False,
) -> tuple[dict[str, Any], ...]:
    """In the order in which they are applied: policies before the agent has any right that they hold in check. `held`: the
    rules of templates whose grants have roles of their own."""
    names = [one.name for one in template_roles]
    return (
        *policies.objects(names, longest_s=longest_s, controllers=controllers),
        *roles.objects(template_roles, held, token_reviews=token_reviews),
    )


def of_templates(templates: Iterable[Template]) -> tuple[tuple[TemplateRole, ...], tuple[Rule, ...]]:
    """(the ClusterRoles of those that have one, the rules of those whose grants have roles of their own)"""
    made: list[TemplateRole] = []
    held: list[Rule] = []
    for one in templates:
        rules = without(one.rules, one.denied)
        if one.has_own_role:
            held += rules
        else:
            made.append(TemplateRole(role_name(one), rules))
    return tuple(made), roles.nameless(held)


def sentinel(image: str) -> dict[str, Any]:
    """Two of them, each for itself: what one has deleted the other does not find."""
    labels = {"app.kubernetes.io/name": SENTINEL}

    def probe(path: str, **more: int) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": "metrics"}, "timeoutSeconds": 5, **more}

    container = {
        "name": "sentinel",
        "image": image,
        "args": ["access", "sentinel", "--metrics-port", str(_METRICS_PORT)],
        "ports": [{"name": "metrics", "containerPort": _METRICS_PORT}],
        "livenessProbe": probe("/healthz", periodSeconds=20, failureThreshold=5),
        "readinessProbe": probe("/readyz", periodSeconds=10),
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "serviceAccountName": SENTINEL,
        "priorityClassName": "system-cluster-critical",
        "containers": [container],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels},
            }
        ],
    }
    return {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": {"name": SENTINEL, "namespace": rbac.NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


async def install(client: Client, wanted: Sequence[dict[str, Any]]) -> None:
    """Safe to repeat. Raises ApiError."""
    for one in wanted:
        await client.apply(_RESOURCES[one["kind"]], one, field_manager=FIELD_MANAGER, force=True)
