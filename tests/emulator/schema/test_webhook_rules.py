from typing import Any

import pytest

from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import Schema

GROUP = "admissionregistration.k8s.io"
RULE = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
Json = dict[str, Any]


@pytest.fixture(scope="module", params=["Mutating", "Validating"])
def schema(request: pytest.FixtureRequest) -> Schema:
    found = Catalogue().get(GROUP, "v1", f"{request.param}WebhookConfiguration")
    assert found is not None
    return found


def configuration(schema: Schema, *hooks: Json) -> Json:
    body = {
        "kind": schema.kind,
        "apiVersion": f"{GROUP}/v1",
        "metadata": {"name": "w"},
        "webhooks": list(hooks),
    }
    return schema.default(schema.decode(body)[0])


def hook(**changes: Any) -> Json:
    whole = {
        "name": "h.example.com",
        "clientConfig": {"url": "https://h.example.com/check"},
        "rules": [RULE],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    } | changes
    return {key: value for key, value in whole.items() if value is not None}


def test_what_is_not_said_is_filled_in(schema: Schema) -> None:
    service = {"service": {"name": "s", "namespace": "n"}}
    filled = configuration(schema, hook(clientConfig=service))["webhooks"][0]
    again = {"reinvocationPolicy": "Never"} if schema.kind.startswith("Mutating") else {}
    assert filled == {
        **hook(),
        "clientConfig": {"service": {"name": "s", "namespace": "n", "port": 443}},
        "rules": [{**RULE, "scope": "*"}],
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "timeoutSeconds": 10,
        **again,
    }


def test_a_whole_configuration_is_in_order(schema: Schema) -> None:
    second = hook(name="i.example.com", rules=[{**RULE, "resources": ["pods", "pods/status", "*/scale"]}])
    assert schema.validate(configuration(schema, hook(), second)) == []
    assert schema.validate(configuration(schema)) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": None}, "webhooks[0].name: Required value"),
        (
            {"name": "h.example"},
            'webhooks[0].name: Invalid value: "h.example": should be a domain with at least three segments separated by '
            "dots",
        ),
        (
            {"sideEffects": None},
            "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
        ),
        (
            {"sideEffects": "Some"},
            'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
        ),
        (
            {"failurePolicy": "Maybe"},
            'webhooks[0].failurePolicy: Unsupported value: "Maybe": supported values: "Fail", "Ignore"',
        ),
        (
            {"matchPolicy": "Maybe"},
            'webhooks[0].matchPolicy: Unsupported value: "Maybe": supported values: "Equivalent", "Exact"',
        ),
        (
            {"timeoutSeconds": 31},
            "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
        ),
        (
            {"timeoutSeconds": 0},
            "webhooks[0].timeoutSeconds: Invalid value: 0: the timeout value must be between 1 and 30 seconds",
        ),
        (
            {"admissionReviewVersions": None},
            "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1",
        ),
        (
            {"admissionReviewVersions": ["v2"]},
            'webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1',
        ),
        (
            {"admissionReviewVersions": ["v1", "v1"]},
            'webhooks[0].admissionReviewVersions[1]: Invalid value: "v1": duplicate version',
        ),
        (
            {"objectSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}},
            'webhooks[0].objectSelector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector '
            "operator",
        ),
        (
            {"clientConfig": {}},
            "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
        ),
        (
            {"clientConfig": {"service": {"namespace": "b"}}},
            "webhooks[0].clientConfig.service.name: Required value",
        ),
        (
            {"clientConfig": {"url": "http://h/"}},
            "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired "
            "format: https://host[/path]",
        ),
        (
            {"clientConfig": {"url": "https:///x"}},
            'webhooks[0].clientConfig.url: Invalid value: "": host must be provided; desired format: '
            "https://host[/path]",
        ),
        (
            {"clientConfig": {"url": "https://me@h/"}},
            'webhooks[0].clientConfig.url: Invalid value: "me": user information is not permitted in the URL',
        ),
        (
            {"clientConfig": {"url": "https://h/?a=b"}},
            'webhooks[0].clientConfig.url: Invalid value: "a=b": query parameters are not permitted in the URL',
        ),
        (
            {"clientConfig": {"url": "https://h/#a"}},
            'webhooks[0].clientConfig.url: Invalid value: "a": fragments are not permitted in the URL',
        ),
        (
            {"clientConfig": {"service": {"name": "s", "namespace": "n", "port": 70000}}},
            "webhooks[0].clientConfig.service.port: Invalid value: 70000: port is not valid: must be between 1 and "
            "65535, inclusive",
        ),
        (
            {"clientConfig": {"service": {"name": "s", "namespace": "n", "path": "xy"}}},
            "webhooks[0].clientConfig.service.path: Invalid value: \"xy\": must start with a '/'",
        ),
        (
            {"clientConfig": {"service": {"name": "s", "namespace": "n", "path": "/a//b"}}},
            'webhooks[0].clientConfig.service.path: Invalid value: "/a//b": segment[1] may not be empty',
        ),
        ({"rules": [{**RULE, "operations": []}]}, "webhooks[0].rules[0].operations: Required value"),
        (
            {"rules": [{**RULE, "operations": ["*", "CREATE"]}]},
            'webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other '
            "operations",
        ),
        (
            {"rules": [{**RULE, "operations": ["READ"]}]},
            'webhooks[0].rules[0].operations[0]: Unsupported value: "READ": supported values: "*", "CONNECT", "CREATE", '
            '"DELETE", "UPDATE"',
        ),
        ({"rules": [{**RULE, "resources": []}]}, "webhooks[0].rules[0].resources: Required value"),
        (
            {"rules": [{**RULE, "resources": ["*", "pods"]}]},
            'webhooks[0].rules[0].resources: Invalid value: ["*","pods"]: if \'*\' is present, must not specify other '
            "resources without subresources",
        ),
        (
            {"rules": [{**RULE, "resources": ["*/*", "pods"]}]},
            'webhooks[0].rules[0].resources: Invalid value: ["*/*","pods"]: if \'*/*\' is present, must not specify '
            "other resources",
        ),
        (
            {"rules": [{**RULE, "resources": ["pods/*", "pods/status"]}]},
            "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify "
            "pods/status",
        ),
        (
            {"rules": [{**RULE, "scope": "Here"}]},
            'webhooks[0].rules[0].scope: Unsupported value: "Here": supported values: "*", "Cluster", "Namespaced"',
        ),
        (
            {"matchConditions": [{"name": "n", "expression": " "}]},
            "webhooks[0].matchConditions[0].expression: Required value",
        ),
        (
            {"matchConditions": [{"name": "n", "expression": "'a'"}]},
            "webhooks[0].matchConditions[0].expression: Invalid value: \"'a'\": must evaluate to bool but got string",
        ),
        (
            {"matchConditions": [{"name": "n", "expression": "true"}, {"name": "n", "expression": "true"}]},
            'webhooks[0].matchConditions[1].name: Duplicate value: "n"',
        ),
        (
            {"matchConditions": [{"name": f"n{n}", "expression": "true"} for n in range(65)]},
            "webhooks[0].matchConditions: Too many: 65: must have at most 64 items",
        ),
    ],
)
def test_what_is_wrong_is_said(schema: Schema, changes: Json, error: str) -> None:
    assert [str(one) for one in schema.validate(configuration(schema, hook(**changes)))] == [error]


def test_an_expression_is_compiled_at_the_door(schema: Schema) -> None:
    wrong = hook(matchConditions=[{"name": "n", "expression": "request.nope == ''"}])
    (error,) = schema.validate(configuration(schema, wrong))
    assert error.field == "webhooks[0].matchConditions[0].expression"
    assert error.detail.startswith("compilation failed: ERROR: <input>:1:8: undefined field 'nope'")


def test_names_are_unique(schema: Schema) -> None:
    (error,) = schema.validate(configuration(schema, hook(), hook()))
    assert str(error) == 'webhooks[1].name: Duplicate value: "h.example.com"'


def test_an_update_is_held_to_the_same(schema: Schema) -> None:
    old = configuration(schema, hook())
    (error,) = schema.validate_update(configuration(schema, hook(name="short")), old)
    assert error.field == "webhooks[0].name"
