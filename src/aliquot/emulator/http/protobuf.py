"""Reads the Kubernetes protobuf bodies that kubectl's typed commands and helm send. JSON goes back to them.

A body is `k8s\\0` and a runtime.Unknown, which names the object's type and holds its bytes. What the numbers of
the fields mean is package data (`proto-fields.json.gz`, see `schema/build_definitions.py`). Protobuf leaves out
what JSON would show and shows what JSON would leave out: Go writes every field that is no pointer, empty or not.
So an empty value counts as unset here, save for fields that Go holds by pointer, where empty means empty.
"""

import base64
import gzip
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from aliquot.clock import spelled_rfc3339
from aliquot.emulator.http import json_body

MAGIC = b"k8s\0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MACHINERY = "k8s.io.apimachinery.pkg"
_UNKNOWN = f"{_MACHINERY}.runtime.Unknown"

# Kinds that every group has, and that are defined once.
_META = frozenset({"DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "Status", "WatchEvent"})

# Parts that are messages of their own in protobuf and stand in their parent in JSON.
_INLINED = frozenset(
    {
        "deviceConfiguration",
        "ephemeralContainerCommon",
        "handler",
        "ingressRuleValue",
        "localObjectReference",
        "persistentVolumeSource",
        "probeHandler",
        "rule",
        "ruleWithOperations",
        "volumeSource",
    }
)

# Scalars that Go holds by pointer: `replicas: 0` is an order, `hostPort: 0` is nothing.
_POINTERS = frozenset(
    {
        "activeDeadlineSeconds",
        "adminAccess",
        "allocateLoadBalancerNodePorts",
        "allowPrivilegeEscalation",
        "allowVolumeExpansion",
        "attachRequired",
        "automountServiceAccountToken",
        "backoffLimit",
        "backoffLimitPerIndex",
        "blockOwnerDeletion",
        "completions",
        "controller",
        "defaultMode",
        "deletionGracePeriodSeconds",
        "enableServiceLinks",
        "failedJobsHistoryLimit",
        "fsGroup",
        "gracePeriodSeconds",
        "holderIdentity",
        "hostUsers",
        "immutable",
        "leaseTransitions",
        "manualSelector",
        "maxFailedIndexes",
        "maxSurge",
        "maxUnavailable",
        "minAvailable",
        "minReplicas",
        "mode",
        "optional",
        "orphanDependents",
        "parallelism",
        "partition",
        "podInfoOnMount",
        "priority",
        "privileged",
        "progressDeadlineSeconds",
        "readOnlyRootFilesystem",
        "ready",
        "replicas",
        "revisionHistoryLimit",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "serving",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "started",
        "startingDeadlineSeconds",
        "storageClassName",
        "successfulJobsHistoryLimit",
        "suspend",
        "terminating",
        "terminationGracePeriodSeconds",
        "tolerationSeconds",
        "ttlSecondsAfterFinished",
    }
)
# Structs that Go holds by value and so always writes; empty they say nothing that a default would not.
_VALUES = frozenset(
    {
        "loadBalancer",
        "metadata",
        "resources",
        "spec",
        "status",
        "strategy",
        "template",
        "updateStrategy",
        "userInfo",
    }
)

Fields = Mapping[str, tuple[str, str, Any]]


class ProtobufError(ValueError):
    """A body that is no Kubernetes protobuf message: 400 BadRequest with this text."""


@cache
def _messages() -> Mapping[str, Fields]:
    file = resources.files("aliquot.emulator") / "data" / "proto-fields.json.gz"
    messages: Mapping[str, Fields] = msgspec.json.decode(gzip.decompress(file.read_bytes()))
    return messages


def decode(body: bytes) -> dict[str, Any]:
    """The object in a `k8s\\0` body as JSON, apiVersion and kind included. Raises ProtobufError."""
    if not body.startswith(MAGIC):
        raise ProtobufError("the body does not start with the protobuf prefix k8s\\x00")
    try:
        return _decode(body[len(MAGIC) :])
    except ProtobufError:
        raise
    except (ValueError, OverflowError, struct.error) as error:
        raise ProtobufError(f"malformed protobuf: {error}") from None


def _decode(body: bytes) -> dict[str, Any]:
    envelope = _message(body, _UNKNOWN)
    kind_of = envelope.get("typeMeta") or {}
    api_version, kind = kind_of.get("apiVersion", ""), kind_of.get("kind", "")
    if not api_version or not kind:
        raise ProtobufError("the protobuf body does not say its apiVersion and kind")
    raw = base64.b64decode(envelope.get("raw", ""))
    obj = _message(raw, _message_name(api_version, kind))
    return {"apiVersion": api_version, "kind": kind, **obj}


def _message_name(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    name = f"k8s.io.api.{group.partition('.')[0] or 'core'}.{version}.{kind}"
    if kind in _META:
        name = f"{_MACHINERY}.apis.meta.v1.{kind}"
    if name not in _messages():
        raise ProtobufError(f"no protobuf message is known for {api_version}, Kind={kind}")
    return name


# --- the wire ---


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ProtobufError("malformed protobuf: it ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
        shift += 7
        if shift > 63:
            raise ProtobufError("malformed protobuf: a number is longer than 64 bits")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, its bytes or number) in order of the wire."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise ProtobufError("malformed protobuf: a field has number 0")
        if wire_type == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire_type == 2:
            size, at = _varint(data, at)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ProtobufError(f"malformed protobuf: wire type {wire_type} is not in use")
        if at + size > len(data):
            raise ProtobufError("malformed protobuf: it ends inside a field")
        yield number, data[at : at + size]
        at += size


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


# --- messages ---


def _message(data: bytes, name: str) -> dict[str, Any]:
    fields = _messages().get(name)
    if fields is None:
        raise ProtobufError(f"no protobuf message is known by the name {name}")
    out: dict[str, Any] = {}
    for number, raw in _fields(data):
        field = fields.get(str(number))
        if field is None:
            continue  # a field of a newer Kubernetes
        key, kind, more = field
        if kind == "map":
            entry_key, value = _map_entry(raw, more)
            out.setdefault(key, {})[entry_key] = value
        elif more:
            out.setdefault(key, []).extend(_repeated(raw, kind))
        else:
            value = _value(raw, kind)
            if key in _INLINED and isinstance(value, dict):
                out |= value
            else:
                out[key] = value
    pointers: frozenset[str] = frozenset() if name.endswith("Status") else _POINTERS
    return {key: value for key, value in out.items() if not _unset(key, value, pointers)}


def _unset(key: str, value: Any, pointers: frozenset[str]) -> bool:
    if value is None:
        return True
    if isinstance(value, dict):
        return not value and key in _VALUES
    return not value and key not in pointers


def _repeated(raw: int | bytes, kind: str) -> list[Any]:
    if kind in ("i", "?") and isinstance(raw, bytes):  # packed
        values = []
        at = 0
        while at < len(raw):
            number, at = _varint(raw, at)
            values.append(bool(number) if kind == "?" else _signed(number))
        return values
    return [_value(raw, kind)]


def _map_entry(raw: int | bytes, kind: str) -> tuple[str, Any]:
    key, value = "", _EMPTY.get(kind)
    for number, part in _fields(_bytes(raw)):
        if number == 1:
            key = _text(part)
        elif number == 2:
            value = _value(part, kind)
    return key, {} if value is None else value


_EMPTY: Mapping[str, Any] = {"s": "", "b": "", "i": 0, "?": False, "d": 0.0}


def _value(raw: int | bytes, kind: str) -> Any:
    match kind:
        case "s":
            return _text(raw)
        case "b":
            return base64.b64encode(_bytes(raw)).decode()
        case "?":
            return bool(_number(raw))
        case "i":
            return _signed(_number(raw))
        case "d" | "f":
            data = _bytes(raw)
            return struct.unpack("<d" if len(data) == 8 else "<f", data)[0]
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(_bytes(raw))
    value = _message(_bytes(raw), kind)
    if (
        set(_messages()[kind]) == {"1"}
        and _messages()[kind]["1"][0] == "items"
        and kind.endswith(_LIST_TYPES)
    ):
        return value.get("items", [])
    return value


_LIST_TYPES = ("ExtraValue", "Verbs")  # named list types, which protobuf can only say as messages


def _bytes(raw: int | bytes) -> bytes:
    if isinstance(raw, int):
        raise ProtobufError("malformed protobuf: a number stands where bytes should")
    return raw


def _number(raw: int | bytes) -> int:
    if isinstance(raw, bytes):
        raise ProtobufError("malformed protobuf: bytes stand where a number should")
    return raw


def _text(raw: int | bytes) -> str:
    try:
        return _bytes(raw).decode()
    except UnicodeDecodeError:
        raise ProtobufError("malformed protobuf: a string is not UTF-8") from None


# --- types that JSON writes in their own way ---


def _parts(data: bytes) -> dict[int, int | bytes]:
    return dict(_fields(data))


def _quantity(data: bytes) -> str:
    return _text(_parts(data).get(1, b"")) or "0"


def _moment(data: bytes) -> datetime | None:
    parts = _parts(data)
    if not parts:
        return None
    seconds, nanos = _signed(_number(parts.get(1, 0))), _signed(_number(parts.get(2, 0)))
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        return None  # Go's zero time is year 1, and anything beyond is no time at all


def _time(data: bytes) -> str | None:
    moment = _moment(data)
    return None if moment is None or moment.year <= 1 else spelled_rfc3339(moment, micro=False)


def _micro_time(data: bytes) -> str | None:
    moment = _moment(data)
    return None if moment is None or moment.year <= 1 else spelled_rfc3339(moment, micro=True)


def _int_or_string(data: bytes) -> int | str:
    parts = _parts(data)
    if _number(parts.get(1, 0)) == 1:
        return _text(parts.get(3, b""))
    return _signed(_number(parts.get(2, 0)))


def _raw_json(data: bytes) -> Any:
    raw = _bytes(_parts(data).get(1, b""))
    if not raw:
        return None
    try:
        return json_body.decode(raw)
    except json_body.BodyError as error:
        raise ProtobufError(f"malformed protobuf: an embedded object is not JSON: {error}") from None


_SPECIAL: Mapping[str, Callable[[bytes], Any]] = {
    f"{_MACHINERY}.api.resource.Quantity": _quantity,
    f"{_MACHINERY}.apis.meta.v1.Time": _time,
    f"{_MACHINERY}.apis.meta.v1.MicroTime": _micro_time,
    f"{_MACHINERY}.util.intstr.IntOrString": _int_or_string,
    f"{_MACHINERY}.apis.meta.v1.FieldsV1": _raw_json,
    f"{_MACHINERY}.runtime.RawExtension": _raw_json,
}
