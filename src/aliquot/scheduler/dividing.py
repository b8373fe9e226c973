"""What the cluster is divided by: Queues and Topologies of the API, and what its nodes have to divide.

Changes are gathered, and taken over at once by `settle`: one Queue more is a new tree, one board more are new prices.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from aliquot.kube.api import podgroup
from aliquot.kube.api.queue import Queue
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import QUEUES, TOPOLOGIES
from aliquot.partition.demand import Classes
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.queues import currency
from aliquot.scheduler.core.queues.currency import Prices
from aliquot.scheduler.core.queues.tariff import Makes, Tariff, classes_of, prices_of
from aliquot.scheduler.core.queues.terms import QueueSpec
from aliquot.scheduler.core.topology import Topology
from aliquot.scheduler.queues import Unreadable, spec_of

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settled:
    """A Queue as it was when it was last taken over."""

    generation: int
    unreadable: str = ""
    """Why it counts as not there: one line, with the field."""


class Dividing:
    """Keeps `accounts` in step. `changed` is called when something is to be settled."""

    def __init__(self, client: Client, *, accounts: Accounts, changed: Callable[[], None]) -> None:
        self._accounts = accounts
        self._changed = changed
        self.queues = Cache(client, QUEUES, Queue, optional=True)
        self.settled: Mapping[str, Settled] = {}
        """What of each Queue is reckoned with."""
        self._topologies = Cache(client, TOPOLOGIES, podgroup.Topology, optional=True)
        self.topologies: Mapping[str, Topology] = {}
        self._nodes: dict[str, NodeFacts] = {}
        self._prices = Prices((), {})
        self._classes: Classes = {}
        self._makes = Makes()
        self._unsettled: set[str] = set()
        """Nodes, since the last time."""
        self._queues_changed = False

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in (self.queues, self._topologies):
                tasks.create_task(cache.run(), name=f"cache {cache.resource.plural}")

    async def synced(self) -> None:
        await self.queues.synced()
        await self._topologies.synced()

    def follow(self) -> Callable[[], None]:
        """Start to listen; returns the function that stops it."""
        stops = (
            self.queues.subscribe(self._queue_changed),
            self._topologies.subscribe(self._topology_changed),
        )

        def stop() -> None:
            for one in stops:
                one()

        return stop

    def node_changed(self, name: str, facts: NodeFacts | None) -> bool:
        """None: it is gone. Returns whether it was not there before."""
        is_new = facts is not None and name not in self._nodes
        if facts is None:
            self._nodes.pop(name, None)
        else:
            self._nodes[name] = facts
        self._unsettled.add(name)
        return is_new

    def settle(self) -> None:
        """Before a decision: what was told since the last one counts from now on."""
        if self._queues_changed:
            self._queues_changed = False
            specs = self._declared()
            unreadable = {name: one.unreadable for name, one in self.settled.items() if one.unreadable}
            self._accounts.declare(specs, unreadable)
        if self._unsettled:
            self._settle_nodes()

    def _settle_nodes(self) -> None:
        changed, self._unsettled = self._unsettled, set()
        classes = classes_of(self._nodes)
        are_others = self._makes.look({name: self._nodes.get(name) for name in changed})
        if are_others or classes is not self._classes:
            self._classes = classes
            self._prices = prices_of(self._nodes)
            tariff = Tariff(self._nodes, self._prices)
            self._accounts.price(tariff.asked, tariff.got)
            changed = set(self._nodes) | changed
        else:
            for name in changed:
                self._accounts.look_again(name)
        for name in changed:
            found = self._nodes.get(name)
            self._accounts.offer(name, {} if found is None else currency.offered(found, self._prices))

    def _declared(self) -> list[QueueSpec]:
        found, settled = [], {}
        for queue in self.queues.values():
            name, unreadable = queue.metadata.name, ""
            try:
                found.append(spec_of(queue))
            except Unreadable as error:
                unreadable = str(error)
                _log.warning("queue not readable, its jobs wait", queue=name, error=unreadable)
            settled[name] = Settled(queue.metadata.generation, unreadable)
        self.settled = settled
        return found

    def _queue_changed(self, old: Queue | None, new: Queue | None) -> None:
        if old is None or new is None or old.spec != new.spec:
            self._queues_changed = True
            self._changed()

    def _topology_changed(self, old: podgroup.Topology | None, new: podgroup.Topology | None) -> None:
        self.topologies = {
            one.metadata.name: Topology(
                one.metadata.name, tuple(level.node_label for level in one.spec.levels)
            )
            for one in self._topologies.values()
        }
        self._changed()
