"""Into a cluster, again, and by another version of Aliquot."""

import asyncio
from typing import Any

import msgspec
import pytest

from aliquot.admission.registration import CONFIGURATIONS as _CONFIGURATIONS
from aliquot.emulator.versions import Surface
from aliquot.installation import applying, cluster, rendering
from aliquot.installation.applying import Change
from aliquot.installation.labels import labelled
from aliquot.installation.rendering import Offers
from aliquot.installation.values import Part, Values, without
from aliquot.kube import crds
from aliquot.kube.client import Client
from aliquot.kube.resources import CONFIGMAPS, DEPLOYMENTS, GPUPOLICIES, NAMESPACES
from aliquot.kube.roles import NAMESPACE
from aliquot.node.watched import config_maps
from tests.installation.conftest import Start, client_of

Json = dict[str, Any]

# The definitions are established by a controller.
MAP = "admissionregistration.k8s.io"


async def applied(
    client: Client,
    values: Values = Values(),  # noqa: B008 - frozen in effect
    offers: Offers = Offers(),  # noqa: B008
    *,
    policy: Json | None = None,
    dry_run: bool = False,
) -> list[Change]:
    objects = rendering.objects(values, offers)
    return [one async for one in applying.apply(client, objects, policy=policy, dry_run=dry_run)]


async def test_what_is_there_is_what_was_rendered_and_stays_so(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    first = await applied(client)
    assert {one.what for one in first} == {"created"}
    assert len(first) == len(crds.ALL) + len(rendering.objects(Values(), Offers()))
    again = await applied(client)
    assert {str(one) for one in again if one.what != "unchanged"} == set()


async def test_a_policy_may_name_any_configuration(start: Start) -> None:
    api, client = await start(Surface("1.36"))
    await applied(client)
    await client.create(CONFIGMAPS, {"metadata": {"name": "mine", "namespace": NAMESPACE}, "data": {}})
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated")
    agent = client_of(api, f"system:serviceaccount:{NAMESPACE}:aliquot-node-agent", *groups)
    configurations = config_maps(agent, "mine")
    running = asyncio.create_task(configurations.run())
    try:
        async with asyncio.timeout(10):
            await configurations.synced()
        assert [one.metadata.name for one in configurations.values()] == ["mine"]
    finally:
        running.cancel()


async def test_a_dry_run_tells_and_changes_nothing(start: Start) -> None:
    api, client = await start(Surface("1.36"))
    told = await applied(client, policy=rendering.policy(Values().policy), dry_run=True)
    assert {one.what for one in told} == {"created"}
    assert told[-1].kind == "GPUPolicy"
    assert (await api.get(f"/api/v1/namespaces/{NAMESPACE}"))[0] == 404
    await applied(client)
    scheduler = msgspec.structs.replace(Values().scheduler, replicas=3)
    changed = await applied(client, msgspec.structs.replace(Values(), scheduler=scheduler), dry_run=True)
    assert [str(one) for one in changed if one.what != "unchanged"] == [
        f"Deployment {NAMESPACE}/aliquot-scheduler: changed (spec.replicas: 2 -> 3)"
    ]
    assert (await client.get(DEPLOYMENTS, "aliquot-scheduler", NAMESPACE))["spec"]["replicas"] == 2


async def test_what_this_one_has_not_goes_and_what_is_others_stays(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await applied(client)
    for name, is_ours in (("of-an-earlier-version", True), ("of-a-user", False)):
        made = {"metadata": {"name": name, "namespace": NAMESPACE}, "data": {}}
        await client.create(CONFIGMAPS, labelled(made) if is_ours else made)
    told = await applied(client, without(Values(), [Part.PARTITIONER]))
    removed = {f"{one.kind} {one.key}" for one in told if one.what == "removed"}
    assert f"ConfigMap {NAMESPACE}/of-an-earlier-version" in removed
    assert f"Deployment {NAMESPACE}/aliquot-partitioner" in removed
    assert "ClusterRole aliquot-partitioner" in removed
    assert "RoleBinding kube-system/aliquot-partitioner" in removed
    assert all("partitioner" in one or "earlier" in one for one in removed)
    await client.get(CONFIGMAPS, "of-a-user", NAMESPACE)


async def test_policies_take_the_place_of_the_webhook(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await applied(client, offers=Offers(""))
    body = {"metadata": {"name": "aliquot-gpu-class"}}
    await client.create(_CONFIGURATIONS, body)
    told = await applied(client)
    removed = {f"{one.kind} {one.key}" for one in told if one.what == "removed"}
    assert f"Deployment {NAMESPACE}/aliquot-admission" in removed
    assert f"Service {NAMESPACE}/aliquot-admission" in removed
    assert (await client.list(_CONFIGURATIONS)).items == []


async def test_nobody_is_asked_who_does_not_answer_any_more(start: Start) -> None:
    _, client = await start(Surface("1.31"))
    await applied(client, offers=Offers(""))
    await client.create(_CONFIGURATIONS, {"metadata": {"name": "aliquot-gpu-class"}})
    await applied(client, without(Values(), [Part.ADMISSION]), Offers(""), dry_run=True)
    assert len((await client.list(_CONFIGURATIONS)).items) == 1
    await applied(client, without(Values(), [Part.ADMISSION]), Offers(""))
    assert (await client.list(_CONFIGURATIONS)).items == []


async def test_a_policy_comes_last_and_is_never_pruned(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    told = await applied(client, policy=rendering.policy(Values().policy))
    assert str(told[-1]) == "GPUPolicy default: created"
    await applied(client)
    await client.get(GPUPOLICIES, "default")


@pytest.mark.parametrize(
    ("minor", "enabled", "mutating"),
    [("1.36", (), "v1"), ("1.34", ("v1beta1",), "v1beta1"), ("1.31", (), "")],
)
async def test_what_a_cluster_says_of_itself(
    start: Start, minor: str, enabled: tuple[str, ...], mutating: str
) -> None:
    _, client = await start(Surface(minor, frozenset(f"{MAP}/{one}" for one in enabled)))
    found = await cluster.look(client)
    assert found.minor == int(minor.partition(".")[2])
    assert found.offers == Offers(mutating)
    assert not found.helm_release
    await applied(client, offers=found.offers)


async def test_it_runs_in_the_version_that_nobody_has_tried_only_when_told(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = await start(Surface("1.36"))
    monkeypatch.setattr(cluster, "NEWEST", 35)
    with pytest.raises(cluster.Unsuitable, match=r"is Kubernetes v1\.36.*for 1\.31 to 1\.35"):
        await cluster.look(client)
    assert (await cluster.look(client, any_version=True)).minor == 36


async def test_helms_is_helms(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
    (deployment,) = [
        one
        for one in rendering.objects(Values(), Offers())
        if one["kind"] == "Deployment" and one["metadata"]["name"] == "aliquot-operator"
    ]
    deployment["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    said = {"meta.helm.sh/release-name": "gpus", "meta.helm.sh/release-namespace": "tools"}
    deployment["metadata"]["annotations"] = said
    await client.create(DEPLOYMENTS, deployment)
    assert (await cluster.look(client)).helm_release == "tools/gpus"
