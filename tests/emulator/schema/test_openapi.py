import json
from collections.abc import Iterator
from typing import Any

import pytest

from aliquot.emulator.discovery import builtin
from aliquot.emulator.schema import definitions, openapi_protobuf
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.openapi import Endpoint, OpenApi
from aliquot.emulator.versions import SUPPORTED, Surface

CRD = {
    "metadata": {"name": "widgets.kc.example.com"},
    "spec": {
        "group": "kc.example.com",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "string", "enum": ["small", "large"]},
                                    "port": {
                                        "x-kubernetes-int-or-string": True,
                                        "anyOf": [{"type": "integer"}],
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}
WIDGETS = Endpoint(
    "kc.example.com", "v1", "widgets", "Widget", True, ("get", "list", "create", "patch"), ("status",)
)


def endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            found.group,
            found.version,
            found.plural,
            found.kind,
            found.namespaced,
            found.verbs,
            tuple(sub.name for sub in found.subresources),
        )
        for found in builtin()
    ]


@pytest.fixture(scope="module")
def openapi() -> OpenApi:
    catalogue = Catalogue()
    catalogue.add_crd(CRD)
    made = OpenApi(catalogue)
    made.set_endpoints([*endpoints(), WIDGETS])
    return made


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def document(openapi: OpenApi, path: str) -> dict[str, Any]:
    body = openapi.v3_document(path)
    assert body is not None
    decoded: dict[str, Any] = json.loads(body)
    return decoded


def test_every_reference_of_every_document_resolves_inside_it(openapi: OpenApi) -> None:
    paths = json.loads(openapi.v3_index())["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/kc.example.com/v1"} <= paths.keys()
    for path in paths:
        content = document(openapi, path)
        known = content["components"]["schemas"]
        for reference in references(content):
            assert reference.removeprefix("#/components/schemas/") in known
    v2 = json.loads(openapi.v2())
    for reference in references(v2):
        assert reference.removeprefix("#/definitions/") in v2["definitions"]


def test_there_is_no_document_for_what_is_not_served(openapi: OpenApi) -> None:
    assert openapi.v3_document("apis/nothing/v1") is None


def test_a_patch_takes_field_validation_and_names_its_kind(openapi: OpenApi) -> None:
    patch = document(openapi, "apis/apps/v1")["paths"][
        "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    ]["patch"]
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    assert patch["x-kubernetes-group-version-kind"] == {
        "group": "apps",
        "kind": "Deployment",
        "version": "v1",
    }
    assert patch["x-kubernetes-action"] == "patch"


def test_merge_keys_and_prose_are_there(openapi: OpenApi) -> None:
    schemas = document(openapi, "api/v1")["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["description"].startswith("List of containers belonging to the pod.")
    assert schemas["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"] == [
        {"group": "", "kind": "Pod", "version": "v1"}
    ]


def test_quantities_and_ports_may_be_text_or_numbers(openapi: OpenApi) -> None:
    schemas = document(openapi, "api/v1")["components"]["schemas"]
    quantity = schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert quantity["oneOf"] == [{"type": "string"}, {"type": "number"}]
    port = schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert port["format"] == "int-or-string"


def test_nothing_stands_beside_a_reference_in_v3(openapi: OpenApi) -> None:
    def check(node: Any) -> None:
        if isinstance(node, dict):
            assert "$ref" not in node or len(node) == 1
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for item in node:
                check(item)

    check(document(openapi, "api/v1")["components"])


def test_a_custom_kind_shows_its_schema_and_everybodys_metadata(openapi: OpenApi) -> None:
    schemas = document(openapi, "apis/kc.example.com/v1")["components"]["schemas"]
    widget = schemas["com.example.kc.v1.Widget"]
    assert widget["properties"]["spec"]["properties"]["size"]["enum"] == ["small", "large"]
    assert widget["properties"]["metadata"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    ]
    assert widget["x-kubernetes-group-version-kind"] == [
        {"group": "kc.example.com", "kind": "Widget", "version": "v1"}
    ]
    v2 = json.loads(openapi.v2())["definitions"]["com.example.kc.v1.Widget"]
    assert "anyOf" not in v2["properties"]["spec"]["properties"]["port"]


def test_a_hash_changes_with_what_its_document_is_made_of_and_no_other() -> None:
    catalogue = Catalogue()
    made = OpenApi(catalogue)
    catalogue.add_crd(CRD)
    made.set_endpoints([*endpoints(), WIDGETS])
    before = json.loads(made.v3_index())["paths"]
    kept = made.v3_document("apis/apps/v1")
    old = made.v3_document("apis/kc.example.com/v1")
    changed = json.loads(json.dumps(CRD).replace("large", "huge"))
    catalogue.add_crd(changed)
    made.set_endpoints([*endpoints(), WIDGETS])
    after = json.loads(made.v3_index())["paths"]
    assert {path for path in before if before[path] != after[path]} == {"apis/kc.example.com/v1"}
    assert made.v3_document("apis/apps/v1") is kept
    assert made.v3_document("apis/kc.example.com/v1") != old


# --- protobuf ---


def fields(data: bytes) -> list[tuple[int, Any]]:
    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value, at

    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(data):
        tag, at = varint(at)
        size, at = varint(at)
        if tag & 7 == 0:
            found.append((tag >> 3, size))
        else:
            found.append((tag >> 3, data[at : at + size]))
            at += size
    return found


def one(data: bytes, *numbers: int) -> Any:
    value: Any = data
    for number in numbers:
        value = dict(reversed(fields(value)))[number]
    return value


def test_the_protobuf_form_says_the_same() -> None:
    content = {
        "swagger": "2.0",
        "info": {"title": "T", "version": "v1"},
        "paths": {
            "/x": {
                "patch": {
                    "parameters": [
                        {"name": "fieldValidation", "in": "query", "type": "string", "uniqueItems": True}
                    ],
                    "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/A"}}},
                    "x-kubernetes-action": "patch",
                }
            }
        },
        "definitions": {
            "A": {
                "type": "object",
                "required": ["b"],
                "properties": {
                    "b": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
                    "c": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
                    "d": {"type": "string", "enum": ["e"], "description": "D"},
                },
            }
        },
    }
    encoded = openapi_protobuf.encode(content)
    assert one(encoded, 1) == b"2.0"
    assert one(encoded, 2, 1) == b"T"
    patch = one(encoded, 8, 2, 2, 8)
    assert one(patch, 8, 1, 2, 3, 4) == b"fieldValidation"
    assert one(patch, 9, 1, 2, 1, 2, 1, 1) == b"#/definitions/A"
    assert one(patch, 13, 1) == b"x-kubernetes-action"
    assert one(patch, 13, 2, 2) == b'"patch"\n'
    schema = one(encoded, 9, 1, 2)
    assert one(schema, 22, 1) == b"object"
    assert one(schema, 19) == b"b"
    properties = {one(item, 1): one(item, 2) for _, item in fields(one(schema, 25))}
    assert one(properties[b"b"], 23, 1, 22, 1) == b"string"
    assert one(properties[b"b"], 13) == 3
    assert one(properties[b"c"], 21, 1, 22, 1) == b"string"
    assert one(properties[b"c"], 5, 2) == b"{}\n"
    assert one(properties[b"d"], 20, 2) == b'"e"\n'
    assert one(properties[b"d"], 4) == b"D"


def test_the_whole_document_has_a_protobuf_form(openapi: OpenApi) -> None:
    definitions_in = json.loads(openapi.v2())["definitions"]
    assert len(fields(one(openapi.v2_protobuf(), 9))) == len(definitions_in)


# --- the data ---


def test_every_kind_that_is_served_has_a_schema() -> None:
    catalogue = Catalogue()
    missing = [
        found.kind for found in builtin() if catalogue.get(found.group, found.version, found.kind) is None
    ]
    assert missing == []


@pytest.mark.parametrize("version", SUPPORTED)
def test_every_definition_compiles(version: str) -> None:
    built_in = definitions.load(Surface(version))
    for name in built_in.nodes:
        shape = built_in.shapes.get(name)
        assert all(shape.fields.values()) or not shape.fields
        assert shape.skeleton is not None


def test_no_kind_that_is_not_there() -> None:
    assert Catalogue().get("apps", "v1", "Podd") is None
