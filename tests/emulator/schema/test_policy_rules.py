"""Admission policies and bindings: what they must say, and that their expressions compile."""

from functools import cache
from typing import Any

import pytest

from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.versions import Surface
from tests.emulator.admission.policies.objects import (
    Json,
    binding,
    lay,
    mutating,
    patch,
    resources,
    rule,
    validating,
)
from tests.emulator.schema.objects import texts

GROUP = "admissionregistration.k8s.io"
LEAST = "Required value: validations or auditAnnotations must contain at least one item"
DNS_LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
EVERYTHING = rule("*", "*", "*")


@cache
def catalogue(minor: int) -> Catalogue:
    return Catalogue(Surface(f"1.{minor}"))


def judged(obj: Json, minor: int = 36, **spec: Any) -> list[str]:
    schema = catalogue(minor).get(GROUP, "v1", obj["kind"])
    assert schema is not None
    whole = {**obj, "spec": {**obj["spec"], **spec}}
    return texts(schema.validate(schema.default(schema.decode(whole)[0])))


def validation(expression: str = "true", **more: Any) -> Json:
    return {"validations": [{"expression": expression, **more}]}


def variables(*named: tuple[str, str]) -> Json:
    return {"variables": [{"name": name, "expression": text} for name, text in named]}


def undeclared(path: str, expression: str, name: str, column: int = 1) -> str:
    return (
        f'{path}: Invalid value: "{expression}": compilation failed: ERROR: <input>:1:{column}: '
        f"undeclared reference to '{name}' (in container '')\n | {expression}\n | {'.' * (column - 1)}^"
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, []),
        ({"validations": []}, [f"spec.validations: {LEAST}", f"spec.auditAnnotations: {LEAST}"]),
        ({"matchConstraints": None}, ["spec.matchConstraints: Required value"]),
        ({"matchConstraints": {}}, ["spec.matchConstraints.resourceRules: Required value"]),
        (
            {"matchConstraints": resources({})},
            [
                f"spec.matchConstraints.resourceRules[0].{field}: Required value"
                for field in ("operations", "apiGroups", "apiVersions", "resources")
            ],
        ),
        (
            {"matchConstraints": resources(EVERYTHING, matchPolicy="x")},
            [
                'spec.matchConstraints.matchPolicy: Unsupported value: "x": supported values: "Equivalent", "Exact"'
            ],
        ),
        (
            {"matchConstraints": resources({**EVERYTHING, "resourceNames": ["a", "a", "b/c"]})},
            [
                'spec.matchConstraints.resourceRules[0].resourceNames[1]: Duplicate value: "a"',
                "spec.matchConstraints.resourceRules[0].resourceNames[2]: Invalid value: \"b/c\": may not contain '/'",
            ],
        ),
        (
            {"failurePolicy": "x"},
            ['spec.failurePolicy: Unsupported value: "x": supported values: "Fail", "Ignore"'],
        ),
        (
            {"paramKind": {}},
            ["spec.paramKind.apiVersion: Required value", "spec.paramKind.kind: Required value"],
        ),
        (
            {"paramKind": {"apiVersion": "a/b/c", "kind": "K"}},
            [
                'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
            ],
        ),
        (
            {"paramKind": {"apiVersion": "v1", "kind": "K_"}},
            [
                'spec.paramKind.kind: Invalid value: "K_": may have mixed case, but should otherwise match: '
                + DNS_LABEL
            ],
        ),
        # what expressions may be
        (validation(""), ["spec.validations[0].expression: Required value: expression is not specified"]),
        (
            validation("1"),
            ['spec.validations[0].expression: Invalid value: "1": must evaluate to bool but got int'],
        ),
        (
            validation("object.x"),
            ['spec.validations[0].expression: Invalid value: "object.x": must evaluate to bool but got dyn'],
        ),
        (
            validation("objec.x == 1"),
            [undeclared("spec.validations[0].expression", "objec.x == 1", "objec")],
        ),
        (
            validation("params.x == 1"),
            [undeclared("spec.validations[0].expression", "params.x == 1", "params")],
        ),
        ({**validation("params.x == 1"), "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}, []),
        (
            validation("request.namespaze == 'x'"),
            [
                "spec.validations[0].expression: Invalid value: \"request.namespaze == 'x'\": compilation failed: "
                "ERROR: <input>:1:8: undefined field 'namespaze'\n | request.namespaze == 'x'\n | .......^"
            ],
        ),
        (validation(messageExpression="string(object.x)"), []),
        (
            validation(messageExpression="1"),
            [
                'spec.validations[0].messageExpression: Invalid value: "1": must evaluate to string but got int'
            ],
        ),
        (
            validation(messageExpression="string(authorizer)"),
            [
                undeclared(
                    "spec.validations[0].messageExpression", "string(authorizer)", "authorizer", column=8
                )
            ],
        ),
        (
            validation(messageExpression="  "),
            [
                'spec.validations[0].messageExpression: Invalid value: "  ": must be non-empty if specified',
            ],
        ),
        (
            validation(message="a\nb"),
            ['spec.validations[0].message: Invalid value: "a\\nb": message must not contain line breaks'],
        ),
        (
            validation(reason="No"),
            [
                'spec.validations[0].reason: Unsupported value: "No": supported values: "Forbidden", "Invalid", '
                '"RequestEntityTooLarge"'
            ],
        ),
        # variables: each in view of those before it
        ({**variables(("x", "1"), ("y", "variables.x + 1")), **validation("variables.y == 2")}, []),
        (
            variables(("x", "variables.y"), ("y", "1")),
            [
                'spec.variables[0].expression: Invalid value: "variables.y": compilation failed: '
                "ERROR: <input>:1:10: undefined field 'y'\n | variables.y\n | .........^"
            ],
        ),
        (
            {**variables(("x", "1")), **validation("variables.x == 'a'")},
            [
                "spec.validations[0].expression: Invalid value: \"variables.x == 'a'\": compilation failed: "
                "ERROR: <input>:1:13: found no matching overload for '_==_' applied to '(int, string)'\n"
                " | variables.x == 'a'\n | ............^"
            ],
        ),
        (
            variables(("1", "1")),
            ['spec.variables[0].name: Invalid value: "1": name is not a valid CEL identifier'],
        ),
        (
            variables(("in", "1")),
            ['spec.variables[0].name: Invalid value: "in": name is not a valid CEL identifier'],
        ),
        (variables(("", "1")), ["spec.variables[0].name: Required value: name is not specified"]),
        # annotations
        (
            {"validations": [], "auditAnnotations": [{"key": "k", "valueExpression": "null"}]},
            [],
        ),
        (
            {
                "auditAnnotations": [
                    {"key": "k", "valueExpression": "1"},
                    {"key": "k", "valueExpression": " "},
                ]
            },
            [
                'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of '
                "[string null_type] but got int",
                "spec.auditAnnotations[1].valueExpression: Required value: valueExpression is not specified",
                'spec.auditAnnotations[1].key: Duplicate value: "k"',
            ],
        ),
        # conditions, which see no variables
        (
            {
                **variables(("x", "1")),
                "matchConditions": [{"name": "a", "expression": "variables.x == 1"}],
            },
            [undeclared("spec.matchConditions[0].expression", "variables.x == 1", "variables")],
        ),
        (
            {
                "matchConditions": [
                    {"name": "a", "expression": "true"},
                    {"name": "a", "expression": ""},
                    {"name": "", "expression": "1"},
                ]
            },
            [
                "spec.matchConditions[1].expression: Required value",
                'spec.matchConditions[1].name: Duplicate value: "a"',
                'spec.matchConditions[2].expression: Invalid value: "1": must evaluate to bool but got int',
                "spec.matchConditions[2].name: Required value",
            ],
        ),
    ],
)
def test_validating_policies(spec: Json, said: list[str]) -> None:
    assert judged(validating("p", "true"), **spec) == said


@pytest.mark.parametrize(
    ("mutation", "said"),
    [
        (lay("Object{}"), []),
        (lay("Object{spec: Object.spec{anything: [1, 2]}}"), []),
        (patch("[JSONPatch{op: 'add', path: '/a', value: {'b': 1}}]"), []),
        (
            lay("1"),
            ['.applyConfiguration.expression: Invalid value: "1": must evaluate to Object but got int'],
        ),
        (
            patch("Object{}"),
            [
                '.jsonPatch.expression: Invalid value: "Object{}": must evaluate to list(JSONPatch) but got Object'
            ],
        ),
        (
            patch("[JSONPatch{opp: 'x'}]"),
            [
                ".jsonPatch.expression: Invalid value: \"[JSONPatch{opp: 'x'}]\": compilation failed: "
                "ERROR: <input>:1:15: undefined field 'opp'\n | [JSONPatch{opp: 'x'}]\n | ..............^"
            ],
        ),
        (lay("Other{}"), [undeclared(".applyConfiguration.expression", "Other{}", "Other")]),
        ({}, [".patchType: Required value"]),
        (
            {"patchType": "x"},
            ['.patchType: Unsupported value: "x": supported values: "ApplyConfiguration", "JSONPatch"'],
        ),
        (
            {"patchType": "JSONPatch"},
            [".jsonPatch: Required value: must be specified when patchType is JSONPatch"],
        ),
    ],
)
def test_mutations(mutation: Json, said: list[str]) -> None:
    assert judged(mutating("p", mutation)) == [f"spec.mutations[0]{text}" for text in said]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"mutations": []}, ["spec.mutations: Required value: mutations must contain at least one item"]),
        ({"reinvocationPolicy": ""}, ["spec.reinvocationPolicy: Required value"]),
        (
            {"reinvocationPolicy": "x"},
            ['spec.reinvocationPolicy: Unsupported value: "x": supported values: "IfNeeded", "Never"'],
        ),
    ],
)
def test_mutating_policies(spec: Json, said: list[str]) -> None:
    assert judged(mutating("p", lay("Object{}")), **spec) == said


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, []),
        (
            {"validationActions": []},
            ["spec.validationActions: Required value: at least one validation action is required"],
        ),
        (
            {"validationActions": ["Deny", "Warn"]},
            [
                'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn (repeating '
                "the same validation failure information in the API response and headers serves no purpose)"
            ],
        ),
        (
            {"validationActions": ["Deny", "Deny", "x"]},
            [
                'spec.validationActions[1]: Duplicate value: "Deny"',
                'spec.validationActions[2]: Unsupported value: "x": supported values: "Audit", "Deny", "Warn"',
            ],
        ),
        ({"policyName": ""}, ["spec.policyName: Required value"]),
        (
            {"paramRef": {}},
            [
                "spec.paramRef: Required value: one of name or selector must be specified",
                "spec.paramRef.parameterNotFoundAction: Required value",
            ],
        ),
        (
            {"paramRef": {"name": "x", "selector": {}, "parameterNotFoundAction": "x"}},
            [
                "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
                "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
                'spec.paramRef.parameterNotFoundAction: Unsupported value: "x": supported values: "Deny", "Allow"',
            ],
        ),
        # as the real server misspells it
        (
            {"matchResources": {"matchPolicy": "x"}},
            [
                'spec.matchResouces.matchPolicy: Unsupported value: "x": supported values: "Equivalent", "Exact"'
            ],
        ),
    ],
)
def test_bindings(spec: Json, said: list[str]) -> None:
    assert judged(binding(validating()), **spec) == said


@pytest.mark.parametrize(("minor", "is_known"), [(32, False), (33, False), (34, True)])
def test_a_new_expression_must_be_known_to_the_version_before(minor: int, is_known: bool) -> None:
    said = judged(validating("p", "isSemver(string(object.v))"), minor=minor)
    assert (said == []) is is_known


def test_what_is_not_said_is_filled_in() -> None:
    schema = Catalogue().get(GROUP, "v1", "ValidatingAdmissionPolicy")
    assert schema is not None
    spec = schema.default(schema.decode(validating("p", "true"))[0])["spec"]
    assert spec["failurePolicy"] == "Fail"
    constraints = spec["matchConstraints"]
    assert [constraints[name] for name in ("matchPolicy", "namespaceSelector", "objectSelector")] == [
        "Equivalent",
        {},
        {},
    ]
    assert constraints["resourceRules"][0]["scope"] == "*"
