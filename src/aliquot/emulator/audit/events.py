"""Audit events (audit.k8s.io/v1 Event), as they are written: one line of JSON each. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aliquot.emulator.http.request import Request
from aliquot.emulator.rbac import User

_LONGEST_USER_AGENT = 1024


class UserInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}

    @classmethod
    def of(cls, user: User | None) -> "UserInfo":
        return cls(user.name, user.uid, user.groups, dict(user.extra)) if user is not None else cls()


class ObjectReference(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    resource: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_group: str = ""
    api_version: str = ""
    resource_version: str = ""
    subresource: str = ""


class Event(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    level: str
    audit_id: str = msgspec.field(name="auditID")
    stage: str
    request_uri: str = msgspec.field(name="requestURI")
    verb: str
    user: UserInfo
    request_received_timestamp: str
    stage_timestamp: str
    impersonated_user: UserInfo | None = None
    source_ips: tuple[str, ...] = msgspec.field(default=(), name="sourceIPs")
    user_agent: str = ""
    object_ref: ObjectReference | None = None
    response_status: Mapping[str, Any] | None = None
    request_object: Any = None
    response_object: Any = None
    annotations: Mapping[str, str] = {}


_HEAD = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",'


def encode(event: Event) -> bytes:
    return _HEAD + msgspec.json.encode(event)[1:]


def event_list(events: Sequence[bytes]) -> bytes:
    """What a collector is sent."""
    return b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[%s]}' % b",".join(
        events
    )


def object_reference(request: Request, sent: Mapping[str, Any]) -> ObjectReference | None:
    """`sent` is the metadata of the object in the request's body. None for a request that is about no resource."""
    if not request.plural:
        return None
    return ObjectReference(
        resource=request.plural,
        namespace=request.namespace or _text(sent, "namespace"),
        name=request.name or _text(sent, "name"),
        uid=_text(sent, "uid"),
        api_group=request.group,
        api_version=request.version,
        resource_version=_text(sent, "resourceVersion"),
        subresource=request.subresource,
    )


def _text(metadata: Mapping[str, Any], name: str) -> str:
    found = metadata.get(name)
    return found if isinstance(found, str) else ""


def response_status(code: int, status: Mapping[str, Any] | None) -> dict[str, Any]:
    """`status` is the answer, where that is a Status."""
    told: dict[str, Any] = {"metadata": {}}
    if status is not None:
        told |= {
            name: status[name] for name in ("status", "message", "reason", "details") if status.get(name)
        }
    return told | {"code": code}


def user_agent(sent: str) -> str:
    return sent if len(sent) <= _LONGEST_USER_AGENT else f"{sent[:_LONGEST_USER_AGENT]}...TRUNCATED"


def without_managed_fields(value: Any) -> Any:
    """Of an object, of the items of a list, of the rows of a table."""
    if not isinstance(value, dict):
        return value
    found = dict(value)
    if isinstance(found.get("metadata"), dict):
        found["metadata"] = {key: one for key, one in found["metadata"].items() if key != "managedFields"}
    if isinstance(found.get("items"), list):
        found["items"] = [without_managed_fields(item) for item in found["items"]]
    if isinstance(found.get("rows"), list):
        found["rows"] = [
            {**row, "object": without_managed_fields(row["object"])} if "object" in row else row
            for row in found["rows"]
        ]
    return found
