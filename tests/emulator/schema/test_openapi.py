import json
from collections.abc import Iterator
from typing import Any

import pytest

from aliquot.emulator.discovery import ResourceType, Subresource, builtin
from aliquot.emulator.schema import definitions, openapi_protobuf
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.openapi import OpenApi
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
WIDGETS = ResourceType(
    "kc.example.com",
    "v1",
    "widgets",
    "Widget",
    "widget",
    namespaced=True,
    verbs=("get", "list", "create", "patch", "deletecollection"),
    subresources=(
        Subresource("status", "Widget", ("get",)),
        Subresource("scale", "Scale", ("get", "update"), "autoscaling", "v1"),
    ),
    custom=True,
)


@pytest.fixture(scope="module")
def openapi() -> OpenApi:
    catalogue = Catalogue()
    catalogue.add_crd(CRD)
    made = OpenApi(catalogue)
    made.set_resources([*builtin(), WIDGETS])
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


DEPLOYMENTS = "/apis/apps/v1/namespaces/{namespace}/deployments"
PODS = "/api/v1/namespaces/{namespace}/pods"
WRITE = ["dryRun", "fieldManager", "fieldValidation"]


def names(parameters: list[dict[str, Any]]) -> list[str]:
    return [parameter["name"] for parameter in parameters]


def operation(openapi: OpenApi, method: str, path: str) -> dict[str, Any]:
    parts = path.split("/")
    name = "/".join(parts[1 : 3 if parts[1] == "api" else 4])
    found: dict[str, Any] = document(openapi, name)["paths"][path][method]
    return found


def test_an_operation_says_what_it_takes_and_answers(openapi: OpenApi) -> None:
    create = operation(openapi, "post", DEPLOYMENTS)
    assert create["operationId"] == "createAppsV1NamespacedDeployment"
    assert create["tags"] == ["apps_v1"]
    assert names(create["parameters"]) == WRITE
    reference = {"$ref": "#/components/schemas/io.k8s.api.apps.v1.Deployment"}
    assert create["requestBody"] == {"content": {"*/*": {"schema": reference}}, "required": True}
    answers = create["responses"]
    assert list(answers) == ["200", "201", "202", "401"]
    assert answers["201"]["content"] == {"application/json": {"schema": reference}}
    listed = operation(openapi, "get", DEPLOYMENTS)
    assert {"labelSelector", "limit", "watch"} <= set(names(listed["parameters"]))
    (schema,) = {str(media["schema"]) for media in listed["responses"]["200"]["content"].values()}
    assert schema.endswith(".DeploymentList'}")
    assert set(operation(openapi, "patch", f"{DEPLOYMENTS}/{{name}}")["requestBody"]["content"]) == {
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    }


@pytest.mark.parametrize(
    ("method", "path", "identifier", "action"),
    [
        ("get", "/api/v1/pods", "listCoreV1PodForAllNamespaces", "list"),
        ("delete", PODS, "deleteCoreV1CollectionNamespacedPod", "deletecollection"),
        ("get", f"{PODS}/{{name}}/log", "readCoreV1NamespacedPodLog", "get"),
        ("post", f"{PODS}/{{name}}/exec", "connectCoreV1PostNamespacedPodExec", "connect"),
        ("post", f"{PODS}/{{name}}/eviction", "createCoreV1NamespacedPodEviction", "post"),
        ("put", "/api/v1/namespaces/{name}/finalize", "replaceCoreV1NamespaceFinalize", "put"),
        ("get", "/apis/rbac.authorization.k8s.io/v1/", "getRbacAuthorizationV1APIResources", None),
        (
            "get",
            "/apis/kc.example.com/v1/namespaces/{namespace}/widgets",
            "listKcExampleComV1NamespacedWidget",
            "list",
        ),
    ],
)
def test_operations_have_the_names_of_kubernetes(
    openapi: OpenApi, method: str, path: str, identifier: str, action: str | None
) -> None:
    found = operation(openapi, method, path)
    assert found["operationId"] == identifier
    assert found.get("x-kubernetes-action") == action


def test_no_two_operations_have_one_name(openapi: OpenApi) -> None:
    for path in json.loads(openapi.v3_index())["paths"]:
        found = [
            item[method]["operationId"]
            for item in document(openapi, path)["paths"].values()
            for method in item
            if method != "parameters"
        ]
        assert len(set(found)) == len(found)


def test_every_part_of_a_path_is_a_parameter_of_it(openapi: OpenApi) -> None:
    for name in json.loads(openapi.v3_index())["paths"]:
        for path, item in document(openapi, name)["paths"].items():
            parts = [one["name"] for one in item.get("parameters", ()) if one["in"] == "path"]
            assert sorted(parts) == sorted(part[1:-1] for part in path.split("/") if part.startswith("{"))


def test_what_all_operations_of_a_path_take_is_said_once(openapi: OpenApi) -> None:
    paths = document(openapi, "api/v1")["paths"]
    evict = paths[f"{PODS}/{{name}}/eviction"]
    assert names(evict["parameters"]) == [*WRITE, "name", "namespace", "pretty"]
    assert "parameters" not in evict["post"]
    assert names(paths[f"{PODS}/{{name}}"]["parameters"]) == ["name", "namespace", "pretty"]


def test_a_custom_kind_takes_no_strategic_merge_patches(openapi: OpenApi) -> None:
    widget = "/apis/kc.example.com/v1/namespaces/{namespace}/widgets/{name}"
    patch = operation(openapi, "patch", widget)["requestBody"]
    assert "application/strategic-merge-patch+json" not in patch["content"]
    scale = operation(openapi, "put", f"{widget}/scale")
    assert scale["requestBody"]["content"]["application/json"] == {
        "schema": {"$ref": "#/components/schemas/io.k8s.api.autoscaling.v1.Scale"}
    }
    assert scale["x-kubernetes-group-version-kind"]["kind"] == "Widget"


@pytest.mark.parametrize(
    ("method", "path", "answered"),
    [
        ("delete", f"{DEPLOYMENTS}/{{name}}", "Status"),
        ("delete", f"{PODS}/{{name}}", "Pod"),
        ("delete", PODS, "PodList"),
        ("post", f"{PODS}/{{name}}/eviction", "Status"),
        ("post", "/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", "TokenRequest"),
    ],
)
def test_an_answer_is_what_comes(openapi: OpenApi, method: str, path: str, answered: str) -> None:
    content = operation(openapi, method, path)["responses"]["200"]["content"]
    assert content["application/json"]["schema"]["$ref"].rpartition(".")[2] == answered


def test_v2_says_the_same_in_its_own_form(openapi: OpenApi) -> None:
    item = json.loads(openapi.v2())["paths"][DEPLOYMENTS]
    assert names(item["parameters"]) == ["namespace", "pretty"]
    body, *query = item["post"]["parameters"]
    assert body == {
        "name": "body",
        "in": "body",
        "required": True,
        "schema": {"$ref": "#/definitions/io.k8s.api.apps.v1.Deployment"},
    }
    assert names(query) == WRITE
    assert item["post"]["responses"]["201"]["schema"] == body["schema"]
    assert (item["post"]["consumes"], item["post"]["produces"]) == (["*/*"], ["application/json"])


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
    made.set_resources([*builtin(), WIDGETS])
    before = json.loads(made.v3_index())["paths"]
    kept = made.v3_document("apis/apps/v1")
    old = made.v3_document("apis/kc.example.com/v1")
    changed = json.loads(json.dumps(CRD).replace("large", "huge"))
    catalogue.add_crd(changed)
    made.set_resources([*builtin(), WIDGETS])
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
                    "tags": ["x_v1"],
                    "description": "patch it",
                    "operationId": "patchX",
                    "consumes": ["application/json-patch+json", "application/merge-patch+json"],
                    "produces": ["application/json"],
                    "parameters": [
                        {
                            "name": "body",
                            "in": "body",
                            "required": True,
                            "schema": {"$ref": "#/definitions/A"},
                        },
                        {"name": "fieldValidation", "in": "query", "description": "How", "type": "string"},
                    ],
                    "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/A"}}},
                    "x-kubernetes-action": "patch",
                },
                "parameters": [
                    {"name": "name", "in": "path", "required": True, "description": "N", "type": "string"}
                ],
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
    assert (one(patch, 1), one(patch, 3), one(patch, 5)) == (b"x_v1", b"patch it", b"patchX")
    assert [text for number, text in fields(patch) if number == 7] == [
        b"application/json-patch+json",
        b"application/merge-patch+json",
    ]
    body, query = (value for number, value in fields(patch) if number == 8)
    assert one(body, 1, 1, 3) == b"body"
    assert one(body, 1, 1, 4) == 1
    assert one(body, 1, 1, 5, 1, 1) == b"#/definitions/A"
    assert one(query, 1, 2, 3, 4) == b"fieldValidation"
    assert one(query, 1, 2, 3, 6) == b"string"
    named = one(encoded, 8, 2, 2, 9, 1, 2, 4)
    assert (one(named, 1), one(named, 2), one(named, 4)) == (1, b"path", b"name")
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
