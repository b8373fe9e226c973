import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.emulator.http import protobuf
from aliquot.emulator.http.protobuf import MAGIC, ProtobufError, decode

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    body = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(body)) + body


def body(api_version: str, kind: str, *fields: bytes) -> bytes:
    type_meta = field(1, api_version) + field(2, kind)
    return MAGIC + field(1, type_meta) + field(2, b"".join(fields)) + field(3, "") + field(4, "")


def meta(name: str) -> bytes:
    """As Go writes it: what is not set stands there empty, creationTimestamp too."""
    empty = b"".join(field(number, "") for number in (2, 3, 4, 5, 6))
    return field(1, field(1, name) + empty + field(7, 0) + field(8, b""))


def test_a_namespace_as_kubectl_creates_it() -> None:
    raw = body("v1", "Namespace", meta("demo"), field(2, b""), field(3, field(1, "")))
    assert decode(raw) == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}


def test_a_deployment_with_no_replicas_keeps_its_zero() -> None:
    container = b"".join(
        (
            field(1, "x"),
            field(2, "x:1"),
            field(3, "sleep"),
            field(3, "5"),
            field(5, ""),
            field(6, field(1, "") + field(2, 0) + field(3, 80) + field(4, "") + field(5, "")),
            field(8, b""),
            field(13, ""),
            field(14, ""),
            field(16, 0),
            field(17, 0),
            field(18, 0),
            field(20, ""),
        )
    )
    labels = field(1, "app") + field(2, "d")
    pod_spec = field(2, container) + field(3, "") + field(6, "") + field(8, "") + field(10, "") + field(11, 0)
    spec = b"".join(
        (
            field(1, 0),
            field(2, field(1, labels)),
            field(3, field(1, field(1, "") + field(11, labels)) + field(2, pod_spec)),
            field(4, field(1, "")),
            field(5, 0),
            field(7, 0),
        )
    )
    status = field(1, 0) + field(2, 0) + field(3, 0)
    assert decode(body("apps/v1", "Deployment", meta("d"), field(2, spec), field(3, status))) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "d"}},
            "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {
                    "containers": [
                        {
                            "name": "x",
                            "image": "x:1",
                            "command": ["sleep", "5"],
                            "ports": [{"containerPort": 80}],
                        }
                    ]
                },
            },
        },
    }


def test_a_budget_of_none_keeps_its_zero() -> None:
    none = field(1, 0) + field(2, 0) + field(3, "")
    raw = body("policy/v1", "PodDisruptionBudget", meta("b"), field(2, field(3, none)))
    assert decode(raw)["spec"] == {"maxUnavailable": 0}


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("Secret", [field(2, field(1, "p") + field(2, b"q"))], {"data": {"p": "cQ=="}}),
        ("Secret", [field(2, field(1, "p"))], {"data": {"p": ""}}),
        ("ConfigMap", [field(4, 1)], {"immutable": True}),
        ("ConfigMap", [field(4, 0)], {"immutable": False}),
        ("Service", [field(2, field(1, field(3, 80) + field(4, field(1, 1) + field(2, 0) + field(3, "web"))))], {"spec": {"ports": [{"port": 80, "targetPort": "web"}]}}),
        ("Service", [field(2, field(1, field(3, 80) + field(4, field(1, 0) + field(2, 8080))))], {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}),
        ("ResourceQuota", [field(2, field(1, field(1, "cpu") + field(2, field(1, "500m"))))], {"spec": {"hard": {"cpu": "500m"}}}),
        ("Pod", [field(2, field(2, field(11, field(1, field(2, field(1, "/x") + field(2, field(2, 80)))))))], {"spec": {"containers": [{"readinessProbe": {"httpGet": {"path": "/x", "port": 80}}}]}}),
        ("Pod", [field(2, field(1, field(1, "v") + field(2, field(2, b""))))], {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
        ("Pod", [field(2, field(14, field(4, varint(5) + varint(7))))], {"spec": {"securityContext": {"supplementalGroups": [5, 7]}}}),
        ("Pod", [field(2, field(14, field(4, 5) + field(4, -7)))], {"spec": {"securityContext": {"supplementalGroups": [5, -7]}}}),
        ("Pod", [field(1, field(8, field(1, 1_767_225_600)))], {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}),
        ("Pod", [field(1, field(8, field(1, -62_135_596_800)))], {}),
        ("Pod", [field(1, field(17, field(1, "m") + field(7, field(1, '{"f:a":{}}'))))], {"metadata": {"managedFields": [{"manager": "m", "fieldsV1": {"f:a": {}}}]}}),
        ("Pod", [field(900, "from a later version")], {}),
    ],
)  # fmt: skip
def test_values(kind: str, fields: list[bytes], expected: dict[str, Any]) -> None:
    assert decode(body("v1", kind, *fields)) == {"apiVersion": "v1", "kind": kind, **expected}


def test_parts_that_json_inlines() -> None:
    backend = field(4, field(1, "svc") + field(2, field(2, 80)))
    path = field(1, "/") + field(2, backend) + field(3, "Exact")
    rule = field(1, "a.example") + field(2, field(1, field(1, path)))
    ingress = decode(body("networking.k8s.io/v1", "Ingress", field(2, field(3, rule))))
    assert ingress["spec"]["rules"] == [
        {
            "host": "a.example",
            "http": {
                "paths": [
                    {
                        "path": "/",
                        "backend": {"service": {"name": "svc", "port": {"number": 80}}},
                        "pathType": "Exact",
                    }
                ]
            },
        }
    ]


@pytest.mark.parametrize("api_version", ["v1", "apps/v1"])
def test_options_of_a_delete_are_the_same_in_every_group(api_version: str) -> None:
    raw = body(api_version, "DeleteOptions", field(1, 0), field(4, "Background"))
    assert decode(raw) == {
        "apiVersion": api_version,
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Background",
    }


def test_micro_times() -> None:
    spec = field(4, field(1, 1_767_225_600) + field(2, 5_000))
    lease = decode(body("coordination.k8s.io/v1", "Lease", field(2, spec)))
    assert lease["spec"] == {"renewTime": "2026-01-01T00:00:00.000005Z"}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "does not start with the protobuf prefix"),
        (b"{}", "does not start with the protobuf prefix"),
        (MAGIC, "does not say its apiVersion and kind"),
        (MAGIC + b"\x80", "ends inside a number"),
        (MAGIC + b"\xff" * 12, "longer than 64 bits"),
        (MAGIC + b"\x0a\x05a", "ends inside a field"),
        (MAGIC + b"\x02\x00", "a field has number 0"),
        (MAGIC + b"\x0b", "wire type 3 is not in use"),
        (body("v1", "Podd"), "no protobuf message is known for v1, Kind=Podd"),
        (body("v1", "Pod", field(1, 5)), "a number stands where bytes should"),
        (body("v1", "Pod", field(1, field(1, b"\xff"))), "a string is not UTF-8"),
        (body("v1", "ConfigMap", field(4, "x")), "bytes stand where a number should"),
        (body("v1", "Pod", field(1, field(17, field(7, field(1, "{"))))), "an embedded object is not JSON"),
    ],
)
def test_what_is_no_message_is_refused(raw: bytes, text: str) -> None:
    with pytest.raises(ProtobufError, match=text):
        decode(raw)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for raw in (data, MAGIC + data):
        with contextlib.suppress(ProtobufError):
            decode(raw)


SOUND = body(
    "v1",
    "Pod",
    meta("a"),
    field(2, field(2, field(1, "m") + field(11, field(5, field(1, 1)))) + field(3, "x")),
)


@given(st.integers(0, len(SOUND) - 1), st.integers(0, 255), st.integers(0, len(SOUND)))
def test_no_damage_raises_anything_else(at: int, byte: int, end: int) -> None:
    damaged = (SOUND[:at] + bytes([byte]) + SOUND[at + 1 :])[:end]
    try:
        decoded = decode(damaged)
    except ProtobufError:
        return
    json.dumps(decoded)


KINDS = sorted(
    name.removeprefix("k8s.io.api.core.v1.")
    for name in protobuf._messages()
    if name.startswith("k8s.io.api.core.v1.")
)


@settings(max_examples=50)
@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.integers(1, 45), st.integers() | st.binary(max_size=20)), max_size=6),
)
def test_no_field_of_any_message_raises_anything_else(
    kind: str, fields: list[tuple[int, int | bytes]]
) -> None:
    try:
        decoded = decode(body("v1", kind, *(field(number, value) for number, value in fields)))
    except ProtobufError:
        return
    json.dumps(decoded)
