"""From a grant to the objects that it is, and back: what differs of those that are there. Pure.

In the order in which they are made. Timers come first, the binding last: nothing that lets somebody in is there before what
ends it. A timer is a Job that never has a pod: its controller fails it at the deadline, deletes it at once, and the garbage
collector takes what it owns. One owns the ServiceAccount and the Secret, so that a token dies with it; another, in the namespace
of the grant, owns binding and role there. A grant for all of a cluster has only the first: nothing in a namespace can own what
is in none, so its binding stays, for nobody, until the sentinel comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aliquot.access.cluster.naming import (
    DIGEST,
    ENDS_AT,
    ENDS_BY,
    HOLDER,
    LABEL,
    NAMESPACE,
    TEMPLATE,
    TICKET,
    object_name,
)
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.rules import Rule
from aliquot.access.core.times import MOST_SKEW_S
from aliquot.clock import parse_rfc3339, rfc3339_milli
from aliquot.kube import roles
from aliquot.kube.decoding import JsonObject
from aliquot.kube.resources import JOBS, SECRETS, SERVICEACCOUNTS, Resource

START_WITHIN_S = 15
"""A timer whose controller has not begun to count by then is none."""
END = "its end"
"""The one difference that is put right in place."""

_RBAC = "rbac.authorization.k8s.io"
_TIMER_IMAGE = "no-image.invalid/never-runs"


class Part(StrEnum):
    IDENTITY_TIMER = "identity timer"
    ACCESS_TIMER = "access timer"
    ACCOUNT = "account"
    SECRET = "secret"
    ROLE = "role"
    BINDING = "binding"


TIMERS = (Part.IDENTITY_TIMER, Part.ACCESS_TIMER)


@dataclass(frozen=True, slots=True)
class Piece:
    part: Part
    resource: Resource
    body: JsonObject
    """A timer's is without its deadline, which counts from when it is made."""
    owner: Part | None = None

    @property
    def namespace(self) -> str | None:
        found: str | None = self.body["metadata"].get("namespace")
        return found

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.resource.kind} {place}{self.name}"


def pieces(spec: GrantSpec) -> tuple[Piece, ...]:
    """Raises ValueError for a grant that can be none: in the namespace of grants themselves, or past its own cap."""
    if spec.namespace == NAMESPACE:
        raise ValueError(f"{spec.id} is for namespace {NAMESPACE}, to which nobody gets access: name another")
    if spec.end_s > spec.max_end_s:
        raise ValueError(f"{spec.id} would end after the latest moment that its template allows")
    found = [
        Piece(Part.IDENTITY_TIMER, JOBS, _timer(spec, NAMESPACE)),
        *([Piece(Part.ACCESS_TIMER, JOBS, _timer(spec, spec.namespace))] if spec.namespace else []),
        Piece(
            Part.ACCOUNT,
            SERVICEACCOUNTS,
            _object(spec, SERVICEACCOUNTS, NAMESPACE) | {"automountServiceAccountToken": False},
            Part.IDENTITY_TIMER,
        ),
        Piece(
            Part.SECRET, SECRETS, _object(spec, SECRETS, NAMESPACE) | {"type": "Opaque"}, Part.IDENTITY_TIMER
        ),
    ]
    namespaced = bool(spec.namespace)
    owner = Part.ACCESS_TIMER if namespaced else None
    if not spec.role:
        kind = roles.ROLES if namespaced else roles.CLUSTER_ROLES
        body = _object(spec, kind, spec.namespace) | {"rules": policy_rules(spec.rules)}
        found.append(Piece(Part.ROLE, kind, body, owner))
    kind = roles.ROLE_BINDINGS if namespaced else roles.CLUSTER_ROLE_BINDINGS
    found.append(Piece(Part.BINDING, kind, _object(spec, kind, spec.namespace) | _bound(spec), owner))
    return tuple(found)


def removed(grant: str, namespace: str) -> tuple[tuple[Resource, str | None], ...]:
    """Where a grant's objects may be, all of its name, in the order in which they are taken away."""
    if not namespace:
        return (
            (SECRETS, NAMESPACE),
            (SERVICEACCOUNTS, NAMESPACE),
            (roles.CLUSTER_ROLE_BINDINGS, None),
            (roles.CLUSTER_ROLES, None),
            (JOBS, NAMESPACE),
        )
    return (
        (SECRETS, NAMESPACE),
        (SERVICEACCOUNTS, NAMESPACE),
        (roles.ROLE_BINDINGS, namespace),
        (roles.ROLES, namespace),
        (JOBS, namespace),
        (JOBS, NAMESPACE),
    )


def to_create(piece: Piece, spec: GrantSpec, owner_uid: str, now_s: float) -> JsonObject:
    """What is sent: with its owner, or with a timer's deadline."""
    body = dict(piece.body)
    if piece.part in TIMERS:
        body["spec"] = body["spec"] | {"activeDeadlineSeconds": deadline_s(spec.end_s, now_s)}
    if piece.owner is not None:
        body["metadata"] = body["metadata"] | {"ownerReferences": [_owner(piece.name, owner_uid)]}
    return body


def end_patch(piece: Piece, spec: GrantSpec, found: JsonObject) -> JsonObject:
    """Moves the end of what is there, on condition that it is still as `found`."""
    metadata = found["metadata"]
    patch: JsonObject = {
        "metadata": {
            "resourceVersion": metadata["resourceVersion"],
            "annotations": {ENDS_AT: rfc3339_milli(spec.end_s)},
        }
    }
    if piece.part in TIMERS:
        counted_from_s = parse_rfc3339(_started(found) or metadata["creationTimestamp"])
        patch["spec"] = {"activeDeadlineSeconds": deadline_s(spec.end_s, counted_from_s)}
    return patch


def deadline_s(end_s: float, from_s: float) -> int:
    return max(1, int(end_s - from_s))


def has_started(timer: Mapping[str, Any]) -> bool:
    """Whether its controller counts."""
    return _started(timer) is not None


def differences(piece: Piece, spec: GrantSpec, found: JsonObject, owner_uid: str) -> tuple[str, ...]:
    """In what `found` is not what the grant is to have there; `END` where that alone is another."""
    metadata = found["metadata"]
    wanted = piece.body["metadata"]
    told: list[str] = []
    if metadata.get("deletionTimestamp"):
        told.append("it is being deleted")
    if metadata.get("finalizers"):
        told.append("its finalizers")
    if (metadata.get("labels") or {}).get(LABEL) != spec.id:
        told.append("its label")
    annotations = metadata.get("annotations") or {}
    ours = wanted["annotations"]
    told += [
        f"its annotation {key}"
        for key, value in ours.items()
        if key != ENDS_AT and annotations.get(key) != value
    ]
    owners = [_owner(piece.name, owner_uid)] if piece.owner is not None else []
    if [_plain_owner(one) for one in metadata.get("ownerReferences") or ()] != owners:
        told.append("its owner")
    told += _own_differences(piece, found)
    if annotations.get(ENDS_AT) != ours[ENDS_AT] or (
        piece.part in TIMERS and not _runs_out_at(found, spec.end_s)
    ):
        told.append(END)
    return tuple(told)


def policy_rules(rules: tuple[Rule, ...]) -> list[JsonObject]:
    """As RBAC writes them."""
    return [
        {
            "apiGroups": list(one.api_groups),
            "resources": list(one.resources),
            "verbs": list(one.verbs),
            **({"resourceNames": list(one.resource_names)} if one.resource_names else {}),
        }
        for one in rules
    ]


def read_rules(found: Mapping[str, Any]) -> tuple[Rule, ...] | None:
    """Of a Role or ClusterRole that is there; None where it has something that no rule of ours says."""
    read = []
    for one in found.get("rules") or ():
        if one.get("nonResourceURLs"):
            return None
        read.append(
            Rule(
                tuple(one.get("apiGroups") or ()),
                tuple(one.get("resources") or ()),
                tuple(one.get("verbs") or ()),
                tuple(one.get("resourceNames") or ()),
            )
        )
    return tuple(read)


def subject(grant: str) -> JsonObject:
    return {"kind": "ServiceAccount", "name": object_name(grant), "namespace": NAMESPACE}


def _object(spec: GrantSpec, resource: Resource, namespace: str) -> JsonObject:
    metadata: JsonObject = {
        "name": object_name(spec.id),
        **({"namespace": namespace} if namespace else {}),
        "labels": {LABEL: spec.id},
        "annotations": {
            ENDS_AT: rfc3339_milli(spec.end_s),
            ENDS_BY: rfc3339_milli(spec.max_end_s),
            TEMPLATE: spec.template,
            HOLDER: str(spec.holder),
            DIGEST: spec.digest,
            **({TICKET: spec.ticket} if spec.ticket else {}),
        },
    }
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def _timer(spec: GrantSpec, namespace: str) -> JsonObject:
    # A pod's template is required; with a parallelism of 0 nothing is ever made of it, and no node selector would let it run.
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [{"name": "none", "image": _TIMER_IMAGE}],
    }
    return _object(spec, JOBS, namespace) | {
        "spec": {
            "parallelism": 0,
            "completions": 1,
            "ttlSecondsAfterFinished": 0,
            "template": {"metadata": {"labels": {LABEL: spec.id}}, "spec": pod},
        }
    }


def _bound(spec: GrantSpec) -> JsonObject:
    own = "Role" if spec.namespace else "ClusterRole"
    role = {
        "apiGroup": _RBAC,
        "kind": "ClusterRole" if spec.role else own,
        "name": spec.role or object_name(spec.id),
    }
    return {"roleRef": role, "subjects": [subject(spec.id)]}


def _owner(name: str, uid: str) -> JsonObject:
    return {"apiVersion": JOBS.api_version, "kind": JOBS.kind, "name": name, "uid": uid}


def _plain_owner(reference: Mapping[str, Any]) -> JsonObject:
    # Whether the owner waits for it decides nothing: it goes in either case.
    return {key: reference.get(key, "") for key in ("apiVersion", "kind", "name", "uid")}


def _started(timer: Mapping[str, Any]) -> str | None:
    found = (timer.get("status") or {}).get("startTime")
    return found if isinstance(found, str) else None


def _runs_out_at(timer: JsonObject, end_s: float) -> bool:
    deadline = timer["spec"].get("activeDeadlineSeconds")
    if not isinstance(deadline, int):
        return False
    begun_s = parse_rfc3339(_started(timer) or timer["metadata"]["creationTimestamp"])
    late_s = begun_s + deadline - end_s
    return -(START_WITHIN_S + MOST_SKEW_S) <= late_s <= START_WITHIN_S + MOST_SKEW_S


def _own_differences(piece: Piece, found: JsonObject) -> list[str]:
    match piece.part:
        case Part.IDENTITY_TIMER | Part.ACCESS_TIMER:
            return _timer_differences(found)
        case Part.ACCOUNT:
            return ["it has secrets"] if found.get("secrets") else []
        case Part.SECRET:
            return [
                told
                for told, wrong in (
                    ("its type", found.get("type") != "Opaque"),
                    ("it has data", bool(found.get("data"))),
                )
                if wrong
            ]
        case Part.ROLE:
            return [] if found.get("rules") == piece.body["rules"] else ["its rules"]
        case Part.BINDING:
            told = [] if found["roleRef"] == piece.body["roleRef"] else ["its role"]
            subjects = [
                {key: value for key, value in one.items() if value} for one in found.get("subjects") or ()
            ]
            return told if subjects == piece.body["subjects"] else [*told, "its subjects"]


def _timer_differences(found: JsonObject) -> list[str]:
    spec = found["spec"]
    shape = (
        spec.get("parallelism") == 0,
        spec.get("completions") == 1,
        spec.get("ttlSecondsAfterFinished") == 0,
        not spec.get("suspend"),
        not spec.get("managedBy"),
    )
    ended = any(
        one.get("type") in ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")
        and one.get("status") == "True"
        for one in (found.get("status") or {}).get("conditions") or ()
    )
    told = [] if all(shape) else ["it is no timer"]
    return [*told, "it has run out"] if ended else told
