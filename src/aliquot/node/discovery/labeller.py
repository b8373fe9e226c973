"""Keeps one label of the Node as its PCI bus is: `true` where there are GPUs, absent where there are none."""

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog

from aliquot.kube import errors
from aliquot.kube.api import pci_labels
from aliquot.kube.api.core import Node
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES
from aliquot.kube.retry import Backoff
from aliquot.node.discovery.pci import BusUnreadable, PciDevice, gpus
from aliquot.node.driver_access import RunBlocking

_log = structlog.get_logger()

LOOK_S = 60.0
"""After which the bus and the Node are looked at again: GPUs come and go, and anybody may take a label away."""


class Labeller:
    """`read_bus` blocks, and raises BusUnreadable."""

    def __init__(
        self,
        node_name: str,
        *,
        client: Client,
        read_bus: Callable[[], Sequence[PciDevice]],
        rng: random.Random,
        run_blocking: RunBlocking,
    ) -> None:
        self._node_name = node_name
        self._client = client
        self._read_bus = read_bus
        self._rng = rng
        self._run_blocking = run_blocking
        self._told: int | None = None

    async def run(self) -> None:
        """Until cancelled."""
        backoff = Backoff(self._rng)
        failure = ""
        while True:
            try:
                await self.look()
            except (errors.ApiError, BusUnreadable) as error:
                if str(error) != failure:
                    failure = str(error)
                    _log.warning("GPUs of the node not told", node=self._node_name, error=failure)
                await asyncio.sleep(backoff.delay_s())
                continue
            failure = ""
            backoff.reset()
            # Of many nodes that started together not all ask in the same instant.
            await asyncio.sleep(LOOK_S * (0.9 + self._rng.random() / 10))

    async def look(self) -> None:
        """Once. Raises ApiError and BusUnreadable; the label stays as it was then."""
        found = gpus(await self._run_blocking(self._read_bus))
        node = await self._client.get(NODES, self._node_name, into=Node)
        wanted = "true" if found else None
        if (node.metadata.labels or {}).get(pci_labels.OURS) != wanted:
            # The UID keeps it off another Node of that name.
            patch = {"metadata": {"uid": node.metadata.uid, "labels": {pci_labels.OURS: wanted}}}
            await self._client.patch(NODES, self._node_name, patch, into=Node)
        if len(found) != self._told:
            self._told = len(found)
            _log.info("GPUs on the PCI bus", node=self._node_name, gpus=len(found))
