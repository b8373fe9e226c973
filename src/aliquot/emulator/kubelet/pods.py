"""The pods of one node: admitted in the order they were made, run as `pod_plan` says, reported, ended, let go.

Level-triggered: each pod is looked at again whenever it, or one of its containers, or the time has changed, one
look at a time. A new kubelet finds the containers in the runtime and the devices in the checkpoint and goes on.
Must not know how the node itself is reported: that is `node_status`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec
import structlog

from aliquot.clock import Clock, parse_rfc3339
from aliquot.emulator.kubelet import pod_plan, pod_status, volumes
from aliquot.emulator.kubelet.addresses import AddressPool
from aliquot.emulator.kubelet.admission import (
    NODE_AFFINITY,
    NodeFacts,
    Rejection,
    check,
    device_rejection,
)
from aliquot.emulator.kubelet.container_configs import ContainerConfigs
from aliquot.emulator.kubelet.device_manager import DeviceManager
from aliquot.emulator.kubelet.devices import AllocationError
from aliquot.emulator.kubelet.managed_pod import ManagedPod, Mounting
from aliquot.emulator.kubelet.node_pods import NodePods
from aliquot.emulator.kubelet.pod_details import PodDetails
from aliquot.emulator.kubelet.pod_plan import CRASH_LOOP, NOT_RUN, Plan, Refusal, Situation
from aliquot.emulator.kubelet.pod_reports import PodReporter
from aliquot.emulator.kubelet.pod_status import Place, Unhealthy
from aliquot.emulator.kubelet.prober import Prober
from aliquot.emulator.kubelet.runtimes.base import START_ERROR, ContainerRecord, Runtime, StartRefused
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.queue import WorkQueue
from aliquot.kube.resources import PODS

_log = structlog.get_logger()

_DEADLINE = Unhealthy("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class PodManager:
    """`run` works until cancelled. `facts` gives the node as last written to the API, `refresh` reads it anew.
    `plugin_patience_s`: how long from the start on pods are not judged while their devices are not listed. `together_s`: see
    PodReporter."""

    def __init__(
        self,
        node: str,
        pods: NodePods,
        *,
        client: Client,
        clock: Clock,
        runtime: Runtime,
        devices: DeviceManager,
        recorder: Recorder,
        addresses: AddressPool,
        host_ip: str,
        facts: Callable[[], NodeFacts],
        refresh: Callable[[], Awaitable[None]],
        plugin_patience_s: float,
        together_s: float,
    ) -> None:
        self._node = node
        self._pods = pods
        self._client = client
        self._clock = clock
        self._runtime = runtime
        self._devices = devices
        self._recorder = recorder
        self._addresses = addresses
        self._host_ip = host_ip
        self._facts = facts
        self._refresh = refresh
        self._plugin_patience_s = plugin_patience_s
        self._managed: dict[str, ManagedPod] = {}
        self._work = WorkQueue(client.rng)
        self._configs = ContainerConfigs(client, devices, host_ip=host_ip, facts=facts)
        self._prober = Prober(
            runtime,
            clock=clock,
            rng=client.rng,
            changed=lambda managed: self._work.add(managed.uid),
            tell=lambda managed, text: self._event(managed, Severity.WARNING, "Unhealthy", text),
        )
        self._arrivals: dict[str, None] = {}
        self._arrived = asyncio.Event()
        self._reporter = PodReporter(client, node, self._managed, self._lost, together_s=together_s)
        self._log = _log.bind(node=node)

    def active(self) -> Collection[str]:
        """Uids of the pods that may hold devices."""
        return {uid for uid, managed in self._managed.items() if not managed.finished}

    def active_pods(self) -> Sequence[Pod]:
        """Pods that have not ended, as last seen."""
        return [managed.pod for managed in self._managed.values() if not managed.finished]

    def devices_changed(self, resource: str) -> None:
        """Pods that hold devices of `resource` show their health; those that wait for devices are looked at."""
        for uid in self._devices.table.holders(resource):
            self._work.add(uid)
        if self._arrivals:
            self._arrived.set()

    async def run(self) -> None:
        await self._pods.synced()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._runtime.run(self._work.add))
            unfollow = self._pods.follow(self._node, self._changed)
            try:
                self._take_over_orphans()
                tasks.create_task(self._admit_arrivals())
                tasks.create_task(self._reporter.run())
                while True:
                    uid = await self._work.get()
                    tasks.create_task(self._look(uid))
            finally:
                self._prober.close()
                unfollow()
                self._work.hurry()

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            if old is not None:
                self._lost(old.metadata.uid, old)
            return
        managed = self._managed.get(new.metadata.uid)
        if managed is None:
            conditions = [msgspec.to_builtins(condition) for condition in new.status.conditions or ()]
            managed = self._managed[new.metadata.uid] = ManagedPod(new, conditions=conditions)
            self._arrivals[managed.uid] = None
            self._arrived.set()
        managed.pod = new
        self._work.add(managed.uid)

    def _lost(self, uid: str, last: Pod | None = None) -> None:
        """The API no longer has it."""
        managed = self._managed.get(uid)
        if managed is not None:
            managed.gone = True
            managed.pod = last or managed.pod
            self._work.add(uid)

    def _take_over_orphans(self) -> None:
        """Containers whose pod was deleted while no kubelet looked."""
        for uid in self._runtime.pods():
            if uid not in self._managed:
                self._log.info("containers without a pod are ended", pod=uid)
                self._managed[uid] = ManagedPod(Pod(metadata=ObjectMeta(uid=uid)), gone=True)
                self._work.add(uid)

    async def _look(self, uid: str) -> None:
        try:
            again_s = await self._sync(self._managed[uid]) if uid in self._managed else None
        except errors.ApiError as error:
            delay_s = self._work.retry(uid)
            self._log.warning(
                "pod not looked after", pod=uid, error=error.message, retry_in_s=round(delay_s, 3)
            )
        except Exception:
            self._log.exception("pod not looked after", pod=uid)
            self._work.retry(uid)
        else:
            self._work.forget(uid)
            if again_s is not None:
                self._work.add_after(uid, again_s)
        finally:
            self._work.done(uid)

    # Admission.

    async def _admit_arrivals(self) -> None:
        loop = asyncio.get_running_loop()
        patient_until = loop.time() + self._plugin_patience_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(patient_until if self._arrivals else None):
                    await self._arrived.wait()
            self._arrived.clear()
            arrivals = [self._managed[uid] for uid in self._arrivals if uid in self._managed]
            arrivals = [managed for managed in arrivals if not (managed.gone or managed.over)]
            self._arrivals.clear()
            for managed in arrivals:
                self._keep_address(managed)
            for managed in sorted(arrivals, key=_age):
                if managed.gone or managed.deleting or managed.over:
                    continue
                claim = managed.claim(self._running(managed))
                if loop.time() < patient_until and not self._devices.ready_for(claim):
                    self._arrivals[managed.uid] = None
                else:
                    await self._admit(managed)

    def _running(self, managed: ManagedPod) -> dict[str, list[ContainerRecord]]:
        return {name: runs for name, runs in self._runs(managed.uid).items() if runs[-1].running}

    async def _admit(self, managed: ManagedPod) -> None:
        running = self._running(managed)
        rejection: Rejection | None = None
        try:
            await self._devices.allocate(managed.claim(running))
            if not running:
                rejection = await self._check(managed)
            if rejection is None:
                managed.place = self._place(managed)
        except AllocationError as error:
            rejection = device_rejection(error)
        except LookupError as error:
            rejection = Rejection("OutOfpods", str(error))
        if rejection is not None:
            self._log.info("pod rejected", pod=managed.label, reason=rejection.reason)
            managed.rejection = rejection
            self._event(managed, Severity.WARNING, rejection.reason, rejection.message)
            if not running:
                self._finish(managed)
        self._work.add(managed.uid)

    async def _check(self, managed: ManagedPod) -> Rejection | None:
        others = [
            other.pod for other in self._managed.values() if other.place is not None and not other.finished
        ]
        rejection = check(managed.pod, others, self._facts_with_devices())
        if rejection is not None and rejection.reason == NODE_AFFINITY:
            # The labels known here may be older than those the pod was bound by.
            await self._refresh()
            rejection = check(managed.pod, others, self._facts_with_devices())
        return rejection

    def _facts_with_devices(self) -> NodeFacts:
        """Devices can be held that node.status does not show yet, or no longer."""
        facts = self._facts()
        allocatable = dict(facts.allocatable)
        for resource, held in self._devices.table.held_counts().items():
            allocatable[resource] = max(held, allocatable.get(resource, 0))
        return NodeFacts(facts.name, facts.labels, allocatable)

    def _keep_address(self, managed: ManagedPod) -> None:
        """Before any pod is given one: nobody gets the address of a pod that is admitted later."""
        address = managed.pod.status.pod_ip
        if address and not managed.address and not managed.pod.spec.host_network:
            self._addresses.keep(address)
            managed.address = address

    def _place(self, managed: ManagedPod) -> Place:
        """Raises LookupError when no address is left."""
        pod = managed.pod
        if not (managed.address or pod.spec.host_network):
            managed.address = self._addresses.take()
        started = pod.status.start_time
        started_at = parse_rfc3339(started) if started else self._clock.now()
        return Place(self._host_ip, managed.address or self._host_ip, self._runtime.name, started_at)

    # One look at one pod.

    async def _sync(self, managed: ManagedPod) -> float | None:
        """Returns the seconds after which to look again."""
        decided = managed.place is not None or managed.rejection is not None
        if not (decided or managed.gone or managed.deleting or managed.over):
            return None
        if managed.lacks_details and not await self._read_details(managed):
            return None
        self._set_deadline(managed)
        plan, situation = self._plan(managed)
        if (plan.start or managed.mounting is not None) and not managed.mounted:
            await self._mount(managed)
            plan, situation = self._plan(managed)
        while plan.start:
            for name in plan.start:
                await self._start(managed, name)
            self._set_deadline(managed)
            plan, situation = self._plan(managed)
        for stop in plan.stop:
            if stop.container_id not in managed.announced:
                managed.announced[stop.container_id] = None
                self._event(managed, Severity.NORMAL, "Killing", stop.why)
            self._runtime.stop(stop.container_id, stop.grace_s)
        if plan.ended is not None:
            self._finish(managed)
        if managed.gone:
            if managed.finished:
                self._forget(managed)
            return None
        self._publish(managed, situation, plan)
        return self._again_s(managed, plan)

    def _set_deadline(self, managed: ManagedPod) -> None:
        """Notes by when the pod has to be over, if it has to: the earliest that any reason demands."""
        now = self._clock.now()
        granted_s = managed.pod.metadata.deletion_grace_period_seconds
        grace_s = pod_plan.grace_period_s(managed.pod.spec)
        deadline = managed.active_deadline
        if (managed.gone or managed.deleting) and granted_s is not None:
            grace_s = float(granted_s)
        elif not (managed.gone or managed.deleting or managed.over or managed.rejection is not None):
            if deadline is None or now < deadline:
                return
            managed.verdict = _DEADLINE
        if managed.grace_s is None or grace_s < managed.grace_s:
            managed.grace_s = grace_s
            kill_at = now + grace_s
            managed.kill_at = kill_at if managed.kill_at is None else min(kill_at, managed.kill_at)

    def _plan(self, managed: ManagedPod) -> tuple[Plan, Situation]:
        """What to do next, and what that rests on. Containers that have begun since the last time are probed."""
        by_name = self._runs(managed.uid)
        runs = [run for runs in by_name.values() for run in runs]
        self._prober.follow(managed, runs, ending=managed.kill_at is not None)
        situation = Situation(
            spec=managed.pod.spec,
            label=managed.label,
            runs=by_name,
            boot_id=self._runtime.boot_id,
            now=self._clock.now(),
            backoffs=managed.backoffs,
            refusals=managed.refusals,
            kill_at=managed.kill_at,
            health={run.id: self._prober.health(run.id) for run in runs},
            volumes_ready=managed.mounting is None,
        )
        return pod_plan.plan(situation), situation

    def _runs(self, uid: str) -> dict[str, list[ContainerRecord]]:
        runs: dict[str, list[ContainerRecord]] = {}
        for record in self._runtime.containers(uid):
            runs.setdefault(record.name, []).append(record)
        return runs

    def _again_s(self, managed: ManagedPod, plan: Plan) -> float | None:
        now = self._clock.now()
        again_s = [plan.again_s(now)]
        if not (managed.finished or managed.kill_at is not None):
            if managed.active_deadline is not None:
                again_s.append(max(0.0, managed.active_deadline - now))
            if managed.mounting is not None:
                again_s.append(max(0.0, managed.mounting.retry_at - now))
        return min((wait_s for wait_s in again_s if wait_s is not None), default=None)

    def _publish(self, managed: ManagedPod, situation: Situation, plan: Plan) -> None:
        if managed.rejection is not None:
            # Not Failed while something of it runs: its devices are not free yet.
            if managed.finished and managed.desired is None:
                managed.desired = pod_status.rejected_status(
                    managed.pod, managed.rejection, self._clock.now()
                )
        elif managed.place is not None:
            status = pod_status.running_status(
                managed.pod,
                situation,
                plan,
                managed.place,
                # What is still to be written has its times already.
                (managed.desired or {}).get("conditions") or managed.conditions,
                verdict=managed.verdict,
                devices=self._devices.table.health(managed.uid),
            )
            # Others may have declared it over: what has ended stays as it ended.
            if not managed.over or status["phase"] == managed.pod.status.phase:
                managed.desired = status
        for name, waiting in plan.waiting.items():
            if waiting.reason == CRASH_LOOP and managed.announced.get(name) != waiting.until:
                managed.announced[name] = waiting.until
                text = f"Back-off restarting failed container {name} in pod {managed.label}"
                self._event(managed, Severity.WARNING, "BackOff", text)
        self._reporter.report(managed)

    def _finish(self, managed: ManagedPod) -> None:
        if not managed.finished:
            managed.finished = True
            self._devices.reclaim()
            if managed.address:
                self._addresses.give_back(managed.address)

    def _forget(self, managed: ManagedPod) -> None:
        self._prober.follow(managed, (), ending=True)
        for record in self._runtime.containers(managed.uid):
            self._runtime.remove(record.id)
        del self._managed[managed.uid]

    # Starting a container.

    async def _read_details(self, managed: ManagedPod) -> bool:
        """False when the pod is there no longer. Raises ApiError."""
        if managed.place is None or managed.gone or managed.deleting or managed.over:
            # Nothing of it is going to be started or probed.
            return True
        metadata = managed.pod.metadata
        try:
            details = await self._client.get(PODS, metadata.name, metadata.namespace, into=PodDetails)
        except errors.NotFound:
            details = None
        if details is None or details.metadata.uid != managed.uid:
            self._lost(managed.uid)
            return False
        managed.details = details
        return True

    async def _mount(self, managed: ManagedPod) -> None:
        """Notes whether the pod's volumes can be set up, and if not when to try again. Raises ApiError."""
        now, before = self._clock.now(), managed.mounting
        if managed.details is None or managed.kill_at is not None or (before and now < before.retry_at):
            return
        begun = any(run.boot_id == self._runtime.boot_id for run in self._runtime.containers(managed.uid))
        failure = "" if begun else await self._configs.missing_volume(managed.details)
        if failure:
            retry_s = min(2 * before.retry_s, volumes.MAX_RETRY_S) if before else volumes.FIRST_RETRY_S
            managed.mounting = Mounting(retry_s, now + retry_s)
            if before or not failure.endswith(volumes.NOT_BOUND):
                self._event(managed, Severity.WARNING, "FailedMount", failure)
            return
        managed.mounting, managed.mounted = None, True
        missing = "" if begun or self._runtime.mounts_volumes else volumes.not_mounted(managed.details)
        if missing:
            text = f"the {self._runtime.name} runtime mounts no volumes: containers will not find {missing}"
            self._event(managed, Severity.WARNING, "VolumesNotMounted", text)

    async def _start(self, managed: ManagedPod, name: str) -> None:
        """Starts it, or remembers why that was refused."""
        runs = self._runs(managed.uid).get(name)
        attempt = runs[-1].attempt + 1 if runs else managed.earlier_attempts(name)
        try:
            made = await self._runtime.start(await self._configs.make(managed, name, attempt))
        except StartRefused as refused:
            refusal = Refusal(refused.reason, refused.message, self._clock.now())
            self._refuse(managed, name, refusal, of_sandbox=refused.of_sandbox)
            return
        if made.reason == START_ERROR:
            self._refuse(managed, name, Refusal(NOT_RUN, made.message, self._clock.now()))
        else:
            managed.refusals.pop(name, None)
            self._event(managed, Severity.NORMAL, "Started", f"Started container {name}")
        runs = self._runs(managed.uid)[name]
        if len(runs) > 1:
            backoff = managed.backoffs.get(name)
            managed.backoffs[name] = pod_plan.next_backoff(backoff, runs[-2], self._clock.now())
        for record in runs[:-2]:
            # Only the last two are ever shown.
            self._runtime.remove(record.id)

    def _refuse(self, managed: ManagedPod, name: str, refusal: Refusal, *, of_sandbox: bool = False) -> None:
        known = managed.refusals.get(name)
        managed.refusals[name] = refusal
        if known is None or known.message != refusal.message:
            reason = "FailedCreatePodSandBox" if of_sandbox else "Failed"
            text = refusal.message if of_sandbox else f"Error: {refusal.message}"
            self._event(managed, Severity.WARNING, reason, text)

    def _event(self, managed: ManagedPod, severity: Severity, reason: str, message: str) -> None:
        if managed.pod.metadata.name:
            self._recorder.event(PODS, managed.pod, severity, reason, message)


def _age(managed: ManagedPod) -> tuple[str, str, str]:
    """Oldest first; timestamps of the API have whole seconds and one form, so they sort as text."""
    metadata = managed.pod.metadata
    return metadata.creation_timestamp or "", metadata.namespace, metadata.name
