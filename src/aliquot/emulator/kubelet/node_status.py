"""The node in the API: registered once, its status every ten seconds, its Lease renewed in between.

Once means once: as a real kubelet, it does not register a Node again that somebody has deleted, until it is started
again itself. A Node that somebody else has made in its place it takes for its own.

Writes only what it owns: labels of kubelet and those it was given, its own conditions and resources. Taints, other
labels and other people's resources stay as they are.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import structlog

from aliquot.clock import Clock, rfc3339_micro
from aliquot.emulator.kubelet import machine as machines
from aliquot.emulator.kubelet.admission import NodeFacts, amounts
from aliquot.emulator.kubelet.devices import is_extended_resource
from aliquot.emulator.kubelet.machine import Machine, Readiness
from aliquot.kube import errors
from aliquot.kube.api.core import Quantities
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import LEASES, NODES
from aliquot.kube.retry import Backoff

STATUS_PERIOD_S = 10.0
REPORT_PERIOD_S = 300.0
"""How often the status is written though nothing but the time has changed; the Lease shows life in between."""
LEASE_PERIOD_S = 10.0
LEASE_DURATION_S = 40
LEASE_NAMESPACE = "kube-node-lease"
_JITTER = 0.04
_SETTLE_S = 0.05
_RETRY_S = 7.0

_log = structlog.get_logger()

JsonObject = dict[str, Any]


class NodeReporter:
    """`devices` gives capacity and allocatable of the device plugins' resources. With `reset_devices`, extended
    resources that a node of this name had before become 0 until a plugin registers them: nothing is known of them."""

    def __init__(
        self,
        machine: Machine,
        *,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        runtime: str,
        boot_id: str,
        devices: Callable[[], tuple[Mapping[str, int], Mapping[str, int]]],
        reset_devices: bool,
        registering: asyncio.Semaphore,
    ) -> None:
        self._machine = machine
        self._client = client
        self._clock = clock
        self._rng = rng
        self._recorder = recorder
        self._runtime = runtime
        self._boot_id = boot_id
        self._devices = devices
        self._reset_devices = reset_devices
        self._registering = registering
        self._node: JsonObject = machines.node_object(machine, {})
        """As the API last showed it."""
        self._written: JsonObject = {}
        self._written_at = float("-inf")
        self._readiness = Readiness(False, "KubeletNotReady", "kubelet is starting")
        self._urgent = asyncio.Event()
        self._log = _log.bind(node=machine.name)

    @property
    def uid(self) -> str:
        return str(self._node["metadata"].get("uid", ""))

    def facts(self) -> NodeFacts:
        """For admission: the node as it was last written or read."""
        metadata, status = self._node["metadata"], self._node.get("status") or {}
        allocatable: Quantities = status.get("allocatable") or {**self._machine.allocatable()}
        return NodeFacts(self._machine.name, metadata.get("labels") or {}, amounts(allocatable))

    async def refresh(self) -> None:
        """Reads the node anew; keeps what is known when it cannot be read."""
        try:
            self._node = await self._client.get(NODES, self._machine.name)
        except errors.ApiError as error:
            self._log.warning("node not read", error=error.message)

    def hurry(self) -> None:
        """Something is to be written before its time: with what comes at the same time."""
        asyncio.get_running_loop().call_later(_SETTLE_S, self._urgent.set)

    def set_readiness(self, readiness: Readiness) -> None:
        """A change is written at once."""
        if readiness != self._readiness:
            self._readiness = readiness
            self._urgent.set()

    async def run(self) -> None:
        """Until cancelled. Registers first, however long that takes."""
        await self._register()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._report())
            tasks.create_task(self._renew())

    # Registration.

    async def _register(self) -> None:
        backoff = Backoff(self._rng, max_delay_s=_RETRY_S)
        while True:
            try:
                # A fleet would otherwise register all at once.
                async with self._registering:
                    await self._create_or_adopt()
                return
            except errors.ApiError as error:
                delay_s = backoff.delay_s()
                self._log.warning("node not registered", error=error.message, retry_in_s=round(delay_s, 3))
                await asyncio.sleep(delay_s)

    async def _create_or_adopt(self) -> None:
        status = self._status({})
        try:
            found = await self._client.get(NODES, self._machine.name)
        except errors.NotFound:
            wanted = machines.node_object(self._machine, status)
            try:
                self._node = await self._client.create(NODES, wanted)
                self._recorder.event(NODES, self._node, Severity.NORMAL, "Starting", "Starting kubelet.")
            except errors.AlreadyExists:
                found = await self._client.get(NODES, self._machine.name)
            else:
                # Not every server takes a status with the first write.
                if (self._node.get("status") or {}).get("conditions"):
                    self._written, self._written_at = status, self._clock.now()
                else:
                    await self._write_status(force=True)
                return
        await self._adopt(found)

    async def _adopt(self, found: JsonObject) -> None:
        """The node is there, from an earlier life or made by somebody: takes it over and changes what must be."""
        self._node = found
        metadata = found["metadata"]
        labels = self._differing(self._machine.all_labels(), metadata.get("labels"))
        annotations = self._differing(self._machine.annotations, metadata.get("annotations"))
        patch: JsonObject = {"metadata": {"labels": labels, "annotations": annotations}}
        if not (found.get("spec") or {}).get("podCIDR"):
            patch["spec"] = {"podCIDR": self._machine.pod_cidr, "podCIDRs": [self._machine.pod_cidr]}
        if labels or annotations or "spec" in patch:
            self._node = await self._client.patch(NODES, self._machine.name, patch)
        before = ((found.get("status") or {}).get("nodeInfo") or {}).get("bootID", "")
        self._recorder.event(NODES, self._node, Severity.NORMAL, "Starting", "Starting kubelet.")
        if before and before != self._boot_id:
            text = f"Node {self._machine.name} has been rebooted, boot id: {self._boot_id}"
            self._recorder.event(NODES, self._node, Severity.WARNING, "Rebooted", text)
        await self._write_status(force=True, zero=self._forgotten(found) if self._reset_devices else {})

    @staticmethod
    def _forgotten(found: JsonObject) -> dict[str, str]:
        capacity = (found.get("status") or {}).get("capacity") or {}
        return {name: "0" for name in capacity if is_extended_resource(name)}

    @staticmethod
    def _differing(wanted: Mapping[str, str], found: Mapping[str, str] | None) -> dict[str, str]:
        return {name: value for name, value in wanted.items() if (found or {}).get(name) != value}

    # Status.

    async def _report(self) -> NoReturn:
        # Spread over the period, so that a fleet does not speak in chorus.
        wait_s = self._rng.uniform(0.0, STATUS_PERIOD_S)
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._urgent.clear()
            wait_s = STATUS_PERIOD_S * (1 + self._rng.uniform(-_JITTER, _JITTER))
            try:
                await self._write_status()
            except errors.NotFound:
                self._log.warning(
                    "node has been deleted: it is not registered again before kubelet starts anew"
                )
            except errors.ApiError as error:
                self._log.warning("node status not written", error=error.message)

    async def _write_status(self, *, force: bool = False, zero: Mapping[str, str] | None = None) -> None:
        """Writes what has changed; everything when `force` or when the last time is long ago. Raises ApiError."""
        status = self._status(self._node.get("status") or {})
        if zero:
            for which in ("capacity", "allocatable"):
                status[which] = {**zero, **status[which]}
        now = self._clock.now()
        if not force and now - self._written_at < REPORT_PERIOD_S and _same(status, self._written):
            return
        self._node = await self._client.patch(
            NODES,
            self._machine.name,
            {"status": status},
            kind=PatchKind.STRATEGIC,
            subresource="status",
        )
        self._written, self._written_at = status, now

    def _status(self, previous: Mapping[str, Any]) -> JsonObject:
        capacity, allocatable = self._devices()
        known = {condition["type"]: condition for condition in previous.get("conditions") or ()}
        return machines.status(
            self._machine,
            runtime=self._runtime,
            boot_id=self._boot_id,
            device_capacity=capacity,
            device_allocatable=allocatable,
            node_conditions=machines.conditions(self._readiness, known, self._clock.now()),
        )

    # Lease.

    async def _renew(self) -> NoReturn:
        while True:
            spec: JsonObject = {
                "holderIdentity": self._machine.name,
                "leaseDurationSeconds": LEASE_DURATION_S,
                "renewTime": rfc3339_micro(self._clock.now()),
            }
            try:
                try:
                    await self._client.patch(LEASES, self._machine.name, {"spec": spec}, LEASE_NAMESPACE)
                except errors.NotFound:
                    await self._look_at_node()
                    await self._client.create(LEASES, {"metadata": self._lease_metadata(), "spec": spec})
            except errors.ApiError as error:
                self._log.warning("lease not renewed", error=error.message)
            await asyncio.sleep(LEASE_PERIOD_S * (1 + self._rng.uniform(0.0, _JITTER)))

    async def _look_at_node(self) -> None:
        """The Lease of a deleted Node goes with it: there is none without a Node, and another Node wants a status.
        Raises ApiError."""
        found = await self._client.get(NODES, self._machine.name)
        if found["metadata"]["uid"] != self.uid:
            self._node, self._written = found, {}
            self._urgent.set()

    def _lease_metadata(self) -> JsonObject:
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._machine.name, "uid": self.uid}
        return {"name": self._machine.name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}


def _same(one: JsonObject, other: JsonObject) -> bool:
    """But for the time of the heartbeat."""
    return _without_heartbeats(one) == _without_heartbeats(other)


def _without_heartbeats(status: JsonObject) -> JsonObject:
    quiet = [
        {name: value for name, value in condition.items() if name != "lastHeartbeatTime"}
        for condition in status.get("conditions", ())
    ]
    return status | {"conditions": quiet}
