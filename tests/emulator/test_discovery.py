from typing import Any

import pytest

from aliquot.emulator import discovery
from aliquot.emulator.discovery import Catalog, builtin, from_crd, known, version_priority
from aliquot.emulator.http import accept
from aliquot.emulator.versions import SUPPORTED, Surface

WIDGETS: dict[str, Any] = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
        "versions": [
            {"name": "v1beta1", "served": True, "storage": False},
            {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}, "scale": {}}},
            {"name": "v1alpha1", "served": False, "storage": False},
        ],
    },
}
V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.fixture
def catalog() -> Catalog:
    return Catalog(builtin(), from_crd(WIDGETS))


def body(catalog: Catalog, path: str, accept_header: str = "") -> dict[str, Any]:
    answer = catalog.answer(path, accept_header)
    assert answer is not None
    return answer.body


def test_every_entry_left_out_exists_in_kubernetes() -> None:
    resources = [found for version in SUPPORTED for found in known(Surface(version))]
    paths = {f"{found.group}/*" for found in resources}
    paths |= {f"{found.group}/{found.plural}" for found in resources}
    paths |= {f"{found.group}/{found.plural}/{sub.name}" for found in resources for sub in found.subresources}
    assert set(discovery.UNSERVED) <= paths


def test_what_is_not_served_is_not_advertised(catalog: Catalog) -> None:
    pods = catalog.find("", "v1", "pods")
    assert pods is not None
    assert [sub.name for sub in pods.subresources] == [
        "attach",
        "binding",
        "ephemeralcontainers",
        "eviction",
        "exec",
        "log",
        "status",
    ]
    assert catalog.find("", "v1", "componentstatuses") is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api", "APIVersions"),
        ("/api/", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/api/v1", "APIResourceList"),
        ("/apis/apps", "APIGroup"),
        ("/apis/apps/v1/", "APIResourceList"),
    ],
)
def test_legacy_documents(catalog: Catalog, path: str, kind: str) -> None:
    assert body(catalog, path)["kind"] == kind


@pytest.mark.parametrize(
    "path", ["/api/v2", "/apis/nope", "/apis/apps/v9", "/apis//v1", "/version", "/api/v1/pods"]
)
def test_nothing_there(catalog: Catalog, path: str) -> None:
    assert catalog.answer(path) is None


def test_legacy_subresource_names_its_own_kind(catalog: Catalog) -> None:
    rows = {row["name"]: row for row in body(catalog, "/apis/apps/v1")["resources"]}
    assert rows["deployments/scale"]["kind"] == "Scale"
    assert rows["deployments/scale"]["group"] == "autoscaling"
    assert rows["deployments"]["shortNames"] == ["deploy"]


def test_custom_resources_are_advertised_best_version_first(catalog: Catalog) -> None:
    group = body(catalog, "/apis/example.com")
    assert [version["version"] for version in group["versions"]] == ["v1", "v1beta1"]
    assert group["preferredVersion"]["groupVersion"] == "example.com/v1"
    rows = body(catalog, "/apis/example.com/v1")["resources"]
    assert [row["name"] for row in rows] == ["widgets", "widgets/status", "widgets/scale"]


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (V2 + ",application/json", "v2"),
        (
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
            "v2beta1",
        ),
        ("application/vnd.kubernetes.protobuf," + V2, "v2"),
        ("application/json," + V2, None),
        ("*/*", None),
        ("", None),
    ],
)
def test_aggregated_form_by_accept_header(catalog: Catalog, header: str, version: str | None) -> None:
    answer = catalog.answer("/apis", header)
    assert answer is not None
    expected = f"apidiscovery.k8s.io/{version}" if version else "v1"
    assert answer.body["apiVersion"] == expected
    assert (answer.content_type == "application/json") == (version is None)


def test_aggregated_core_and_groups_are_apart(catalog: Catalog) -> None:
    core = body(catalog, "/api", V2)
    assert [item["metadata"] for item in core["items"]] == [{}]
    names = [item["metadata"]["name"] for item in body(catalog, "/apis", V2)["items"]]
    assert names[0] == "apiregistration.k8s.io"
    assert names[-1] == "example.com"


def test_aggregated_scale_of_a_custom_resource(catalog: Catalog) -> None:
    item = body(catalog, "/apis", V2)["items"][-1]
    row = item["versions"][0]["resources"][0]
    assert row["responseKind"] == {"group": "example.com", "version": "v1", "kind": "Widget"}
    assert row["subresources"][0]["responseKind"]["group"] == "example.com"
    assert row["subresources"][1]["responseKind"] == {
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
    }


def test_builtin_resources_stand_against_custom_ones() -> None:
    crd = {
        "spec": {
            "group": "apps",
            "scope": "Cluster",
            "names": {"plural": "deployments", "kind": "Deployment"},
            "versions": [{"name": "v1", "served": True}],
        }
    }
    found = Catalog(builtin(), from_crd(crd)).find("apps", "v1", "deployments")
    assert found is not None
    assert not found.custom


def test_find_kind(catalog: Catalog) -> None:
    found = catalog.find_kind("example.com/v1", "Widget")
    assert found is not None
    assert found.qualified == "widgets.example.com"
    assert catalog.find_kind("v1", "Widget") is None


def test_version_priority() -> None:
    ordered = [
        "v10",
        "v2",
        "v1",
        "v11beta2",
        "v10beta3",
        "v3beta1",
        "v12alpha1",
        "v11alpha2",
        "foo1",
        "foo10",
    ]
    assert sorted(sorted(ordered), key=version_priority) == ordered


def test_accept_header_by_weight() -> None:
    parsed = accept.parse("text/html;q=0.1, application/json;q=0.9;as=Table;v=v1;g=meta.k8s.io, bad;q=x")
    assert [media.type for media in parsed] == ["application/json", "text/html"]
    assert parsed[0] == accept.MediaType("application/json", "Table", "meta.k8s.io", "v1")
