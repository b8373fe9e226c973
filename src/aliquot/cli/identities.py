"""Who the parts of an emulated cluster are to its API server: nobody is an administrator but who sets it up.

Kubelets are nodes, the agent and the scheduler are the ServiceAccounts of an installation, with its roles. The
controllers are `system:kube-controller-manager`.
"""

from dataclasses import dataclass
from typing import Any

from aliquot.emulator import rbac
from aliquot.kube import roles

_AUTHENTICATED = "system:authenticated"
_CONTROLLERS = "aliquot:kube-controller-manager"
_API_SERVICES = {
    "apiGroups": ["apiregistration.k8s.io"],
    "resources": ["apiservices", "apiservices/status"],
    "verbs": ["create", "delete", "patch"],
}
"""That list what is served: with Kubernetes, the API server's own part writes them."""


_IN_PROCESS = (roles.SCHEDULER, roles.PARTITIONER, roles.NODE_AGENT)
"""The agents of nodes that begin bare come by pods, and what they all watch is watched once."""


@dataclass(frozen=True, slots=True)
class Identity:
    user: str
    groups: tuple[str, ...]


INSTALLER = Identity("system:aliquot:up", ("system:masters", _AUTHENTICATED))
CONTROLLER_MANAGER = Identity("system:kube-controller-manager", (_AUTHENTICATED,))


def kubelet(node: str) -> Identity:
    return Identity(f"system:node:{node}", ("system:nodes", _AUTHENTICATED))


def account(name: str) -> Identity:
    """A ServiceAccount of the installation."""
    namespace = roles.NAMESPACE
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", _AUTHENTICATED)
    return Identity(f"system:serviceaccount:{namespace}:{name}", groups)


def cluster_roles() -> list[dict[str, Any]]:
    """What a cluster needs beside the bootstrap roles, as kubeadm adds to them: for the controllers, for kubelets that renew their
    certificates, and for parts that run in its process, whoever takes an installation of the same parts away."""
    renewal = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
    nodes = {"kind": "Group", "name": "system:nodes", "apiGroup": "rbac.authorization.k8s.io"}
    return [
        *_controller_manager_roles(),
        roles.binding(renewal, nodes, name="aliquot:node-certificate-rotation"),
        *(one for part in _IN_PROCESS for one in _kept(part)),
    ]


def _kept(part: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    name = part["metadata"]["name"]
    own = f"aliquot:up:{name.removeprefix('aliquot-')}"
    return roles.role(own, *part["rules"]), roles.binding(own, roles.account(name))


def _controller_manager_roles() -> list[dict[str, Any]]:
    """What the bootstrap roles give each controller, for all of them together: a kube-controller-manager that uses one
    credential must be given it so. Ours patch where Kubernetes' own update."""
    subject = {"kind": "User", "name": CONTROLLER_MANAGER.user, "apiGroup": "rbac.authorization.k8s.io"}
    rules: list[dict[str, Any]] = [_API_SERVICES]
    for found in rbac.bootstrap_objects():
        name = found["metadata"]["name"]
        own = name == CONTROLLER_MANAGER.user or name.startswith("system:controller:")
        if found["kind"] == "ClusterRole" and own:
            rules += [one for one in map(_patching, found["rules"]) if one not in rules]
    return [roles.role(_CONTROLLERS, *rules), roles.binding(_CONTROLLERS, subject)]


def _patching(rule: dict[str, Any]) -> dict[str, Any]:
    verbs = rule["verbs"]
    return {**rule, "verbs": [*verbs, "patch"]} if "update" in verbs and "patch" not in verbs else rule
