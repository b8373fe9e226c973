"""Refusals in Kubernetes' words: requests that are forbidden, and roles or bindings that would escalate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.emulator.rbac.authorizer import MASTERS, Authorizer, RoleMissing
from aliquot.emulator.rbac.rules import Attributes, Rule, User, go_list, missing

GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Parts of the Status to answer; `details` are its `name`, `group` and `kind` (the plural resource)."""

    code: int
    reason: str
    message: str
    details: Mapping[str, str]


def forbidden(user: User, asked: Attributes, reason: str = "") -> Refusal:
    """The answer to a request that `Authorizer.authorize` did not allow; `reason` is its reason."""
    what = _cannot(user, asked)
    return _forbidden(asked.group, asked.resource, asked.name, f"{what}: {reason}" if reason else what)


def _cannot(user: User, asked: Attributes) -> str:
    if not asked.resource:
        return f'User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    return f'User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" in API group "{asked.group}" {where}'


def _forbidden(group: str, resource: str, name: str, cause: str) -> Refusal:
    qualified = f"{resource}.{group}" if group else resource
    if not resource:
        message = f"forbidden: {cause}"
    elif not name:
        message = f"{qualified} is forbidden: {cause}"
    else:
        message = f'{qualified} "{name}" is forbidden: {cause}'
    details = {key: value for key, value in (("name", name), ("group", group), ("kind", resource)) if value}
    return Refusal(403, "Forbidden", message, details)


def escalation(
    authorizer: Authorizer, user: User, obj: Mapping[str, Any], old: Mapping[str, Any] | None = None
) -> Refusal | None:
    """Would writing this Role, ClusterRole, RoleBinding or ClusterRoleBinding give out rights the user lacks?

    `old` is the stored object on an update. None when the write is in order; to be asked after `authorize`.
    """
    if MASTERS in user.groups or (old is not None and _only_garbage_collection_fields(obj, old)):
        return None
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    if "roleRef" in obj:
        return _binding_escalation(authorizer, user, obj, namespace)
    resource = "roles" if namespace else "clusterroles"
    if old is not None and old.get("rules") == obj.get("rules") and not obj.get("aggregationRule"):
        return None
    asked = Attributes(
        verb="escalate",
        group=GROUP,
        version="v1",
        resource=resource,
        namespace=namespace,
        name=metadata.get("name", ""),
    )
    if authorizer.authorize(user, asked).allowed:
        return None
    wanted = [Rule.of(rule) for rule in obj.get("rules") or ()]
    if obj.get("aggregationRule") and (old is None or old.get("aggregationRule") != obj["aggregationRule"]):
        wanted += [Rule(("*",), ("*",), ("*",)), Rule(("*",), urls=("*",))]
    return _not_held(authorizer, user, wanted, resource, metadata.get("name", ""), namespace)


def _binding_escalation(
    authorizer: Authorizer, user: User, binding: Mapping[str, Any], namespace: str
) -> Refusal | None:
    role_ref = binding["roleRef"]
    role_resource = "clusterroles" if role_ref.get("kind") == "ClusterRole" else "roles"
    bind = Attributes(
        verb="bind",
        group=GROUP,
        version="v1",
        resource=role_resource,
        namespace=namespace,
        name=role_ref.get("name", ""),
    )
    if authorizer.authorize(user, bind).allowed:
        return None
    try:
        wanted = authorizer.role_rules(role_ref, namespace)
    except RoleMissing as absent:
        message = f'{role_resource}.{GROUP} "{absent.name}" not found'
        return Refusal(404, "NotFound", message, {"name": absent.name, "group": GROUP, "kind": role_resource})
    resource = "rolebindings" if namespace else "clusterrolebindings"
    return _not_held(authorizer, user, wanted, resource, binding["metadata"].get("name", ""), namespace)


def _not_held(
    authorizer: Authorizer,
    user: User,
    wanted: Sequence[Rule],
    resource: str,
    name: str,
    namespace: str,
) -> Refusal | None:
    held, errors = authorizer.rules(user, namespace)
    lacking = missing(held, wanted)
    if not lacking:
        return None
    listed = "\n".join(sorted(str(rule) for rule in lacking))
    cause = (
        f'user "{user.name}" (groups={go_list(user.groups)}) is attempting to grant RBAC permissions not currently '
        f"held:\n{listed}"
    )
    if errors:
        cause += f"; resolution errors: [{' '.join(errors)}]"
    return _forbidden(GROUP, resource, name, cause)


def _only_garbage_collection_fields(obj: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    return _without_bookkeeping(obj) == _without_bookkeeping(old)


def _without_bookkeeping(obj: Mapping[str, Any]) -> dict[str, Any]:
    ignored = ("ownerReferences", "finalizers", "managedFields", "resourceVersion")
    metadata = {key: value for key, value in obj["metadata"].items() if key not in ignored}
    return {**obj, "metadata": metadata}
