"""Over an installation whose definitions are of an older shape: objects survive, and can say from then on what the new ones know."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aliquot.emulator.versions import Surface
from aliquot.installation import applying, rendering
from aliquot.installation.rendering import Offers
from aliquot.installation.values import Values
from aliquot.kube import crds, errors
from aliquot.kube.api.gpunode import API_VERSION
from aliquot.kube.api.podgroup import Topology
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, GPUNODES, GPUPOLICIES, TOPOLOGIES, Resource
from aliquot.operator.core.operands import parse_image, shipped
from aliquot.operator.core.policies import read_stored
from tests.installation.conftest import Start

Json = dict[str, Any]

OLDER = list(yaml.safe_load_all((Path(__file__).parent / "older/crds.yaml").read_text()))
GPU = {
    "uuid": "GPU-1",
    "index": 0,
    "product": "NVIDIA H100 80GB HBM3",
    "board": "h100-80gb",
    "memoryMib": 81559,
    "migMode": "Enabled",
}
OBJECTS: list[tuple[Resource, Json]] = [
    (GPUNODES, {"metadata": {"name": "a"}, "spec": {"gpus": [{"uuid": "GPU-1", "mig": True}]}}),
    (TOPOLOGIES, {"metadata": {"name": "racks"}, "spec": {"levels": [{"nodeLabel": "rack"}]}}),
    (
        GPUPOLICIES,
        {
            "metadata": {"name": "all"},
            "spec": {
                "driver": {"version": "580.95.05"},
                "upgrade": {"drain": {"enabled": True, "force": True}},
                "agent": {"resources": {"limits": {"memory": "1Gi"}}},
            },
        },
    ),
    # A name that is not allowed any more.
    (GPUPOLICIES, {"metadata": {"name": "of.the.first.version"}, "spec": {"driver": {"preinstalled": True}}}),
]


@pytest.fixture
async def client(start: Start) -> Client:
    """Of a cluster that an older Aliquot was installed in."""
    _, client = await start(Surface("1.36"))
    for definition in OLDER:
        await client.apply(CRDS, definition, field_manager=applying.FIELD_MANAGER, force=True)
    for resource, obj in OBJECTS:
        await client.create(resource, obj)
    for resource, name, status in (
        (GPUNODES, "a", {"driverVersion": "580.95.05", "gpus": [GPU]}),
        (TOPOLOGIES, "racks", {"observedGeneration": 1}),
    ):
        body = {"metadata": {"name": name}, "status": status}
        await client.apply(resource, body, field_manager="aliquot-node-agent", subresource="status")
    return client


async def upgraded(client: Client) -> list[str]:
    objects = rendering.objects(Values(), Offers())
    return [str(one) async for one in applying.apply(client, objects, policy=None, dry_run=False)]


async def test_every_object_is_there_as_before(client: Client) -> None:
    before = [await client.get(one, obj["metadata"]["name"]) for one, obj in OBJECTS]
    told = await upgraded(client)
    assert any(one.startswith("CustomResourceDefinition gpunodes.aliquot.dev: changed") for one in told)
    assert "CustomResourceDefinition queues.aliquot.dev: created" in told
    # Of a drain that is turned on by being there nothing else was to be said.
    del before[2]["spec"]["upgrade"]["drain"]["enabled"]
    # Nobody read it.
    del before[1]["status"]
    for was, (resource, obj) in zip(before, OBJECTS, strict=True):
        found = await client.get(resource, obj["metadata"]["name"])
        assert found["metadata"]["uid"] == was["metadata"]["uid"]
        assert found["spec"] == was["spec"]
        assert found.get("status") == was.get("status")


async def test_what_the_older_ones_dropped_is_kept_from_then_on(client: Client) -> None:
    spec = {"partitioning": "static"}
    wish = {"apiVersion": API_VERSION, "kind": "GPUNode", "metadata": {"name": "a"}, "spec": spec}
    with pytest.raises(errors.ApiError, match=r"partitioning.*not declared in schema"):
        await client.apply(GPUNODES, wish, field_manager="kubectl")
    await upgraded(client)
    await client.apply(GPUNODES, wish, field_manager="kubectl")
    kept = (await client.get(GPUNODES, "a"))["spec"]
    assert kept == {"gpus": [{"uuid": "GPU-1", "mig": True}], "partitioning": "static"}


async def test_objects_that_the_new_rules_refuse_stay_until_somebody_takes_them_away(client: Client) -> None:
    await upgraded(client)
    with pytest.raises(errors.Invalid, match="the name has a dot"):
        await client.create(GPUPOLICIES, {"metadata": {"name": "another.one"}, "spec": {}})
    await client.get(GPUPOLICIES, "of.the.first.version")
    await client.delete(GPUPOLICIES, "of.the.first.version")


async def test_policies_of_the_older_shape_are_read(client: Client) -> None:
    await upgraded(client)
    images = shipped(parse_image(Values().image))
    found = read_stored(await client.get(GPUPOLICIES, "all"), images)
    assert found.policy is not None, found.problem
    assert found.policy.rules.drain is not None
    topology = await client.get(TOPOLOGIES, "racks", into=Topology)
    assert [one.node_label for one in topology.spec.levels] == ["rack"]


async def test_they_are_stored_in_the_version_that_the_new_ones_have(client: Client) -> None:
    """Else the API server could not read what is stored any more: a new version goes beside the old one first."""
    await upgraded(client)
    for definition in crds.ALL:
        served = {one["name"] for one in definition["spec"]["versions"]}
        stored = (await client.get(CRDS, definition["metadata"]["name"]))["status"]["storedVersions"]
        assert set(stored) <= served
