"""What an API server has to be given so that its audit log comes: a policy (`--audit-policy-file`) and a kubeconfig of where to send it
(`--audit-webhook-config-file`)."""

from collections.abc import Mapping
from typing import Any

from aliquot.access.cluster.naming import NAMESPACE

Document = Mapping[str, Any]

_READS = ["get", "list", "watch"]


def audit_policy() -> Document:
    """Who and what, and no bodies. What is of grants comes first; of the rest what Kubernetes does for itself is left out, and nothing
    that a person may do."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            # In it there is a Lease that is renewed every few seconds: so silence can be told from peace.
            {"level": "Metadata", "namespaces": [NAMESPACE]},
            {"level": "Metadata", "userGroups": [f"system:serviceaccounts:{NAMESPACE}"]},
            {"level": "None", "users": ["system:apiserver"]},
            {"level": "Metadata", "userGroups": ["system:masters"]},
            {
                "level": "None",
                "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/metrics", "/version"],
            },
            {
                "level": "None",
                "resources": [
                    {"group": "", "resources": ["events"]},
                    {"group": "events.k8s.io"},
                    {"group": "coordination.k8s.io", "resources": ["leases"]},
                ],
            },
            {
                "level": "None",
                "users": ["system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"],
                "verbs": _READS,
            },
            {
                "level": "None",
                "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"],
                "verbs": _READS,
            },
            {
                "level": "None",
                "userGroups": ["system:nodes"],
                "resources": [{"group": "", "resources": ["nodes/status", "pods/status"]}],
            },
            {"level": "Metadata"},
        ],
    }


def webhook_config(url: str, cluster: str, *, token_file: str, authority_file: str = "") -> Document:
    """`token_file` and `authority_file`: where they are for the API server."""
    there = {"server": f"{url}/v1/audit/{cluster}"}
    if authority_file:
        there["certificate-authority"] = authority_file
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "aliquot", "cluster": there}],
        "users": [{"name": "api-server", "user": {"tokenFile": token_file}}],
        "contexts": [{"name": "audit", "context": {"cluster": "aliquot", "user": "api-server"}}],
        "current-context": "audit",
    }
