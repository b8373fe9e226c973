"""What each part of Aliquot may do in a cluster: ClusterRoles, and who they are bound to. No more than they use.

`aliquot up` gives these rights to the parts that it runs; `deploy/roles.yaml` and the Helm chart give them to the
ServiceAccounts of the same names.
"""

import sys
from collections.abc import Sequence
from typing import Any

from aliquot.kube.client import Client
from aliquot.kube.resources import Resource

NAMESPACE = "aliquot-system"
MIG_CONFIG_MAP = "default-mig-parted-config"
"""Upstream's name, in that namespace; `config.yaml` in it is a file of mig-parted."""
PLUGIN_CONFIG_MAP = "device-plugin-config"
"""In that namespace: each key is a configuration of NVIDIA's device plugin, and a node's label chooses."""
FIELD_MANAGER = "aliquot-install"

CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
_RESOURCES = {one.kind: one for one in (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, ROLES, ROLE_BINDINGS)}

_GROUP = "rbac.authorization.k8s.io"


def rule(verbs: str, group: str, resources: str, *, names: str = "") -> dict[str, Any]:
    """Verbs, resources and names are words: `rule("get list", "", "pods nodes")`."""
    found = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return {**found, "resourceNames": names.split()} if names else found


def role(name: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": list(rules),
    }


def binding(role: str, subject: dict[str, str], *, name: str = "") -> dict[str, Any]:
    """Of a ClusterRole, and by its name unless another is given."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name or role},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def account(name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}


NODE_AGENT = role(
    "aliquot-node-agent",
    rule("get list watch patch", "", "nodes"),
    rule("get list watch", "", "pods"),
    rule("create", "", "pods/eviction"),
    rule("create patch", "", "events"),
    rule("get list watch", "", "configmaps", names=f"{MIG_CONFIG_MAP} {PLUGIN_CONFIG_MAP}"),
    rule("get list watch", "resource.k8s.io", "resourceslices"),
    rule("get list watch create patch", "aliquot.dev", "gpunodes"),
    rule("patch", "aliquot.dev", "gpunodes/status"),
)
_POD_OWNERS = (
    rule("get list watch", "", "replicationcontrollers"),
    rule("get list watch", "apps", "deployments replicasets statefulsets"),
    rule("get", "apps", "daemonsets"),
    rule("get list watch", "batch", "jobs"),
    rule("get", "batch", "cronjobs"),
    rule("get list watch", "jobset.x-k8s.io", "jobsets"),
    rule("get list watch", "leaderworkerset.x-k8s.io", "leaderworkersets"),
    rule("get list watch", "kubeflow.org", "jaxjobs mpijobs paddlejobs pytorchjobs tfjobs xgboostjobs"),
    rule("get", "kubeflow.org", "scheduledworkflows"),
    rule("get list watch", "trainer.kubeflow.org", "trainjobs"),
    rule("get list watch", "ray.io", "rayclusters"),
    rule("get list watch", "ray.io", "rayjobs"),
    rule("get", "ray.io", "rayservices"),
    rule("get list watch", "argoproj.io", "workflows"),
    rule("get", "argoproj.io", "cronworkflows"),
    rule("get list watch", "tekton.dev", "pipelineruns taskruns"),
    rule("get list watch", "sparkoperator.k8s.io", "sparkapplications"),
    rule("get list watch", "workload.codeflare.dev", "appwrappers"),
)
"""To see which pods belong together, and what has ended. Kinds that a cluster does not have do no harm here."""
_POD_GROUPS = (
    rule("get list watch", "aliquot.dev", "podgroups queues topologies"),
    rule("get list watch", "scheduling.k8s.io", "priorityclasses podgroups compositepodgroups"),
    rule("get list watch", "scheduling.x-k8s.io", "podgroups"),
    rule("get list watch", "scheduling.run.ai", "podgroups"),
    rule("get list watch", "scheduling.volcano.sh", "podgroups"),
)
SCHEDULER = role(
    "aliquot-scheduler",
    rule("get list watch", "", "nodes pods"),
    *_POD_OWNERS,
    *_POD_GROUPS,
    rule("patch", "", "pods"),
    rule("get list watch", "", "namespaces"),
    rule("get list watch patch", "", "persistentvolumeclaims persistentvolumes"),
    rule("get list watch", "storage.k8s.io", "storageclasses"),
    rule("get list watch", "aliquot.dev", "gpunodes gpuclasses"),
    rule("create", "", "pods/binding pods/eviction"),
    rule("get list watch", "policy", "poddisruptionbudgets"),
    rule("patch", "", "pods/status"),
    rule("patch", "aliquot.dev", "queues/status podgroups/status"),
    rule("patch", "scheduling.k8s.io", "podgroups/status compositepodgroups/status"),
    rule("create patch", "", "events"),
    rule("create", "coordination.k8s.io", "leases"),
    rule("get patch", "coordination.k8s.io", "leases", names="aliquot-scheduler"),
)
PARTITIONER = role(
    "aliquot-partitioner",
    rule("get list watch", "", "nodes"),
    rule("get list watch patch", "", "pods"),
    rule("create", "", "pods/eviction"),
    rule("get list watch", "policy", "poddisruptionbudgets"),
    rule("get list watch patch", "aliquot.dev", "gpunodes"),
    rule("get list watch", "aliquot.dev", "gpuclasses"),
    rule("patch", "aliquot.dev", "gpuclasses/status"),
    rule("create patch", "", "events"),
    rule("create", "coordination.k8s.io", "leases"),
    rule("get patch", "coordination.k8s.io", "leases", names="aliquot-partitioner"),
)
OPERATOR = role(
    "aliquot-operator",
    rule("get list watch patch", "", "nodes"),
    rule("get list watch patch delete", "", "pods"),
    rule("create", "", "pods/eviction"),
    rule("get list watch create patch", "aliquot.dev", "gpunodes"),
    rule("patch", "aliquot.dev", "gpunodes/status"),
    rule("get list watch", "aliquot.dev", "gpupolicies"),
    rule("patch", "aliquot.dev", "gpupolicies/status"),
    rule("get list watch create patch", "node.k8s.io", "runtimeclasses"),
    rule("create patch", "", "events"),
    rule("create", "coordination.k8s.io", "leases"),
    rule("get patch", "coordination.k8s.io", "leases", names="aliquot-operator"),
)
"""What it makes is in its own namespace alone: `OPERATOR_OBJECTS`."""
OPERATOR_OBJECTS: tuple[dict[str, Any], ...] = (
    {
        **role(
            "aliquot-operator",
            rule("get list watch create patch delete", "apps", "daemonsets"),
            rule("get list watch create patch delete", "", "services"),
            rule("get list watch create patch delete", "monitoring.coreos.com", "servicemonitors"),
        ),
        "kind": "Role",
        "metadata": {"name": "aliquot-operator", "namespace": NAMESPACE},
    },
    {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "aliquot-operator", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": "aliquot-operator"},
        "subjects": [account("aliquot-operator")],
    },
)
"""Not among `ALL`: they need the namespace."""
ADMISSION = role(
    "aliquot-admission",
    rule("create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    rule(
        "get patch",
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        names="aliquot-gpu-class",
    ),
)
"""Of the webhook, where there is one: not among `ALL`. What it may do in its own namespace is `ADMISSION_SECRET`."""
ADMISSION_SECRET = {
    **role(
        "aliquot-admission",
        rule("create", "", "secrets"),
        rule("get patch", "", "secrets", names="aliquot-admission-certificate"),
    ),
    "kind": "Role",
    "metadata": {"name": "aliquot-admission", "namespace": NAMESPACE},
}
DISCOVERY = role("aliquot-discovery", rule("get patch", "", "nodes"))
"""Each of its own Node alone; RBAC has no words for that."""
ALL: tuple[dict[str, Any], ...] = tuple(
    part
    for one in (NODE_AGENT, SCHEDULER, PARTITIONER, OPERATOR, DISCOVERY)
    for part in (one, binding(one["metadata"]["name"], account(one["metadata"]["name"])))
)


async def install(client: Client, objects: Sequence[dict[str, Any]] = ALL) -> None:
    """Apply roles and their bindings. Safe to repeat. Raises ApiError."""
    for one in objects:
        await client.apply(_RESOURCES[one["kind"]], one, field_manager=FIELD_MANAGER, force=True)


def manifests() -> str:
    """All as YAML, for `kubectl apply`: what `deploy/roles.yaml` holds."""
    import yaml

    return yaml.safe_dump_all(ALL, sort_keys=False)


if __name__ == "__main__":
    sys.stdout.write(manifests())
