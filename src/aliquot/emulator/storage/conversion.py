"""One object in the forms of several versions: how it is stored, and how a version shows it.

Events are stored in their core/v1 form and shown in that of events.k8s.io too, whose fields have other names.
Other built-in kinds are stored in the version that discovery prefers; but for device claims
and autoscalers, versions differ in their
names alone as long as they have the same fields.
Custom resources are converted as `strategy: None` does: by their apiVersion alone. A version shows what is stored as
its schema would have read it, though another version or an older schema let it in: without fields that it does not
know, with its defaults.
"""

from typing import Any

from aliquot.emulator.kinds import autoscalers, device_claims
from aliquot.emulator.registry import Served

Json = dict[str, Any]

# events.k8s.io/v1 -> v1
_EVENT_FIELDS = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_CORE_FIELDS = {core: own for own, core in _EVENT_FIELDS.items()}


def to_stored(served: Served, obj: Json) -> Json:
    """`obj`, in the form of `served`'s version, as it is stored."""
    if served.storage == "events" and not served.native:
        obj = {_EVENT_FIELDS.get(key, key): value for key, value in obj.items()}
    return _converted(served, obj, served.storage_api_version)


def from_stored(served: Served, obj: Json) -> Json:
    """A stored object in the form of `served`'s version."""
    if served.native and obj["apiVersion"] == served.resource.api_version:
        return obj
    if served.crd is not None:
        decoded, _ = served.schema.decode({**obj, "apiVersion": served.resource.api_version})
        return served.schema.default(decoded)
    if served.storage == "events":
        obj = {_CORE_FIELDS.get(key, key): value for key, value in obj.items()}
    return _converted(served, obj, served.resource.api_version)


def _converted(served: Served, obj: Json, api_version: str) -> Json:
    if obj["apiVersion"] == api_version:
        return obj
    if served.resource.group == device_claims.GROUP:
        return device_claims.converted(obj, api_version)
    if served.resource.group == autoscalers.GROUP:
        return autoscalers.converted(obj, api_version)
    return {**obj, "apiVersion": api_version}
