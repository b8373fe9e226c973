"""Watches over the devices: follows the driver's events, asks the GPUs for their figures, tells what changes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from aliquot.clock import Clock
from aliquot.gpu.driver import Driver, DriverError
from aliquot.kube.api.core import Node
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.node.driver_access import DriverAccess
from aliquot.node.feed import Feed
from aliquot.node.health import figures
from aliquot.node.health.ailment import Change
from aliquot.node.health.announcer import Announcer
from aliquot.node.health.devices import Health
from aliquot.node.health.policy import HealthPolicy
from aliquot.node.inventory import Snapshot
from aliquot.node.metrics.counts import Counts
from aliquot.node.metrics.telemetry_reader import TelemetryReader

_log = structlog.get_logger()

COMPONENT = "aliquot-node"
"""Whose Events these are."""

_LAST_REPORT_S = 2.0
_EVENTS_S = 1.0
FIGURES_S = 60.0
"""Between two questions for figures: they are slow to answer, and what is urgent comes as an event."""
_RECHECK_S = 10.0
"""While it is for a figure to tell that a GPU is well again."""


class HealthWatch:
    """`snapshot` gives what the last look saw; `changed` is called after a change that came between the looks."""

    def __init__(
        self,
        node_name: str,
        policy: HealthPolicy,
        *,
        client: Client,
        driver: Driver,
        access: DriverAccess,
        reader: TelemetryReader,
        nodes: Feed[Node],
        gpu_nodes: Feed[GPUNode],
        counts: Counts,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        changed: Callable[[], None],
    ) -> None:
        self.devices = Health(policy)
        self._node_name = node_name
        self._driver = driver
        self._access = access
        self._reader = reader
        self._nodes = nodes
        self._gpu_nodes = gpu_nodes
        self._counts = counts
        self._clock = clock
        self._snapshot = snapshot
        self._changed = changed
        self._recorder = Recorder(client, COMPONENT, instance=node_name)
        self._announcer = Announcer(node_name, nodes=nodes, recorder=self._recorder, counts=counts)
        counts.foresee_health_changes(figures.REASONS)
        self._has_taken_over = False

    async def ready(self) -> None:
        """A moment's patience for what the last agent reported: a sick device would be handed out meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_REPORT_S):
                await self._gpu_nodes.synced()

    def look(self, snapshot: Snapshot) -> None:
        """Takes in what a look of the agent found, before the agent reports."""
        if not self._has_taken_over and self._gpu_nodes.is_synced:
            self._has_taken_over = True
            for last in self._gpu_nodes.of(self._node_name):
                self.devices.take_over(last.status, self._clock.now())
            if known := self.devices.ailments():
                reasons = {device: [ailment.reason for ailment in found] for device, found in known.items()}
                _log.info("unhealthy since before this agent", devices=reasons)
        for node in self._nodes.of(self._node_name):
            self.devices.booted(node.status.node_info.boot_id)
        self._announcer.tell(self.devices.observe(snapshot, self._clock.now()), snapshot)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run())
            tasks.create_task(self._follow_events())
            tasks.create_task(self._follow_figures())

    async def _follow_events(self) -> None:
        """Asks without waiting, so that no thread is ever stuck in the driver; it keeps events until asked."""
        trouble = ""
        while True:
            try:
                event = await self._access.call(self._driver.wait_event, 0.0)
                trouble = ""
            except DriverError as error:
                event = None
                if str(error) != trouble:
                    trouble = str(error)
                    _log.warning("XIDs cannot be watched for now", error=trouble)
            if event is None:
                await asyncio.sleep(_EVENTS_S)
                continue
            self._counts.xid(event)
            _log.info("XID", gpu=event.gpu_uuid, xid=event.xid, gi=event.gi_id, ci=event.ci_id)
            self._take(self.devices.xid(event, self._snapshot(), self._clock.now()))

    async def _follow_figures(self) -> None:
        while True:
            # The first look comes first: figures of GPUs that nobody has seen are of no use.
            await asyncio.sleep(_RECHECK_S if self.devices.waits_for_figures else FIGURES_S)
            told = await self._reader.read(list(self._snapshot().by_uuid))
            self._take(self.devices.take_figures(told, self._clock.now()))

    def _take(self, changes: list[Change]) -> None:
        if changes:
            self._announcer.tell(changes, self._snapshot())
            self._changed()
