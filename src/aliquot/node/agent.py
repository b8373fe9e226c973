"""The agent of one node: one loop over what the driver, kubelet, the pods and GPUNode.spec say now.

Each look is complete: it decides from the whole of the present, never from an event. So the agent may be killed at
any await and started again; what it finds then is all it needs. Devices are served whether or not the API can be
reached; slices are cut and destroyed only while it is known which pods are bound here.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from aliquot.clock import Clock
from aliquot.gpu.driver import Driver
from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpunode import GPUNode, GPUNodeSpec, GPUNodeStatus
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.kubeletapi.sockets import Sockets
from aliquot.node import status
from aliquot.node.advertise import Advertisement, Device, advertise
from aliquot.node.assignments import asks_for_devices
from aliquot.node.classes import name_classes
from aliquot.node.company.neighbours import Neighbours
from aliquot.node.configuration import Configuration
from aliquot.node.device_plugin import Offer
from aliquot.node.driver_access import DriverAccess, RunBlocking
from aliquot.node.forms import Form, FormChanges, of_devices, of_holdings, of_status
from aliquot.node.gpunode_writer import GPUNodeWriter
from aliquot.node.handing_out import HandingOut
from aliquot.node.health.policy import HealthPolicy
from aliquot.node.health.watch import HealthWatch
from aliquot.node.host import Host, Prepared
from aliquot.node.inventory import Snapshot, remember, without
from aliquot.node.labels.writer import LabelWriter
from aliquot.node.metrics.counts import Counts
from aliquot.node.metrics.scrape import Metrics, Seen
from aliquot.node.metrics.telemetry_reader import TelemetryReader
from aliquot.node.mig.changes import Changes, Look
from aliquot.node.mig.config_label import MigConfigLabel
from aliquot.node.mig.evictions import Evictions
from aliquot.node.mig.executor import Executor
from aliquot.node.mps.control import Control
from aliquot.node.mps.daemons import Daemons
from aliquot.node.observer import Observer
from aliquot.node.offers import Offers
from aliquot.node.plugins import Plugins
from aliquot.node.pod_resources import Allocations, PodResources
from aliquot.node.registration import Registrar
from aliquot.node.sharing import Shared, share
from aliquot.node.status import Findings, Note
from aliquot.node.time_slices import TimeSlices
from aliquot.node.usage import awaited, uses
from aliquot.node.watched import Watched

_log = structlog.get_logger()

_SETTLE_S = 0.05
"""Changes that come together are looked at together."""
_FIRST_LOOK_AGAIN_S = 0.1
_LAST_LOOK_AGAIN_S = 10.0
_UNSETTLED_S = 1.0
"""After something happened the looks come at growing distances; while something is under way, never above this."""
_IN_USE_PATIENCE_S = 2.0
"""Of a single step; the whole of a change is tried again later."""
_FIRST_REPORT_S = 2.0
"""How long the first report waits for kubelet to know the devices: else every start would report them gone."""


class Agent:
    """`run_blocking(function, *args)` runs driver calls off the loop (or in it, where they do not block).

    `caches` are run along with the agent: those behind `watched`, where they are its own.
    `host` None: there is nothing of the driver on this machine to be shown to containers. `mps_control`
    None: shares under MPS are offered without daemons. `mig_directory`: where `aliquot mig` keeps its locks and journals;
    None where it cannot reach these GPUs. `read_machine_type`: see LabelWriter.
    """

    def __init__(
        self,
        node_name: str,
        *,
        client: Client,
        driver: Driver,
        plugin_sockets: Sockets,
        pod_resources_sockets: Sockets,
        clock: Clock,
        rng: random.Random,
        run_blocking: RunBlocking,
        configuration: Configuration,
        health_policy: HealthPolicy | None = None,
        watched: Watched,
        caches: Sequence[Cache[Any]] = (),
        host: Host | None = None,
        mps_control: Control | None = None,
        mig_directory: Path | None = None,
        read_machine_type: Callable[[str], str] | None = None,
    ) -> None:
        self._node_name = node_name
        self._clock = clock
        self._run_blocking = run_blocking
        self._configuration = configuration
        self._host = host
        self._caches = caches
        self._pods = watched.pods
        self._nodes = watched.nodes
        self._gpu_nodes = watched.gpu_nodes
        self._plugin_configs = watched.plugin_configs

        self._wake = asyncio.Event()
        self._neighbours = Neighbours(node_name, watched.slices, self._wake.set)
        self._driver_access = DriverAccess(run_blocking)
        self._pod_resources = PodResources(pod_resources_sockets, clock)
        self._registrar = Registrar(plugin_sockets, rng, self._wake.set)
        self._writer = GPUNodeWriter(node_name, client, watched.gpu_nodes, rng)
        self._label_writer = LabelWriter(
            node_name,
            client=client,
            nodes=watched.nodes,
            clock=clock,
            rng=rng,
            run_blocking=run_blocking,
            read_machine_type=read_machine_type,
        )
        self._counts = Counts()
        reader = TelemetryReader(driver, self._driver_access)
        self.metrics = Metrics(node_name, reader, self._counts, self._seen)
        self._health_watch = HealthWatch(
            node_name,
            health_policy or HealthPolicy(),
            client=client,
            driver=driver,
            access=self._driver_access,
            reader=reader,
            nodes=watched.nodes,
            gpu_nodes=watched.gpu_nodes,
            counts=self._counts,
            clock=clock,
            snapshot=lambda: self._snapshot,
            changed=self._health_changed,
        )
        self._health = self._health_watch.devices
        executor = Executor(
            driver,
            self._driver_access,
            clock,
            self._health.was_reset,
            patience_s=_IN_USE_PATIENCE_S,
        )
        evictions = Evictions(client, clock, self._wake.set)
        self._changes = Changes(executor, evictions, clock, self._wake.set, self._counts, mig_directory)
        self._config_label = MigConfigLabel(
            node_name,
            client=client,
            nodes=watched.nodes,
            gpu_nodes=watched.gpu_nodes,
            config_maps=watched.mig_configs,
            snapshot=lambda: self._snapshot,
            changed=self._wake.set,
            rng=rng,
        )
        self._observer = Observer(driver, self._driver_access)
        self._time_slices = TimeSlices(driver, self._driver_access)
        self._mps: Daemons | None = None
        if mps_control is not None:
            self._mps = Daemons(
                driver,
                self._driver_access,
                mps_control,
                run_blocking=run_blocking,
                rng=rng,
                changed=self._wake.set,
            )
        self._handing_out = HandingOut(
            pods=lambda: self._pods.of(node_name),
            settings=lambda: self._prepared.settings,
            counts=self._counts,
            clock=clock,
            rng=rng,
            allocated=self._wake.set,
        )
        self._plugins = Plugins(self._handing_out, self._registrar, self._stream_changed)

        self._started = 0.0
        # What the last look found.
        self._snapshot = Snapshot()
        self._advertisement = Advertisement({}, {}, ())
        self._made_of: object = None
        self._left_alone: Mapping[str, Note] = {}
        self._sharing = Shared(self._advertisement)
        self._form_changes = FormChanges()
        self._uses: Mapping[str, str] | None = None
        """None before the first look that knew the pods."""
        self._prepared = Prepared(configuration.settings)
        self._slices_fault = ""
        self._allocations = Allocations()
        self._offers = Offers()
        self._reported: GPUNodeStatus | None = None
        self._asking: list[Pod] = []
        """Pods of the node that ask for devices."""

    async def run(self) -> None:
        """Until cancelled; then GPUNode says that nobody serves, the sockets are gone and nothing runs on."""
        self._started = self._clock.now()
        unlisten_pods = self._pods.listen(self._node_name, self._pods_changed)
        unlisten_gpu_nodes = self._gpu_nodes.listen(self._node_name, self._gpu_node_changed)
        unlisten_neighbours = self._neighbours.listen()
        try:
            async with asyncio.TaskGroup() as serving:
                serving.create_task(self._registrar.run())
                try:
                    async with asyncio.TaskGroup() as tasks:
                        for cache in self._caches:
                            tasks.create_task(cache.run())
                        tasks.create_task(self._label_writer.run())
                        tasks.create_task(self._writer.run())
                        tasks.create_task(self._config_label.run())
                        tasks.create_task(self._follow_configuration())
                        if self._mps is not None:
                            tasks.create_task(self._mps.run())
                        tasks.create_task(self._health_watch.run())
                        tasks.create_task(self._follow(tasks))
                finally:
                    # Before the sockets go: a pod that is bound to a node where nobody answers fails for good.
                    await self._take_leave()
        finally:
            unlisten_pods()
            unlisten_gpu_nodes()
            unlisten_neighbours()
            await self._pod_resources.close()

    # --- the loop ---

    async def _follow(self, tasks: asyncio.TaskGroup) -> None:
        await self._health_watch.ready()
        await self._neighbours.ready()
        pause_s = _FIRST_LOOK_AGAIN_S
        while True:
            self._wake.clear()
            began_s = asyncio.get_running_loop().time()
            unsettled = await self._look(tasks)
            self._counts.looked(asyncio.get_running_loop().time() - began_s)
            longest_s = _UNSETTLED_S if unsettled else self._next_due_s()
            try:
                async with asyncio.timeout(min(pause_s, longest_s)):
                    await self._wake.wait()
            except TimeoutError:
                pause_s = min(_LAST_LOOK_AGAIN_S, pause_s * 3)
            else:
                pause_s = _FIRST_LOOK_AGAIN_S
                await asyncio.sleep(_SETTLE_S)

    def _next_due_s(self) -> float:
        return min(self._changes.due_in_s(), self._handing_out.due_in_s())

    async def _follow_configuration(self) -> None:
        await self._configuration.run(self._node_name, self._nodes, self._plugin_configs, self._wake.set)

    def _health_changed(self) -> None:
        self._offer()
        self._wake.set()

    async def _look(self, tasks: asyncio.TaskGroup) -> bool:
        """One look and what follows from it. Whether something is still under way."""
        busy = self._changes.busy()
        if self._allocations.asked_at is None:
            # Who holds what is told by kubelet, also where nothing else is left of an earlier agent.
            self._allocations = await self._pod_resources.ask()
        self._take(remember(self._snapshot, await self._observer.look(self._snapshot, patient=bool(busy))))
        await self._breathe()
        self._prepared = await self._prepare()
        if self._mps is not None:
            self._mps.want(self._staying(), self._configuration.settings)
        self._slices_fault = await self._time_slices.look(
            self._advertisement.devices, self._configuration.settings, self._left_alone
        )
        # Kubelet may be slow to answer what follows; a new or a sick device must not wait for that.
        self._offer()
        if self._registrar.is_alone:
            self._label_writer.look(self._snapshot, self._advertisement, self._configuration.settings)
        await self._breathe()

        self._allocations = await self._pod_resources.ask()
        self._handing_out.listed(self._allocations)
        left_alone = self._owned_by_others(self._snapshot)
        if left_alone != self._left_alone:
            # Out of our hands at once; the next look advertises without it.
            self._left_alone = left_alone
            self._wake.set()
        if not self._registrar.is_alone:
            # What is another agent's to serve is its to cut and to report.
            return True
        notes = self._change(busy | self._changes.busy(), tasks)
        await self._breathe()
        self._offer()
        await self._breathe()
        self._report(notes)
        return self._unsettled()

    async def _prepare(self) -> Prepared:
        settings, version = self._configuration.settings, self._snapshot.version
        if self._host is None:
            return Prepared(settings)
        driver_version = version.driver if version is not None else ""
        prepared: Prepared = await self._run_blocking(
            self._host.prepare, self._advertisement.devices, driver_version, settings
        )
        if prepared.faults != self._prepared.faults:
            for fault in prepared.faults:
                _log.warning("nothing is handed out", reason=fault.reason, error=fault.message)
        return prepared

    def _staying(self) -> list[Device]:
        """What is about to be taken away is to be free of MPS as well."""
        return [device for device in self._advertisement.devices if not self._changes.hold(device.id)[0]]

    @staticmethod
    async def _breathe() -> None:
        """A container waits for Allocate: let kubelet's calls in between the steps of a look."""
        await asyncio.sleep(0)

    def _take(self, snapshot: Snapshot) -> None:
        settings, wanted = self._configuration.settings, self._spec().gpus
        self._left_alone = self._owned_by_others(snapshot)
        made_of = (snapshot.gpus, settings, wanted, self._left_alone)
        if self._made_of != made_of:
            others = {uuid: note.message for uuid, note in self._left_alone.items()}
            whole = advertise(snapshot.gpus, settings.mig_strategy, settings.naming, others)
            self._sharing = name_classes(share(whole, snapshot.gpus, settings, wanted), wanted)
            self._made_of = made_of
        advertisement = self._form_changes.settle(
            self._sharing.advertisement,
            *self._forms(),
            self._allocations,
            self._clock.now(),
            awaited=self._awaited(),
            frozen=not (self._configuration.is_known and self._pods.is_synced),
        )
        if advertisement is not self._advertisement:
            self._advertisement = advertisement
            self._handing_out.offered(advertisement, snapshot)
            self._offers.forget()
        self._snapshot = snapshot
        self._health_watch.look(snapshot)

    def _owned_by_others(self, snapshot: Snapshot) -> Mapping[str, Note]:
        devices, watched = self._advertisement.devices, self._plugins.watched()
        return self._neighbours.left_alone(snapshot, self._allocations, devices, watched, self._clock.now())

    def _forms(self) -> tuple[Mapping[str, Form], frozenset[str]]:
        """In which form each device was offered last, and which devices somebody has or is about to get."""
        if self._uses is None:
            forms, held = of_holdings(self._allocations.holdings, self._sharing.advertisement.resources)
            last = self._last_status()
            if last is not None:
                reported, held_then = of_status(last)
                forms, held = {**forms, **reported}, held | held_then
        else:
            forms = of_devices(self._advertisement.devices)
            held = self._handing_out.answered().union(self._uses)
        return forms, held

    def _awaited(self) -> frozenset[str]:
        """Devices that kubelet is yet to give to pods that are bound here."""
        devices = self._advertisement.devices
        return awaited(self._handing_out.outstanding(), devices, self._allocations).ids(devices)

    def _change(self, busy: frozenset[str], tasks: asyncio.TaskGroup) -> Mapping[str, Note]:
        spec = self._spec()
        if not self._pods.is_synced:
            return {
                gpu.uuid: Note("PodsUnknown", "it is not known yet which pods are bound here")
                for gpu in spec.gpus
            }
        if not self._neighbours.are_known:
            text = "it is not known yet which GPUs a DRA driver publishes"
            return {gpu.uuid: Note("CompanyUnknown", text) for gpu in spec.gpus}
        # MPS itself goes with its daemon, as soon as what it is on is about to be taken away.
        seen = without(self._snapshot, self._mps.servers() if self._mps is not None else ())
        devices, allocations = self._advertisement.devices, self._allocations
        handing_out = self._handing_out
        self._uses = uses(devices, seen.gpus, allocations, handing_out.answered(), handing_out.promises())
        look = Look(seen, devices, self._uses, allocations, busy, self._left_alone)
        return self._changes.consider(spec, self._generation(), look, tasks)

    def _unsettled(self) -> bool:
        usable = {
            kubelet_id
            for devices in self._advertisement.resources.values()
            for device in devices
            if not device.unusable
            and self._health.of(device) is None
            and device.id not in self._form_changes.withdrawn()
            for kubelet_id in device.kubelet_ids
        }
        changing = self._form_changes.kept - (self._uses or {}).keys()
        return bool(
            changing
            or self._neighbours.are_in_doubt
            or self._changes.under_way
            or self._handing_out.is_waiting
            or self._allocations.failure
            or self._unregistered()
            or usable - self._allocations.allocatable_ids
        )

    # --- what kubelet sees ---

    def _offer(self) -> None:
        self._plugins.offer(self._advertisement, self._offers_of)

    def _offers_of(self, device: Device) -> list[Offer]:
        fault, closed = self._fault(device)
        if not fault and device.id in self._form_changes.withdrawn():
            # All of it, also what is held: freed later, nobody is to be sent for it.
            fault = "it is about to be offered otherwise"
        files = self._prepared.files.get(device.id, ())
        return self._offers.of(device, fault, closed=closed, files=files)

    def _fault(self, device: Device) -> tuple[str, bool]:
        """Why it is not to be handed out, and whether Allocate has to refuse it."""
        if device.gpu_uuid in self._left_alone:
            return self._left_alone[device.gpu_uuid].message, True
        ailment = self._health.of(device)
        if device.unusable or ailment is not None:
            return device.unusable or (ailment.message if ailment else ""), True
        if unready := self._unready(device):
            return unready, True
        return self._changes.hold(device.id)

    def _unready(self, device: Device) -> str:
        """What a container would miss that got it now."""
        if self._prepared.faults:
            return self._prepared.faults[0].message
        return self._mps.fault(device.id) if self._mps is not None else ""

    def _stream_changed(self) -> None:
        self._registrar.wake()
        self._wake.set()

    # --- what the API sees ---

    def _report(self, notes: Mapping[str, Note]) -> None:
        if self._gpu_node() is None:
            # First the object: a status says which generation of its spec it is about.
            self._writer.begin()
            return
        last = self._last_status()
        starting = self._clock.now() < self._started + _FIRST_REPORT_S
        if self._reported is None and starting and self._unsettled():
            return
        found = Findings(
            self._snapshot,
            self._configuration.settings.mig_strategy,
            self._advertisement,
            self._allocations,
            self._health.ailments(),
            notes,
            self._unregistered(),
            self._generation(),
            self._config_label.problem,
            self._configured(),
            self._health.boot_id,
            self._left_alone,
            self._configuration.settings.allocation_policy,
            bool(self._configuration.settings.mps_root) if self._configuration.is_known else None,
            self._prepared.faults,
            (*self._prepared.notes, *self._sharing.notes),
            self._waiting_for_users(),
        )
        self._reported = status.build(found, last.conditions if last else (), self._clock.now())
        self._writer.submit(self._reported)

    def _unregistered(self) -> Mapping[str, str]:
        """Of the names that are wanted; what once was is nobody's trouble."""
        reasons, wanted = self._registrar.reasons(), self._advertisement.resources
        return {resource: reason for resource, reason in reasons.items() if resource in wanted}

    def _configured(self) -> list[Note]:
        """What keeps the configuration from being in effect as a whole, beside what is wrong with this machine."""
        notes = [self._configuration.problem] if self._configuration.problem.reason else []
        if self._slices_fault:
            notes.append(Note("TimeSliceNotSet", self._slices_fault))
        notes += [Note("DoesNotFit", problem) for problem in self._sharing.problems]
        if waiting := self._waiting_for_users():
            text = f"as they were given until nobody holds them: {', '.join(waiting)}"
            notes.append(Note("WaitingForUsers", text, in_progress=True))
        return notes

    def _waiting_for_users(self) -> list[str]:
        """Of what is left alone no other form is wanted."""
        changing = self._form_changes.kept
        return sorted(
            device.id
            for device in self._advertisement.devices
            if device.id in changing and device.gpu_uuid not in self._left_alone
        )

    async def _take_leave(self) -> None:
        last = self._last_status()
        if last is not None and self._registrar.is_alone:
            await self._writer.write_last(status.stopped(last, self._clock.now()))

    def _last_status(self) -> GPUNodeStatus | None:
        """As this agent reported it, else as an earlier one did."""
        node = self._gpu_node()
        return self._reported or (status.own(node.status) if node is not None else None)

    def _seen(self) -> Seen:
        return Seen(self._snapshot, self._advertisement, self._allocations, self._health.ailments().keys())

    # --- what is wanted ---

    def _pods_changed(self) -> None:
        asking = [pod for pod in self._pods.of(self._node_name) if asks_for_devices(pod)]
        # Most pods of a node have nothing to do with its GPUs, and change many times as they come and go.
        if asking != self._asking:
            self._asking = asking
            self._wake.set()

    def _gpu_node_changed(self) -> None:
        node = self._gpu_node()
        # What this agent wrote itself comes back as well: nothing new in it.
        if (
            node is None
            or status.own(node.status) != self._reported
            or node.metadata.generation != node.status.observed_generation
        ):
            self._wake.set()

    def _gpu_node(self) -> GPUNode | None:
        return next(iter(self._gpu_nodes.of(self._node_name)), None)

    def _spec(self) -> GPUNodeSpec:
        node = self._gpu_node()
        return node.spec if node is not None else GPUNodeSpec()

    def _generation(self) -> int:
        node = self._gpu_node()
        return node.metadata.generation if node is not None else 0
