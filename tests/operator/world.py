"""A cluster with the operator in it, in memory and on virtual time: the API under RBAC, the controllers, and in place of kubelets,
agents and validators a toy that does with each operand's pod what the test wants of it.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from aliquot.cli import identities
from aliquot.clock import VirtualClock, rfc3339, rfc3339_micro
from aliquot.emulator.controllers.run import run_all
from aliquot.kube import crds, errors, roles
from aliquot.kube.api.agent_labels import FIELD_MANAGER as AGENTS_LABELS
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.resources import (
    CRDS,
    DAEMONSETS,
    EVENTS,
    GPUNODES,
    GPUPOLICIES,
    LEASES,
    NODES,
    PODS,
    SERVICEACCOUNTS,
)
from aliquot.kube.roles import NAMESPACE
from aliquot.kube.transport import Request, Response, Transport, TransportError
from aliquot.operator.core.operands import POLICY_LABEL, Image, OperandName, shipped
from aliquot.operator.core.rendering.pods import OPERAND_LABEL
from aliquot.operator.operator import Operator
from tests.emulator.api import Api, on_virtual_time

Json = dict[str, Any]

IMAGES = shipped(Image("example.com", "aliquot", "1.0"))
UBUNTU = "Ubuntu 24.04.1 LTS"
KERNEL = "6.8.0-60-generic"
_STEP_S = 0.25
_AGAIN_S = 5.0
"""After so long it is seen to that what a pod has said of its node is still there."""
_START_S = 1.0

Says = str | tuple[str, str]
"""Of a pod: `ready`, or why its container waits: (reason, message)."""
Behaviour = Callable[[str, OperandName, Json], Says]
"""By node, operand and pod."""


def all_well(_node: str, _operand: OperandName, _pod: Json) -> Says:
    return "ready"


class Gate:
    """What a client goes through to the server: shut, nobody answers, and what was open is cut off."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.is_shut = False
        self.calls: list[tuple[str, str]] = []
        """(method, path) of all that was asked, but for reading."""
        self.answers_late_s = 0.0
        """Of writes: what comes of them is seen by watches before."""
        self._dies_in: int | None = None
        self._is_heard = False
        self.died = asyncio.Event()

    def die_at(self, write: int, *, is_heard: bool) -> None:
        """At that write from now on, counted from 1, the client stops for good: after the server has heard it, or before."""
        self._dies_in, self._is_heard = write, is_heard
        self.died.clear()

    def live_on(self) -> None:
        self._dies_in = None

    async def send(self, request: Request) -> Response:
        if self.is_shut:
            raise TransportError("nobody answers", delivered=False)
        if request.method != "GET":
            self.calls.append((request.method, request.path))
            if self._dies_in is not None:
                self._dies_in -= 1
                if self._dies_in <= 0:
                    if self._dies_in == 0 and self._is_heard:
                        await self._inner.send(request)
                    self.died.set()
                    await asyncio.Event().wait()
        answer = await self._inner.send(request)
        if request.method != "GET" and self.answers_late_s:
            await asyncio.sleep(self.answers_late_s)
        return _Cuttable(answer, self)

    async def close(self) -> None:
        await self._inner.close()


class _Cuttable:
    def __init__(self, inner: Response, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    async def read(self) -> bytes:
        return await self._inner.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            if self._gate.is_shut:
                raise TransportError("cut off")
            yield chunk

    async def close(self) -> None:
        await self._inner.close()


class World:
    def __init__(self, api: Api, seed: int) -> None:
        self.clock = VirtualClock()
        self.api = api
        self.seed = seed
        self.admin = self._client("admin", ("system:masters", "system:authenticated"))
        who = identities.account("aliquot-operator")
        self.gate = Gate(AsgiTransport(api.server.app, who.user, who.groups))
        self.behaviour: Behaviour = all_well
        self.agents_labels: Mapping[str, str] = {}
        """What agents write on their nodes."""
        self._operator: asyncio.Task[None] | None = None
        self.operator: Operator | None = None
        self._pods: Cache[Json] = Cache(self.admin, PODS, dict, namespace=NAMESPACE)
        self._since: dict[str, float] = {}
        self._attended: dict[str, tuple[Any, float]] = {}
        """By the uid of a pod: what it was and said when all of that was told, and when."""
        self._starts = 0

    def _client(self, user: str, groups: tuple[str, ...]) -> Client:
        transport = AsgiTransport(self.api.server.app, user, groups)
        return Client(transport, clock=self.clock, rng=random.Random(f"{self.seed} {user}"))

    # --- set up ---

    async def install(self) -> None:
        for one in crds.ALL:
            await self.admin.apply(CRDS, one, field_manager="tests")
        await roles.install(self.admin)
        for name in ("driver", "toolkit", "node-agent", "exporter", "validator"):
            metadata = {"name": f"aliquot-{name}", "namespace": NAMESPACE}
            await self.admin.create(SERVICEACCOUNTS, {"metadata": metadata})

    async def node(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        *,
        gpus: bool = True,
        os_image: str = UBUNTU,
    ) -> None:
        marks = {"feature.node.kubernetes.io/pci-10de.present": "true"} if gpus else {}
        metadata = {"name": name, "labels": {**marks, **(labels or {})}}
        await self.admin.create(NODES, {"metadata": metadata})
        info = {"osImage": os_image, "kernelVersion": KERNEL}
        ready = {"type": "Ready", "status": "True"}
        status = {"status": {"nodeInfo": info, "conditions": [ready]}}
        await self.admin.patch(NODES, name, status, subresource="status")

    async def policy(self, name: str = "p", **spec: Any) -> None:
        await self.admin.apply(
            GPUPOLICIES, {"metadata": {"name": name}, "spec": spec}, field_manager="user", force=True
        )

    def start(self) -> None:
        self._starts += 1
        rng = random.Random(f"{self.seed} operator {self._starts}")
        client = Client(self.gate, clock=self.clock, rng=rng)
        self.operator = Operator(client, clock=self.clock, rng=rng, images=IMAGES)
        self._operator = asyncio.create_task(self.operator.run())

    async def kill(self) -> None:
        assert self._operator is not None
        self._operator.cancel()
        await asyncio.wait([self._operator])

    # --- what is there ---

    async def labels(self, node: str) -> dict[str, str]:
        """Those of ours."""
        found = (await self.admin.get(NODES, node))["metadata"].get("labels", {})
        return {
            name: value
            for name, value in found.items()
            if name.startswith(("nvidia.com/", "aliquot.dev/")) and not name.endswith("pci-10de.present")
        }

    async def conditions(self, node: str) -> dict[str, str]:
        """Of its GPUNode: type -> `status reason`."""
        try:
            found = await self.admin.get(GPUNODES, node)
        except errors.NotFound:
            return {}
        told = found.get("status", {}).get("conditions", ())
        return {one["type"]: f"{one['status']} {one['reason']}" for one in told}

    async def condition(self, policy: str, kind: str) -> tuple[str, str, str]:
        """(status, reason, message)."""
        status = await self.status(policy)
        found = next((one for one in status.get("conditions", ()) if one["type"] == kind), None)
        return (found["status"], found["reason"], found.get("message", "")) if found else ("", "", "")

    async def status(self, policy: str) -> Json:
        found: Json = (await self.admin.get(GPUPOLICIES, policy)).get("status", {})
        return found

    async def daemon_sets(self) -> dict[str, Json]:
        listed = await self.admin.list(DAEMONSETS, NAMESPACE)
        return {one["metadata"]["name"]: one for one in listed.items}

    async def pods(self, node: str) -> set[str]:
        """Operands of the pods on it."""
        listed = await self.admin.list(PODS, NAMESPACE)
        return {
            one["metadata"]["labels"][OPERAND_LABEL]
            for one in listed.items
            if one["spec"].get("nodeName") == node
        }

    async def told(self, reason: str) -> list[str]:
        listed = await self.admin.list(EVENTS, "default")
        return [one["message"] for one in listed.items if one["reason"] == reason]

    async def is_validated(self, node: str) -> bool:
        return (await self.conditions(node)).get("Validated", "").startswith("True")

    async def until(self, check: Callable[[], Awaitable[Any]], within_s: float = 120.0) -> float:
        """Seconds that it took. Raises AssertionError with the last answer."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not (last := await check()):
            assert loop.time() < began + within_s, f"not within {within_s:g} s: {last!r}"
            await asyncio.sleep(_STEP_S)
        return loop.time() - began

    async def until_validated(self, *nodes: str, within_s: float = 120.0) -> float:
        async def check() -> bool:
            return all([await self.is_validated(node) for node in nodes])

        return await self.until(check, within_s)

    # --- kubelets, agents and validators ---

    async def live(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pods.run())
            tasks.create_task(self._beat())
            while True:
                for pod in list(self._pods.values()):
                    try:
                        await self._attend(pod)
                    except (errors.NotFound, errors.Conflict):
                        continue
                await asyncio.sleep(_STEP_S)

    async def _beat(self) -> None:
        while True:
            for node in (await self.admin.list(NODES)).items:
                name = node["metadata"]["name"]
                spec = {"holderIdentity": name, "leaseDurationSeconds": 40}
                body = {
                    "metadata": {"name": name, "namespace": "kube-node-lease"},
                    "spec": {**spec, "renewTime": rfc3339_micro(self.clock.now())},
                }
                await self.admin.apply(LEASES, body, field_manager="kubelet", force=True)
            await asyncio.sleep(10)

    async def _attend(self, pod: Json) -> None:
        metadata = pod["metadata"]
        labels = metadata.get("labels", {})
        if POLICY_LABEL not in labels:
            return
        name, operand = metadata["name"], OperandName(labels[OPERAND_LABEL])
        node = pod["spec"].get("nodeName", "")
        if metadata.get("deletionTimestamp"):
            await self.admin.delete(PODS, name, NAMESPACE, grace_period_s=0)
        elif not node:
            await self.admin.bind(NAMESPACE, name, _pinned_to(pod))
            self._since[metadata["uid"]] = self.clock.now()
        elif self.clock.now() >= self._since.get(metadata["uid"], 0.0) + _START_S:
            await self._run(pod, node, operand)

    async def _run(self, pod: Json, node: str, operand: OperandName) -> None:
        says = self.behaviour(node, operand, pod)
        seen = (pod["metadata"]["resourceVersion"], says)
        last, at_s = self._attended.get(pod["metadata"]["uid"], (None, 0.0))
        if seen == last and self.clock.now() < at_s + _AGAIN_S:
            return
        status = _pod_status(pod, says, self.clock.now())
        shown = {name: pod["status"].get(name) for name in status}
        if [one.get("status") for one in shown["conditions"] or ()] != [
            one["status"] for one in status["conditions"]
        ] or _waiting(shown) != _waiting(status):
            await self.admin.patch(
                PODS, pod["metadata"]["name"], {"status": status}, NAMESPACE, subresource="status"
            )
        if says == "ready" and operand is OperandName.AGENT:
            await self._say(node, "aliquot-node", Ready="Serving", MIGConfigured="NothingWanted")
            await self._label(node)
        if says == "ready" and operand is OperandName.VALIDATOR:
            await self._say(node, "aliquot-validator", ChecksPassed="Passed")
        self._attended[pod["metadata"]["uid"]] = (seen, self.clock.now())

    async def _label(self, node: str) -> None:
        labels = (await self.admin.get(NODES, node))["metadata"].get("labels", {})
        if not labels.items() >= self.agents_labels.items():
            body = {"metadata": {"name": node, "labels": dict(self.agents_labels)}}
            await self.admin.apply(NODES, body, field_manager=AGENTS_LABELS, force=True)

    async def _say(self, node: str, manager: str, **conditions: str) -> None:
        before = await self.conditions(node)
        if all(before.get(kind) == f"True {reason}" for kind, reason in conditions.items()):
            return
        now = rfc3339(self.clock.now())
        told = [
            {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": now}
            for kind, reason in conditions.items()
        ]
        body = {"metadata": {"name": node}, "status": {"conditions": told}}
        await self.admin.apply(GPUNODES, body, field_manager=manager, subresource="status")


def _pinned_to(pod: Json) -> str:
    terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    name: str = terms["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]
    return name


def _pod_status(pod: Json, says: Says, now_s: float) -> Json:
    ready = {"type": "Ready", "status": str(says == "ready"), "lastTransitionTime": rfc3339(now_s)}
    name = pod["spec"]["containers"][0]["name"]
    state: Json = {"running": {"startedAt": rfc3339(now_s)}}
    if says != "ready":
        state = {"waiting": {"reason": says[0], "message": says[1]}}
    container = {"name": name, "image": "i", "imageID": "", "restartCount": 0}
    return {
        "phase": "Running" if says == "ready" else "Pending",
        "conditions": [ready],
        "containerStatuses": [{**container, "ready": says == "ready", "state": state}],
    }


def _waiting(status: Json) -> list[Any]:
    return [one.get("state", {}).get("waiting") for one in status.get("containerStatuses") or ()]


def simulated(test: Callable[[World], Awaitable[None]], *, seed: int = 0) -> None:
    """Runs the operator and `test` together."""

    async def main(api: Api) -> None:
        world = World(api, seed)
        await world.install()
        rng = random.Random(seed)
        controllers = run_all(world.admin, world.clock, rng, root_ca_pem="PEM")
        tasks = [asyncio.create_task(controllers), asyncio.create_task(world.live())]
        world.start()
        try:
            await test(world)
        finally:
            await world.kill()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    on_virtual_time(main)


__all__ = ["DAEMONSETS", "GPUNODES", "GPUPOLICIES", "NODES", "PODS", "PatchKind", "World", "simulated"]
