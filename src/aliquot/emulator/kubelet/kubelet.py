"""One emulated node, put together: devices, pods, node status, pod-resources, over a runtime that outlives it.

A kubelet lives many lives: `run` goes through `restart` (the process is killed and comes back: containers go on,
memory is lost) and `reboot` (the machine goes down: containers end too) until `stop` or cancellation. What it
knows from life to life is in the checkpoint and in the runtime, nowhere else.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

import structlog

from aliquot.clock import Clock
from aliquot.emulator.kubelet.addresses import AddressPool
from aliquot.emulator.kubelet.checkpoint import CheckpointStore
from aliquot.emulator.kubelet.device_manager import DeviceManager
from aliquot.emulator.kubelet.machine import Machine, Readiness
from aliquot.emulator.kubelet.node_pods import NodePods
from aliquot.emulator.kubelet.node_status import NodeReporter
from aliquot.emulator.kubelet.pod_resources import POD_RESOURCES_SOCKET, PodResourcesLister
from aliquot.emulator.kubelet.pods import PodManager
from aliquot.emulator.kubelet.runtimes.base import ContainerRecord, LogOptions, LogsUnavailable, Runtime
from aliquot.emulator.streaming.session import Execution, SessionRefused, Start
from aliquot.kube.api.core import Pod
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.kube.kubeletapi.sockets import Sockets

_log = structlog.get_logger()

DEFAULT_REBOOT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Order:
    """What becomes of a life that is ended from outside."""

    down_s: float = 0.0
    reboot: bool = False
    last: bool = False


class _Ordered(Exception):
    """Ends the tasks of one life."""


class Kubelet:
    """`pods` and `recorder` may be shared by many nodes, and are run by their owner; so may `registering`, which
    bounds how many nodes register at a time.

    A real kubelet judges the pods that it finds at once: those with devices fail unless their plugins have registered
    before that. With `plugin_patience_s` such pods wait for their devices so long after each start. It also tells of
    devices that come and go within ten seconds; with `tells_at_once`, at once. What changes of a pod within
    `together_s` it tells in one write.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        client: Client,
        clock: Clock,
        rng: random.Random,
        runtime: Runtime,
        plugin_sockets: Sockets,
        pod_resources_sockets: Sockets,
        state: CheckpointStore,
        pods: NodePods,
        recorder: Recorder,
        registering: asyncio.Semaphore | None = None,
        plugin_patience_s: float = 0.0,
        tells_at_once: bool = False,
        together_s: float = 0.0,
    ) -> None:
        self.machine = machine
        self.runtime = runtime
        self._client = client
        self._clock = clock
        self._rng = rng
        self._plugin_sockets = plugin_sockets
        self._pod_resources_sockets = pod_resources_sockets
        self._state = state
        self._pods = pods
        self._recorder = recorder
        self._registering = registering or asyncio.Semaphore(1)
        self._plugin_patience_s = plugin_patience_s
        self._tells_at_once = tells_at_once
        self._together_s = together_s
        self._orders: list[_Order] = []
        self._ordered = asyncio.Event()

    @property
    def name(self) -> str:
        return self.machine.name

    def stop(self) -> None:
        """`run` returns. Containers go on."""
        self._order(_Order(last=True))

    def restart(self, down_s: float = 0.0) -> None:
        """The kubelet process dies and comes back after `down_s`. Containers go on meanwhile."""
        self._order(_Order(down_s=down_s))

    def reboot(self, down_s: float = DEFAULT_REBOOT_S) -> None:
        """The machine goes down, and all its containers with it, and comes back after `down_s`."""
        self._order(_Order(down_s=down_s, reboot=True))

    async def run(self) -> None:
        """Until cancelled or stopped. Raises SocketError when it cannot serve its sockets."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._obey())
                    tasks.create_task(self._live())
            except BaseExceptionGroup as ends:
                _, failures = ends.split(_Ordered)
                if failures is not None:
                    raise _first(failures) from failures
            order = self._orders.pop(0)
            if order.reboot:
                self.runtime.reboot()
            if order.last:
                return
            _log.info("kubelet is down", node=self.name, down_s=order.down_s, reboot=order.reboot)
            await asyncio.sleep(order.down_s)

    def _order(self, order: _Order) -> None:
        self._orders.append(order)
        self._ordered.set()

    async def _obey(self) -> None:
        while not self._orders:
            self._ordered.clear()
            await self._ordered.wait()
        raise _Ordered

    async def _live(self) -> None:
        """One life: everything here is lost when it ends."""

        def active() -> Collection[str]:
            return pods.active()

        def devices_changed(resource: str) -> None:
            pods.devices_changed(resource)
            if self._tells_at_once:
                reporter.hurry()

        devices = DeviceManager(
            self._plugin_sockets,
            self._state,
            node=self.name,
            clock=self._clock,
            rng=self._rng,
            active=active,
            on_change=devices_changed,
        )
        reporter = NodeReporter(
            self.machine,
            client=self._client,
            clock=self._clock,
            rng=self._rng,
            recorder=self._recorder,
            runtime=f"{self.runtime.name}://{self.runtime.version}",
            boot_id=self.runtime.boot_id,
            devices=devices.counts,
            reset_devices=devices.fresh,
            registering=self._registering,
        )
        pods = PodManager(
            self.name,
            self._pods,
            client=self._client,
            clock=self._clock,
            runtime=self.runtime,
            devices=devices,
            recorder=self._recorder,
            addresses=AddressPool(self.machine.pod_cidr),
            host_ip=self.machine.address,
            facts=reporter.facts,
            refresh=reporter.refresh,
            plugin_patience_s=self._plugin_patience_s,
            together_s=self._together_s,
        )
        lister = PodResourcesLister(devices.table, pods.active_pods)
        serving = asyncio.Event()
        listener = await self._pod_resources_sockets.serve(POD_RESOURCES_SOCKET, lister.service())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(devices.run(serving))
                await serving.wait()
                reporter.set_readiness(Readiness(True))
                tasks.create_task(reporter.run())
                tasks.create_task(pods.run())
        finally:
            await listener.close()

    def logs(
        self, pod: Pod, container: str, options: LogOptions, *, previous: bool = False
    ) -> AsyncIterator[bytes]:
        """What the container's last run printed, or the run that ended before. Raises LogsUnavailable."""
        about = f'container "{container}" in pod "{pod.metadata.name}"'
        runs = [run for run in self.runtime.containers(pod.metadata.uid) if run.name == container]
        waiting = _waiting_reason(pod, container)
        if previous:
            # While it waits to be restarted, the run that ended last is the previous one, and the current one too.
            if not (runs and waiting and not runs[-1].running):
                runs = runs[:-1]
            if not runs:
                raise LogsUnavailable(f"previous terminated {about} not found")
        if not runs:
            raise LogsUnavailable(f"{about} is waiting to start: {waiting or 'ContainerCreating'}")
        return self.runtime.logs(runs[-1].id, options)

    def exec(self, pod: Pod, container: str, execution: Execution) -> Start:
        """Raises SessionRefused."""
        return self.runtime.exec(self._running(pod, container).id, execution)

    def attach(self, pod: Pod, container: str, *, stdin: bool) -> Start:
        """Raises SessionRefused."""
        return self.runtime.attach(self._running(pod, container).id, stdin=stdin)

    def _running(self, pod: Pod, container: str) -> ContainerRecord:
        """Raises SessionRefused."""
        for record in reversed(self.runtime.containers(pod.metadata.uid)):
            if record.name == container and record.running:
                return record
        raise SessionRefused(404, f'container not found ("{container}")')


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong, out of its wrappings."""
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure


def _waiting_reason(pod: Pod, container: str) -> str:
    """Empty when its status does not say that it waits."""
    known = pod.status
    for status in (
        *(known.init_container_statuses or ()),
        *(known.container_statuses or ()),
        *(known.ephemeral_container_statuses or ()),
    ):
        if status.name == container and status.state.waiting is not None:
            return status.state.waiting.reason
    return ""
