"""May this kubelet do that? Tried before RBAC, which may still allow what is not allowed here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from aliquot.emulator.node_access import references
from aliquot.emulator.node_access.graph import NodeGraph
from aliquot.emulator.node_access.identity import node_name
from aliquot.emulator.rbac import Attributes, Decision, Rule, User

LEASE_NAMESPACE = "kube-node-lease"

_READS = ("get", "list", "watch")
_OWN_VERBS = ("get", "create", "update", "patch", "delete")
_ALLOWED = Decision(True)
_READABLE = {"secrets": references.SECRETS, "configmaps": references.CONFIG_MAPS}

Decide = Callable[["NodeAuthorizer", str, Attributes], Decision]


class NodeAuthorizer:
    """`rules` are what all nodes may do with resources that are not divided between them."""

    def __init__(self, graph: NodeGraph, rules: tuple[Rule, ...]) -> None:
        self._graph = graph
        self._rules = rules

    def __call__(self, user: User, asked: Attributes) -> Decision | None:
        """None for who is no kubelet."""
        node = node_name(user)
        if node is None:
            return None
        if not node:
            return Decision(False, f'unknown node for user "{user.name}"')
        decide = _DIVIDED.get((asked.group, asked.resource)) if asked.resource else None
        if decide is not None:
            return decide(self, node, asked)
        return _ALLOWED if any(rule.allows(asked) for rule in self._rules) else Decision(False)

    def _object(self, node: str, resource: str, asked: Attributes) -> Decision:
        if not asked.name:
            return Decision(False, "No Object name found")
        if self._graph.leads_to(node, resource, asked.namespace, asked.name):
            return _ALLOWED
        return _unrelated(node)

    def _configuration(self, node: str, asked: Attributes) -> Decision:
        """Secrets and ConfigMaps may be followed, one by one."""
        if asked.verb not in _READS:
            return Decision(False, "can only read resources of this type")
        if asked.subresource:
            return Decision(False, "cannot read subresource")
        if not asked.namespace:
            return Decision(False, "can only read namespaced object of this type")
        return self._object(node, _READABLE[asked.resource], asked)

    def _get(self, node: str, asked: Attributes) -> Decision:
        if asked.verb != "get":
            return Decision(False, "can only get individual resources of this type")
        if asked.subresource:
            return Decision(False, "cannot get subresource")
        stored = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
        return self._object(node, stored, asked)

    def _claim(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource != "status":
            return self._get(node, asked)
        if asked.verb not in ("update", "patch"):
            return Decision(False, "can only get/update/patch this type")
        return self._object(node, references.VOLUME_CLAIMS, asked)

    def _token(self, node: str, asked: Attributes) -> Decision:
        if asked.verb == "get" and not asked.subresource:
            return self._object(node, references.ACCOUNTS, asked)
        if asked.verb != "create" or not asked.name:
            return Decision(False, "can only create tokens for individual service accounts")
        if asked.subresource != "token":
            return Decision(False, "can only create token subresource of serviceaccount")
        return self._object(node, references.ACCOUNTS, asked)

    def _lease(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in _OWN_VERBS:
            return Decision(False, "can only get, create, update, patch, or delete a node lease")
        if asked.namespace != LEASE_NAMESPACE:
            return Decision(False, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        if asked.verb != "create" and asked.name != node:
            return Decision(False, "can only access node lease with the same name as the requesting node")
        return _ALLOWED

    def _csi_node(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in _OWN_VERBS:
            return Decision(False, "can only get, create, update, patch, or delete a CSINode")
        if asked.subresource:
            return Decision(False, "cannot authorize CSINode subresources")
        if asked.verb != "create" and asked.name != node:
            return Decision(False, "can only access CSINode with the same name as the requesting node")
        return _ALLOWED

    def _slice(self, node: str, asked: Attributes) -> Decision:
        """What its devices are is a node's own business."""
        if asked.subresource:
            return Decision(False, "cannot authorize ResourceSlice subresources")
        match asked.verb:
            case "create":
                return _ALLOWED
            case "get" | "update" | "patch" | "delete":
                return _ALLOWED if self._graph.owns_slice(node, asked.name) else _unrelated(node)
            case "list" | "watch" | "deletecollection":
                if asked.selects("nodeName", node) or asked.selects("spec.nodeName", node):
                    return _ALLOWED
                return Decision(
                    False, "can only list/watch/deletecollection resourceslices with nodeName field selector"
                )
        return Decision(
            False,
            "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, "
            "deletecollection",
        )

    def _node(self, node: str, asked: Attributes) -> Decision:
        match asked.subresource, asked.verb:
            case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
                return _ALLOWED
            case "", "get" | "list" | "watch":
                if asked.name == node:
                    return _ALLOWED
                if not asked.name:
                    return Decision(False, f"node '{node}' cannot read all nodes, only its own Node object")
                return Decision(False, f"node '{node}' cannot read '{asked.name}', only its own Node object")
        return Decision(False)

    def _pod(self, node: str, asked: Attributes) -> Decision:
        match asked.subresource, asked.verb:
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return _ALLOWED
            case "", "get":
                return self._own_pod(node, asked)
            case "", "list" | "watch":
                if asked.selects("spec.nodeName", node):
                    return _ALLOWED
                if asked.name:
                    return self._own_pod(node, asked)
                return Decision(False, "can only list/watch pods with spec.nodeName field selector")
        return Decision(False)

    def _own_pod(self, node: str, asked: Attributes) -> Decision:
        if not asked.name:
            return Decision(False, "No Object name found")
        return _ALLOWED if self._graph.has_pod(node, asked.namespace, asked.name) else _unrelated(node)

    def _attachment(self, node: str, asked: Attributes) -> Decision:
        if asked.verb != "get" or asked.subresource:
            return Decision(False, "can only get individual resources of this type")
        return _ALLOWED if self._graph.has_attachment(node, asked.name) else _unrelated(node)


_DIVIDED: Mapping[tuple[str, str], Decide] = MappingProxyType(
    {
        ("", "secrets"): NodeAuthorizer._configuration,
        ("", "configmaps"): NodeAuthorizer._configuration,
        ("", "persistentvolumeclaims"): NodeAuthorizer._claim,
        ("", "persistentvolumes"): NodeAuthorizer._get,
        ("", "serviceaccounts"): NodeAuthorizer._token,
        ("", "nodes"): NodeAuthorizer._node,
        ("", "pods"): NodeAuthorizer._pod,
        ("coordination.k8s.io", "leases"): NodeAuthorizer._lease,
        ("resource.k8s.io", "resourceclaims"): NodeAuthorizer._get,
        ("resource.k8s.io", "resourceslices"): NodeAuthorizer._slice,
        ("storage.k8s.io", "csinodes"): NodeAuthorizer._csi_node,
        ("storage.k8s.io", "volumeattachments"): NodeAuthorizer._attachment,
    }
)


def _unrelated(node: str) -> Decision:
    return Decision(False, f"no relationship found between node '{node}' and this object")
