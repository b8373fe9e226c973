"""What each part of Aliquot may do in a cluster: roles, and who they are bound to. No more than they use.

What is in one namespace is a Role there: the lease of an election, the configurations of node agents. `aliquot up` gives
these rights to the parts that it runs; `aliquot install` and the Helm chart give them to the ServiceAccounts of the same names.
"""

import sys
from collections.abc import Sequence
from typing import Any

from aliquot.kube.client import Client
from aliquot.kube.resources import NAMESPACES, Resource

NAMESPACE = "aliquot-system"
LEASES_IN = "kube-system"
"""Which is there on every cluster: parts of ours may run outside of it, before anything is installed."""
MIG_CONFIG_MAP = "default-mig-parted-config"
"""Upstream's name, in that namespace; `config.yaml` in it is a file of mig-parted."""
PLUGIN_CONFIG_MAP = "device-plugin-config"
"""In that namespace: each key is a configuration of NVIDIA's device plugin, and a node's label chooses."""
FIELD_MANAGER = "aliquot-roles"
"""Another than that of `aliquot install`: an apply without the labels by which that knows its own would take them off."""

CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")

_GROUP = "rbac.authorization.k8s.io"
_RESOURCES = {
    one.kind: one for one in (NAMESPACES, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, ROLES, ROLE_BINDINGS)
}


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


def local_role(name: str, *rules: dict[str, Any], namespace: str = NAMESPACE) -> dict[str, Any]:
    """In one namespace alone."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": list(rules),
    }


def election(name: str) -> dict[str, Any]:
    """The right to stand for the lease of that name."""
    return local_role(
        name,
        rule("create", "coordination.k8s.io", "leases"),
        rule("get patch", "coordination.k8s.io", "leases", names=name),
        namespace=LEASES_IN,
    )


def bound(role: dict[str, Any]) -> dict[str, Any]:
    """A role of either kind to the account of its name."""
    metadata = role["metadata"]
    name = metadata["name"]
    if role["kind"] == "ClusterRole":
        return binding(name, account(name))
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": dict(metadata),
        "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": name},
        "subjects": [account(name)],
    }


def account(name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}


NODE_AGENT = role(
    "aliquot-node-agent",
    rule("get list watch patch", "", "nodes"),
    rule("get list watch", "", "pods"),
    rule("create", "", "pods/eviction"),
    rule("create patch", "", "events"),
    rule("get list watch", "resource.k8s.io", "resourceslices"),
    rule("get list watch create patch", "aliquot.dev", "gpunodes"),
    rule("patch", "aliquot.dev", "gpunodes/status"),
)
NODE_AGENT_CONFIGURATIONS = local_role(
    "aliquot-node-agent",
    rule("get list watch", "", "configmaps"),
)
"""Of any name: a GPUPolicy says which the agent goes by."""
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
    rule("get", "scheduling.k8s.io", "priorityclasses"),
    rule("create patch", "", "events"),
)
"""What it makes is in its own namespace alone: `OPERATOR_OBJECTS`."""
OPERATOR_OBJECTS = local_role(
    "aliquot-operator",
    rule("get list watch create patch delete", "apps", "daemonsets"),
    rule("get list watch create patch delete", "", "services"),
    rule("get list watch create patch delete", "monitoring.coreos.com", "servicemonitors"),
    # Of DaemonSets whose pods are refused.
    rule("list watch", "", "events"),
)
ADMISSION = role(
    "aliquot-admission",
    rule("create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    rule(
        "get patch",
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        names="aliquot-gpu-class",
    ),
    rule("get", _GROUP, "clusterroles", names="aliquot-admission"),
)
"""Of the webhook, where there is one: not among `ALL`. What it may do in its own namespace is `ADMISSION_SECRET`."""
ADMISSION_SECRET = local_role(
    "aliquot-admission",
    rule("create", "", "secrets"),
    rule("get patch", "", "secrets", names="aliquot-admission-certificate"),
    # Where cert-manager makes it.
    rule("get", "", "secrets", names="aliquot-admission-tls"),
    rule("get", "cert-manager.io", "certificates", names="aliquot-admission"),
)
DISCOVERY = role("aliquot-discovery", rule("get patch", "", "nodes"))
"""Each of its own Node alone; RBAC has no words for that."""
VALIDATOR = role(
    "aliquot-validator",
    rule("get", "", "nodes"),
    rule("list", "", "pods"),
    rule("get", "aliquot.dev", "gpunodes"),
    rule("patch", "aliquot.dev", "gpunodes/status"),
    rule("create patch", "", "events"),
)
VALIDATOR_PODS = local_role("aliquot-validator", rule("get create delete", "", "pods"))
"""The one that tries a device."""
DRIVER = role(
    "aliquot-driver",
    rule("get list watch patch update", "", "nodes"),
    rule("get list watch", "", "pods"),
    rule("get", "apps", "daemonsets"),
)
"""Of NVIDIA's driver manager, which pauses by the node's labels who uses the driver. Evictions are the operator's."""
PARTS: dict[str, tuple[dict[str, Any], ...]] = {
    "aliquot-node-agent": (NODE_AGENT, NODE_AGENT_CONFIGURATIONS),
    "aliquot-scheduler": (SCHEDULER, election("aliquot-scheduler")),
    "aliquot-partitioner": (PARTITIONER, election("aliquot-partitioner")),
    "aliquot-operator": (OPERATOR, OPERATOR_OBJECTS, election("aliquot-operator")),
    "aliquot-discovery": (DISCOVERY,),
    "aliquot-driver": (DRIVER,),
    "aliquot-validator": (VALIDATOR, VALIDATOR_PODS),
}
"""The roles of each, by its ServiceAccount."""
NAMESPACE_OBJECT = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": NAMESPACE,
        # A driver is loaded from a privileged pod.
        "labels": {
            f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")
        },
    },
}


def of_parts(*names: str) -> tuple[dict[str, Any], ...]:
    """Their roles and bindings; names that have none are of parts that ask nothing."""
    return tuple(part for name in names for one in PARTS.get(name, ()) for part in (one, bound(one)))


ALL: tuple[dict[str, Any], ...] = (NAMESPACE_OBJECT, *of_parts(*PARTS))


async def install(client: Client, objects: Sequence[dict[str, Any]] = ALL) -> None:
    """Apply roles and their bindings, and the namespace that some are in. Safe to repeat. Raises ApiError."""
    for one in objects:
        await client.apply(_RESOURCES[one["kind"]], one, field_manager=FIELD_MANAGER, force=True)


def manifests() -> str:
    """All as YAML, for `kubectl apply`: what `deploy/roles.yaml` holds."""
    import yaml

    return yaml.safe_dump_all(ALL, sort_keys=False)


if __name__ == "__main__":
    sys.stdout.write(manifests())
