"""Custom kinds in several versions and with changing schemas: what is shown, what is stored, how it is migrated."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.emulator.api import MERGE, TABLE, Api
from tests.emulator.test_api_crds import CRDS, NAME, WIDGETS, crd, widget

Json = dict[str, Any]

BETA = WIDGETS.replace("/v1/", "/v1beta1/")


def spec_of(version: Json) -> Json:
    """The schema of its `spec`."""
    found: Json = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def in_two_versions() -> Json:
    """v1 has a colour; v1beta1, which is stored, has a shape."""
    both = crd(categories=["all"])
    v1 = both["spec"]["versions"][0]
    beta = deepcopy(v1) | {"name": "v1beta1"}
    v1["storage"] = False
    spec_of(v1)["properties"]["colour"] = {"type": "string", "default": "red"}
    spec_of(beta)["properties"]["shape"] = {"type": "string"}
    both["spec"]["versions"].append(beta)
    return both


async def change(api: Api, edit: Callable[[Json], None]) -> tuple[int, Any]:
    """Of the definition."""
    found = (await api.get(f"{CRDS}/{NAME}"))[1]
    edit(found)
    return await api.send("PUT", f"{CRDS}/{NAME}", found)


async def spec(api: Api, path: str) -> Json:
    found: Json = (await api.get(path))[1]["spec"]
    return found


def of_beta(name: str, **more: Any) -> Json:
    return {**widget(name, **more), "apiVersion": "kc.example.com/v1beta1"}


async def test_a_version_shows_what_its_schema_knows(api: Api) -> None:
    await api.ok("POST", CRDS, in_two_versions())
    await api.ok("POST", BETA, of_beta("a", shape="round"))
    assert await spec(api, f"{BETA}/a") == {"size": "small", "replicas": 1, "shape": "round"}
    assert await spec(api, f"{WIDGETS}/a") == {"size": "small", "replicas": 1, "colour": "red"}
    listed = (await api.get(WIDGETS))[1]["items"]
    assert [one["spec"]["colour"] for one in listed] == ["red"]
    watch = await api.watch(WIDGETS)
    assert (await watch.next())["object"]["spec"]["colour"] == "red"


async def test_a_write_in_another_version_drops_what_it_does_not_know(api: Api) -> None:
    await api.ok("POST", CRDS, in_two_versions())
    await api.ok("POST", BETA, of_beta("a", shape="round"))
    await api.ok("PATCH", f"{WIDGETS}/a", {"spec": {"colour": "blue"}}, type=MERGE)
    assert await spec(api, f"{BETA}/a") == {"size": "small", "replicas": 1}
    assert (await spec(api, f"{WIDGETS}/a"))["colour"] == "blue"


async def test_a_new_default_shows_in_what_is_stored_already(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    await api.ok("POST", WIDGETS, widget("a"))

    def edit(found: Json) -> None:
        fields = spec_of(found["spec"]["versions"][0])["properties"]
        fields["colour"] = {"type": "string", "default": "red"}
        del fields["replicas"]
        del found["spec"]["versions"][0]["subresources"]["scale"]

    assert (await change(api, edit))[0] == 200
    assert await spec(api, f"{WIDGETS}/a") == {"size": "small", "colour": "red"}


async def test_storage_is_migrated_version_by_version(api: Api) -> None:
    made = await api.ok("POST", CRDS, in_two_versions())
    assert made["status"]["storedVersions"] == ["v1beta1"]
    before = await api.ok("POST", BETA, of_beta("a"))

    def store_v1(found: Json) -> None:
        for version in found["spec"]["versions"]:
            version["storage"] = version["name"] == "v1"

    def drop_beta(found: Json) -> None:
        found["spec"]["versions"] = [one for one in found["spec"]["versions"] if one["name"] == "v1"]

    status, changed = await change(api, store_v1)
    assert (status, changed["status"]["storedVersions"]) == (200, ["v1beta1", "v1"])
    status, refused = await change(api, drop_beta)
    assert status == 422
    assert (
        'status.storedVersions[0]: Invalid value: "v1beta1": missing from spec.versions' in refused["message"]
    )
    # An update of nothing stores it anew, once.
    found = (await api.get(f"{WIDGETS}/a"))[1]
    assert found["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    written = await api.ok("PUT", f"{WIDGETS}/a", found)
    assert written["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]
    again = await api.ok("PUT", f"{WIDGETS}/a", written)
    assert again["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
    migrated = {"status": {"storedVersions": ["v1"]}}
    await api.ok("PATCH", f"{CRDS}/{NAME}/status", migrated, type=MERGE)
    status, changed = await change(api, drop_beta)
    assert (status, changed["status"]["storedVersions"]) == (200, ["v1"])
    assert await spec(api, f"{WIDGETS}/a") == {"size": "small", "replicas": 1, "colour": "red"}
    assert (await api.get(f"{BETA}/a"))[0] == 404


async def test_a_version_that_is_not_served(api: Api) -> None:
    asked = in_two_versions()
    asked["spec"]["versions"][1]["served"] = False
    await api.ok("POST", CRDS, asked)
    await api.ok("POST", WIDGETS, widget("a"))
    assert (await api.get(f"{BETA}/a"))[0] == 404
    assert (await spec(api, f"{WIDGETS}/a"))["colour"] == "red"


@pytest.mark.parametrize(
    ("version", "warning"),
    [
        ({"deprecated": True}, "kc.example.com/v1beta1 Widget is deprecated; use kc.example.com/v1 Widget"),
        ({"deprecated": True, "deprecationWarning": "use gadgets"}, "use gadgets"),
        ({}, None),
    ],
)
async def test_a_deprecated_version_warns(api: Api, version: Json, warning: str | None) -> None:
    asked = in_two_versions()
    asked["spec"]["versions"][1] |= version
    await api.ok("POST", CRDS, asked)
    await api.ok("POST", BETA, of_beta("a"))
    await api.get(f"{BETA}/a")
    assert api.headers.get("warning") == (f'299 - "{warning}"' if warning else None)
    await api.get(f"{WIDGETS}/a")
    assert "warning" not in api.headers


async def test_discovery_tells_short_names_and_categories(api: Api) -> None:
    await api.ok("POST", CRDS, in_two_versions())
    for version in ("v1", "v1beta1"):
        found = (await api.get(f"/apis/kc.example.com/{version}"))[1]["resources"][0]
        assert (found["shortNames"], found["categories"]) == (["wd"], ["all"])
    group = (await api.get("/apis/kc.example.com"))[1]
    assert [one["version"] for one in group["versions"]] == ["v1", "v1beta1"]
    assert group["preferredVersion"]["version"] == "v1"


async def test_fields_to_select_by_belong_to_a_version(api: Api) -> None:
    asked = in_two_versions()
    asked["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": ".spec.colour"}]
    await api.ok("POST", CRDS, asked)
    await api.ok("POST", WIDGETS, widget("a", colour="blue"))
    await api.ok("POST", BETA, of_beta("b"))
    for colour, name in (("blue", "a"), ("red", "b")):
        _, listed = await api.get(WIDGETS, fieldSelector=f"spec.colour={colour}")
        assert [one["metadata"]["name"] for one in listed["items"]] == [name]
    status, refused = await api.get(BETA, fieldSelector="spec.colour=red")
    assert (status, refused["message"]) == (400, "field label not supported: spec.colour")


async def test_columns_belong_to_a_version(api: Api) -> None:
    asked = in_two_versions()
    asked["spec"]["versions"][0]["additionalPrinterColumns"] = [
        {"name": "Colour", "type": "string", "jsonPath": ".spec.colour"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1},
    ]
    await api.ok("POST", CRDS, asked)
    await api.ok("POST", BETA, of_beta("a"))
    _, table = await api.send("GET", WIDGETS, accept=TABLE)
    assert [(one["name"], one["priority"]) for one in table["columnDefinitions"]] == [
        ("Name", 0),
        ("Colour", 0),
        ("Age", 0),
        ("Replicas", 1),
    ]
    assert table["rows"][0]["cells"] == ["a", "red", "0s", 1]
    _, table = await api.send("GET", BETA, accept=TABLE)
    assert table["rows"][0]["cells"] == ["a", "small"]


# ---- scale ---------------------------------------------------------------------------------------------------


def scaled(**paths: str) -> Json:
    """A definition whose schema says nothing of its replicas."""
    asked = crd()
    version = asked["spec"]["versions"][0]
    spec_of(version)["properties"]["replicas"] = {"type": "integer"}
    version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["selector"] = {
        "type": "string"
    }
    version["subresources"]["scale"] |= paths
    return asked


async def test_a_scale_of_what_says_nothing_of_its_replicas(api: Api) -> None:
    await api.ok("POST", CRDS, scaled())
    await api.ok("POST", WIDGETS, widget("a"))
    status, answered = await api.get(f"{WIDGETS}/a/scale")
    assert (status, answered["message"]) == (
        500,
        'Internal error occurred: the spec replicas field ".spec.replicas" does not exist',
    )
    wanted = {"metadata": {"name": "a", "namespace": "default"}, "spec": {"replicas": 3}}
    assert (await api.ok("PUT", f"{WIDGETS}/a/scale", wanted))["spec"] == {"replicas": 3}
    assert (await spec(api, f"{WIDGETS}/a"))["replicas"] == 3


async def test_the_selector_of_a_scale(api: Api) -> None:
    await api.ok("POST", CRDS, scaled(labelSelectorPath=".status.selector"))
    await api.ok("POST", WIDGETS, widget("a", replicas=1))
    told = {"status": {"replicas": 2, "selector": "app=a"}}
    await api.ok("PATCH", f"{WIDGETS}/a/status", told, type=MERGE)
    assert (await api.get(f"{WIDGETS}/a/scale"))[1]["status"] == {"replicas": 2, "selector": "app=a"}


@pytest.mark.parametrize(
    ("path", "patch", "problem"),
    [
        (
            "",
            {"spec": {"replicas": -1}},
            ".spec.replicas: Invalid value: -1: should be a non-negative integer",
        ),
        (
            "/scale",
            {"spec": {"replicas": -1}},
            ".spec.replicas: Invalid value: -1: should be a non-negative integer",
        ),
        (
            "",
            {"spec": {"replicas": 2**31}},
            ".spec.replicas: Invalid value: 2147483648: should be less than or equal to 2147483647",
        ),
        (
            "/status",
            {"status": {"replicas": -1}},
            ".status.replicas: Invalid value: -1: should be a non-negative integer",
        ),
    ],
)
async def test_numbers_that_no_scale_can_have(api: Api, path: str, patch: Json, problem: str) -> None:
    await api.ok("POST", CRDS, scaled())
    await api.ok("POST", WIDGETS, widget("a", replicas=1))
    status, answered = await api.send("PATCH", f"{WIDGETS}/a{path}", patch, type=MERGE)
    assert (status, answered["message"]) == (422, f'Widget.kc.example.com "a" is invalid: {problem}')


# ---- updates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [f"{WIDGETS}/a", f"{WIDGETS}/a/status", f"{CRDS}/{NAME}"])
async def test_an_update_says_what_it_succeeds(api: Api, path: str) -> None:
    await api.ok("POST", CRDS, crd())
    await api.ok("POST", WIDGETS, widget("a"))
    found = (await api.get(path.removesuffix("/status")))[1]
    seen = found["metadata"].pop("resourceVersion")
    status, answered = await api.send("PUT", path, found)
    assert status == 422
    assert (
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in answered["message"]
    )
    found["metadata"]["resourceVersion"] = seen
    await api.ok("PUT", path, found)
