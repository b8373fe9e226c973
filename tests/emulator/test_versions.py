"""What each Kubernetes version serves, takes and warns of."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aliquot.emulator import bootstrap, discovery
from aliquot.emulator.discovery import UnknownApi, known
from aliquot.emulator.registry import Registry
from aliquot.emulator.schema.definitions import forgets
from aliquot.emulator.versions import DEFAULT, SUPPORTED, Surface, UnknownVersion
from aliquot.kube import resources
from aliquot.kube.resources import Resource
from tests.emulator.api import PODS, TABLE, Api, FixedClock, new_api, pod

BETA = "resource.k8s.io/v1beta1"
GANGS = "scheduling.k8s.io/v1beta1"


def surface(version: str, *enabled: str) -> Surface:
    return Surface(version, frozenset(enabled))


@asynccontextmanager
async def serving(made: Surface, **options: Any) -> AsyncIterator[Api]:
    api = await new_api(FixedClock(), surface=made, **options)
    try:
        yield api
    finally:
        api.server.stop()
        await api.close()


def minors(served: str) -> list[str]:
    """`1.31-1.33, 1.36` as the versions."""
    found: list[str] = []
    for span in served.split(", ") if served else []:
        first, _, last = span.partition("-")
        found += SUPPORTED[SUPPORTED.index(first) : SUPPORTED.index(last or first) + 1]
    return found


@pytest.mark.parametrize(
    ("resource", "served"),
    [
        ("v1/pods", "1.31-1.37"),
        ("v1/pods/resize", "1.33-1.37"),
        ("v1/pods/ephemeralcontainers", "1.31-1.37"),
        ("apps/v1/deployments", "1.31-1.37"),
        ("autoscaling/v1/horizontalpodautoscalers", "1.31-1.37"),
        ("autoscaling/v2/horizontalpodautoscalers", "1.31-1.37"),
        ("admissionregistration.k8s.io/v1/validatingadmissionpolicies", "1.31-1.37"),
        ("admissionregistration.k8s.io/v1beta1/validatingadmissionpolicies", ""),
        ("admissionregistration.k8s.io/v1/mutatingadmissionpolicies", "1.36-1.37"),
        ("admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies", ""),
        ("certificates.k8s.io/v1/certificatesigningrequests", "1.31-1.37"),
        ("certificates.k8s.io/v1/clustertrustbundles", "1.37"),
        ("certificates.k8s.io/v1/podcertificaterequests", "1.37"),
        ("flowcontrol.apiserver.k8s.io/v1/flowschemas", "1.31-1.37"),
        ("flowcontrol.apiserver.k8s.io/v1beta3/flowschemas", "1.31"),
        ("networking.k8s.io/v1/servicecidrs", "1.33-1.37"),
        ("networking.k8s.io/v1/ipaddresses", "1.33-1.37"),
        ("networking.k8s.io/v1beta1/ipaddresses", ""),
        ("resource.k8s.io/v1/resourceclaims", "1.34-1.37"),
        ("resource.k8s.io/v1/devicetaintrules", "1.37"),
        ("resource.k8s.io/v1beta1/resourceclaims", ""),
        ("resource.k8s.io/v1beta2/resourceclaims", ""),
        ("scheduling.k8s.io/v1/priorityclasses", "1.31-1.37"),
        ("scheduling.k8s.io/v1beta1/podgroups", ""),
        ("storage.k8s.io/v1/volumeattributesclasses", "1.34-1.37"),
        ("storage.k8s.io/v1beta1/volumeattributesclasses", ""),
        ("storagemigration.k8s.io/v1/storageversionmigrations", "1.37"),
    ],
)
def test_what_a_version_serves_by_default(resource: str, served: str) -> None:
    assert [version for version in SUPPORTED if resource in _paths(surface(version))] == minors(served)


@pytest.mark.parametrize(
    ("resource", "available"),
    [
        ("admissionregistration.k8s.io/v1beta1/validatingadmissionpolicies", "1.31-1.33"),
        ("admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies", "1.34-1.37"),
        ("admissionregistration.k8s.io/v1alpha1/mutatingadmissionpolicies", "1.32-1.37"),
        ("networking.k8s.io/v1beta1/servicecidrs", "1.31-1.36"),
        ("resource.k8s.io/v1beta1/resourceslices", "1.32-1.37"),
        ("resource.k8s.io/v1beta2/deviceclasses", "1.33-1.37"),
        ("resource.k8s.io/v1beta2/devicetaintrules", "1.36-1.37"),
        ("scheduling.k8s.io/v1alpha1/workloads", "1.35"),
        ("scheduling.k8s.io/v1alpha2/podgroups", "1.36"),
        ("scheduling.k8s.io/v1alpha2/podgroups/status", "1.36"),
        ("scheduling.k8s.io/v1alpha3/compositepodgroups", "1.37"),
        ("scheduling.k8s.io/v1beta1/podgroups", "1.37"),
        ("scheduling.k8s.io/v1beta1/workloads", "1.37"),
        ("scheduling.k8s.io/v1beta1/workloads/status", ""),
        ("storage.k8s.io/v1beta1/volumeattributesclasses", "1.31-1.36"),
    ],
)
def test_what_can_be_turned_on(resource: str, available: str) -> None:
    api_version = "/".join(resource.split("/")[:2])
    assert [v for v in SUPPORTED if resource in _paths(surface(v, api_version))] == minors(available)


def _paths(made: Surface) -> set[str]:
    found = set()
    for resource in known(made):
        path = f"{resource.api_version}/{resource.plural}"
        found |= {path, *(f"{path}/{sub.name}" for sub in resource.subresources)}
    return found


def test_the_default_is_one_of_them() -> None:
    assert DEFAULT in SUPPORTED
    assert Surface().version == DEFAULT


def test_an_unknown_version_says_which_there_are() -> None:
    with pytest.raises(UnknownVersion) as error:
        Surface("1.30")
    assert str(error.value) == "no Kubernetes 1.30; there are 1.31, 1.32, 1.33, 1.34, 1.35, 1.36, 1.37"


def test_what_cannot_be_turned_on_says_what_can() -> None:
    with pytest.raises(UnknownApi) as error:
        Registry(surface("1.35", "scheduling.k8s.io/v1"))
    assert str(error.value).startswith(
        "scheduling.k8s.io/v1 cannot be turned on in Kubernetes 1.35; what can is"
    )
    assert "scheduling.k8s.io/v1alpha1" in str(error.value)


# ---- every version ----------------------------------------------------------------------------------------


EVERYTHING = [surface(version, *discovery.optional(Surface(version))) for version in SUPPORTED]


@pytest.mark.parametrize("made", EVERYTHING, ids=SUPPORTED)
def test_every_kind_has_a_schema(made: Surface) -> None:
    registry = Registry(made)
    missing = [
        f"{found.api_version} {found.kind}"
        for found in known(made)
        if registry.schemas.get(found.group, found.version, found.kind) is None
    ]
    assert missing == []


@pytest.mark.parametrize("version", SUPPORTED)
def test_what_every_cluster_has_is_served(version: str) -> None:
    registry = Registry(surface(version))
    for obj in bootstrap.objects(surface(version).minor):
        served = registry.find_kind(obj["apiVersion"], obj["kind"])
        assert served is not None
        assert served.schema.decode(obj)[1] == []


@pytest.mark.parametrize("version", SUPPORTED)
async def test_a_default_pod(version: str) -> None:
    """It comes back as it went in and was filled: nothing in it is foreign to the version."""
    async with serving(surface(version)) as api:
        made = await api.ok("POST", PODS, pod(), fieldValidation="Strict")
        assert api.server.registry.find("", "v1", "pods").schema.decode(made)[1] == []  # type: ignore[union-attr]
        _, found = await api.get("/version")
        assert (found["minor"], found["gitVersion"]) == (version[2:], f"v{version}.0+aliquot")


@pytest.mark.parametrize("made", EVERYTHING, ids=SUPPORTED)
async def test_every_document(made: Surface) -> None:
    """Discovery and OpenAPI of all that there is, with every reference resolved within its document."""
    async with serving(made) as api:
        served = {f"apis/{one['groupVersion']}" for one in await _group_versions(api)} | {"api/v1"}
        index = (await api.ok("GET", "/openapi/v3"))["paths"]
        assert set(index) == served
        for path, entry in index.items():
            assert (await api.get(f"/{path}"))[0] == 200
            document = await api.ok(
                "GET", f"/openapi/v3/{path}", hash=entry["serverRelativeURL"].split("=")[1]
            )
            schemas = document["components"]["schemas"]
            assert {name.rpartition("/")[2] for name in _references(document)} <= schemas.keys()
        document = await api.ok("GET", "/openapi/v2")
        assert document["info"]["version"] == f"v{made.version}.0"
        assert {name.rpartition("/")[2] for name in _references(document)} <= document["definitions"].keys()


async def _group_versions(api: Api) -> list[dict[str, str]]:
    groups = (await api.ok("GET", "/apis"))["groups"]
    return [version for group in groups for version in group["versions"]]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _references(child)


@pytest.mark.parametrize("version", SUPPORTED)
def test_what_our_own_parts_use_is_served(version: str) -> None:
    """Controllers, kubelets and the scheduler run under every version: what they use has to be in each. Agents look at
    ResourceSlices where there are any."""
    registry = Registry(surface(version))
    used = [
        found
        for found in vars(resources).values()
        if isinstance(found, Resource) and found != resources.RESOURCESLICES
    ]
    of_default = [one for one in used if Registry().find(one.group, one.version, one.plural) is not None]
    assert len(of_default) > 10
    missing = [one for one in of_default if registry.find(one.group, one.version, one.plural) is None]
    assert missing == []


# ---- what is gone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "path", "status"),
    [
        ("1.33", "/apis/resource.k8s.io/v1/deviceclasses", 404),
        ("1.34", "/apis/resource.k8s.io/v1/deviceclasses", 200),
        ("1.33", "/apis/resource.k8s.io", 404),
        ("1.36", "/apis/resource.k8s.io/v1beta1/deviceclasses", 404),
        ("1.36", "/apis/scheduling.k8s.io/v1alpha2/podgroups", 404),
    ],
)
async def test_what_a_version_does_not_serve_is_not_found(version: str, path: str, status: int) -> None:
    async with serving(surface(version)) as api:
        assert (await api.get(path))[0] == status


# ---- fields -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "field", "value", "unknown"),
    [
        ("1.31", "resources", {"limits": {"cpu": "1"}}, True),
        ("1.32", "resources", {"limits": {"cpu": "1"}}, False),
        ("1.33", "hostnameOverride", "h", True),
        ("1.34", "hostnameOverride", "h", False),
        ("1.34", "workloadRef", {"name": "w", "podGroup": "g"}, True),
        ("1.35", "workloadRef", {"name": "w", "podGroup": "g"}, False),
        ("1.36", "workloadRef", {"name": "w", "podGroup": "g"}, True),
        ("1.35", "schedulingGroup", {"podGroupName": "g"}, True),
        ("1.36", "schedulingGroup", {"podGroupName": "g"}, False),
    ],
)
async def test_a_field_that_a_version_does_not_know(
    version: str, field: str, value: Any, unknown: bool
) -> None:
    async with serving(surface(version)) as api:
        status, answer = await api.send("POST", PODS, pod(**{field: value}), fieldValidation="Strict")
        assert status == (400 if unknown else 201), answer
        if unknown:
            assert f'unknown field "spec.{field}"' in answer["message"]
        made = await api.ok("POST", PODS, pod("warned", **{field: value}), fieldValidation="Warn")
        assert api.headers.get("warning") == (
            f'299 - "unknown field \\"spec.{field}\\""' if unknown else None
        )
        if unknown:
            assert field not in made["spec"]


CLAIMS = [{"name": "gpu", "resourceClaimName": "one"}]


@pytest.mark.parametrize(
    ("made", "field", "value", "kept"),
    [
        (surface("1.33"), "resourceClaims", CLAIMS, False),
        (surface("1.33", BETA), "resourceClaims", CLAIMS, True),
        (surface("1.34"), "resourceClaims", CLAIMS, True),
        (surface("1.33"), "resources", {"limits": {"cpu": "1"}}, False),
        (surface("1.34"), "resources", {"limits": {"cpu": "1"}}, True),
        (surface("1.34"), "hostnameOverride", "h", False),
        (surface("1.35"), "hostnameOverride", "h", True),
        (surface("1.36"), "schedulingGroup", {"podGroupName": "g"}, False),
        (surface("1.37"), "schedulingGroup", {"podGroupName": "g"}, False),
        (surface("1.37", GANGS), "schedulingGroup", {"podGroupName": "g"}, True),
    ],
    ids=str,
)
async def test_a_field_behind_a_gate_is_taken_and_dropped(
    made: Surface, field: str, value: Any, kept: bool
) -> None:
    async with serving(made) as api:
        found = await api.ok("POST", PODS, pod(**{field: value}), fieldValidation="Strict")
        assert "warning" not in api.headers
        assert (field in found["spec"]) == kept


@pytest.mark.parametrize(
    ("before", "now", "kind", "expected"),
    [
        ("1.31", "1.35", "Pod", False),
        ("1.35", "1.36", "Pod", True),  # workloadRef
        ("1.35", "1.34", "Pod", True),
        ("1.36", "1.37", "Node", False),
        ("1.36", "1.35", "Node", True),  # declaredFeatures: known, but behind a gate
        ("1.37", "1.31", "ConfigMap", False),
    ],
)
def test_which_kinds_lose_fields(before: str, now: str, kind: str, expected: bool) -> None:
    assert forgets(surface(before), surface(now), ("", "v1", kind)) is expected


# ---- warnings ---------------------------------------------------------------------------------------------

ENDPOINTS = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


@pytest.mark.parametrize(
    ("made", "path", "warning"),
    [
        (surface("1.32"), "/api/v1/endpoints", None),
        (surface("1.33"), "/api/v1/endpoints", ENDPOINTS),
        (surface("1.34", BETA), "/apis/resource.k8s.io/v1beta1/deviceclasses", None),
        (
            surface("1.35", BETA),
            "/apis/resource.k8s.io/v1beta1/deviceclasses",
            "resource.k8s.io/v1beta1 DeviceClass is deprecated in v1.35+, unavailable in v1.38+; "
            "use resource.k8s.io/v1 DeviceClass",
        ),
        (surface("1.36"), "/api/v1/pods", None),
    ],
    ids=str,
)
async def test_a_deprecated_version_warns(made: Surface, path: str, warning: str | None) -> None:
    async with serving(made) as api:
        await api.ok("GET", path)
        assert api.headers.get("warning") == (f'299 - "{warning}"' if warning else None)


async def test_one_object_and_a_write_and_a_watch_warn_too(api: Api) -> None:
    path = "/api/v1/namespaces/default/endpoints"
    expected = f'299 - "{ENDPOINTS}"'
    await api.ok("POST", path, {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "e"}})
    assert api.headers["warning"] == expected
    await api.ok("GET", f"{path}/e")
    assert api.headers["warning"] == expected
    watch = await api.watch(path)
    assert watch.headers["warning"] == expected
    await watch.close()


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("1.31", "v1 ComponentStatus is deprecated in v1.19+"),
        ("1.37", "v1 ComponentStatus is deprecated in v1.19+"),
    ],
)
def test_component_statuses(version: str, text: str) -> None:
    found = next(one for one in known(surface(version)) if one.plural == "componentstatuses")
    assert found.warning == text


# ---- columns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "path", "columns"),
    [
        (surface("1.34"), "/api/v1/namespaces/default/serviceaccounts", ["Name", "Secrets", "Age"]),
        (surface("1.35"), "/api/v1/namespaces/default/serviceaccounts", ["Name", "Age"]),
        (
            surface("1.31"),
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            ["Name", "Value", "Global-Default", "Age"],
        ),
        (
            surface("1.32"),
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            ["Name", "Value", "Global-Default", "Age", "PreemptionPolicy"],
        ),
        (
            surface("1.33", BETA),
            "/apis/resource.k8s.io/v1beta1/namespaces/default/resourceclaims",
            ["Name", "State", "Age"],
        ),
    ],
    ids=str,
)
async def test_columns(made: Surface, path: str, columns: list[str]) -> None:
    async with serving(made) as api:
        table = await api.ok("GET", path, accept=TABLE)
        assert [column["name"] for column in table["columnDefinitions"]] == columns
        assert all(len(row["cells"]) == len(columns) for row in table["rows"])


# ---- devices and gangs as plain objects -------------------------------------------------------------------

REQUEST = {"name": "gpu", "exactly": {"deviceClassName": "gpus"}}
PLAIN: list[tuple[Surface, str, str, dict[str, Any], bool, bool]] = [
    (surface("1.36"), "resource.k8s.io/v1", "DeviceClass", {"selectors": []}, True, False),
    (
        surface("1.36"),
        "resource.k8s.io/v1",
        "ResourceClaim",
        {"devices": {"requests": [REQUEST]}},
        False,
        True,
    ),
    (
        surface("1.36"),
        "resource.k8s.io/v1",
        "ResourceClaimTemplate",
        {"spec": {"devices": {"requests": [REQUEST]}}},
        False,
        False,
    ),
    (
        surface("1.36"),
        "resource.k8s.io/v1",
        "ResourceSlice",
        {"driver": "gpu.example.com", "nodeName": "n", "pool": {"name": "p", "resourceSliceCount": 1}},
        True,
        False,
    ),
    (
        surface("1.37"),
        "resource.k8s.io/v1",
        "DeviceTaintRule",
        {"taint": {"key": "example.com/broken", "effect": "NoSchedule"}},
        True,
        True,
    ),
    (surface("1.37", GANGS), GANGS, "PodGroup", {"schedulingPolicy": {"gang": {"minCount": 2}}}, False, True),
    (
        surface("1.37", GANGS),
        GANGS,
        "Workload",
        {"podGroupTemplates": [{"name": "a", "schedulingPolicy": {"basic": {}}}]},
        False,
        False,
    ),
]
"""(surface, API version, kind, spec, whether it has a generation, whether it has a status of its own)"""


@pytest.mark.parametrize(
    ("made", "api_version", "kind", "spec", "generation", "status"), PLAIN, ids=[row[2] for row in PLAIN]
)
async def test_devices_and_gangs(
    made: Surface, api_version: str, kind: str, spec: dict[str, Any], generation: bool, status: bool
) -> None:
    async with serving(made) as api:
        served = api.server.registry.find_kind(api_version, kind)
        assert served is not None
        namespace = "/namespaces/default" if served.resource.namespaced else ""
        path = f"/apis/{api_version}{namespace}/{served.resource.plural}"
        body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}
        told = {"conditions": [condition("Told")]}
        created = await api.ok("POST", path, {**body, "status": told}, fieldValidation="Warn")
        assert not created.get("status")
        assert created["metadata"].get("generation") == (1 if generation else None)
        code, found = await api.send(
            "PATCH", f"{path}/x/status", {"status": told}, type="application/merge-patch+json"
        )
        assert code == (200 if status else 404)
        if status:
            assert found["spec"] == created["spec"]
        assert (await api.ok("GET", path))["items"][0]["metadata"]["name"] == "x"


def condition(kind: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": "True",
        "reason": "Because",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


async def test_a_claim_shows_its_state() -> None:
    async with serving(surface("1.36")) as api:
        path = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
        body = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "x"}}
        await api.ok("POST", path, {**body, "spec": {"devices": {"requests": [REQUEST]}}})
        table = await api.ok("GET", path, accept=TABLE)
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "State", "Age"]
        assert table["rows"][0]["cells"][:2] == ["x", "pending"]
