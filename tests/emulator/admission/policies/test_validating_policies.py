"""What validating policies refuse, warn of and note, in the words of the real server."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aliquot.emulator.admission.policies import evaluation
from aliquot.emulator.admission.policies import validating as subject
from tests.emulator.admission.policies.objects import (
    CONFIG_MAPS,
    GROUP,
    Json,
    bind,
    binding,
    collection,
    resources,
    rule,
    validating,
)
from tests.emulator.api import CONFIGS, MERGE, PODS, Api, FixedClock, config, new_api, pod
from tests.emulator.test_api_writes import DEPLOYMENTS, deployment

POLICIES = f"{GROUP}/validatingadmissionpolicies"
NAMESPACES = "/api/v1/namespaces"
SAYS = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
FOR_C = f'configmaps "c" is forbidden: {SAYS}'
EXHAUSTED = "validation failed due to running out of cost budget, no further validation rules will be run"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = await new_api(FixedClock())
    yield made
    made.server.stop()
    await made.close()


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What would be in the audit log."""
    noted: dict[str, str] = {}
    monkeypatch.setattr(subject, "annotate", lambda call, key, value: noted.setdefault(key, value))
    return noted


async def answer(api: Api, obj: Json | None = None, path: str = CONFIGS) -> str:
    """What a write is refused with, "" where it is not."""
    status, body = await api.send("POST", path, obj or config("c", a="1"))
    return "" if status == 201 else body["message"]


# ---- what is told of a refusal -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("validation", "said", "code", "reason"),
    [
        ({"expression": "true"}, "", 201, ""),
        ({"expression": "1 == 2"}, "failed expression: 1 == 2", 422, "Invalid"),
        ({"expression": " 1 == 2 "}, "failed expression: 1 == 2", 422, "Invalid"),
        ({"expression": "false", "message": "no "}, "no", 422, "Invalid"),
        ({"expression": "false", "reason": "Forbidden"}, "failed expression: false", 403, "Forbidden"),
        (
            {"expression": "false", "reason": "RequestEntityTooLarge"},
            "failed expression: false",
            413,
            "RequestEntityTooLarge",
        ),
        (
            {"expression": "false", "message": "no", "messageExpression": "'a is ' + object.data.a"},
            "a is 1",
            422,
            "Invalid",
        ),
        # an expression for the message that fails, or says nothing in one line, is left out
        (
            {"expression": "false", "message": "no", "messageExpression": "string(object.gone)"},
            "no",
            422,
            "Invalid",
        ),
        ({"expression": "false", "message": "no", "messageExpression": "' '"}, "no", 422, "Invalid"),
        ({"expression": "false", "message": "no", "messageExpression": "'a\\nb'"}, "no", 422, "Invalid"),
        (
            {"expression": "false", "messageExpression": "string(object.gone)"},
            "failed expression: false",
            422,
            "Invalid",
        ),
        (
            {"expression": "object.gone == 1"},
            "expression 'object.gone == 1' resulted in error: no such key: gone",
            422,
            "Invalid",
        ),
        (
            {"expression": "object.data.a > 1"},
            "expression 'object.data.a > 1' resulted in error: no such overload",
            422,
            "Invalid",
        ),
        (
            {"expression": "int(object.data.a) / 0 == 1"},
            "expression 'int(object.data.a) / 0 == 1' resulted in error: division by zero",
            422,
            "Invalid",
        ),
    ],
)
async def test_a_refusal(api: Api, validation: Json, said: str, code: int, reason: str) -> None:
    await bind(api, validating(validations=[validation]))
    status, body = await api.send("POST", CONFIGS, config("c", a="1"))
    assert status == code
    if said:
        assert body["message"] == FOR_C + said
        assert body["reason"] == reason
        assert body["details"] == {"name": "c", "kind": "configmaps", "causes": [{"message": SAYS + said}]}


async def test_the_first_refusal_is_told(api: Api) -> None:
    await bind(api, validating("p", "1 == 1", "2 == 3", "4 == 5"))
    assert await answer(api) == f"{FOR_C}failed expression: 2 == 3"


async def test_policies_are_asked_by_name_and_bindings_too(api: Api) -> None:
    late, early = validating("z", "false"), validating("a", "false")
    await bind(api, late, name="z")
    await api.ok("POST", POLICIES, early)
    for name in ("y", "x"):
        bound = binding(early, name)
        await api.ok("POST", collection(bound), bound)
    assert "ValidatingAdmissionPolicy 'a' with binding 'x'" in await answer(api)


async def test_a_resource_in_a_group_is_named_with_it(api: Api) -> None:
    policy = validating(
        "p", "object.spec.replicas <= 2", matchConstraints=resources(rule("apps", "v1", "deployments"))
    )
    await bind(api, policy)
    wanted = deployment()
    wanted["spec"]["replicas"] = 3
    name = wanted["metadata"]["name"]
    assert await answer(api, wanted, DEPLOYMENTS) == (
        f'deployments.apps "{name}" is forbidden: {SAYS}failed expression: object.spec.replicas <= 2'
    )
    wanted["spec"]["replicas"] = 2
    assert await answer(api, wanted, DEPLOYMENTS) == ""


# ---- what expressions speak of -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("object.data.a == '1' && oldObject == null", True),
        ("has(object.metadata.namespace) && object.metadata.namespace == 'default'", True),
        ("object.metadata.creationTimestamp == null", False),
        ("request.operation == 'CREATE' && request.name == 'c' && request.namespace == 'default'", True),
        ("request.userInfo.username == 'admin' && 'system:masters' in request.userInfo.groups", True),
        ("request.kind.kind == 'ConfigMap' && request.resource.resource == 'configmaps'", True),
        ("request.dryRun == false && !has(request.subResource)", True),
        ("has(request.options) && request.options.kind == 'CreateOptions'", True),
        ("namespaceObject.metadata.name == 'default' && namespaceObject.status.phase == 'Active'", True),
        ("namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'default'", True),
        ("authorizer.group('').resource('pods').namespace('default').check('create').allowed()", True),
        ("authorizer.requestResource.check('create').allowed()", True),
        (
            "authorizer.serviceAccount('default', 'x').group('').resource('pods').check('get').allowed()",
            False,
        ),
        ("object.?data.?b.orValue('none') == 'none'", True),
        ("object.data.all(k, v, k == 'a' && v == '1')", True),
        ("object.data.exists(k, object.data[k] == '2')", False),
    ],
)
async def test_what_is_in_view(api: Api, expression: str, holds: bool) -> None:
    await bind(api, validating("p", expression))
    said = await answer(api)
    assert said == "" if holds else said.startswith(FOR_C), said


async def test_an_update_shows_both_and_a_deletion_the_old_one(api: Api) -> None:
    await api.ok("POST", CONFIGS, config("c", a="1"))
    await bind(
        api, validating("p", "request.operation == 'DELETE' ? object == null : object.data == oldObject.data")
    )
    status, body = await api.send("PATCH", f"{CONFIGS}/c", {"data": {"a": "2"}}, type=MERGE)
    assert (status, body["message"].startswith(FOR_C)) == (422, True)
    await api.ok("PATCH", f"{CONFIGS}/c", {"metadata": {"labels": {"l": "1"}}}, type=MERGE)
    await api.ok("DELETE", f"{CONFIGS}/c")


async def test_what_is_in_no_namespace_has_no_namespace_object(api: Api) -> None:
    policy = validating(
        "p", "namespaceObject == null", matchConstraints=resources(rule("", "v1", "namespaces", "nodes"))
    )
    await bind(api, policy)
    await api.ok("POST", NAMESPACES, {"metadata": {"name": "n"}})
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})


@pytest.mark.parametrize(
    ("variables", "expression", "said"),
    [
        ({"x": "1", "y": "variables.x + 1"}, "variables.y == 2", ""),
        ({"x": "object.data.gone", "y": "2"}, "variables.y == 2", ""),
        (
            {"x": "object.data.gone"},
            "variables.x == 'a'",
            "expression 'variables.x == 'a'' resulted in error: composited variable \"x\" fails to evaluate: "
            "no such key: gone",
        ),
        (
            {"x": "object.data.gone", "y": "variables.x"},
            "variables.y == 'a'",
            "expression 'variables.y == 'a'' resulted in error: composited variable \"y\" fails to evaluate: "
            'composited variable "x" fails to evaluate: no such key: gone',
        ),
        ({"x": "object.data"}, "variables.x.a == '1'", ""),
        ({"xs": "object.data.map(k, k)"}, "variables.xs == ['a']", ""),
    ],
)
async def test_variables(api: Api, variables: dict[str, str], expression: str, said: str) -> None:
    named = [{"name": name, "expression": text} for name, text in variables.items()]
    await bind(api, validating("p", expression, variables=named))
    assert await answer(api) == (FOR_C + said if said else "")


# ---- which operations are meant ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constraints", "is_refused"),
    [
        ({}, True),
        ({"resourceRules": [rule("", "v1", "secrets")]}, False),
        ({"resourceRules": [rule("*", "*", "*")]}, True),
        ({"resourceRules": [rule("", "v1", "configmaps", operations="UPDATE")]}, False),
        ({"resourceRules": [{**CONFIG_MAPS, "resourceNames": ["c"]}]}, True),
        ({"resourceRules": [{**CONFIG_MAPS, "resourceNames": ["d"]}]}, False),
        ({"excludeResourceRules": [CONFIG_MAPS]}, False),
        ({"excludeResourceRules": [{**CONFIG_MAPS, "resourceNames": ["d"]}]}, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, False),
        ({"objectSelector": {"matchLabels": {"l": "1"}}}, True),
        ({"objectSelector": {"matchLabels": {"l": "2"}}}, False),
    ],
)
@pytest.mark.parametrize("of_the_binding", [False, True])
async def test_which_operations_are_meant(
    api: Api, constraints: Json, is_refused: bool, of_the_binding: bool
) -> None:
    if of_the_binding:
        await bind(api, validating("p", "false"), matchResources=constraints)
    else:
        await bind(api, validating("p", "false", matchConstraints={**resources(), **constraints}))
    assert bool(await answer(api, config("c", {"l": "1"}, a="1"))) is is_refused


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (["object.data.a == '1'"], "failed expression: false"),
        (["object.data.a == '2'"], ""),
        # one that does not hold decides, whatever happens to the others
        (["object.gone == 1", "object.data.a == '2'"], ""),
        (["object.gone == 1", "true"], "expression 'object.gone == 1' resulted in error: no such key: gone"),
        (
            ["object.gone == 1", "object.away == 1"],
            "[expression 'object.gone == 1' resulted in error: no such key: gone, "
            "expression 'object.away == 1' resulted in error: no such key: away]",
        ),
    ],
)
async def test_match_conditions(api: Api, conditions: list[str], said: str) -> None:
    named = [{"name": f"c{index}", "expression": one} for index, one in enumerate(conditions)]
    await bind(api, validating("p", "false", matchConditions=named))
    assert await answer(api) == (FOR_C + said if said else "")


@pytest.mark.parametrize(
    "spec",
    [
        {"validations": [{"expression": "object.gone == 1"}]},
        {"matchConditions": [{"name": "c", "expression": "object.gone == 1"}]},
        {"paramKind": {"apiVersion": "none.example.com/v1", "kind": "None"}},
        {"auditAnnotations": [{"key": "k", "valueExpression": "string(object.gone)"}]},
    ],
)
async def test_a_policy_that_fails_open_lets_pass_what_it_cannot_judge(api: Api, spec: Json) -> None:
    await bind(
        api, validating(**{"validations": [{"expression": "true"}], **spec, "failurePolicy": "Ignore"})
    )
    assert await answer(api) == ""


async def test_what_configures_admission_is_never_refused(api: Api) -> None:
    await bind(api, validating("p", "false", matchConstraints=resources(rule("*", "*", "*"))))
    assert await answer(api) != ""
    await api.ok("DELETE", f"{GROUP}/validatingadmissionpolicybindings/b")
    assert await answer(api) == ""
    await api.ok("DELETE", f"{POLICIES}/p")


async def test_what_configures_webhooks_is_no_exception(api: Api) -> None:
    await bind(api, validating("p", "false", matchConstraints=resources(rule("*", "*", "*"))))
    hook = {"metadata": {"name": "w"}}
    status, body = await api.send("POST", f"{GROUP}/validatingwebhookconfigurations", hook)
    assert (status, SAYS in body["message"]) == (422, True)


async def test_no_policy_is_asked_about_questions(api: Api) -> None:
    await bind(api, validating("p", "false", matchConstraints=resources(rule("*", "*", "*"))))
    asked = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    reviews = "/apis/authorization.k8s.io/v1"
    await api.ok("POST", f"{reviews}/selfsubjectaccessreviews", {"spec": asked})
    await api.ok("POST", f"{reviews}/subjectaccessreviews", {"spec": asked | {"user": "eve"}})
    await api.ok(
        "POST",
        f"{reviews}/namespaces/default/localsubjectaccessreviews",
        {
            "spec": asked
            | {"user": "eve", "resourceAttributes": asked["resourceAttributes"] | {"namespace": "default"}}
        },
    )
    await api.ok("POST", f"{reviews}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    await api.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    await api.ok("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}})


async def test_a_subresource_is_meant_by_its_name_alone(api: Api) -> None:
    await api.ok("POST", PODS, pod("c"))
    policy = validating("p", "false", matchConstraints=resources(rule("", "v1", "pods/status")))
    await bind(api, policy)
    await api.ok("PATCH", f"{PODS}/c", {"metadata": {"labels": {"a": "1"}}}, type=MERGE)
    status, body = await api.send("PATCH", f"{PODS}/c/status", {"status": {"phase": "Failed"}}, type=MERGE)
    assert (status, body["message"]) == (422, f'pods "c" is forbidden: {SAYS}failed expression: false')


async def test_other_versions_of_a_resource_are_equivalent(api: Api) -> None:
    """A rule for one version concerns the resource in all; the expression sees it in that one."""
    events = rule("events.k8s.io", "v1", "events")
    expression = "object.apiVersion == 'events.k8s.io/v1' && object.note == 'hello'"
    await bind(api, validating("p", expression, matchConstraints=resources(events)))
    written = {
        "metadata": {"name": "c"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
        "message": "hello",
        "reason": "Started",
        "type": "Normal",
    }
    path = "/api/v1/namespaces/default/events"
    assert await answer(api, written, path) == ""
    said = await answer(api, {**written, "metadata": {"name": "d"}, "message": "bye"}, path)
    assert said == f'events "d" is forbidden: {SAYS}failed expression: {expression}'
    exact = {**resources(events), "matchPolicy": "Exact"}
    await api.ok("PATCH", f"{POLICIES}/p", {"spec": {"matchConstraints": exact}}, type=MERGE)
    assert await answer(api, {**written, "metadata": {"name": "d"}, "message": "bye"}, path) == ""


# ---- parameters ----------------------------------------------------------------------------------------------

CONFIG_PARAMS = {"apiVersion": "v1", "kind": "ConfigMap"}
NOT_FOUND = (
    "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
)


async def parameterized(api: Api, reference: Json, **spec: Any) -> None:
    await bind(
        api,
        validating(
            "p", "object.metadata.name.startsWith(params.data.prefix)", paramKind=CONFIG_PARAMS, **spec
        ),
        paramRef={"parameterNotFoundAction": "Deny", **reference},
    )


@pytest.mark.parametrize(
    ("reference", "name", "said"),
    [
        ({"name": "one"}, "a-1", ""),
        ({"name": "one"}, "b-1", "failed expression: object.metadata.name.startsWith(params.data.prefix)"),
        ({"name": "one", "namespace": "default"}, "a-1", ""),
        ({"name": "one", "namespace": "kube-system"}, "a-1", NOT_FOUND),
        ({"name": "none"}, "a-1", NOT_FOUND),
        ({"name": "none", "parameterNotFoundAction": "Allow"}, "b-1", ""),
        # each is a round of its own
        ({"selector": {"matchLabels": {"kind": "narrow"}}}, "a-b-1", ""),
        (
            {"selector": {"matchLabels": {"kind": "narrow"}}},
            "a-1",
            "failed expression: object.metadata.name.startsWith(params.data.prefix)",
        ),
        ({"selector": {}}, "a-b-1", ""),
        ({"selector": {"matchLabels": {"kind": "no"}}}, "a-1", NOT_FOUND),
        ({"selector": {"matchLabels": {"kind": "no"}}, "parameterNotFoundAction": "Allow"}, "b", ""),
    ],
)
async def test_parameters(api: Api, reference: Json, name: str, said: str) -> None:
    await api.ok("POST", CONFIGS, config("one", {"kind": "wide"}, prefix="a-"))
    await api.ok("POST", CONFIGS, config("two", {"kind": "narrow"}, prefix="a-b-"))
    await parameterized(api, reference)
    assert await answer(api, config(name)) == (
        f'configmaps "{name}" is forbidden: {SAYS}{said}' if said else ""
    )


async def test_a_change_of_a_parameter_counts_at_once(api: Api) -> None:
    await api.ok("POST", CONFIGS, config("one", prefix="a-"))
    await parameterized(api, {"name": "one"}, matchConstraints=resources(rule("", "v1", "pods")))
    assert await answer(api, pod("b-1"), PODS) != ""
    await api.ok("PATCH", f"{CONFIGS}/one", {"data": {"prefix": "b-"}}, type=MERGE)
    assert await answer(api, pod("b-1"), PODS) == ""


@pytest.mark.parametrize(
    ("kind", "reference", "constraints", "said"),
    [
        (
            {"apiVersion": "none.example.com/v1", "kind": "None"},
            {"name": "x"},
            CONFIG_MAPS,
            "failed to configure binding: paramKind kind "
            "`&ParamKind{APIVersion:none.example.com/v1,Kind:None,}` not known",
        ),
        (
            CONFIG_PARAMS,
            {"name": "x"},
            rule("", "v1", "nodes"),
            "failed to configure binding: cannot use namespaced paramRef in policy binding that matches "
            "cluster-scoped resources",
        ),
        (
            {"apiVersion": "v1", "kind": "Node"},
            {"name": "x", "namespace": "default"},
            CONFIG_MAPS,
            "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`",
        ),
    ],
)
async def test_parameters_that_cannot_be(
    api: Api, kind: Json, reference: Json, constraints: Json, said: str
) -> None:
    policy = validating("p", "true", paramKind=kind, matchConstraints=resources(constraints))
    await bind(api, policy, paramRef={"parameterNotFoundAction": "Allow", **reference})
    if constraints is CONFIG_MAPS:
        assert await answer(api) == FOR_C + said
    else:
        body = {"metadata": {"name": "c"}}
        assert await answer(api, body, "/api/v1/nodes") == f'nodes "c" is forbidden: {SAYS}{said}'


async def test_params_are_null_for_a_binding_without_a_reference(api: Api) -> None:
    await bind(api, validating("p", "params == null", paramKind=CONFIG_PARAMS))
    assert await answer(api) == ""


# ---- what a failed validation does ---------------------------------------------------------------------------


async def test_warn_lets_pass_and_tells_the_client(api: Api) -> None:
    await bind(api, validating("p", "false"), validationActions=["Warn"])
    await api.ok("POST", CONFIGS, config("c"))
    assert api.headers["warning"] == (
        "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': failed expression: false\""
    )


async def test_audit_lets_pass_and_notes_it(api: Api, notes: dict[str, str]) -> None:
    await bind(api, validating("p", "true", "false"), validationActions=["Audit"])
    await api.ok("POST", CONFIGS, config("c"))
    assert notes == {
        "validation.policy.admission.k8s.io/validation_failure": (
            '[{"message":"failed expression: false","policy":"p","binding":"b","expressionIndex":1,'
            '"validationActions":["Audit"]}]'
        )
    }


@pytest.mark.parametrize(
    ("expressions", "noted"),
    [
        (["'a is ' + object.data.a"], {"p/k0": "a is 1"}),
        (["null", "'  '", "'x'"], {"p/k2": "x"}),
        (["'x'", "'y'"], {"p/k0": "x", "p/k1": "y"}),
    ],
)
async def test_annotations(
    api: Api, notes: dict[str, str], expressions: list[str], noted: dict[str, str]
) -> None:
    written = [{"key": f"k{index}", "valueExpression": one} for index, one in enumerate(expressions)]
    await bind(api, validating("p", auditAnnotations=written))
    await api.ok("POST", CONFIGS, config("c", a="1"))
    assert notes == noted


async def test_an_annotation_that_fails_refuses(api: Api) -> None:
    await bind(
        api, validating("p", auditAnnotations=[{"key": "k", "valueExpression": "string(object.gone)"}])
    )
    assert (
        await answer(api) == f"{FOR_C}expression 'string(object.gone)' resulted in error: no such key: gone"
    )


async def test_annotations_of_several_parameters_are_joined(api: Api, notes: dict[str, str]) -> None:
    for name in ("one", "two"):
        await api.ok("POST", CONFIGS, config(name, {"is": "param"}))
    written = [{"key": "k", "valueExpression": "string(params.metadata.name)"}]
    await bind(
        api,
        validating("p", auditAnnotations=written, paramKind=CONFIG_PARAMS),
        paramRef={"selector": {"matchLabels": {"is": "param"}}, "parameterNotFoundAction": "Deny"},
    )
    await api.ok("POST", CONFIGS, config("c"))
    assert notes == {"p/k": "one, two"}


# ---- cost ----------------------------------------------------------------------------------------------------


async def test_one_expression_has_a_limit(api: Api) -> None:
    dear = " || ".join(["object.data.a.contains('no')"] * 21)
    await bind(api, validating("p", dear))
    assert await answer(api, config("c", a="y" * 500_000)) == (
        f"{FOR_C}expression '{dear}' resulted in error: operation cancelled: actual cost limit exceeded"
    )


@pytest.mark.parametrize(("budget", "said"), [(200, ""), (100, FOR_C + EXHAUSTED)])
async def test_all_of_a_policy_have_a_budget(
    api: Api, monkeypatch: pytest.MonkeyPatch, budget: int, said: str
) -> None:
    """What variables cost counts, once."""
    monkeypatch.setattr(evaluation, "BUDGET", budget)
    expression = "variables.range.all(a, a == 0)"
    few = {"name": "range", "expression": "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"}
    await bind(api, validating("p", expression, expression, variables=[few]))
    assert await answer(api) == said


# ---- policies that are not there -----------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["policy", "binding"])
async def test_half_of_it_does_nothing(api: Api, missing: str) -> None:
    policy = validating("p", "false")
    bound = binding(policy)
    for one in (bound,) if missing == "policy" else (policy,):
        await api.ok("POST", collection(one), one)
    assert await answer(api) == ""


async def test_a_changed_policy_counts_at_once(api: Api) -> None:
    await bind(api, validating("p", "false"))
    assert await answer(api) != ""
    changed = {"spec": {"validations": [{"expression": "true"}]}}
    await api.ok("PATCH", f"{POLICIES}/p", changed, type=MERGE)
    assert await answer(api) == ""
