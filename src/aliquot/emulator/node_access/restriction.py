"""NodeRestriction: admission of what kubelets write. A node changes itself and its pods; never how it is chosen."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.node_access import references
from aliquot.emulator.node_access.authorizer import LEASE_NAMESPACE
from aliquot.emulator.node_access.graph import MIRROR
from aliquot.emulator.node_access.identity import node_name
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.rbac import Attributes, Authorizer
from aliquot.emulator.statuses import StatusError, failure, forbidden

_OWN_DOMAINS = ("kubernetes.io", "k8s.io")
_RESTRICTED = "node-restriction.kubernetes.io"
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
KUBELET_LABELS = frozenset(
    [
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    ]
)
_AUDIENCE_VERB = "request-serviceaccounts-token-audience"


class NodeRestriction:
    """A gate. `authorizer` says which audiences a kubelet may ask tokens for beyond those of its pods' volumes."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def __call__(self, asked: Admitted, obj: Json | None) -> None:
        """Raises StatusError 403 and 404."""
        node = node_name(asked.user)
        if node is None or asked.operation is Operation.CONNECT:
            return
        if not node:
            raise _refused(asked, obj, f'could not determine node from user "{asked.user.name}"')
        match asked.served.storage, asked.subresource:
            case "pods", "":
                _pod(asked, obj, node)
            case "pods", "status":
                _pod_status(asked, obj or {}, node)
            case "pods", "eviction":
                if _find(asked, resource="pods", name=asked.name)["spec"].get("nodeName") != node:
                    raise _refused(
                        asked, obj, f"node {node} can only evict pods with spec.nodeName set to itself"
                    )
            case "pods", other:
                why = f"unexpected pod subresource \"{other}\", only 'status' and 'eviction' are allowed"
                raise _refused(asked, obj, why)
            case "nodes", _:
                _node(asked, obj, node)
            case "persistentvolumeclaims", other:
                if other != "status":
                    raise _refused(asked, obj, "may only update PVC status")
            case "serviceaccounts", "token":
                self._token(asked, obj or {}, node)
            case "leases.coordination.k8s.io", _:
                if asked.namespace != LEASE_NAMESPACE:
                    why = f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
                    raise _refused(asked, obj, why)
                _own_name(asked, obj, node, "node lease")
            case "csinodes.storage.k8s.io", _:
                _own_name(asked, obj, node, "CSINode")
            case "resourceslices.resource.k8s.io", _:
                _slice(asked, obj, node)

    def _token(self, asked: Admitted, request: Json, node: str) -> None:
        """For a pod that runs here, as the account that it runs as, and for whom its volumes name."""
        spec = request.get("spec") or {}
        bound = spec.get("boundObjectRef") or {}
        if bound.get("apiVersion") != "v1" or bound.get("kind") != "Pod" or not bound.get("name"):
            raise _refused(asked, request, "node requested token not bound to a pod")
        if not bound.get("uid"):
            raise _refused(asked, request, "node requested token with a pod binding without a uid")
        pod = _find(asked, resource="pods", name=bound["name"])
        if bound["uid"] != metadata(pod)["uid"]:
            why = (
                f"the UID in the bound object reference ({bound['uid']}) does not match the UID in record. The object "
                "might have been deleted and then recreated"
            )
            raise _refused(asked, request, why)
        if pod["spec"].get("nodeName") != node:
            why = "node requested token bound to a pod scheduled on a different node"
            raise _refused(asked, request, why)
        audiences = spec.get("audiences") or [""]
        if len(audiences) > 1:
            raise _refused(asked, request, "node may only request 0 or 1 audiences")
        if audiences[0] not in set(_audiences(pod["spec"])) and not self._may_ask_for(asked, audiences[0]):
            why = (
                f'audience "{audiences[0]}" not found in pod spec volume, {asked.user.name} is not authorized to request '
                "tokens for this audience"
            )
            raise _refused(asked, request, why)

    def _may_ask_for(self, asked: Admitted, audience: str) -> bool:
        wanted = Attributes(
            verb=_AUDIENCE_VERB,
            version="v1",
            resource=audience,
            namespace=asked.namespace,
            name=asked.name,
        )
        return self._authorizer.authorize(asked.user, wanted).allowed


def _audiences(spec: Mapping[str, Any]) -> Iterator[str]:
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                yield source["serviceAccountToken"].get("audience", "")


# ---- pods --------------------------------------------------------------------------------------------------


def _pod(asked: Admitted, obj: Json | None, node: str) -> None:
    match asked.operation:
        case Operation.CREATE:
            _mirror_pod(asked, obj or {}, node)
        case Operation.DELETE:
            if ((asked.old or {}).get("spec") or {}).get("nodeName") != node:
                why = f'node "{node}" can only delete pods with spec.nodeName set to itself'
                raise _refused(asked, obj, why)
        case _:
            why = f'unexpected operation "{asked.operation.value}", node "{node}" can only create and delete mirror pods'
            raise _refused(asked, obj, why)


def _mirror_pod(asked: Admitted, pod: Json, node: str) -> None:
    """What the node runs by itself, shown in the API: it must not lead to anything there."""
    spec, owners = pod.get("spec") or {}, metadata(pod).get("ownerReferences") or []
    said = f'node "{node}"'
    if MIRROR not in (metadata(pod).get("annotations") or {}):
        why = f'pod does not have "{MIRROR}" annotation, {said} can only create mirror pods'
        raise _refused(asked, pod, why)
    if spec.get("nodeName") != node:
        raise _refused(asked, pod, f"{said} can only create pods with spec.nodeName set to itself")
    if len(owners) > 1:
        why = f"{said} can only create pods with a single owner reference set to itself"
        raise _refused(asked, pod, why)
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        raise _refused(asked, pod, f"{said} can only create pods with an owner reference set to itself")
    if not owner.get("controller"):
        why = f"{said} can only create pods with a controller owner reference set to itself"
        raise _refused(asked, pod, why)
    if owner.get("blockOwnerDeletion"):
        raise _refused(asked, pod, f"{said} must not set blockOwnerDeletion on an owner reference")
    found = metadata(_find(asked, resource="nodes", name=node))["uid"]
    if owner.get("uid") != found:
        raise _refused(asked, pod, f"node {node} UID mismatch: expected {owner.get('uid')} got {found}")
    referred = {resource for resource, _ in references.of_pod(metadata(pod).get("name", ""), spec)}
    for resource, what in (
        (references.ACCOUNTS, "a service account"),
        (references.SECRETS, "secrets"),
        (references.CONFIG_MAPS, "configmaps"),
        (references.VOLUME_CLAIMS, "persistentvolumeclaims"),
        (references.RESOURCE_CLAIMS, "resource claims"),
    ):
        if resource in referred:
            raise _refused(asked, pod, f"{said} can not create pods that reference {what}")


def _pod_status(asked: Admitted, pod: Json, node: str) -> None:
    old = asked.old or {}
    if (old.get("spec") or {}).get("nodeName") != node:
        why = f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
        raise _refused(asked, pod, why)
    if (metadata(pod).get("labels") or {}) != (metadata(old).get("labels") or {}):
        raise _refused(asked, pod, f'node "{node}" cannot update labels through pod status')
    if _claims(pod) != _claims(old):
        raise _refused(asked, pod, f'node "{node}" cannot update resource claim statues')


def _claims(pod: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    found = (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    return [(one.get("name", ""), one.get("resourceClaimName")) for one in found]


# ---- nodes -------------------------------------------------------------------------------------------------


def _node(asked: Admitted, obj: Json | None, node: str) -> None:
    name = asked.name or metadata(obj or {}).get("name", "")
    if name != node:
        raise _refused(asked, obj, f'node "{node}" is not allowed to modify node "{name}"')
    if obj is None:
        return
    old = asked.old or {}
    spec, was = obj.get("spec") or {}, old.get("spec") or {}
    if asked.operation is Operation.UPDATE and (spec.get("taints") or []) != (was.get("taints") or []):
        # By taints a node would choose what runs on it.
        raise _refused(asked, obj, f'node "{node}" is not allowed to modify taints')
    refused = forbidden_labels(metadata(obj).get("labels") or {}, metadata(old).get("labels") or {})
    if refused and asked.operation is Operation.CREATE:
        why = f'node "{node}" is not allowed to set the following labels: {", ".join(refused)}'
        raise _refused(asked, obj, why)
    if refused:
        raise _refused(asked, obj, f"is not allowed to modify labels: {', '.join(refused)}")


def forbidden_labels(labels: Mapping[str, str], old: Mapping[str, str]) -> list[str]:
    """Those that are new, changed or gone and not a kubelet's to say: it would choose what runs on it."""
    changed = {key for key in {*labels, *old} if labels.get(key) != old.get(key)}
    return sorted(key for key in changed if not _is_kubelets(key))


def _is_kubelets(label: str) -> bool:
    domain = label.partition("/")[0] if "/" in label else ""
    if _within(domain, _RESTRICTED):
        return False
    if label in KUBELET_LABELS or any(_within(domain, one) for one in _KUBELET_DOMAINS):
        return True
    return not any(_within(domain, one) for one in _OWN_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")


# ---- others ------------------------------------------------------------------------------------------------


def _own_name(asked: Admitted, obj: Json | None, node: str, what: str) -> None:
    """An object of the node's own has the node's name."""
    name = metadata(obj or {}).get("name", "") if asked.operation is Operation.CREATE else asked.name
    if name != node:
        raise _refused(asked, obj, f"can only access {what} with the same name as the requesting node")


def _slice(asked: Admitted, obj: Json | None, node: str) -> None:
    of_whom = ((obj or asked.old or {}).get("spec") or {}).get("nodeName")
    if asked.operation is Operation.CREATE and of_whom != node:
        why = "can only create ResourceSlice with the same NodeName as the requesting node"
        raise _refused(asked, obj, why)
    if asked.operation is Operation.DELETE and of_whom != node:
        why = "can only delete ResourceSlice with the same NodeName as the requesting node"
        raise _refused(asked, obj, why)


def _find(asked: Admitted, *, resource: str, name: str) -> Mapping[str, Any]:
    """Raises StatusError 404."""
    found = asked.look.get(resource, "" if resource == "nodes" else asked.namespace, name)
    if found is None:
        message = f'{resource} "{name}" not found'
        raise failure(404, "NotFound", message, {"name": name, "kind": resource})
    return found


def _refused(asked: Admitted, obj: Json | None, why: str) -> StatusError:
    name = asked.name or metadata(obj or {}).get("name", "")
    return forbidden(asked.served.resource, name, why)
