"""The objects of grants, wherever they are: who may write them, and as what."""

from collections.abc import Sequence
from typing import Any

from aliquot.access.cluster.naming import ENDS_AT, ENDS_BY, ID_PATTERN, NAMESPACE, PREFIX, account_user
from aliquot.access.cluster.policies.words import (
    BINDINGS,
    CONCERNS_OURS,
    ID,
    IS_AGENT,
    OWNERS,
    RBAC,
    ROLES,
    TIMER_OWNS,
    USER,
    is_ours,
    policy,
    rules,
)

_WRITES = ("CREATE", "UPDATE")
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z$"
_SLACK_S = 20
"""Between an object's creation and what was reckoned just before it."""
_CREATING = "request.operation == 'CREATE'"
_PARTS = ("spec", "rules", "roleRef", "subjects", "data", "type", "aggregationRule", "secrets")
_MARKS = ("labels", "annotations", "ownerReferences")


def _annotation(which: str, key: str) -> str:
    return f"{which}.metadata.?annotations[?'{key}'].orValue('')"


def _same(*fields: str) -> str:
    # Untyped: some of the kinds have some of them, and the API server warns of what one has not.
    return " && ".join(f"dyn(object).?{one} == dyn(oldObject).?{one}" for one in fields)


def marks(longest_s: int) -> dict[str, Any]:
    """Name, label, end. Who is not the agent may only let go what is being deleted, as the garbage collector does."""
    finalizers = "metadata.?finalizers.orValue([])"
    winding_up = (
        "oldObject != null && oldObject.metadata.?deletionTimestamp.hasValue() && "
        f"{_same(*_PARTS)} && {' && '.join(f'object.metadata.?{one} == oldObject.metadata.?{one}' for one in _MARKS)} && "
        f"object.{finalizers}.all(one, one in oldObject.{finalizers})"
    )
    at, by = _annotation("object", ENDS_AT), _annotation("object", ENDS_BY)
    readable = f"{at}.matches('{_MOMENT}') && {by}.matches('{_MOMENT}')"
    created = "timestamp(object.metadata.creationTimestamp)"
    return policy(
        "marks",
        [
            rules(RBAC, (*BINDINGS, *ROLES), *_WRITES),
            rules("batch", ["jobs"], *_WRITES),
            rules("", ["serviceaccounts", "secrets"], *_WRITES),
        ],
        CONCERNS_OURS,
        [
            (
                f"{IS_AGENT} || variables.windingUp",
                "objects of break-glass grants are made and changed by Aliquot's agent alone",
            ),
            (
                f"variables.windingUp || (variables.id.matches('^{ID_PATTERN}$') && "
                f"object.metadata.name == '{PREFIX}' + variables.id)",
                "name and label have to say the same grant",
            ),
            (
                f"variables.windingUp || ({readable} && timestamp({at}) <= timestamp({by}) && "
                f"timestamp({at}) > {created} && timestamp({by}) <= {created} + duration('{longest_s + _SLACK_S}s'))",
                f"annotations {ENDS_AT} and {ENDS_BY} have to be there, after the creation and within its cap",
            ),
            (
                f"variables.windingUp || {_CREATING} || (object.metadata.labels == oldObject.metadata.labels && "
                f"{by} == {_annotation('oldObject', ENDS_BY)} && "
                "object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences && "
                f"{_same('roleRef', 'subjects', 'rules', 'type', 'data', 'secrets')})",
                "of a grant's object nothing but its end changes",
            ),
            (
                f"variables.windingUp || object.{finalizers}.size() == 0",
                "no finalizer may hold a grant's object",
            ),
        ],
        {"id": ID, "windingUp": f"!({_CREATING}) && {winding_up}"},
    )


def bindings(template_roles: Sequence[str]) -> dict[str, Any]:
    """Ours are to one account alone, of roles that are known; and nobody else's are to accounts of ours."""
    group = f"system:serviceaccounts:{NAMESPACE}"
    subjects = "object.?subjects.orValue([])"
    names_ours = (
        f"({subjects}.exists(s, (s.kind == 'ServiceAccount' && s.?namespace.orValue('') == '{NAMESPACE}') || "
        f"(s.kind == 'Group' && s.name == '{group}') || (s.kind == 'User' && s.name.startsWith('{account_user('')}'))))"
    )
    known = ", ".join(f"'{one}'" for one in template_roles)
    own = (
        "object.roleRef.name == object.metadata.name && "
        "object.roleRef.kind == (request.resource.resource == 'rolebindings' ? 'Role' : 'ClusterRole')"
    )
    return policy(
        "bindings",
        [rules(RBAC, BINDINGS, *_WRITES)],
        f"{is_ours('object')} || {names_ours}",
        [
            (
                is_ours("object"),
                f"accounts in namespace {NAMESPACE} are bound by grants alone",
            ),
            (
                f"{subjects}.size() == 1 && {subjects}[0].kind == 'ServiceAccount' && {subjects}[0].name == "
                f"object.metadata.name && {subjects}[0].?namespace.orValue('') == '{NAMESPACE}'",
                "a grant is bound to its own ServiceAccount and to nothing else",
            ),
            (
                f"(object.roleRef.kind == 'ClusterRole' && object.roleRef.name in [{known}]) || ({own})",
                "a grant is bound to a template's ClusterRole, or to the role that was made for it",
            ),
            (
                f"request.resource.resource == 'clusterrolebindings' ? {OWNERS}.size() == 0 : ({TIMER_OWNS})",
                "a grant's RoleBinding is owned by its timer, and by nothing else",
            ),
        ],
    )


def own_roles() -> dict[str, Any]:
    """Made for one grant: what is listed, never everything."""
    lists = " && ".join(f"!('*' in r.?{one}.orValue([]))" for one in ("verbs", "resources", "apiGroups"))
    risky = "['escalate', 'bind', 'impersonate']"
    return policy(
        "roles",
        [rules(RBAC, ROLES, *_WRITES)],
        is_ours("object"),
        [
            (
                f"has(object.rules) && dyn(object.rules) != null && object.rules.size() > 0 && object.rules.all(r, {lists} && "
                f"!r.?nonResourceURLs.hasValue() && !r.verbs.exists(v, v in {risky}))",
                "a grant's own role lists what it allows, and never the right to give rights",
            ),
            ("!dyn(object).?aggregationRule.hasValue()", "a grant's own role is not made of others"),
            (
                f"request.resource.resource == 'clusterroles' ? {OWNERS}.size() == 0 : ({TIMER_OWNS})",
                "a grant's Role is owned by its timer, and by nothing else",
            ),
        ],
    )


def timers() -> dict[str, Any]:
    """A Job that never has a pod, and runs out when the grant does. Its deadline may be moved, with the end."""
    ends = f"timestamp({_annotation('object', ENDS_AT)})"
    created = "timestamp(object.metadata.creationTimestamp)"
    span = f"{ends} - {created}"
    deadline = "duration(string(object.spec.activeDeadlineSeconds) + 's')"
    return policy(
        "timers",
        [rules("batch", ["jobs"], *_WRITES)],
        is_ours("object"),
        [
            (
                "object.spec.?parallelism.orValue(1) == 0 && object.spec.?completions.orValue(0) == 1 && "
                "object.spec.?ttlSecondsAfterFinished.orValue(1) == 0 && !object.spec.?suspend.orValue(false) && "
                "!object.spec.?managedBy.hasValue()",
                "a grant's Job has no pods, is not suspended, and goes as soon as it has run out",
            ),
            (
                f"object.spec.?activeDeadlineSeconds.hasValue() && {deadline} <= {span} + duration('{_SLACK_S}s')",
                "a grant's Job has run out by the grant's end",
            ),
            (f"{OWNERS}.size() == 0", "a grant's Job is owned by nobody"),
        ],
    )


def timer_status(controllers: Sequence[str]) -> dict[str, Any]:
    """Whoever could say that a timer began later would have it run longer."""
    allowed = ", ".join(f"'{one}'" for one in controllers)
    return policy(
        "timer-status",
        [rules("batch", ["jobs/status"], "UPDATE")],
        is_ours("oldObject"),
        [(f"{USER} in [{allowed}]", "how a grant's Job is, Kubernetes' Job controller says alone")],
    )


def deletions() -> dict[str, Any]:
    """Anybody who may delete a grant's Job ends the grant; but a Job that goes alone would leave the binding for ever."""
    told = "request.options.?propagationPolicy.orValue('')"
    return policy(
        "deletions",
        [rules("batch", ["jobs"], "DELETE")],
        is_ours("oldObject"),
        [
            (
                f"request.?options.hasValue() && {told} in ['Background', 'Foreground']",
                "a grant's Job is deleted with all that it owns: say propagationPolicy Background or Foreground",
            )
        ],
    )
