"""What a write needs to know of other objects: the admission chain.

Each link is a pure callable over one `Admitted`: it answers the object, changed or as it was, or raises
StatusError. They run in order, after defaulting and before validation, on creates and updates alike. Webhooks and
admission policies will be further links.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any, Protocol, TypeAlias

from aliquot.emulator.objects import Json, generated_name, is_terminating, metadata
from aliquot.emulator.rbac import User
from aliquot.emulator.registry import NAMESPACES, PODS, Served
from aliquot.emulator.statuses import failure, forbidden

IMMORTAL_NAMESPACES = frozenset(["default", "kube-system", "kube-public"])
_UNREACHABLE_FOR_S = 300
_CONTAINERS = ("containers", "initContainers")
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SOURCES = [
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
            ]
        }
    },
]
_PRIORITIES = "priorityclasses.scheduling.k8s.io"


class Look(Protocol):
    """Looks at another object as the next writer sees it; never to be changed."""

    def get(self, storage: str, namespace: str, name: str) -> Mapping[str, Any] | None: ...

    def all(self, storage: str) -> Sequence[Mapping[str, Any]]: ...


class Operation(Enum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Admitted:
    """`old` is None on a create. A DELETE has the object that is to go, and its answer is not looked at."""

    operation: Operation
    served: Served
    subresource: str
    namespace: str
    obj: Json
    old: Json | None
    user: User
    look: Look
    rng: Random


Admission: TypeAlias = Callable[[Admitted], Json]


def admit(chain: Sequence[Admission], asked: Admitted) -> Json:
    """The object after the whole chain. Raises StatusError."""
    for link in chain:
        obj = link(asked)
        if obj is not asked.obj:
            asked = Admitted(
                asked.operation,
                asked.served,
                asked.subresource,
                asked.namespace,
                obj,
                asked.old,
                asked.user,
                asked.look,
                asked.rng,
            )
    return asked.obj


def namespace_lifecycle(asked: Admitted) -> Json:
    """Objects live in namespaces that exist; nothing begins in one that ends; some never end."""
    resource = asked.served.resource
    if asked.operation is Operation.DELETE:
        if asked.served.storage == NAMESPACES and metadata(asked.obj)["name"] in IMMORTAL_NAMESPACES:
            raise forbidden(resource, metadata(asked.obj)["name"], "this namespace may not be deleted")
        return asked.obj
    if asked.operation is not Operation.CREATE or not resource.namespaced:
        return asked.obj
    namespace = asked.look.get(NAMESPACES, "", asked.namespace)
    if namespace is None:
        message = f'namespaces "{asked.namespace}" not found'
        raise failure(404, "NotFound", message, {"name": asked.namespace, "kind": NAMESPACES})
    if is_terminating(namespace):
        ends = f"namespace {asked.namespace} is being terminated"
        raise forbidden(
            resource,
            metadata(asked.obj).get("name", ""),
            f"unable to create new content in namespace {asked.namespace} because it is being terminated",
            [{"reason": "NamespaceTerminating", "message": ends, "field": "metadata.namespace"}],
        )
    return asked.obj


def _is_new_pod(asked: Admitted) -> bool:
    return asked.operation is Operation.CREATE and asked.served.storage == PODS and not asked.subresource


def service_account(asked: Admitted) -> Json:
    """A pod runs as a ServiceAccount of its namespace. `default` is not waited for: it comes with the namespace."""
    if not _is_new_pod(asked):
        return asked.obj
    spec = asked.obj.get("spec") or {}
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    if name != "default" and asked.look.get("serviceaccounts", asked.namespace, name) is None:
        raise forbidden(
            asked.served.resource,
            metadata(asked.obj).get("name", ""),
            f'error looking up service account {asked.namespace}/{name}: serviceaccount "{name}" not found',
        )
    spec = {**spec, "serviceAccountName": name, "serviceAccount": name}
    account = asked.look.get("serviceaccounts", asked.namespace, name) or {}
    wanted = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken"))
    return {**asked.obj, "spec": spec if wanted is False else _with_token(spec, asked.rng)}


def _with_token(spec: Json, rng: Random) -> Json:
    """The volume that gives a pod its token, the authority to trust and its namespace, in every container."""
    mounted = [
        container
        for kind in _CONTAINERS
        for container in spec.get(kind) or ()
        if not any(mount.get("mountPath") == _TOKEN_PATH for mount in container.get("volumeMounts") or ())
    ]
    if not mounted:
        return spec
    name = generated_name("kube-api-access-", rng)
    mount = {"name": name, "readOnly": True, "mountPath": _TOKEN_PATH}
    changed = {
        kind: [
            {**container, "volumeMounts": [*(container.get("volumeMounts") or ()), mount]}
            if container in mounted
            else container
            for container in spec[kind]
        ]
        for kind in _CONTAINERS
        if spec.get(kind)
    }
    volume = {"name": name, "projected": {"defaultMode": 420, "sources": _TOKEN_SOURCES}}
    return {**spec, **changed, "volumes": [*(spec.get("volumes") or ()), volume]}


def priority(asked: Admitted) -> Json:
    """A pod's priority is a number that comes from its class, or from the default class."""
    if not _is_new_pod(asked):
        return asked.obj
    resource, name = asked.served.resource, metadata(asked.obj).get("name", "")
    spec = asked.obj.get("spec") or {}
    wanted = spec.get("priorityClassName") or ""
    if wanted:
        found = asked.look.get(_PRIORITIES, "", wanted)
        if found is None:
            raise forbidden(resource, name, f"no PriorityClass with name {wanted} was found")
    else:
        defaults = [one for one in asked.look.all(_PRIORITIES) if one.get("globalDefault")]
        found = min(defaults, key=lambda one: int(one["value"]), default=None)
        wanted = metadata(found)["name"] if found is not None else ""
    value = int(found["value"]) if found is not None else 0
    policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
    for field, right in (("priority", value), ("preemptionPolicy", policy)):
        if field in spec and spec[field] is not None and spec[field] != right:
            why = (
                f"the integer value of priority ({spec[field]}) must not be provided in pod spec; priority admission "
                f"controller computed {right} from the given PriorityClass name"
                if field == "priority"
                else f"the string value of PreemptionPolicy ({spec[field]}) must not be provided in pod spec; priority "
                f"admission controller computed {right} from the given PriorityClass name"
            )
            raise forbidden(resource, name, why)
    named = {"priorityClassName": wanted} if wanted else {}
    return {**asked.obj, "spec": {**spec, **named, "priority": value, "preemptionPolicy": policy}}


def default_tolerations(asked: Admitted) -> Json:
    """Every pod bears an unready or unreachable node for five minutes, unless it says otherwise."""
    if not _is_new_pod(asked):
        return asked.obj
    spec = asked.obj.get("spec") or {}
    tolerations = list(spec.get("tolerations") or ())
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _UNREACHABLE_FOR_S}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        if not any(
            found.get("key", "") in ("", key) and found.get("effect", "") in ("", "NoExecute")
            for found in tolerations
        )
    ]
    return {**asked.obj, "spec": {**spec, "tolerations": [*tolerations, *added]}} if added else asked.obj


BUILT_IN: tuple[Admission, ...] = (namespace_lifecycle, service_account, priority, default_tolerations)
