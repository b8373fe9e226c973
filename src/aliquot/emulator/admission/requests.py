"""An operation as an AdmissionRequest: what webhooks are sent, and the `request` of CEL expressions."""

from typing import Any

from aliquot.emulator.admission.matching import namespace_of
from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.objects import Json
from aliquot.emulator.registry import Served
from aliquot.emulator.schema.definitions import GroupVersionKind
from aliquot.emulator.storage.conversion import from_stored, to_stored

_OPTIONS = {Operation.CREATE: "CreateOptions", Operation.UPDATE: "UpdateOptions"}
_PASSED_ON = ("fieldManager", "fieldValidation")


def kind_as(asked: Admitted, served: Served) -> GroupVersionKind:
    """The kind of the operation's body in `served`'s version: another only where the body is the object itself."""
    if is_whole(asked):
        return served.resource.group, served.resource.version, served.resource.kind
    return asked.kind


def is_whole(asked: Admitted) -> bool:
    """The body is the object itself, not one that stands for a part of it or for an action."""
    resource = asked.served.resource
    return asked.kind == (resource.group, resource.version, resource.kind)


def request(asked: Admitted, served: Served) -> Json:
    """Without uid, object and oldObject. `served` is the version in which it is told."""
    resource, own = served.resource, asked.served.resource
    user = asked.user
    description: Json = {
        "kind": _kind(kind_as(asked, served)),
        "resource": _resource(resource.group, resource.version, resource.plural),
        "requestKind": _kind(asked.kind),
        "requestResource": _resource(own.group, own.version, own.plural),
        "operation": asked.operation.value,
        "userInfo": {
            "username": user.name,
            **({"uid": user.uid} if user.uid else {}),
            "groups": list(user.groups),
            **({"extra": {key: list(values) for key, values in user.extra.items()}} if user.extra else {}),
        },
        "dryRun": asked.dry_run,
        "options": options(asked),
    }
    if asked.subresource:
        description |= {"subResource": asked.subresource, "requestSubResource": asked.subresource}
    if asked.name:
        description["name"] = asked.name
    if namespace := namespace_of(asked):
        description["namespace"] = namespace
    return description


def told(asked: Admitted, served: Served, obj: Json | None) -> Json | None:
    """The body in the version in which a webhook or a policy wants to be told of it."""
    if obj is None or served is asked.served or not is_whole(asked):
        return obj
    return from_stored(served, to_stored(asked.served, obj))


def untold(asked: Admitted, served: Served, obj: Json) -> Json:
    """A body in such a version, in that of the request."""
    if served is asked.served or not is_whole(asked):
        return obj
    return from_stored(asked.served, to_stored(served, obj))


def options(asked: Admitted) -> dict[str, Any] | None:
    """CreateOptions, UpdateOptions or DeleteOptions; a patch has those of what it comes to."""
    if asked.options is not None:
        return dict(asked.options)
    kind = _OPTIONS.get(asked.operation)
    if kind is None:
        return None
    found: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if asked.dry_run:
        found["dryRun"] = ["All"]
    query = asked.call.request.query
    return found | {name: query.text(name) for name in _PASSED_ON if query.text(name)}


def _kind(kind: GroupVersionKind) -> Json:
    return dict(zip(("group", "version", "kind"), kind, strict=True))


def _resource(group: str, version: str, plural: str) -> Json:
    return {"group": group, "version": version, "resource": plural}
