"""Pods with claims: where their volumes let them go, what is told to the storage, and when they are bound."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from aliquot.kube.api.storage import BIND_COMPLETED, SELECTED_NODE
from tests.scheduler.fake_api import KINDS, STORAGE, FakeApi, Json, World, simulate
from tests.scheduler.running import labelled, near_to, node, pod, running, scheduler, until

ALL = (*KINDS, *STORAGE, "namespaces")
PATCHED = "PATCH", "/api/v1/namespaces/default/persistentvolumeclaims/data"


def storage_class(
    name: str, *, waits: bool = True, provisioner: str = "csi.example.com", **more: Any
) -> tuple[str, Json]:
    mode = "WaitForFirstConsumer" if waits else "Immediate"
    return "storageclasses", {
        "metadata": {"name": name},
        "provisioner": provisioner,
        "volumeBindingMode": mode,
        **more,
    }


def claim(
    name: str = "data", of: str = "fast", *, volume: str = "", size: str = "10Gi", **more: Any
) -> tuple[str, Json]:
    """Bound to `volume`, where one is named."""
    spec = {
        "storageClassName": of,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    metadata: Json = {"name": name, "namespace": "default", "annotations": more.pop("annotations", {})}
    status = {"phase": "Bound" if volume else "Pending"} | more.pop("status", {})
    if volume:
        spec["volumeName"] = volume
        metadata["annotations"][BIND_COMPLETED] = "yes"
    return "persistentvolumeclaims", {"metadata": metadata, "spec": spec | more, "status": status}


def volume(
    name: str,
    zones: str = "",
    *,
    of: str = "fast",
    size: str = "10Gi",
    labels: Json | None = None,
    owner: str = "",
    **more: Any,
) -> tuple[str, Json]:
    """Reachable from `zones`; everywhere where none is named."""
    spec: Json = {
        "storageClassName": of,
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": size},
        **more,
    }
    if zones:
        expression = {"key": "zone", "operator": "In", "values": zones.split()}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    if owner:
        spec["claimRef"] = {"namespace": "default", "name": owner}
    metadata = {"name": name, "labels": labels or {}}
    return "persistentvolumes", {
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": "Bound" if owner else "Available"},
    }


def user(name: str = "p", *claims: str, **spec: Any) -> Json:
    named = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims or ("data",)]
    return pod(name, volumes=[*named, *spec.pop("volumes", ())], **spec)


@contextlib.asynccontextmanager
async def storage(api: FakeApi, *, makes: bool = True) -> AsyncIterator[None]:
    """Binds what the scheduler has chosen, and `makes` volumes where it has named a node."""

    def bind(name: str, to: str) -> None:
        def bound(obj: Json) -> None:
            obj["spec"]["volumeName"] = to
            obj["metadata"]["annotations"][BIND_COMPLETED] = "yes"
            obj["status"]["phase"] = "Bound"

        api.update("persistentvolumeclaims", name, bound)

    async def act() -> None:
        while True:
            await asyncio.sleep(0.5)
            for one in list(api.objects["persistentvolumes"].values()):
                reference = one["spec"].get("claimRef", {})
                name = f"{reference.get('namespace')}/{reference.get('name')}"
                found = api.objects["persistentvolumeclaims"].get(name)
                if found is not None and not found["spec"].get("volumeName"):
                    bind(name, one["metadata"]["name"])
            for name, one in list(api.objects["persistentvolumeclaims"].items()):
                if (
                    makes
                    and SELECTED_NODE in one["metadata"]["annotations"]
                    and not one["spec"].get("volumeName")
                ):
                    made = one["metadata"]["name"]
                    api.put(*volume(f"made-for-{made}", of=one["spec"]["storageClassName"], owner=made))
                    bind(name, f"made-for-{made}")

    task = asyncio.create_task(act())
    try:
        yield
    finally:
        task.cancel()


def zones(api: FakeApi) -> None:
    for name, zone in (("a", "1"), ("b", "2"), ("c", "3")):
        api.put("nodes", labelled(node(name), zone=zone))


def noted(api: FakeApi) -> str:
    """The node on the claim."""
    annotations = api.objects["persistentvolumeclaims"]["default/data"]["metadata"]["annotations"]
    return str(annotations.get(SELECTED_NODE, ""))


LOCAL = storage_class("fast", provisioner="kubernetes.io/no-provisioner")
WAITS = storage_class("fast")
ALLOWED = [{"matchLabelExpressions": [{"key": "zone", "values": ["2", "3"]}]}]
ZONE = "topology.kubernetes.io/zone"


@pytest.mark.parametrize(
    ("objects", "goes"),
    [
        ([claim(volume="v"), volume("v", "3", owner="data")], "c"),
        ([claim(volume="v"), volume("v", owner="data")], "a"),
        # By its labels alone, as volumes of old have it; where nodes say nothing of zones, anywhere.
        ([claim(volume="v"), volume("v", owner="data", labels={ZONE: "elsewhere"})], "a"),
        ([claim(), WAITS], "a"),
        ([claim(), storage_class("fast", allowedTopologies=ALLOWED)], "b"),
        ([claim(), LOCAL, volume("v", "2")], "b"),
        # The class makes volumes too: one that is there will do as well as one that is made.
        ([claim(), storage_class("fast", allowedTopologies=ALLOWED), volume("v", "1")], "a"),
        # Too small, of another class, of another mode, not meant for it: none of them.
        (
            [
                claim(),
                LOCAL,
                volume("small", "1", size="9Gi"),
                volume("other", "1", of="slow"),
                volume("block", "1", volumeMode="Block"),
                volume("taken", "1", owner="somebody"),
                volume("v", "3"),
            ],
            "c",
        ),
        (
            [
                claim(selector={"matchLabels": {"disk": "ssd"}}),
                LOCAL,
                volume("h", "1"),
                volume("s", "2", labels={"disk": "ssd"}),
            ],
            "b",
        ),
        # Meant for it, wherever others are.
        ([claim(), LOCAL, volume("v", "1"), volume("mine", "2", owner="data")], "b"),
        # A node that it was told already.
        ([claim(annotations={SELECTED_NODE: "c"}), WAITS], "c"),
    ],
)
def test_a_pod_goes_where_its_volume_is_or_can_be(objects: Sequence[tuple[str, Json]], goes: str) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        for one in objects:
            api.put(*one)
        api.put("pods", user())
        async with storage(api), running(scheduler(world)):
            await until(lambda: bool(api.node_of("p")))
        assert api.node_of("p") == goes
        assert api.objects["persistentvolumeclaims"]["default/data"]["spec"]["volumeName"]

    simulate(scenario, kinds=ALL)


def test_those_who_wait_at_the_start_are_told_once() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        api.put("pods", user())
        async with running(scheduler(world)):
            await asyncio.sleep(60)
        assert api.events("FailedScheduling") == ["PVC data does not exist"]

    simulate(scenario, kinds=ALL)


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        # Of these no node takes care: autoscalers are not asked.
        ([], "PVC data does not exist"),
        ([claim(), storage_class("fast", waits=False)], "waits for PVC data to be bound"),
        ([claim(of="missing")], "waits for PVC data to be bound"),
        ([claim(of="")], "waits for PVC data to be bound"),
        ([claim(volumeName="v"), WAITS], "waits for PVC data to be bound"),
        ([claim(volume="v", status={"phase": "Lost"})], "PVC data has lost its volume v"),
        ([claim(volume="v")], "PVC data is bound to volume v, which does not exist"),
        (
            [claim(volume="v"), volume("v", "4", owner="data")],
            "the volume of claim data cannot be reached from any node that matches "
            "(0/3 nodes are available: 3 node(s) had volume node affinity conflict.)",
        ),
        (
            [claim(), LOCAL, volume("v", "1", size="1Gi")],
            "no node that matches has a volume for claim data, nor may one be made there "
            "(0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.)",
        ),
    ],
)
def test_why_a_pod_with_a_claim_waits(objects: Sequence[tuple[str, Json]], told: str) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        for one in objects:
            api.put(*one)
        api.put("pods", user())
        async with running(scheduler(world)):
            await until(lambda: bool(api.condition("p")[2]))
            await asyncio.sleep(5)
        assert api.condition("p")[1:] == ("Unschedulable" if told.endswith(".)") else "VolumeClaims", told)
        assert api.binds == []

    simulate(scenario, kinds=ALL)


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ([], [claim(volume="v"), volume("v", "2", owner="data")]),
        ([claim(volume="v")], [volume("v", "2", owner="data")]),
        ([claim(), LOCAL], [volume("v", "2")]),
        ([claim(of="fast")], [storage_class("fast", allowedTopologies=ALLOWED)]),
    ],
)
def test_a_pod_is_placed_once_what_it_waits_for_is_there(
    before: Sequence[tuple[str, Json]], then: Sequence[tuple[str, Json]]
) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        for one in before:
            api.put(*one)
        api.put("pods", user())
        async with storage(api), running(scheduler(world)):
            await until(lambda: bool(api.condition("p")[2]))
            await asyncio.sleep(5)
            for one in then:
                api.put(*one)
            assert await until(lambda: api.node_of("p") == "b") < 5

    simulate(scenario, kinds=ALL)


def test_a_pod_is_bound_after_its_claim_and_not_before() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        api.put(*WAITS)
        api.put(*claim())
        api.put("pods", user())
        async with running(scheduler(world)):
            await until(lambda: noted(api) == "a")
            await asyncio.sleep(60)
            assert api.binds == []
            async with storage(api):
                await until(lambda: api.node_of("p") == "a")
        assert api.writes.count(PATCHED) == 1

    simulate(scenario, kinds=ALL)


def test_that_the_storage_cannot_be_told_is_told_for_as_long_as_it_is_so() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        api.put(*WAITS)
        api.put(*claim())
        api.put("pods", user())
        api.fault = lambda method, path: "before" if (method, path) == PATCHED else ""
        async with running(scheduler(world)):
            await until(lambda: api.condition("p")[1] == "BindFailed", 5)
            assert api.condition("p")[2].startswith("its claims could not be told of their volumes")
            api.fault = lambda method, path: ""
            async with storage(api):
                await until(lambda: api.node_of("p") == "a")
            await asyncio.sleep(5)
        assert api.condition("p") == ("True", "", "")

    simulate(scenario, kinds=ALL)


def test_a_claim_that_is_not_bound_in_time_is_told_of() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        api.put(*WAITS)
        api.put(*claim())
        api.put("pods", user())
        async with running(scheduler(world)):
            took = await until(lambda: bool(api.condition("p")[2]), 700)
            assert 599 < took < 602
            assert api.condition("p")[2] == "PVC data was not bound within 600 s for node a"
            async with storage(api):
                await until(lambda: api.node_of("p") == "a")

    simulate(scenario, kinds=ALL)


def test_what_the_provisioner_gave_up_is_decided_anew() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        api.put(*WAITS)
        api.put(*claim())
        api.put("pods", user())
        async with running(scheduler(world)):
            await until(lambda: noted(api) == "a")
            await asyncio.sleep(1)
            api.update("nodes", "a", lambda obj: obj["spec"].update(unschedulable=True))
            api.update(
                "persistentvolumeclaims", "default/data", lambda obj: obj["metadata"]["annotations"].clear()
            )
            await until(lambda: "gave up" in api.condition("p")[2])
            async with storage(api):
                await until(lambda: api.node_of("p") == "b")

    simulate(scenario, kinds=ALL)


def test_one_volume_is_promised_to_one_claim() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        api.put(*LOCAL)
        for name, zone in (("v1", "2"), ("v2", "3")):
            api.put(*volume(name, zone))
        for name in ("x", "y", "z"):
            api.put(*claim(name))
            api.put("pods", user(f"p{name}", name))
        async with storage(api), running(scheduler(world)):
            await until(lambda: len(api.binds) == 2)
            await asyncio.sleep(5)
        assert dict(api.binds) == {"default/px": "b", "default/py": "c"}
        assert "has a volume for claim z" in api.condition("pz")[2]

    simulate(scenario, kinds=ALL)


def test_a_claim_for_one_pod_is_one_pod_s() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        api.put(*claim(volume="v", accessModes=["ReadWriteOncePod"]))
        api.put(*volume("v", owner="data"))
        for name in ("p", "q"):
            api.put("pods", user(name))
        async with running(scheduler(world)):
            await until(lambda: "ReadWriteOncePod" in api.condition("q")[2])
            assert api.condition("q")[2] == "PVC data is ReadWriteOncePod, and pod default/p has it"
            await asyncio.sleep(5)
            assert api.binds == [("default/p", "a")]
            api.update("pods", "default/p", lambda obj: obj["status"].update(phase="Succeeded"))
            await until(lambda: api.node_of("q") == "a")

    simulate(scenario, kinds=ALL)


def test_an_ephemeral_volume_waits_for_its_claim() -> None:
    ephemeral = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}

    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        made = api.put("pods", pod("p", volumes=[ephemeral]))
        async with running(scheduler(world)):
            await until(lambda: "not made yet" in api.condition("p")[2])
            kind, obj = claim("p-scratch", volume="v")
            api.put(*volume("v", "2", owner="p-scratch"))
            api.put(kind, obj)
            await until(lambda: "is not the pod's" in api.condition("p")[2])
            owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": made["metadata"]["uid"]}
            api.update(kind, "default/p-scratch", lambda obj: obj["metadata"].update(ownerReferences=[owner]))
            await until(lambda: api.node_of("p") == "b")

    simulate(scenario, kinds=ALL)


def test_nothing_is_asked_of_storage_or_namespaces_while_no_pod_speaks_of_them() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        asked = []
        api.fault = lambda method, path: asked.append(path) or ""  # type: ignore[func-returns-value]
        api.put("pods", pod("p"))
        async with running(scheduler(world)):
            await until(lambda: bool(api.node_of("p")))
            await asyncio.sleep(5)
        assert not any(kind in path for kind in STORAGE for path in asked)
        assert "/api/v1/namespaces" not in asked

    simulate(scenario, kinds=ALL)


def test_namespaces_are_selected_by_the_labels_that_they_have_by_then() -> None:
    def spread_over(team: str) -> Json:
        affinity = near_to(app="db")
        for term in affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]:
            term["namespaceSelector"] = {"matchLabels": {"team": team}}
        return affinity

    def is_of(team: str) -> Callable[[Json], None]:
        return lambda obj: obj["metadata"].update(labels={"team": team})

    async def scenario(world: World) -> None:
        api = world.api
        zones(api)
        api.put("namespaces", {"metadata": {"name": "red"}})
        db = labelled(pod("db", nodeName="b"), app="db")
        api.put("pods", {**db, "metadata": {**db["metadata"], "namespace": "red"}})
        api.put("pods", pod("p", affinity=spread_over("r")))
        async with running(scheduler(world)):
            await until(lambda: "pod affinity asks for" in api.condition("p")[2])
            await asyncio.sleep(5)
            api.update("namespaces", "red", is_of("r"))
            assert await until(lambda: api.node_of("p") == "b") < 1

    simulate(scenario, kinds=ALL)
