from typing import Any

import pytest

from tests.emulator.api import APPLY, JSON_PATCH, MERGE, STRATEGIC, TABLE, Api

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/kc.example.com/v1/namespaces/default/widgets"
NAME = "widgets.kc.example.com"


def crd(**names: Any) -> dict[str, Any]:
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "string", "enum": ["small", "large"]},
            "replicas": {"type": "integer", "minimum": 0, "default": 1},
        },
    }
    status = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
        },
        "additionalPrinterColumns": [{"name": "Size", "type": "string", "jsonPath": ".spec.size"}],
        "selectableFields": [{"jsonPath": ".spec.size"}],
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
    }
    named = {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"], **names}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{named['plural']}.kc.example.com"},
        "spec": {"group": "kc.example.com", "scope": "Namespaced", "names": named, "versions": [version]},
    }


def widget(name: str = "w", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kc.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": "small", **spec},
    }


def conditions(found: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["status"] for one in found["status"]["conditions"]}


async def test_a_kind_is_served_as_soon_as_it_is_defined(api: Api) -> None:
    assert (await api.get(WIDGETS))[0] == 404
    made = await api.ok("POST", CRDS, crd())
    assert conditions(made) == {"NamesAccepted": "True", "Established": "True"}
    assert made["status"]["acceptedNames"]["listKind"] == "WidgetList"
    assert made["status"]["storedVersions"] == ["v1"]
    found = await api.ok("POST", WIDGETS, widget())
    assert found["spec"] == {"size": "small", "replicas": 1}
    assert found["metadata"]["generation"] == 1
    listed = (await api.get(WIDGETS))[1]
    assert (listed["kind"], listed["items"]) == ("WidgetList", [found])
    resources = (await api.get("/apis/kc.example.com/v1"))[1]["resources"]
    assert [one["name"] for one in resources] == ["widgets", "widgets/status", "widgets/scale"]


def another(plural: str, kind: str, **names: Any) -> dict[str, Any]:
    made = crd()
    made["metadata"]["name"] = f"{plural}.kc.example.com"
    made["spec"]["names"] = {"plural": plural, "kind": kind, **names}
    return made


@pytest.mark.parametrize(
    ("names", "reason", "message", "accepted"),
    [
        (
            {"kind": "Widget", "singular": "gadget"},
            "ListKindConflict",
            '"WidgetList" is already in use',
            {"plural": "gadgets", "singular": "gadget", "kind": ""},
        ),
        (
            {"kind": "Gadget", "singular": "widget", "categories": ["all"]},
            "SingularConflict",
            '"widget" is already in use',
            {"plural": "gadgets", "kind": "Gadget", "listKind": "GadgetList", "categories": ["all"]},
        ),
        (
            {"kind": "Gadget", "shortNames": ["widget", "g", "widgets"]},
            "ShortNamesConflict",
            '["widget" is already in use, "widgets" is already in use]',
            {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"},
        ),
    ],
)
async def test_a_name_is_for_who_had_it_first_and_then_for_who_waits(
    api: Api, names: dict[str, Any], reason: str, message: str, accepted: dict[str, Any]
) -> None:
    await api.ok("POST", CRDS, crd())
    late = await api.ok("POST", CRDS, another("gadgets", **names))
    named, established = late["status"]["conditions"]
    assert (named["status"], named["reason"], named["message"]) == ("False", reason, message)
    assert (established["status"], established["reason"]) == ("False", "NotAccepted")
    assert late["status"]["acceptedNames"] == accepted
    assert (await api.get("/apis/kc.example.com/v1/gadgets"))[0] == 404

    await api.ok("DELETE", f"{CRDS}/widgets.kc.example.com")
    now = await api.ok("GET", f"{CRDS}/gadgets.kc.example.com")
    assert conditions(now) == {"NamesAccepted": "True", "Established": "True"}
    assert now["status"]["acceptedNames"] == now["spec"]["names"]
    assert (await api.get("/apis/kc.example.com/v1/gadgets"))[0] == 200


async def test_of_those_who_wait_one_gets_the_name(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    for plural in ("bees", "ants"):
        await api.ok("POST", CRDS, another(plural, plural.capitalize(), shortNames=["widget"]))
    await api.ok("DELETE", f"{CRDS}/widgets.kc.example.com")
    found = (await api.get(CRDS))[1]["items"]
    assert {one["metadata"]["name"].partition(".")[0]: conditions(one)["Established"] for one in found} == {
        "ants": "True",
        "bees": "False",
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {
            "type": "object",
            "properties": {"a": {"type": "array", "items": {"$schema": "x", "type": "string"}}},
        },
        {"type": "object", "properties": {"metadata": {"type": "string"}, "a": {"$schema": "x"}}},
    ],
)
async def test_a_schema_names_no_dialect(api: Api, schema: dict[str, Any]) -> None:
    made = crd()
    made["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": schema}
    made["spec"]["versions"][0].pop("additionalPrinterColumns", None)
    made["spec"]["versions"][0].pop("subresources", None)
    status, answer = await api.send("POST", CRDS, made)
    text = "Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported"
    assert (status, answer["details"]["causes"][0]["message"]) == (422, text)


async def test_its_schema_rules(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    status, answer = await api.send("POST", WIDGETS, widget(size="huge"))
    assert (status, answer["message"]) == (
        422,
        'Widget.kc.example.com "w" is invalid: spec.size: Unsupported value: "huge": supported values: "small", "large"',
    )
    status, answer = await api.send("POST", WIDGETS, widget(colour="red"), fieldValidation="Strict")
    assert (status, answer["reason"]) == (400, "BadRequest")
    assert "colour" not in (await api.ok("POST", WIDGETS, widget(colour="red")))["spec"]


async def test_spec_and_status_are_written_apart(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    made = await api.ok("POST", WIDGETS, {**widget(), "status": {"replicas": 9}})
    assert "status" not in made
    both = {"spec": {"size": "large"}, "status": {"replicas": 2}, "metadata": {"labels": {"a": "b"}}}
    found = await api.ok("PATCH", f"{WIDGETS}/w/status", both, type=MERGE)
    assert (found["spec"]["size"], found["status"], found["metadata"].get("labels")) == (
        "small",
        {"replicas": 2},
        None,
    )
    found = await api.ok("PATCH", f"{WIDGETS}/w", both, type=MERGE)
    assert (found["spec"]["size"], found["metadata"]["generation"]) == ("large", 2)


async def test_its_scale_is_where_it_says(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    await api.ok("POST", WIDGETS, widget())
    await api.ok("PATCH", f"{WIDGETS}/w/scale", {"spec": {"replicas": 4}}, type=MERGE)
    assert (await api.get(f"{WIDGETS}/w"))[1]["spec"]["replicas"] == 4


async def test_a_strategic_patch_is_not_for_custom_resources(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    await api.ok("POST", WIDGETS, widget())
    status, answer = await api.send("PATCH", f"{WIDGETS}/w", {"spec": {"size": "large"}}, type=STRATEGIC)
    assert (status, answer["message"]) == (
        415,
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    )
    patch = [{"op": "replace", "path": "/spec/size", "value": "large"}]
    await api.ok("PATCH", f"{WIDGETS}/w", patch, type=JSON_PATCH)
    await api.ok("PATCH", f"{WIDGETS}/w", widget(replicas=3), type=APPLY, fieldManager="m", force="true")


async def test_columns_and_selectable_fields_come_from_the_definition(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    await api.ok("POST", WIDGETS, widget("a"))
    await api.ok("POST", WIDGETS, widget("b", size="large"))
    _, table = await api.send("GET", WIDGETS, accept=TABLE, fieldSelector="spec.size=large")
    assert [row["cells"] for row in table["rows"]] == [["b", "large"]]


async def test_a_changed_definition_counts_at_once(api: Api) -> None:
    made = await api.ok("POST", CRDS, crd())
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"][
        "enum"
    ] += ["huge"]
    await api.ok("PUT", f"{CRDS}/{NAME}", made)
    await api.ok("POST", WIDGETS, widget(size="huge"))


async def test_a_second_version_shows_the_same_objects(api: Api) -> None:
    asked = crd()
    old = asked["spec"]["versions"][0]
    asked["spec"]["versions"].append({**old, "name": "v1beta1", "storage": False})
    await api.ok("POST", CRDS, asked)
    await api.ok("POST", WIDGETS, widget("a"))
    beta = WIDGETS.replace("/v1/", "/v1beta1/")
    await api.ok("POST", beta, {**widget("b"), "apiVersion": "kc.example.com/v1beta1"})
    listed = (await api.get(beta))[1]["items"]
    assert [(one["metadata"]["name"], one["apiVersion"]) for one in listed] == [
        ("a", "kc.example.com/v1beta1"),
        ("b", "kc.example.com/v1beta1"),
    ]
    assert (await api.get(f"{WIDGETS}/b"))[1]["apiVersion"] == "kc.example.com/v1"
    watch = await api.watch(beta)
    assert (await watch.next())["object"]["apiVersion"] == "kc.example.com/v1beta1"


async def test_a_definition_takes_its_objects_with_it(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    await api.ok("POST", WIDGETS, widget("a"))
    watch = await api.watch(WIDGETS)
    await api.ok("DELETE", f"{CRDS}/{NAME}")
    assert [event["type"] for event in await watch.rest()] == ["ADDED", "DELETED"]
    assert (await api.get(WIDGETS))[0] == 404
    assert (await api.get(f"{CRDS}/{NAME}"))[0] == 404
    await api.ok("POST", CRDS, crd())
    assert (await api.get(WIDGETS))[1]["items"] == []


async def test_a_definition_waits_for_objects_that_are_held(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    held = widget("a")
    held["metadata"]["finalizers"] = ["example.com/held"]
    await api.ok("POST", WIDGETS, held)
    marked = await api.ok("DELETE", f"{CRDS}/{NAME}")
    assert marked["metadata"]["deletionTimestamp"]
    assert conditions((await api.get(f"{CRDS}/{NAME}"))[1])["Terminating"] == "True"
    assert "deletionTimestamp" in (await api.get(f"{WIDGETS}/a"))[1]["metadata"]
    await api.ok("PATCH", f"{WIDGETS}/a", {"metadata": {"finalizers": None}}, type=MERGE)
    assert (await api.get(f"{CRDS}/{NAME}"))[0] == 404
    assert (await api.get(WIDGETS))[0] == 404
