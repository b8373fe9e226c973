"""The conditions of Kubernetes' own groups, as the API servers that have them take and keep them."""

import asyncio
import random
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.emulator.versions import Surface
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES, PODS, Resource
from aliquot.scheduler.controller import Scheduler
from tests.emulator.api import Api, on_virtual_time
from tests.scheduler.running import node, running
from tests.scheduler.test_groups_emulated import GROUP, resource

WAITS_S = 5.0


async def add_pod(api: Api, name: str, group: str, *, gpus: int = 1, scheduler: str = "aliquot") -> None:
    limits = {"nvidia.com/gpu": str(gpus)}
    container = {"name": "main", "image": "busybox", "resources": {"limits": limits}}
    spec = {
        "schedulerName": scheduler,
        "containers": [container],
        # Nobody says that the node is ready.
        "tolerations": [{"operator": "Exists"}],
        "schedulingGroup": {"podGroupName": group},
    }
    await api.ok("POST", PODS.path("default"), {"metadata": {"name": name}, "spec": spec})


async def add_group(api: Api, where: Resource, name: str, gang: dict[str, int], parent: str = "") -> None:
    spec: dict[str, Any] = {"schedulingPolicy": {"gang": gang}}
    if parent:
        spec["parentCompositePodGroupName"] = parent
    if where.version != "v1alpha2":
        spec["workloadRef"] = {"workloadName": "w", "templateName": "t"}
    body = {"apiVersion": where.api_version, "kind": where.kind, "metadata": {"name": name}, "spec": spec}
    await api.ok("POST", where.path("default"), body)


async def said(api: Api, where: Resource, name: str) -> dict[str, tuple[str, str, str]]:
    code, found = await api.get(where.path("default", name))
    assert code == 200
    return {
        one["type"]: (one["status"], one["reason"], one["message"])
        for one in found.get("status", {}).get("conditions", ())
    }


def scheduler(api: Api) -> Scheduler:
    transport = AsgiTransport(api.server.app, "admin", ("system:masters",))
    rng = random.Random(1)
    return Scheduler(Client(transport, clock=VirtualClock(), rng=rng), clock=VirtualClock(), rng=rng)


@pytest.mark.parametrize(
    ("minor", "version", "condition"),
    [("1.36", "v1alpha2", "PodGroupScheduled"), ("1.37", "v1beta1", "PodGroupInitiallyScheduled")],
)
def test_a_gang(minor: str, version: str, condition: str) -> None:
    async def main(api: Api) -> None:
        groups = resource(version, "PodGroup")
        await api.ok("POST", NODES.path(), node("a", gpus=2))
        for name in ("train", "theirs"):
            await add_group(api, groups, name, {"minCount": 2})
        other = {"type": "DisruptionTarget", "status": "False", "reason": "No", "message": ""}
        since = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
        await api.ok(
            "PATCH",
            groups.path("default", "train", "status"),
            {"status": {"conditions": [{**other, **since}]}},
            type="application/merge-patch+json",
        )
        await add_pod(api, "other", "theirs", scheduler="another")
        await add_pod(api, "p0", "train")
        async with running(scheduler(api)):
            await asyncio.sleep(WAITS_S)
            found = await said(api, groups, "train")
            assert found[condition][:2] == ("False", "Unschedulable")
            assert found[condition][2].startswith("1 of the 2 pods that it takes exist")
            await add_pod(api, "p1", "train")
            await asyncio.sleep(WAITS_S)
            found = await said(api, groups, "train")
            assert found[condition][:2] == ("True", "Scheduled")
            # What others wrote stays.
            assert found["DisruptionTarget"] == ("False", "No", "")
            # kube-scheduler's group is kube-scheduler's.
            assert await said(api, groups, "theirs") == {}
            await api.ok("DELETE", PODS.path("default", "p1"), gracePeriodSeconds=0)
            await asyncio.sleep(WAITS_S)
            await add_pod(api, "p2", "train", gpus=8)
            await asyncio.sleep(WAITS_S)
            later = (await said(api, groups, "train"))[condition][0]
            assert later == ("True" if condition.endswith("InitiallyScheduled") else "False")

    on_virtual_time(main, surface=Surface(minor, frozenset({f"{GROUP}/{version}"})))


def test_groups_in_groups() -> None:
    async def main(api: Api) -> None:
        groups, composites = resource("v1beta1", "PodGroup"), resource("v1alpha3", "CompositePodGroup")
        await api.ok("POST", NODES.path(), node("a", gpus=2))
        await add_group(api, composites, "whole", {"minGroupCount": 2})
        for name in ("left", "right"):
            await add_group(api, groups, name, {"minCount": 1}, "whole")
        await add_pod(api, "p0", "left")
        async with running(scheduler(api)):
            await asyncio.sleep(WAITS_S)
            assert (await said(api, composites, "whole"))["CompositePodGroupInitiallyScheduled"][:2] == (
                "False",
                "Unschedulable",
            )
            assert (await said(api, groups, "left"))["PodGroupInitiallyScheduled"][0] == "False"
            await add_pod(api, "p1", "right")
            await asyncio.sleep(WAITS_S)
            assert (await said(api, composites, "whole"))["CompositePodGroupInitiallyScheduled"][:2] == (
                "True",
                "Scheduled",
            )
            for name in ("left", "right"):
                assert (await said(api, groups, name))["PodGroupInitiallyScheduled"][0] == "True"

    enabled = frozenset({f"{GROUP}/v1alpha3", f"{GROUP}/v1beta1"})
    on_virtual_time(main, surface=Surface("1.37", enabled))
