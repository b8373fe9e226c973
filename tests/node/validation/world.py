"""A node with its API, and a validator on it under the rights that it has, on virtual time. What scheduler and kubelet do
with its pod is the test's to say."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from aliquot.clock import VirtualClock
from aliquot.kube import crds, roles
from aliquot.kube.api.meta import Condition
from aliquot.kube.api.node_checks import CHECKS_PASSED
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, EVENTS, GPUNODES, NODES, PODS, SERVICEACCOUNTS
from aliquot.node.validation.checks import Answer
from aliquot.node.validation.validator import Validator
from aliquot.node.validation.workload import Workload, pod_name
from tests.emulator.api import MERGE, Api, Json, on_virtual_time
from tests.node.machines import NODE, directly

WELL = Answer("580.82.07", gpus=8)
GONE = Answer(problem="Driver Not Loaded")
WORKLOAD = Workload("registry.example/aliquot:1", roles.NAMESPACE)
GPUS = {"nvidia.com/gpu": "8"}
PATH = PODS.path(roles.NAMESPACE, pod_name(NODE))

SUCCEEDS: Json = {"phase": "Succeeded"}


def ended(code: int, message: str = "", reason: str = "Error") -> Json:
    state = {"terminated": {"exitCode": code, "message": message, "reason": reason}}
    status = {
        "name": "workload",
        "state": state,
        "image": "i",
        "imageID": "i",
        "ready": False,
        "restartCount": 0,
    }
    return {"phase": "Succeeded" if code == 0 else "Failed", "containerStatuses": [status]}


def waiting(reason: str, message: str = "") -> Json:
    status = {"name": "workload", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    return {"containerStatuses": [{**status, "state": {"waiting": {"reason": reason, "message": message}}}]}


def unschedulable(message: str) -> Json:
    return {
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        ]
    }


class World:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.answer = WELL
        self.not_injected = ""
        self.becomes: Json | None = SUCCEEDS
        """The status that the workload's pod gets a second after it was made; None: nobody looks at it."""
        self.bound = True
        self.pods: list[Json] = []
        """Those that were made for a trial."""
        self.told: list[tuple[str, str]] = []
        """Status and reason of the condition, as it came to be."""
        self.requests = 0
        """Of the validator."""
        self.is_down = False
        """The API, for the validator."""
        self.validator: Validator | None = None
        self._task: asyncio.Task[None] | None = None
        self._acting = asyncio.create_task(self._act())

    async def start(self, workload: Workload | None = WORKLOAD) -> None:
        user = f"system:serviceaccount:{roles.NAMESPACE}:aliquot-validator"
        self.validator = Validator(
            NODE,
            client=Client(AsgiTransport(self._counted, user), clock=VirtualClock(), rng=random.Random(1)),
            clock=VirtualClock(),
            rng=random.Random(2),
            run_blocking=directly,
            ask_driver=lambda: self.answer,
            not_injected=lambda: self.not_injected,
            workload=workload,
        )
        self._task = asyncio.create_task(self.validator.run())

    async def _counted(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests += 1
        if self.is_down:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"down"})
            return
        await self.api.server.app(scope, receive, send)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            assert self._task.cancelled(), self._task.exception()
            self._task = None

    async def end(self) -> None:
        await self.stop()
        self._acting.cancel()
        await asyncio.wait((self._acting,))
        assert self._acting.cancelled(), self._acting.exception()

    async def offer(self, resources: dict[str, str]) -> None:
        old = await self.api.ok("GET", NODES.path(None, NODE))
        gone = dict.fromkeys(old["status"].get("allocatable", {}))
        patch = {"status": {"allocatable": {**gone, **resources}, "capacity": {**gone, **resources}}}
        await self.api.ok("PATCH", NODES.path(None, NODE, "status"), patch, type=MERGE)

    async def hold(self, name: str, resource: str, count: int) -> None:
        """By a pod of a user."""
        container = {"name": "main", "image": "i", "resources": {"limits": {resource: str(count)}}}
        body = {"metadata": {"name": name}, "spec": {"nodeName": NODE, "containers": [container]}}
        await self.api.ok("POST", PODS.path("default"), body)

    async def condition(self) -> Condition:
        found = await self.api.ok("GET", GPUNODES.path(None, NODE))
        (told,) = [
            one for one in found.get("status", {}).get("conditions", ()) if one["type"] == CHECKS_PASSED
        ]
        return msgspec.convert(told, Condition)

    async def events(self) -> list[tuple[str, str, str]]:
        found = await self.api.ok("GET", EVENTS.path("default"))
        return [
            (one["type"], one["reason"], one["message"])
            for one in found["items"]
            if one["involvedObject"]["kind"] == "Node"
        ]

    async def pod(self) -> Json | None:
        status, found = await self.api.get(PATH)
        return found if status == 200 else None

    async def _act(self) -> None:
        """As scheduler and kubelet; and takes down what is told."""
        seen = ""
        while True:
            await asyncio.sleep(1)
            pod = await self.pod()
            if pod is not None and pod["metadata"]["uid"] != seen:
                seen = pod["metadata"]["uid"]
                self.pods.append(pod)
                if self.bound:
                    target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
                    await self.api.ok(
                        "POST", f"{PATH}/binding", {"metadata": {"name": pod_name(NODE)}, "target": target}
                    )
                if self.becomes is not None:
                    await self.api.ok("PATCH", f"{PATH}/status", {"status": self.becomes}, type=MERGE)
            elif pod is not None and "deletionTimestamp" in pod["metadata"]:
                await self.api.ok("DELETE", PATH, {"gracePeriodSeconds": 0})
            status, found = await self.api.get(GPUNODES.path(None, NODE))
            for one in found.get("status", {}).get("conditions", ()) if status == 200 else ():
                if one["type"] == CHECKS_PASSED and self.told[-1:] != [(one["status"], one["reason"])]:
                    self.told.append((one["status"], one["reason"]))


def simulated(
    scenario: Callable[[World], Awaitable[Any]],
    offers: dict[str, str] | None = None,
    *,
    gpu_node: bool = True,
) -> None:
    async def main(api: Api) -> None:
        admin = Client(
            AsgiTransport(api.server.app, "admin", ("system:masters",)),
            clock=VirtualClock(),
            rng=random.Random(0),
        )
        for one in crds.ALL:
            await admin.apply(CRDS, one, field_manager="tests")
        await roles.install(admin)
        for account in ("default", "aliquot-validator"):
            await admin.create(SERVICEACCOUNTS, {"metadata": {"name": account}}, roles.NAMESPACE)
        await admin.create(SERVICEACCOUNTS, {"metadata": {"name": "default"}}, "default")
        runtime_class = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
        await api.ok("POST", "/apis/node.k8s.io/v1/runtimeclasses", runtime_class)
        await admin.create(NODES, {"metadata": {"name": NODE}})
        if gpu_node:
            await make_gpu_node(api)
        world = World(api)
        await world.offer(GPUS if offers is None else offers)
        try:
            await scenario(world)
        finally:
            await world.end()

    on_virtual_time(main)


async def make_gpu_node(api: Api) -> None:
    kind = {"apiVersion": GPUNODES.api_version, "kind": "GPUNode"}
    await api.ok("POST", GPUNODES.path(), {**kind, "metadata": {"name": NODE}})
