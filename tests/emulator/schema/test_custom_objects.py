import copy
from typing import Any

import pytest

from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import DecodeError, Schema
from tests.emulator.schema.objects import changed, schema, texts

SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "enum": ["small", "large"]},
        "replicas": {"type": "integer", "minimum": 0, "maximum": 9, "default": 1},
        "ratio": {"type": "number", "exclusiveMinimum": True, "minimum": 0},
        "name": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
        "when": {"type": "string", "format": "date-time"},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set", "maxItems": 3},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "weight": {"type": "integer", "default": 5}},
            },
        },
        "limits": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
        "port": {"x-kubernetes-int-or-string": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "maybe": {"type": "string", "nullable": True},
        "pod": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        },
        "one": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    },
}  # fmt: skip
CRD: dict[str, Any] = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": SPEC,
                            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
                        },
                    }
                },
            }
        ],
    },
}


def catalogue() -> tuple[Catalogue, Schema]:
    made = Catalogue()
    made.add_crd(CRD)
    found = made.get("example.com", "v1", "Widget")
    assert found is not None
    return made, found


CATALOGUE, WIDGET = catalogue()


def widget(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"size": "small", **spec},
    }


def test_custom_kinds_come_and_go() -> None:
    made, found = catalogue()
    assert found.custom
    assert made.custom() == [found]
    made.add_crd(CRD)
    assert made.get("example.com", "v1", "Widget") is found
    (only,) = CRD["spec"]["versions"]
    other = {**only, "schema": {"openAPIV3Schema": {"type": "object"}}}
    made.add_crd({**CRD, "spec": {**CRD["spec"], "versions": [other]}})
    assert made.get("example.com", "v1", "Widget") is not found
    made.remove_crd("widgets.example.com")
    made.remove_crd("widgets.example.com")
    assert made.get("example.com", "v1", "Widget") is None


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({}, []),
        ({"size": "huge"}, ['spec.size: Unsupported value: "huge": supported values: "small", "large"']),
        ({"replicas": "3"}, ['spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"']),
        ({"replicas": None}, ['spec.replicas: Invalid value: "null": spec.replicas in body must be of type integer: "null"']),
        ({"replicas": -1}, ["spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0"]),
        ({"replicas": 10}, ["spec.replicas: Invalid value: 10: spec.replicas in body should be less than or equal to 9"]),
        ({"replicas": 1.0}, []),
        ({"replicas": 1.5}, ['spec.replicas: Invalid value: "number": spec.replicas in body must be of type integer: "number"', '<nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.replicas']),
        ({"ratio": 0}, ["spec.ratio: Invalid value: 0: spec.ratio in body should be greater than 0"]),
        ({"ratio": 1}, []),
        ({"name": "a"}, ['spec.name: Invalid value: "a": spec.name in body should be at least 2 chars long']),
        ({"name": "abcde"}, ["spec.name: Too long: may not be more than 4 bytes"]),
        ({"name": "a1"}, ['spec.name: Invalid value: "a1": spec.name in body should match \'^[a-z]+$\'']),
        ({"when": "noon"}, ['spec.when: Invalid value: "noon": spec.when in body must be of type date-time: "noon"']),
        ({"when": "2026-01-01T00:00:00Z"}, []),
        ({"tags": ["a", "a"]}, ['spec.tags[1]: Duplicate value: "a"']),
        ({"tags": ["a", "b", "c", "d"]}, ["spec.tags: Too many: 4: must have at most 3 items"]),
        ({"tags": [1]}, ['spec.tags[0]: Invalid value: "integer": spec.tags[0] in body must be of type string: "integer"']),
        ({"parts": [{"name": "x"}, {"name": "x"}]}, ['spec.parts[1]: Duplicate value: {"name":"x"}']),
        ({"parts": [{}]}, ["spec.parts[0].name: Required value"]),
        ({"limits": {"a": "1"}}, ['spec.limits.a: Invalid value: "string": spec.limits.a in body must be of type integer: "string"']),
        ({"limits": {"a": 1, "b": 2, "c": 3}}, ["spec.limits: Too many: 3: must have at most 2 items"]),
        ({"port": "http"}, []),
        ({"port": 80}, []),
        ({"port": True}, ['spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"']),
        ({"maybe": None}, []),
        ({"pod": {}}, ["spec.pod.apiVersion: Required value", "spec.pod.kind: Required value"]),
        ({"pod": {"apiVersion": "v1", "kind": "Pod"}}, []),
        ({"pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}}}}, []),
        ({"pod": {"apiVersion": "", "kind": ""}}, ['spec.pod.apiVersion: Invalid value: "": must not be empty', 'spec.pod.kind: Invalid value: "": must not be empty']),
        ({"pod": {"apiVersion": "a/b/c", "kind": "Pod"}}, ['spec.pod.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c']),
        ({"pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a/b"}}}, ['spec.pod.metadata.name: Invalid value: "a/b": may not contain \'/\'']),
        ({"one": {"a": "1"}}, []),
        ({"one": {}}, ['<nil>: Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found none valid', "spec.one.a: Required value"]),
        ({"one": {"a": "1", "b": "1"}}, ['<nil>: Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found 2 valid alternatives']),
    ],
)  # fmt: skip
def test_values(spec: dict[str, Any], problems: list[str]) -> None:
    assert texts(WIDGET.validate(widget(**spec))) == problems


def test_required_fields() -> None:
    assert texts(WIDGET.validate({**widget(), "spec": {}})) == ["spec.size: Required value"]


@pytest.mark.parametrize(
    ("spec", "kept", "unknown"),
    [
        ({"colour": "red"}, {}, ["spec.colour"]),
        ({"parts": [{"name": "x", "odd": 1}]}, {"parts": [{"name": "x"}]}, ["spec.parts[0].odd"]),
        ({"free": {"any": {"thing": 1}}}, {"free": {"any": {"thing": 1}}}, []),
        ({"limits": {"any": 1}}, {"limits": {"any": 1}}, []),
        ({"z": 1, "y": 1}, {}, ["spec.y", "spec.z"]),
        ({"pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "odd": 1}, "spec": {"x": 1}, "odd": 1}}, {"pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"x": 1}}}, ["spec.pod.metadata.odd", "spec.pod.odd"]),
    ],
)  # fmt: skip
def test_pruning(spec: dict[str, Any], kept: dict[str, Any], unknown: list[str]) -> None:
    obj = widget(**spec)
    before = copy.deepcopy(obj)
    decoded, found = WIDGET.decode(obj)
    assert decoded["spec"] == {"size": "small", **kept}
    assert found == [f'unknown field "{path}"' for path in unknown]
    assert obj == before


@pytest.mark.parametrize(
    ("spec", "filled"),
    [
        ({}, {"replicas": 1}),
        ({"replicas": 3}, {"replicas": 3}),
        ({"replicas": None}, {"replicas": 1}),
        ({"name": None}, {"replicas": 1}),
        ({"maybe": None}, {"maybe": None, "replicas": 1}),
        ({"parts": [{"name": "x"}]}, {"parts": [{"name": "x", "weight": 5}], "replicas": 1}),
    ],
)
def test_defaults(spec: dict[str, Any], filled: dict[str, Any]) -> None:
    assert WIDGET.default(widget(**spec))["spec"] == {"size": "small", **filled}


def test_metadata_is_that_of_every_object() -> None:
    decoded, unknown = WIDGET.decode({**widget(), "metadata": {"name": "w", "labels": {"a": "b"}, "odd": 1}})
    assert decoded["metadata"] == {"name": "w", "labels": {"a": "b"}}
    assert unknown == ['unknown field "metadata.odd"']
    with pytest.raises(DecodeError):
        WIDGET.decode({**widget(), "metadata": {"labels": {"a": 1}}})
    [problem] = texts(WIDGET.validate({**widget(), "metadata": {"name": "Bad"}}))
    assert problem.startswith('metadata.name: Invalid value: "Bad": a lowercase RFC 1123 subdomain')


def test_a_kind_without_a_schema_takes_anything() -> None:
    made = Catalogue()
    crd = copy.deepcopy(CRD)
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    made.add_crd(crd)
    found = made.get("example.com", "v1", "Widget")
    assert found is not None
    obj = {**widget(), "anything": {"goes": [1]}}
    assert found.decode(obj) == (obj, [])
    assert found.validate(obj) == []


def test_a_status_is_judged_alone() -> None:
    old = widget()
    broken = {**widget(size="huge"), "status": {"ready": True}}
    assert WIDGET.validate_update(broken, old, "status") == []
    wrong = {**old, "status": {"ready": "yes"}}
    [problem] = texts(WIDGET.validate_update(wrong, old, "status"))
    assert problem.startswith('status.ready: Invalid value: "string"')


def test_what_no_longer_fits_may_stay_as_long_as_it_does_not_change() -> None:
    old = widget(size="huge")
    assert WIDGET.validate_update(changed(old, "metadata.labels", {"a": "b"}), old) == []
    assert WIDGET.validate_update(changed(old, "spec.replicas", 2), old) == []
    assert len(WIDGET.validate_update(changed(old, "spec.size", "huger"), old)) == 1


# --- the definitions themselves ---


def crd(path: str, value: Any) -> list[str]:
    known = schema("CustomResourceDefinition", "apiextensions.k8s.io")
    return texts(known.validate(known.default(changed(CRD, path, value))))


ROOT = "spec.versions.0.schema.openAPIV3Schema"
SHOWN = "spec.validation.openAPIV3Schema"


def test_a_sound_definition() -> None:
    assert crd("spec.conversion", {"strategy": "None"}) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("metadata.name", "x.example.com", 'metadata.name: Invalid value: "x.example.com": must be spec.names.plural+"."+spec.group'),
        ("spec.scope", "Galaxy", 'spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"'),
        ("spec.names.kind", "widget!", 'spec.names.kind: Invalid value: "widget!": may have mixed case, but should otherwise match: '),
        ("spec.names.listKind", "Widget", 'spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same'),
        ("spec.versions.0.storage", False, "spec.versions: Invalid value: "),
        ("spec.versions.0.schema", {}, "spec.versions[0].schema.openAPIV3Schema: Required value"),
        ("spec.versions.0.name", "V1", 'spec.versions[0].name: Invalid value: "V1": a DNS-1035 label'),
        (f"{ROOT}.type", "array", f'{SHOWN}.type: Invalid value: "array": must be object at the root'),
        (f"{ROOT}.properties.spec", {"properties": {}}, f"{SHOWN}.properties[spec].type: Required value: must not be empty for specified object fields"),
        (f"{ROOT}.properties.spec", {"type": "thing"}, f'{SHOWN}.properties[spec].type: Unsupported value: "thing": supported values: "array", "boolean"'),
        (f"{ROOT}.properties.spec", {"type": "array"}, f"{SHOWN}.properties[spec].items: Required value: must be specified"),
        (f"{ROOT}.properties.spec", {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}, f"{SHOWN}.properties[spec].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"),
        (f"{ROOT}.properties.spec", {"type": "string", "default": 5}, f'{SHOWN}.properties[spec].default: Invalid value: "integer":  in body must be of type string: "integer"'),
        (f"{ROOT}.properties.spec", {"type": "object", "default": {"a": 1}}, f'{SHOWN}.properties[spec].default: Invalid value: {{"a":1}}: must not have unknown fields'),
        (f"{ROOT}.properties.metadata", {"type": "object", "properties": {"labels": {"type": "object"}}}, f"{SHOWN}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"),
        (f"{ROOT}.properties.kind", {"type": "integer"}, f'{SHOWN}.properties[kind].type: Invalid value: "integer": must be string'),
        (f"{ROOT}.additionalProperties", {"type": "string"}, f"{SHOWN}.additionalProperties: Forbidden: must not be used at the root"),
        (f"{ROOT}.nullable", True, f"{SHOWN}.nullable: Forbidden: nullable cannot be true at the root"),
        (f"{ROOT}.properties.spec", {"type": "object", "x-kubernetes-embedded-resource": True}, f"{SHOWN}.properties[spec].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"),
        (f"{ROOT}.properties.spec", {"type": "string", "x-kubernetes-embedded-resource": True}, f'{SHOWN}.properties[spec].type: Invalid value: "string": must be object if x-kubernetes-embedded-resource is true'),
        (f"{ROOT}.properties.spec", {"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True}, f"{SHOWN}.properties[spec].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true"),
        (f"{ROOT}.properties.spec", {"type": "string", "uniqueItems": True}, f"{SHOWN}.properties[spec].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"),
        (f"{ROOT}.properties.spec", {"type": "string", "pattern": "("}, f'{SHOWN}.properties[spec].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing regexp: missing closing ): `(`'),
        (f"{ROOT}.properties.spec", {"type": "string", "pattern": "(?=a)"}, f'{SHOWN}.properties[spec].pattern: Invalid value: "(?=a)": must be a valid regular expression, but isn\'t: error parsing regexp: invalid or unsupported Perl syntax: `(?=`'),
        (f"{ROOT}.properties.spec", {"type": "string", "x-kubernetes-map-type": "atomic"}, f'{SHOWN}.properties[spec].type: Invalid value: "string": must be object if x-kubernetes-map-type is specified'),
        (f"{ROOT}.properties.spec", {"type": "object", "anyOf": [{"type": "object"}]}, f"{SHOWN}.properties[spec].anyOf[0].type: Forbidden: must be empty to be structural"),
        (f"{ROOT}.oneOf", [{"properties": {"a": {"minimum": 1}}}], f"{SHOWN}.properties[a]: Required value: because it is defined in {SHOWN}.oneOf[0].properties[a]"),
        (f"{ROOT}.not", {"anyOf": [{"properties": {"spec": {"items": {"minimum": 1}}}}]}, f"{SHOWN}.properties[spec].items: Required value: because it is defined in {SHOWN}.not.anyOf[0].properties[spec].items"),
        (f"{ROOT}.properties.spec", {"$ref": "#/x"}, f"{SHOWN}.properties[spec].$ref: Forbidden: $ref is not supported"),
        (f"{ROOT}.properties.spec", {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"}, f"{SHOWN}.properties[spec].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set"),
        (f"{ROOT}.properties.spec", {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-map-keys": ["a"]}, f"{SHOWN}.properties[spec].x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty"),
        (f"{ROOT}.properties.spec", {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]}, f"{SHOWN}.properties[spec].items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"),
        (f"{ROOT}.properties.spec", {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string", "default": ""}}}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["b"]}, f'{SHOWN}.properties[spec].x-kubernetes-list-map-keys: Invalid value: ["b"]: entries must all be names of item properties'),
        ("spec.preserveUnknownFields", True, "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"),
        ("spec.conversion", {"strategy": "Magic"}, 'spec.conversion.strategy: Unsupported value: "Magic": supported values: "None", "Webhook"'),
        ("spec.versions.0.deprecationWarning", "old", 'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions'),
        ("spec.versions.0.subresources", {"scale": {"specReplicasPath": ".replicas", "statusReplicasPath": ".status.replicas"}}, 'spec.subresources.scale.specReplicasPath: Invalid value: ".replicas": should be a json path under .spec'),
        ("spec.versions.0.subresources", {"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": "status"}}, 'spec.subresources.scale.statusReplicasPath: Invalid value: "status": must be a simple json path starting with .'),
        ("spec.versions.0.subresources", {"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".selector"}}, 'spec.subresources.scale.labelSelectorPath: Invalid value: ".selector": should be a json path under either .spec or .status'),
        ("spec.versions.0.selectableFields", [{"jsonPath": ".spec.absent"}], 'spec.selectableFields[0].jsonPath: Invalid value: ".spec.absent": is an invalid path: does not refer to a valid field'),
        ("spec.versions.0.selectableFields", [{"jsonPath": ".spec.parts"}], 'spec.selectableFields[0].jsonPath: Invalid value: ".spec.parts": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.'),
        ("spec.versions.0.selectableFields", [{"jsonPath": ".spec.size"}, {"jsonPath": ".spec.size"}], 'spec.selectableFields[1].jsonPath: Duplicate value: ".spec.size"'),
        ("spec.versions.0.selectableFields", [{"jsonPath": ".spec['size']"}], "spec.selectableFields[0].jsonPath: Invalid value: \".spec['size']\": is an invalid path: array notation is not allowed"),
        ("spec.versions.0.additionalPrinterColumns", [{"name": "A", "type": "string", "format": "hex", "jsonPath": ".a"}], 'spec.additionalPrinterColumns[0].format: Invalid value: "hex": must be one of byte,date,date-time,double,float,int32,int64,password'),
        ("spec.versions.0.additionalPrinterColumns", [{"name": "A", "type": "text", "jsonPath": ".a"}], 'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string'),
    ],
)  # fmt: skip
def test_unsound_definitions(path: str, value: Any, problem: str) -> None:
    assert any(text.startswith(problem) for text in crd(path, value)), crd(path, value)


def test_what_a_definition_keeps() -> None:
    known = schema("CustomResourceDefinition", "apiextensions.k8s.io")
    old = known.default({**CRD, "status": {"conditions": [{"type": "Established", "status": "True"}]}})
    [problem] = texts(known.validate_update(changed(old, "spec.scope", "Cluster"), old))
    assert problem == 'spec.scope: Invalid value: "Cluster": field is immutable'


def test_no_version_goes_while_objects_may_be_stored_in_it() -> None:
    known = schema("CustomResourceDefinition", "apiextensions.k8s.io")
    old = known.default({**CRD, "status": {"storedVersions": ["v1alpha1", "v1"]}})
    [problem] = texts(known.validate_update(changed(old, "metadata.labels", {"a": "b"}), old))
    assert problem == (
        'status.storedVersions[0]: Invalid value: "v1alpha1": missing from spec.versions; v1alpha1 was previously a '
        "storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted "
        "in v1alpha1 and removes v1alpha1 from status.storedVersions"
    )


def test_what_is_wrong_with_metadata_is_told_once() -> None:
    catalogue = Catalogue()
    names = {"kind": "Widget", "plural": "widgets"}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
    spec = {"group": "example.com", "names": names, "versions": [{"name": "v1", "schema": schema}]}
    catalogue.add_crd({"metadata": {"name": "widgets.example.com"}, "spec": spec})
    widget = catalogue.get("example.com", "v1", "Widget")
    assert widget is not None
    metadata = {"name": "w", "labels": {"-bad": "x"}}
    [error] = widget.validate({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata})
    assert error.field == "metadata.labels"
