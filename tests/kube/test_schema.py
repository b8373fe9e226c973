"""Our types as CRDs: structural, and nothing lost that server-side apply needs."""

from collections.abc import Iterator
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.crds import ALL, GPUNODE_CRD
from aliquot.kube.schema import PrinterColumn, Scale, SchemaError, crd, root_schema


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    ONE = 1


class Port(Struct, kw_only=True, rename="camel"):
    """A port."""

    port_number: Annotated[int, Meta(ge=1, lt=65536)]
    """Where to
    knock."""
    name: str = ""


class Side(Enum):
    """Of a ship."""

    PORT = "port"
    """Left."""
    STARBOARD = "starboard"
    AMIDSHIPS = "amidships"
    """In the middle."""


class Lit(Port, kw_only=True, rename="camel"):
    beside: Port
    """The next one."""
    side: Side
    lamp: Side
    """Where it hangs."""
    others: list[Port]


class Recursive(Struct):
    child: "Recursive | None" = None


def schema_of(annotation: Any) -> Any:
    struct = msgspec.defstruct("Thing", [("field", annotation)])
    return root_schema(struct)["properties"]["field"]


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (int, {"type": "integer", "format": "int64"}),
        (float, {"type": "number"}),
        (str | None, {"type": "string", "nullable": True}),
        (int | str, {"x-kubernetes-int-or-string": True}),
        (int | str | None, {"x-kubernetes-int-or-string": True, "nullable": True}),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (Level, {"type": "integer", "enum": [1]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer", "format": "int64"}}),
        (dict[str, str], {"type": "object", "additionalProperties": {"type": "string"}}),
        (dict[str, Any], {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        (Any, {"x-kubernetes-preserve-unknown-fields": True}),
        (
            Annotated[str, Meta(pattern="^a$", max_length=3)],
            {"type": "string", "pattern": "^a$", "maxLength": 3},
        ),
        (
            Annotated[int, Meta(gt=0, le=5)],
            {"type": "integer", "format": "int64", "minimum": 0, "exclusiveMinimum": True, "maximum": 5},
        ),
        (
            Annotated[list[str], Meta(min_length=1)],
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
        ),
        (
            Port,
            {
                "type": "object",
                "description": "A port.",
                "required": ["portNumber"],
                "properties": {
                    "portNumber": {
                        "type": "integer",
                        "format": "int64",
                        "description": "Where to knock.",
                        "minimum": 1,
                        "maximum": 65536,
                        "exclusiveMaximum": True,
                    },
                    "name": {"type": "string"},
                },
            },
        ),
    ],
)
def test_types(annotation: Any, schema: Any) -> None:
    assert schema_of(annotation) == schema


def test_list_keys_are_kept_also_where_the_list_may_be_null() -> None:
    keys = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    marked = Annotated[list[Port], Meta(extra_json_schema=keys)]
    for annotation, nullable in ((marked, {}), (marked | None, {"nullable": True})):
        schema = schema_of(annotation)
        schema.pop("items")
        assert schema == {"type": "array"} | keys | nullable


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        (Recursive, "Recursive contains itself"),
        (int | list[str], "int . str is the only union"),
        (dict[int, str], "keys of an object must be strings"),
        (Literal["a", 1], "all strings or all integers"),
        (bytes, "BytesType has no structural schema"),
    ],
)
def test_what_has_no_structural_schema_is_refused(annotation: Any, complaint: str) -> None:
    with pytest.raises(SchemaError, match=complaint):
        schema_of(annotation)


class Widget(Struct, kw_only=True, rename="camel"):
    metadata: ObjectMeta
    spec: Port
    api_version: str = "example.com/v1"
    kind: str = "Widget"


def test_a_whole_definition() -> None:
    definition = crd(
        Widget,
        "widgets",
        short_names=["w"],
        categories=["all"],
        namespaced=True,
        printer_columns=[
            PrinterColumn("Port", ".spec.portNumber", type="integer", priority=1, description="P.")
        ],
        scale=Scale(".spec.n", ".status.n"),
    )
    assert definition["metadata"] == {"name": "widgets.example.com"}
    spec = definition["spec"]
    assert (spec["group"], spec["scope"]) == ("example.com", "Namespaced")
    assert spec["names"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
        "shortNames": ["w"],
        "categories": ["all"],
    }
    (version,) = spec["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1", True, True)
    assert version["subresources"] == {
        "status": {},
        "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"},
    }
    assert version["additionalPrinterColumns"] == [
        {
            "name": "Port",
            "type": "integer",
            "jsonPath": ".spec.portNumber",
            "priority": 1,
            "description": "P.",
        }
    ]
    root = version["schema"]["openAPIV3Schema"]
    assert root["required"] == ["spec"]
    assert root["properties"]["metadata"] == {"type": "object"}


def test_a_field_is_described_by_itself_else_by_its_type_and_values_always() -> None:
    values = "port: Left. amidships: In the middle."
    described = {name: found.get("description", "") for name, found in schema_of(Lit)["properties"].items()}
    assert described == {
        "portNumber": "Where to knock.",
        "name": "",
        "beside": "The next one.",
        "side": f"Of a ship. {values}",
        "lamp": f"Where it hangs. Of a ship. {values}",
        "others": "",
    }


def undescribed(schema: Any, path: str) -> Iterator[str]:
    for name, found in schema.get("properties", {}).items():
        if not found.get("description"):
            yield f"{path}.{name}"
        yield from undescribed(found, f"{path}.{name}")
    if isinstance(items := schema.get("items"), dict):
        yield from undescribed(items, f"{path}[]")


@pytest.mark.parametrize("definition", ALL, ids=lambda one: one["spec"]["names"]["kind"])
def test_kubectl_explain_has_words_for_each_field_of_ours(definition: Any) -> None:
    (version,) = definition["spec"]["versions"]
    of_every_object = {".apiVersion", ".kind", ".metadata"}
    assert set(undescribed(version["schema"]["openAPIV3Schema"], "")) == of_every_object


def test_a_type_that_does_not_say_its_kind_is_refused() -> None:
    with pytest.raises(SchemaError, match="must have defaults"):
        crd(Port, "ports")


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


@pytest.mark.parametrize("definition", ALL, ids=lambda definition: definition["metadata"]["name"])
def test_our_definitions_are_structural(definition: Any) -> None:
    root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path, node in nodes(root):
        assert "$ref" not in node, path
        typed = (
            "type" in node
            or "x-kubernetes-int-or-string" in node
            or "x-kubernetes-preserve-unknown-fields" in node
        )
        assert typed, path
        if node.get("x-kubernetes-list-type") == "map":
            # The API server insists: a key that could be missing is no key.
            assert set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"]), path


def test_gpunode_keeps_its_list_keys() -> None:
    root = GPUNODE_CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    keyed = {
        path: node.get("x-kubernetes-list-map-keys")
        for path, node in nodes(root)
        if node.get("type") == "array"
    }
    assert keyed[".spec.gpus"] == ["uuid"]
    assert keyed[".spec.gpus[].instances"] == ["start"]
    assert keyed[".status.gpus"] == ["uuid"]
    assert keyed[".status.conditions"] == ["type"]


def test_gpunode_has_its_short_name_and_category() -> None:
    names = GPUNODE_CRD["spec"]["names"]
    assert (names["shortNames"], names["categories"], names["plural"]) == (["gn"], ["aliquot"], "gpunodes")
    assert GPUNode.__name__ == names["kind"]
