"""The kinds that an installation is made of, in the order in which they are applied; they leave in the other order."""

from aliquot.admission.cert_manager import CERTIFICATES, ISSUERS
from aliquot.admission.installation import resource as admission_resource
from aliquot.installation.labels import Json
from aliquot.kube.resources import (
    CONFIGMAPS,
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    GPUPOLICIES,
    NAMESPACES,
    PODDISRUPTIONBUDGETS,
    SERVICEACCOUNTS,
    SERVICES,
    Resource,
)
from aliquot.kube.roles import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES

NETWORKPOLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
PODMONITORS = Resource("monitoring.coreos.com", "v1", "podmonitors", "PodMonitor")
VALIDATING_POLICIES = Resource(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False
)
VALIDATING_BINDINGS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    False,
)

KINDS = (
    NAMESPACES,
    SERVICEACCOUNTS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    ROLES,
    ROLE_BINDINGS,
    CONFIGMAPS,
    VALIDATING_POLICIES,
    VALIDATING_BINDINGS,
    NETWORKPOLICIES,
    PODDISRUPTIONBUDGETS,
    SERVICES,
    ISSUERS,
    CERTIFICATES,
    DEPLOYMENTS,
    DAEMONSETS,
    PODMONITORS,
)
"""Any version's, but for mutating policies, whose version is the cluster's choice."""
_BY_KIND = {one.kind: one for one in (*KINDS, CRDS, GPUPOLICIES)}


def mutating(version: str) -> tuple[Resource, Resource]:
    """MutatingAdmissionPolicies and their bindings, in the version that a cluster serves."""
    first, second = "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"
    group = "admissionregistration.k8s.io"
    return (
        Resource(group, version, "mutatingadmissionpolicies", first, False),
        Resource(group, version, "mutatingadmissionpolicybindings", second, False),
    )


def resource_of(obj: Json) -> Resource:
    return _BY_KIND.get(obj["kind"]) or admission_resource(obj)
