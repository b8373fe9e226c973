"""What mutating policies make of objects, and when they are asked again."""

from typing import Any

import pytest

from aliquot.emulator.versions import Surface
from tests.emulator.admission.hooks import Wire, configure, hook, label
from tests.emulator.admission.policies.objects import (
    GROUP,
    Json,
    bind,
    lay,
    mutating,
    patch,
    resources,
    rule,
)
from tests.emulator.api import CONFIGS, MERGE, PODS, Api, FixedClock, config, new_api, pod

SAYS = "policy 'p' with binding 'b' denied request: "
FOR_PODS = resources(rule("", "v1", "pods"))


async def made(api: Api, *mutations: Json, obj: Json | None = None, **spec: Any) -> Json:
    """A ConfigMap as it comes out of a policy."""
    await bind(api, mutating("p", *mutations, **spec))
    stored: Json = await api.ok("POST", CONFIGS, obj or config("c", {"l": "1"}, a="1"))
    return stored


# ---- Objects laid over ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "data"),
    [
        ("Object{data: {'b': '2'}}", {"a": "1", "b": "2"}),
        ("Object{data: {'a': '2'}}", {"a": "2"}),
        ("Object{data: Object.data{b: '2'}}", {"a": "1", "b": "2"}),
        ("Object{data: {'b': object.data.a + 'x'}}", {"a": "1", "b": "1x"}),
        ("Object{data: {'b': request.operation}}", {"a": "1", "b": "CREATE"}),
        ("has(object.data.z) ? Object{data: {'b': '2'}} : Object{}", {"a": "1"}),
        ("Object{data: Object.data{?b: object.data[?'z'], ?c: object.data[?'a']}}", {"a": "1", "c": "1"}),
        ("Object{data: object.data.transformMapEntry(k, v, {k + k: v})}", {"a": "1", "aa": "1"}),
    ],
)
async def test_an_object_is_laid_over(api: Api, expression: str, data: dict[str, str]) -> None:
    assert (await made(api, lay(expression)))["data"] == data


async def test_metadata(api: Api) -> None:
    stored = await made(
        api,
        lay("Object{metadata: Object.metadata{labels: {'m': 'x'}, annotations: {'k': string(1 + 1)}}}"),
    )
    assert stored["metadata"]["labels"] == {"l": "1", "m": "x"}
    assert stored["metadata"]["annotations"] == {"k": "2"}


async def test_list_elements_are_merged_by_their_keys(api: Api) -> None:
    expression = (
        "Object{spec: Object.spec{"
        "containers: object.spec.containers.map(c, "
        "Object.spec.containers{name: c.name, env: [Object.spec.containers.env{name: 'A', value: '1'}]}), "
        "initContainers: [Object.spec.initContainers{name: 'side', image: 'mesh:1', restartPolicy: 'Always'}]}}"
    )
    await bind(api, mutating("p", lay(expression), matchConstraints=FOR_PODS))
    stored = await api.ok("POST", PODS, pod("c"))
    (container,) = stored["spec"]["containers"]
    assert (container["image"], container["env"]) == (
        "registry.example/app:1",
        [{"name": "A", "value": "1"}],
    )
    (side,) = stored["spec"]["initContainers"]
    # what it laid over has defaults like all else
    assert (side["name"], side["restartPolicy"], side["imagePullPolicy"]) == (
        "side",
        "Always",
        "IfNotPresent",
    )


async def test_mutations_see_what_those_before_them_left(api: Api) -> None:
    stored = await made(
        api,
        lay("Object{data: {'b': object.data.a + '2'}}"),
        patch("[JSONPatch{op: 'add', path: '/data/c', value: object.data.b + '3'}]"),
        lay("Object{data: {'d': object.data.c + '4'}}"),
    )
    assert stored["data"] == {"a": "1", "b": "12", "c": "123", "d": "1234"}


async def test_variables_and_conditions(api: Api) -> None:
    stored = await made(
        api,
        lay("Object{data: {'b': variables.twice}}"),
        variables=[{"name": "twice", "expression": "object.data.a + object.data.a"}],
        matchConditions=[{"name": "c", "expression": "object.metadata.name == 'c'"}],
    )
    assert stored["data"] == {"a": "1", "b": "11"}
    other = await api.ok("POST", CONFIGS, config("d", a="1"))
    assert other["data"] == {"a": "1"}


async def test_parameters_one_after_the_other(api: Api) -> None:
    for name in ("one", "two"):
        await api.ok("POST", CONFIGS, config(name, {"is": "param"}, v=name))
    policy = mutating(
        "p",
        lay("Object{data: {'seen': object.?data.?seen.orValue('') + params.data.v}}"),
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
    )
    reference = {"selector": {"matchLabels": {"is": "param"}}, "parameterNotFoundAction": "Deny"}
    await bind(api, policy, paramRef=reference)
    assert (await api.ok("POST", CONFIGS, config("c")))["data"] == {"seen": "onetwo"}


async def test_an_update_and_a_patch_go_through_it(api: Api) -> None:
    await api.ok("POST", CONFIGS, config("c", a="1"))
    await bind(api, mutating("p", lay("Object{data: {'was': oldObject.data.a}}")))
    stored = await api.ok("PATCH", f"{CONFIGS}/c", {"data": {"a": "2"}}, type=MERGE)
    assert stored["data"] == {"a": "2", "was": "1"}


async def test_a_deletion_has_nothing_to_mutate(api: Api) -> None:
    await api.ok("POST", CONFIGS, config("c", a="1"))
    await bind(api, mutating("p", lay("Object{data: {'a': oldObject.gone}}")))
    await api.ok("DELETE", f"{CONFIGS}/c")


@pytest.mark.parametrize(
    ("obj", "expression", "said"),
    [
        (
            config("c", a="1"),
            "Object{data: {'b': object.gone}}",
            "expression 'Object{data: {'b': object.gone}}' resulted in error: no such key: gone",
        ),
        (
            pod("c"),
            "Object{spec: Object.spec{containers: [Object.spec.containers{name: 'main', command: ['sh']}]}}",
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            ".spec.containers[0].command",
        ),
        (
            pod("c"),
            "Object{spec: Object.specs{}}",
            'type mismatch: unexpected type name "Object.specs", expected "Object.spec", which matches field name '
            "path from root Object type",
        ),
        (pod("c"), "Object{data: {1: 'b'}}", 'map key "1" is of type int, not string'),
    ],
)
async def test_what_cannot_be_laid_over(api: Api, obj: Json, expression: str, said: str) -> None:
    await bind(api, mutating("p", lay(expression), matchConstraints=resources(rule("", "v1", "*"))))
    status, body = await api.send("POST", CONFIGS if obj["kind"] == "ConfigMap" else PODS, obj)
    assert (status, body["message"], body["reason"]) == (403, SAYS + said, "Invalid")


async def test_a_policy_that_fails_open_lets_pass_what_it_cannot_mutate(api: Api) -> None:
    stored = await made(api, lay("Object{data: {'b': object.gone}}"), failurePolicy="Ignore")
    assert stored["data"] == {"a": "1"}


# ---- JSON patches --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "labels", "data"),
    [
        ("[JSONPatch{op: 'add', path: '/data/b', value: '2'}]", {"l": "1"}, {"a": "1", "b": "2"}),
        ("[JSONPatch{op: 'remove', path: '/data/a'}]", {"l": "1"}, {}),
        ("[JSONPatch{op: 'replace', path: '/data', value: {'z': '9'}}]", {"l": "1"}, {"z": "9"}),
        ("[JSONPatch{op: 'copy', from: '/data/a', path: '/data/b'}]", {"l": "1"}, {"a": "1", "b": "1"}),
        ("[JSONPatch{op: 'move', from: '/data/a', path: '/data/b'}]", {"l": "1"}, {"b": "1"}),
        (
            "[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'x'}]",
            {"l": "1", "a/b": "x"},
            {"a": "1"},
        ),
        (
            "[JSONPatch{op: 'add', path: '/metadata', value: Object.metadata{name: 'c', labels: {'n': '1'}}}]",
            {"n": "1"},
            {"a": "1"},
        ),
        # none of it where a test in it fails
        (
            "[JSONPatch{op: 'add', path: '/data/b', value: '2'}, JSONPatch{op: 'test', path: '/data/a', value: '2'}]",
            {"l": "1"},
            {"a": "1"},
        ),
        (
            "[JSONPatch{op: 'test', path: '/data/a', value: '1'}, JSONPatch{op: 'add', path: '/data/b', value: '2'}]",
            {"l": "1"},
            {"a": "1", "b": "2"},
        ),
        (
            "has(object.data.z) ? [JSONPatch{op: 'remove', path: '/data/z'}] : []",
            {"l": "1"},
            {"a": "1"},
        ),
    ],
)
async def test_a_json_patch(api: Api, expression: str, labels: Json, data: Json) -> None:
    stored = await made(api, patch(expression))
    assert stored["metadata"]["labels"] == labels
    assert stored.get("data", {}) == data


async def test_a_json_patch_that_cannot_be(api: Api) -> None:
    await bind(api, mutating("p", patch("[JSONPatch{op: 'remove', path: '/data/z'}]")))
    status, body = await api.send("POST", CONFIGS, config("c", a="1"))
    assert (status, body["reason"]) == (403, "Invalid")
    assert body["message"].startswith(f"{SAYS}JSON Patch: ")


@pytest.mark.parametrize(("minor", "version"), [("1.32", "v1alpha1"), ("1.34", "v1beta1"), ("1.36", "v1")])
async def test_every_version_of_a_policy_is_followed(minor: str, version: str) -> None:
    enabled = frozenset({f"admissionregistration.k8s.io/{version}"} - {"admissionregistration.k8s.io/v1"})
    api = await new_api(FixedClock(), surface=Surface(minor, enabled))
    policy = mutating("p", lay("Object{data: {'b': '2'}}"))
    policy["apiVersion"] = f"admissionregistration.k8s.io/{version}"
    await bind(api, policy)
    assert (await api.ok("POST", CONFIGS, config("c")))["data"] == {"b": "2"}
    api.server.stop()
    await api.close()


# ---- which operations, and how often -------------------------------------------------------------------------


async def test_policies_come_before_webhooks_by_name(api: Api, wire: Wire) -> None:
    await configure(api, "Mutating", hook())
    for name in ("z", "a"):
        append = lay(f"Object{{data: {{'seen': object.?data.?seen.orValue('') + '{name}'}}}}")
        await bind(api, mutating(name, append), name=name)
    stored = await api.ok("POST", CONFIGS, config("c"))
    assert stored["data"] == {"seen": "az"}
    (review,) = wire.asked()
    assert review["object"]["data"] == {"seen": "az"}


COUNT = lay("Object{data: {'n': string(int(object.?data.?n.orValue('0')) + 1)}}")


@pytest.mark.parametrize(
    ("policy", "is_changed", "times"),
    [("IfNeeded", True, "2"), ("Never", True, "1"), ("IfNeeded", False, "1")],
)
async def test_asked_again_after_a_change(
    api: Api, wire: Wire, policy: str, is_changed: bool, times: str
) -> None:
    await configure(api, "Mutating", hook())
    if is_changed:
        wire.handlers["h.example.com"] = lambda review: label(review, "w", "1")
    assert (await made(api, COUNT, reinvocationPolicy=policy))["data"] == {"a": "1", "n": times}


async def test_a_later_policys_change_has_an_earlier_one_asked_again(api: Api) -> None:
    await bind(api, mutating("a", COUNT, reinvocationPolicy="IfNeeded"), name="a")
    await bind(api, mutating("b", lay("Object{data: {'b': '1'}}")), name="b")
    stored = await api.ok("POST", CONFIGS, config("c"))
    assert stored["data"] == {"n": "2", "b": "1"}


@pytest.mark.parametrize(
    ("constraints", "is_changed"),
    [
        (resources(objectSelector={"matchLabels": {"l": "1"}}), True),
        (resources(objectSelector={"matchLabels": {"l": "2"}}), False),
        (resources(namespaceSelector={"matchLabels": {"x": "y"}}), False),
        (resources(rule("", "v1", "configmaps", operations="UPDATE")), False),
    ],
)
async def test_which_operations_are_meant(api: Api, constraints: Json, is_changed: bool) -> None:
    stored = await made(api, lay("Object{data: {'b': '2'}}"), matchConstraints=constraints)
    assert ("b" in stored["data"]) is is_changed


async def test_what_it_sets_belongs_to_nobody(api: Api) -> None:
    stored = await made(api, lay("Object{data: {'b': '2'}}"))
    (owner,) = stored["metadata"]["managedFields"]
    assert owner["fieldsV1"]["f:data"] == {".": {}, "f:a": {}}


async def test_a_dry_run_goes_through_it(api: Api) -> None:
    await bind(api, mutating("p", lay("Object{data: {'b': '2'}}")))
    shown = await api.ok("POST", CONFIGS, config("c", a="1"), dryRun="All")
    assert shown["data"] == {"a": "1", "b": "2"}
    assert (await api.get(f"{CONFIGS}/c"))[0] == 404


async def test_without_its_binding_it_does_nothing(api: Api) -> None:
    await api.ok("POST", f"{GROUP}/mutatingadmissionpolicies", mutating("p", COUNT))
    assert (await api.ok("POST", CONFIGS, config("c", a="1")))["data"] == {"a": "1"}
