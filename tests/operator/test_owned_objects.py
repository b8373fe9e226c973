"""What is rendered stays as it is rendered: put back, made again, gone when it is wanted no more; and nobody else's is touched."""

import asyncio
from typing import Any

from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.kube.resources import (
    CRDS,
    DAEMONSETS,
    GPUPOLICIES,
    NAMESPACES,
    PRIORITYCLASSES,
    RUNTIMECLASSES,
    SERVICEMONITORS,
    SERVICES,
)
from aliquot.kube.roles import NAMESPACE
from aliquot.kube.schema import crd
from tests.operator.world import World, simulated

TOOLKIT = "aliquot-p-toolkit"


async def running(world: World) -> dict[str, Any]:
    await world.node("a")
    await world.policy()
    await world.until_validated("a")
    await asyncio.sleep(5)
    return await world.daemon_sets()


def image_of(daemon_set: dict[str, Any]) -> str:
    image: str = daemon_set["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def test_what_somebody_changed_is_put_back_and_told() -> None:
    async def test(world: World) -> None:
        before = await running(world)
        container = {"name": "toolkit", "image": "evil:1"}
        spec = {"template": {"spec": {"containers": [container], "hostPID": False}}}
        await world.admin.apply(
            DAEMONSETS,
            {
                "metadata": {"name": TOOLKIT, "namespace": NAMESPACE},
                "spec": {"selector": before[TOOLKIT]["spec"]["selector"], **spec},
            },
            field_manager="somebody",
            force=True,
        )
        await asyncio.sleep(5)
        after = await world.daemon_sets()
        assert after[TOOLKIT]["spec"]["template"] == before[TOOLKIT]["spec"]["template"]
        (told,) = await world.told("DriftReverted")
        assert told.startswith("DaemonSet aliquot-p-toolkit: ")
        assert "spec.template.spec.containers[toolkit].image was evil:1, is to be nvcr.io/" in told
        await world.until_validated("a")

    simulated(test)


def test_what_was_deleted_is_made_again() -> None:
    async def test(world: World) -> None:
        before = await running(world)
        for name in before:
            await world.admin.delete(DAEMONSETS, name, NAMESPACE)
        await asyncio.sleep(5)
        after = await world.daemon_sets()
        assert {name: one["spec"] for name, one in after.items()} == {
            name: one["spec"] for name, one in before.items()
        }
        assert len(await world.told("DriftReverted")) == len(before)
        await world.until_validated("a")

    simulated(test)


def test_what_was_deleted_is_told_by_one_who_has_not_made_it() -> None:
    async def test(world: World) -> None:
        await running(world)
        await world.kill()
        world.start()
        await asyncio.sleep(5)
        await world.admin.delete(DAEMONSETS, TOOLKIT, NAMESPACE)
        await asyncio.sleep(5)
        assert await world.told("DriftReverted") == [f"DaemonSet {TOOLKIT} was deleted: it is made again"]

    simulated(test)


def test_what_has_lost_the_label_that_it_is_known_by_gets_it_again() -> None:
    async def test(world: World) -> None:
        before = await running(world)
        await world.admin.patch(
            DAEMONSETS,
            TOOLKIT,
            {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}},
            NAMESPACE,
        )
        await asyncio.sleep(5)
        after = (await world.daemon_sets())[TOOLKIT]["metadata"]
        assert after["uid"] == before[TOOLKIT]["metadata"]["uid"]
        assert after["labels"] == before[TOOLKIT]["metadata"]["labels"]
        assert await world.told("DriftReverted") == [
            f"DaemonSet {TOOLKIT} had lost its label app.kubernetes.io/managed-by=aliquot-operator"
        ]

    simulated(test)


def test_a_policy_that_is_made_again_is_no_drift() -> None:
    async def test(world: World) -> None:
        await running(world)
        await world.admin.delete(GPUPOLICIES, "p")
        await asyncio.sleep(30)
        await world.policy()
        await world.until_validated("a")
        assert await world.told("DriftReverted") == []

    simulated(test)


def test_a_changed_spec_is_no_drift() -> None:
    async def test(world: World) -> None:
        await running(world)
        amounts = {"requests": {"cpu": "1000m", "memory": "1.5Gi"}, "limits": {"cpu": "2"}}
        await world.policy(toolkit={"version": "v9", "resources": amounts})
        await asyncio.sleep(60)
        assert image_of((await world.daemon_sets())[TOOLKIT]) == "nvcr.io/nvidia/k8s/container-toolkit:v9"
        assert await world.told("DriftReverted") == []
        world.gate.calls.clear()
        await world.node("b")
        await world.until_validated("b")
        assert not [path for _, path in world.gate.calls if "daemonsets" in path]

    simulated(test)


def test_what_is_not_wanted_any_more_goes() -> None:
    async def test(world: World) -> None:
        await running(world)
        await world.policy(exporter={"enabled": False})
        await asyncio.sleep(5)
        assert "aliquot-p-exporter" not in await world.daemon_sets()
        assert await world.pods("a") == {"driver", "toolkit", "agent", "validator"}
        assert (await world.conditions("a"))["ExporterReady"] == "True NotWanted"

    simulated(test)


def test_what_only_looks_like_ours_is_left_alone() -> None:
    async def test(world: World) -> None:
        ours = await running(world)
        alike = ours["aliquot-p-exporter"]
        metadata = {"name": "mine", "namespace": NAMESPACE, "labels": alike["metadata"]["labels"]}
        spec = {key: alike["spec"][key] for key in ("selector", "template")}
        await world.admin.create(DAEMONSETS, {"metadata": metadata, "spec": spec})
        await world.policy(exporter={"enabled": False})
        await asyncio.sleep(5)
        found = await world.daemon_sets()
        assert "mine" in found
        assert "aliquot-p-exporter" not in found

    simulated(test)


def test_a_spec_that_the_api_server_refuses_changes_nothing() -> None:
    """All of it is tried before any of it is applied."""

    async def test(world: World) -> None:
        before = await running(world)
        await world.policy(
            toolkit={"version": "v9"}, validator={"resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}
        )
        await asyncio.sleep(5)
        assert await world.daemon_sets() == before
        status, reason, message = await world.condition("p", "Degraded")
        assert (status, reason) == ("True", "SpecRefused")
        assert message.startswith("DaemonSet aliquot-p-validator: ")
        assert message.endswith("; what runs goes on as it was")
        assert (await world.condition("p", "Ready"))[:2] == ("False", "SpecRefused")
        await world.policy(toolkit={"version": "v9"})
        await asyncio.sleep(5)
        assert image_of((await world.daemon_sets())[TOOLKIT]).endswith(":v9")
        assert (await world.condition("p", "Degraded"))[0] == "False"

    simulated(test)


def test_a_priority_class_that_is_not_there_takes_no_pod_away() -> None:
    """Of a DaemonSet the API server does not ask for it, and refuses the pods."""

    async def test(world: World) -> None:
        before = await running(world)
        await world.policy(pods={"priorityClassName": "gpus-first"})
        await asyncio.sleep(5)
        assert await world.daemon_sets() == before
        assert await world.condition("p", "Degraded") == (
            "True",
            "SpecRefused",
            "spec.pods.priorityClassName: there is no PriorityClass gpus-first; what runs goes on as it was",
        )
        await world.admin.create(PRIORITYCLASSES, {"metadata": {"name": "gpus-first"}, "value": 1000})
        await asyncio.sleep(70)
        pod = (await world.daemon_sets())[TOOLKIT]["spec"]["template"]["spec"]
        assert pod["priorityClassName"] == "gpus-first"
        assert (await world.condition("p", "Degraded"))[0] == "False"

    simulated(test)


def test_a_spec_that_the_operator_refuses_changes_nothing() -> None:
    async def test(world: World) -> None:
        before = await running(world)
        labels = await world.labels("a")
        await world.policy(driver={"enabled": False})
        await world.node("b")
        await asyncio.sleep(30)
        assert await world.daemon_sets() == before
        assert await world.labels("a") == labels
        assert await world.labels("b") == {}
        problem = "spec.driver.enabled: toolkit needs the driver: enable it, or say that it is preinstalled"
        assert await world.condition("p", "Degraded") == (
            "True",
            "SpecRefused",
            f"{problem}; what runs goes on as it was",
        )
        assert (await world.status("p"))["nodes"]["ready"] == 1
        await world.policy()
        await world.until_validated("a", "b")

    simulated(test)


def test_a_namespace_that_is_not_there_yet_is_waited_for() -> None:
    async def test(world: World) -> None:
        await world.admin.delete(NAMESPACES, NAMESPACE)
        await asyncio.sleep(30)
        await world.node("a")
        await world.policy()
        await asyncio.sleep(30)
        assert (await world.condition("p", "Degraded"))[:2] == ("True", "SpecRefused")
        await world.install()
        await world.until_validated("a", within_s=300)

    simulated(test)


def test_the_runtime_class_is_one_for_all() -> None:
    async def test(world: World) -> None:
        await running(world)
        found = await world.admin.get(RUNTIMECLASSES, "nvidia")
        assert found["handler"] == "nvidia"
        await world.admin.delete(RUNTIMECLASSES, "nvidia")
        await asyncio.sleep(5)
        assert (await world.admin.get(RUNTIMECLASSES, "nvidia"))["handler"] == "nvidia"

    simulated(test)


def test_a_runtime_class_of_somebody_stays_as_it_is() -> None:
    async def test(world: World) -> None:
        await world.admin.create(RUNTIMECLASSES, {"metadata": {"name": "nvidia"}, "handler": "theirs"})
        await running(world)
        assert (await world.admin.get(RUNTIMECLASSES, "nvidia"))["handler"] == "theirs"

    simulated(test)


def service_monitors() -> dict[str, Any]:
    definition = crd(GPUPolicy, "servicemonitors", namespaced=True)
    definition["metadata"]["name"] = SERVICEMONITORS.name
    definition["spec"]["group"] = SERVICEMONITORS.group
    definition["spec"]["names"] = {
        "plural": "servicemonitors",
        "singular": "servicemonitor",
        "kind": "ServiceMonitor",
        "listKind": "ServiceMonitorList",
    }
    definition["spec"]["versions"][0] = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return definition


def test_what_prometheus_scrapes() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.policy(exporter={"serviceMonitor": True})
        await world.until_validated("a")
        await asyncio.sleep(5)
        status, reason, message = await world.condition("p", "Monitored")
        assert (status, reason) == ("False", "NoServiceMonitors")
        assert message.endswith("install Prometheus' operator, or leave serviceMonitor out")
        assert (await world.condition("p", "Ready"))[0] == "True"
        await world.admin.apply(CRDS, service_monitors(), field_manager="tests")
        await asyncio.sleep(700)
        (found,) = (await world.admin.list(SERVICEMONITORS, NAMESPACE)).items
        (service,) = (await world.admin.list(SERVICES, NAMESPACE)).items
        wanted = found["spec"]["selector"]["matchLabels"].items()
        assert wanted <= service["metadata"]["labels"].items()
        assert await world.condition("p", "Monitored") == ("True", "ServiceMonitor", "")
        await world.policy()
        await asyncio.sleep(5)
        assert (await world.admin.list(SERVICEMONITORS, NAMESPACE)).items == []
        assert (await world.admin.list(SERVICES, NAMESPACE)).items == []

    simulated(test)
