"""A state directory under another Kubernetes version than the one that wrote it."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aliquot.emulator.app import ApiServer
from aliquot.emulator.storage.persistence import StoreError
from aliquot.emulator.storage.store import Store
from aliquot.emulator.versions import Surface
from tests.emulator.admission.policies.objects import collection, lay, mutating
from tests.emulator.api import PODS, Api, FixedClock, new_api, pod

BETA = "resource.k8s.io/v1beta1"
BETAS = (BETA, "resource.k8s.io/v1beta2")
CLAIMS = "/apis/resource.k8s.io/{}/namespaces/default/resourceclaims"
FLAT_REQUEST = {"name": "gpu", "deviceClassName": "gpus", "allocationMode": "ExactCount", "count": 2}
REQUEST = {
    "name": "gpu",
    "exactly": {"deviceClassName": "gpus", "allocationMode": "ExactCount", "count": 2},
}


def surface(version: str, *enabled: str) -> Surface:
    return Surface(version, frozenset(enabled))


def claim(version: str, request: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"resource.k8s.io/{version}",
        "kind": "ResourceClaim",
        "metadata": {"name": "c"},
        "spec": {"devices": {"requests": [request]}},
    }


def gang(version: str) -> dict[str, Any]:
    return {
        "apiVersion": f"scheduling.k8s.io/{version}",
        "kind": "PodGroup",
        "metadata": {"name": "g"},
        "spec": {"schedulingPolicy": {"gang": {"minCount": 2}}},
    }


@asynccontextmanager
async def started(path: Path, made: Surface) -> AsyncIterator[Api]:
    store = Store(path)
    try:
        api = await new_api(FixedClock(), store=store, surface=made)
        yield api
        api.server.stop()
        await api.close()
    finally:
        store.close()


async def requests(api: Api, version: str) -> Any:
    found = await api.ok("GET", CLAIMS.format(version) + "/c")
    assert found["apiVersion"] == f"resource.k8s.io/{version}"
    return found["spec"]["devices"]["requests"]


async def test_an_upgrade_keeps_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with started(path, surface("1.31")) as api:
        made = await api.ok("POST", PODS, pod())
    async with started(path, surface("1.37")) as api:
        found = await api.ok("GET", f"{PODS}/p")
        assert found["metadata"]["uid"] == made["metadata"]["uid"]
        # Nothing in it is otherwise in the newer version: not even written anew.
        assert found["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("before", "after", "version"),
    [
        (surface("1.33", BETA), surface("1.34"), "v1"),
        (surface("1.33", BETA), surface("1.33", *BETAS), "v1beta2"),
        (surface("1.36", BETA), surface("1.37", BETA), "v1"),
    ],
    ids=str,
)
async def test_a_claim_in_an_old_version_is_there_in_a_newer_one(
    tmp_path: Path, before: Surface, after: Surface, version: str
) -> None:
    path = tmp_path / "store.db"
    async with started(path, before) as api:
        await api.ok("POST", CLAIMS.format("v1beta1"), claim("v1beta1", FLAT_REQUEST))
        assert await requests(api, "v1beta1") == [FLAT_REQUEST]
    async with started(path, after) as api:
        assert await requests(api, version) == [REQUEST]
        listed = await api.ok("GET", CLAIMS.format(version))
        assert [one["spec"]["devices"]["requests"] for one in listed["items"]] == [[REQUEST]]


async def test_one_claim_in_two_versions_at_once() -> None:
    api = await new_api(FixedClock(), surface=surface("1.36", BETA))
    watch = await api.watch(CLAIMS.format("v1beta1"))
    await api.ok("POST", CLAIMS.format("v1"), claim("v1", REQUEST))
    assert await requests(api, "v1beta1") == [FLAT_REQUEST]
    event = await watch.next()
    assert event["object"]["spec"]["devices"]["requests"] == [FLAT_REQUEST]
    found = await api.ok("GET", CLAIMS.format("v1beta1") + "/c")
    labelled = {**found, "metadata": {**found["metadata"], "labels": {"a": "b"}}}
    await api.ok("PUT", CLAIMS.format("v1beta1") + "/c", labelled)
    assert await requests(api, "v1") == [REQUEST]
    await watch.close()
    api.server.stop()
    await api.close()


async def test_fields_of_a_newer_version_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with started(path, surface("1.36")) as api:
        made = await api.ok("POST", PODS, pod(hostnameOverride="h"))
        assert made["spec"]["hostnameOverride"] == "h"
    async with started(path, surface("1.33")) as api:
        assert "hostnameOverride" not in (await api.ok("GET", f"{PODS}/p"))["spec"]


@pytest.mark.parametrize(
    ("before", "path", "obj", "after", "holds", "way_out"),
    [
        (
            surface("1.34"),
            CLAIMS.format("v1"),
            claim("v1", REQUEST),
            surface("1.33"),
            "1 resourceclaims.resource.k8s.io of resource.k8s.io/v1, which Kubernetes 1.33 does not serve",
            "start 1.34, 1.35, 1.36, 1.37,",
        ),
        (
            surface("1.36", "scheduling.k8s.io/v1alpha2"),
            "/apis/scheduling.k8s.io/v1alpha2/namespaces/default/podgroups",
            gang("v1alpha2"),
            surface("1.37", "scheduling.k8s.io/v1beta1"),
            "1 podgroups.scheduling.k8s.io of scheduling.k8s.io/v1alpha2, which Kubernetes 1.37 does not serve",
            "start 1.36 with scheduling.k8s.io/v1alpha2,",
        ),
        (
            surface("1.37", "scheduling.k8s.io/v1beta1"),
            "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups",
            gang("v1beta1"),
            surface("1.37"),
            "1 podgroups.scheduling.k8s.io of scheduling.k8s.io/v1beta1, which Kubernetes 1.37 does not serve",
            "start 1.37 with scheduling.k8s.io/v1beta1,",
        ),
    ],
    ids=["older", "alpha gone", "turned off"],
)
async def test_what_cannot_be_served_is_refused_in_one_line(
    tmp_path: Path,
    before: Surface,
    path: str,
    obj: dict[str, Any],
    after: Surface,
    holds: str,
    way_out: str,
) -> None:
    state = tmp_path / "store.db"
    async with started(state, before) as api:
        await api.ok("POST", path, obj)
    untouched = state.read_bytes()
    with pytest.raises(StoreError) as refused:
        async with started(state, after):
            pass
    text = str(refused.value)
    assert text.startswith(f"{state}: holds {holds}")
    assert way_out in text
    assert "\n" not in text
    assert state.read_bytes() == untouched
    async with started(state, before) as api:
        assert (await api.get(f"{path}/{obj['metadata']['name']}"))[0] == 200


async def test_what_is_made_anew_at_each_start_does_not_hold_a_state_to_its_version(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    kind = "mutatingadmissionpolicies.admissionregistration.k8s.io"
    async with started(path, surface("1.36")) as api:
        await api.ok("POST", PODS, pod())
        policy = mutating("ours", lay("Object{}"))
        await api.ok("POST", collection(policy), policy)
    store = Store(path)
    try:
        server = ApiServer(store, clock=FixedClock(), rng=random.Random(1), surface=surface("1.33"))
        with pytest.raises(StoreError, match=f"holds 1 {kind}"):
            await server.start(made_anew={(kind, "another")})
        await server.start(made_anew={(kind, "ours")})
        api = Api(server)
        await api.ok("GET", f"{PODS}/p")
        assert not store.list(kind).records
        server.stop()
        await api.close()
    finally:
        store.close()
