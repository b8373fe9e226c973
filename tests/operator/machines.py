"""Nodes with GPUs for a cluster in memory: kubelet, scheduler and the operands' programs in one, as far as the operator sees them.

What runs on a node is told by its pods alone; what is wrong with a node, by `broken`, `mute` and `down`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from aliquot.clock import Clock, parse_rfc3339, rfc3339
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import GPUNODES, NODES, PODS, key
from aliquot.operator.core import pods
from aliquot.operator.core.operands import OperandName
from aliquot.operator.upgrading.reading import is_ready
from aliquot.operator.watched import BY_NODE

GPU = "nvidia.com/gpu"
RUNS_FOR = "tests/runs-for-seconds"
"""An annotation of a pod that ends by itself."""
SAVES_IN = "tests/saves-in-seconds"
"""An annotation of a pod that can save its work."""


def node(name: str, labels: Mapping[str, str], *, gpus: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        "status": {
            "capacity": {GPU: str(gpus), "pods": "110", "cpu": "64", "memory": "512Gi"},
            "allocatable": {GPU: str(gpus), "pods": "110", "cpu": "64", "memory": "512Gi"},
            "nodeInfo": {
                "osImage": "Ubuntu 24.04.1 LTS",
                "kernelVersion": "6.8.0-51-generic",
                "kubeletVersion": "v1.36.0",
                "containerRuntimeVersion": "containerd://2.1.0",
                "architecture": "amd64",
                "operatingSystem": "linux",
                "machineID": name,
                "bootID": name,
                "systemUUID": name,
                "kubeProxyVersion": "",
            },
            "conditions": [_condition("Ready", "True", "2026-01-01T00:00:00Z")],
        },
    }


def _condition(kind: str, status: str, since: str, reason: str = "Simulated") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": since}


class Machines:
    """`driver_s`: how long a driver takes to load."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        nodes: Cache[Node],
        pod_cache: Cache[Pod],
        driver_s: float = 30.0,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._nodes = nodes
        self._pods = pod_cache
        pod_cache.index_by(BY_NODE, lambda pod: (pod.spec.node_name,) if pod.spec.node_name else ())
        self._driver_s = driver_s
        self.broken: dict[str, set[str]] = {}
        """Node -> versions of the driver that do not run there."""
        self.mute: set[str] = set()
        """Nodes whose validator finds something wrong."""
        self.down: set[str] = set()
        self._since: dict[str, float] = {}
        self._going_since: dict[str, float] = {}
        self._restarts: Counter[str] = Counter()
        self._placed: dict[str, str] = {}
        """Pods with GPUs that were bound, whatever the cache shows yet."""
        self._controller = Controller("machines", self._pod, rng=rng, workers=4, max_retry_delay_s=5.0)

    async def run(self) -> None:
        stops = [
            self._controller.watch(self._pods),
            self._nodes.subscribe(self._node_changed),
        ]
        try:
            await self._controller.run()
        finally:
            for stop in stops:
                stop()

    async def turn_off(self, name: str) -> None:
        self.down.add(name)
        await self._say(name, "Unknown")

    async def turn_on(self, name: str) -> None:
        self.down.discard(name)
        await self._say(name, "True")
        for pod in self._pods.values():
            if pod.spec.node_name == name:
                self._controller.enqueue(key(pod))

    async def _say(self, name: str, ready: str) -> None:
        condition = _condition("Ready", ready, rfc3339(self._clock.now()))
        await self._client.patch(NODES, name, {"status": {"conditions": [condition]}}, subresource="status")

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        # Somebody may fit now.
        if new is None or (old is not None and old.spec.unschedulable == new.spec.unschedulable):
            return
        for pod in self._pods.values():
            if not pod.spec.node_name:
                self._controller.enqueue(key(pod))

    # --- one pod ---

    async def _pod(self, name: str) -> float | None:
        pod = self._pods.get(name)
        if pod is None:
            self._placed.pop(name, None)
            return None
        left_s = await self._look(pod)
        # Of what is left nothing may be too little to move the time on.
        return None if left_s is None else max(left_s, 0.001)

    async def _look(self, pod: Pod) -> float | None:
        where, uid = pod.spec.node_name, pod.metadata.uid
        now = asyncio.get_running_loop().time()
        if pod.metadata.deletion_timestamp is not None:
            if where in self.down:
                return None
            left_s = self._going_since.setdefault(uid, now) + (2.0 if where else 0.0) - now
            if left_s > 0:
                return left_s
            await self._gone(pod)
            return None
        if not where:
            return await self._place(pod)
        if where in self.down or pod.status.has_ended:
            return None
        return await self._live(pod, now - self._since.setdefault(uid, now))

    async def _gone(self, pod: Pod) -> None:
        try:
            await self._client.delete(
                PODS, pod.metadata.name, pod.metadata.namespace, grace_period_s=0, uid=pod.metadata.uid
            )
        except (errors.NotFound, errors.Conflict):
            return
        self._placed.pop(key(pod), None)
        for waiting in self._pods.values():
            if not waiting.spec.node_name:
                self._controller.enqueue(key(waiting))

    async def _live(self, pod: Pod, passed_s: float) -> float | None:
        operand = operand_of(pod)
        annotations = pod.metadata.annotations or {}
        if operand is OperandName.DRIVER:
            return await self._drive(pod, passed_s)
        if operand is OperandName.VALIDATOR:
            return await self._validate(pod, passed_s)
        if operand is OperandName.AGENT and not is_pod_ready(pod) and passed_s >= 1.0:
            await self._report(pod)
        if not is_pod_ready(pod):
            if passed_s < 1.0:
                return 1.0 - passed_s
            await self._status(pod, ready=True)
            return None
        if runs_for := annotations.get(RUNS_FOR):
            left_s = float(runs_for) - passed_s
            if left_s > 0:
                return left_s
            await self._status(pod, ready=False, phase="Succeeded")
            return None
        if (asked := annotations.get("aliquot.dev/checkpoint-requested")) and (
            saves_in := annotations.get(SAVES_IN)
        ):
            if annotations.get("aliquot.dev/last-checkpoint", "") >= asked:
                return None
            left_s = parse_rfc3339(asked) + float(saves_in) - self._clock.now()
            if left_s > 0:
                return left_s
            saved = {"aliquot.dev/last-checkpoint": rfc3339(self._clock.now())}
            await self._client.patch(
                PODS, pod.metadata.name, {"metadata": {"annotations": saved}}, pod.metadata.namespace
            )
        return None

    async def _drive(self, pod: Pod, passed_s: float) -> float | None:
        """A driver that does not run is tried every few seconds, and counted."""
        if version_of(pod) in self.broken.get(pod.spec.node_name, ()):
            self._restarts[pod.metadata.uid] = restarts = int(passed_s // 5.0)
            await self._status(pod, ready=False, restarts=restarts, waiting="CrashLoopBackOff")
            return 5.0 if restarts <= 12 else None
        if is_pod_ready(pod):
            return None
        if passed_s < self._driver_s:
            return self._driver_s - passed_s
        await self._status(pod, ready=True)
        return None

    async def _report(self, pod: Pod) -> None:
        """What an agent says of the GPUs once it runs."""
        now = rfc3339(self._clock.now())
        conditions = [_condition(kind, "True", now, "Simulated") for kind in ("Ready", "MIGConfigured")]
        status = {"metadata": {"name": pod.spec.node_name}, "status": {"conditions": conditions}}
        await self._client.apply(
            GPUNODES, status, field_manager="aliquot-node-agent", force=True, subresource="status"
        )

    async def _validate(self, pod: Pod, passed_s: float) -> float | None:
        where = pod.spec.node_name
        if passed_s < 3.0:
            return 3.0 - passed_s
        passed = self._has_driver(where) and where not in self.mute
        if is_pod_ready(pod) and passed:
            return None
        condition = {
            "type": "ChecksPassed",
            "status": "True" if passed else "False",
            "reason": "Passed" if passed else "DriverNotAnswering",
            "message": "" if passed else "the driver does not answer",
            "lastTransitionTime": rfc3339(self._clock.now()),
        }
        status = {"metadata": {"name": where}, "status": {"conditions": [condition]}}
        await self._client.apply(
            GPUNODES, status, field_manager="aliquot-validator", force=True, subresource="status"
        )
        if not passed:
            return 10.0
        await self._status(pod, ready=True)
        return None

    def _has_driver(self, where: str) -> bool:
        return any(
            operand_of(pod) is OperandName.DRIVER
            and is_pod_ready(pod)
            and pod.metadata.deletion_timestamp is None
            for pod in self._pods.indexed(BY_NODE, where)
        )

    async def _status(
        self, pod: Pod, *, ready: bool, phase: str = "Running", restarts: int = 0, waiting: str = ""
    ) -> None:
        now = rfc3339(self._clock.now())
        state: dict[str, Any] = (
            {"waiting": {"reason": waiting, "message": "it ends"}}
            if waiting
            else {"running": {"startedAt": now}}
        )
        if phase == "Succeeded":
            state = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": now}}
        status = {
            "phase": phase,
            "startTime": pod.status.start_time or now,
            "conditions": [_condition("Ready", str(ready), now)],
            "containerStatuses": [
                {
                    "name": container.name,
                    "ready": ready,
                    "restartCount": restarts,
                    "image": container.image,
                    "imageID": "",
                    "state": state,
                }
                for container in pod.spec.containers
            ],
        }
        try:
            await self._client.patch(
                PODS,
                pod.metadata.name,
                {"metadata": {"uid": pod.metadata.uid}, "status": status},
                pod.metadata.namespace,
                subresource="status",
            )
        except (errors.NotFound, errors.Conflict, errors.Invalid):
            return

    # --- who goes where ---

    async def _place(self, pod: Pod) -> float | None:
        where = _pinned(pod) or self._room_for(pod)
        if not where:
            return None
        self._placed[key(pod)] = where
        try:
            await self._client.bind(
                pod.metadata.namespace, pod.metadata.name, where, pod_uid=pod.metadata.uid
            )
        except (errors.NotFound, errors.Conflict):
            return None
        return None

    def _room_for(self, pod: Pod) -> str:
        asked = gpus_of(pod)
        held: Counter[str] = Counter()
        for one in self._pods.values():
            if one.status.has_ended or key(one) == key(pod):
                continue
            where = one.spec.node_name or self._placed.get(key(one), "")
            if where:
                held[where] += gpus_of(one)
        for found in sorted(
            self._nodes.values(), key=lambda found: (held[found.metadata.name], found.metadata.name)
        ):
            name = found.metadata.name
            room = int((found.status.allocatable or {}).get(GPU, 0)) - held[name]
            if not found.spec.unschedulable and is_ready(found) and name not in self.down and room >= asked:
                return name
        return ""


def operand_of(pod: Pod) -> OperandName | None:
    found = pods.operand_of(pod)
    return found[1] if found is not None else None


def is_pod_ready(pod: Pod) -> bool:
    return pods.read(pod, "").is_ready


def gpus_of(pod: Pod) -> int:
    return sum(int((one.resources.limits or {}).get(GPU, 0)) for one in pod.spec.containers)


def version_of(pod: Pod) -> str:
    """Of a driver's pod: `595.91.07`."""
    return pod.spec.containers[0].image.rpartition(":")[2].partition("-")[0]


def _pinned(pod: Pod) -> str:
    """Pods of DaemonSets name their node."""
    wanted: Mapping[str, Any] = (pod.spec.affinity or {}).get("nodeAffinity") or {}
    terms: Iterable[Any] = (wanted.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get(
        "nodeSelectorTerms"
    ) or ()
    for term in terms:
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name":
                return str(field["values"][0])
    return ""
