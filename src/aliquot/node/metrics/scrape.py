"""One scrape: what the last look saw, what the GPUs measure now, what was counted."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from aliquot.metrics.exposition import render
from aliquot.node.advertise import Advertisement
from aliquot.node.inventory import Snapshot
from aliquot.node.metrics.agent_figures import agent_families
from aliquot.node.metrics.counts import Counts
from aliquot.node.metrics.gpu_figures import gpu_families
from aliquot.node.metrics.holders import holders_by_device
from aliquot.node.metrics.telemetry_reader import TelemetryReader
from aliquot.node.pod_resources import Allocations


@dataclass(frozen=True, slots=True)
class Seen:
    """By the agent's last look."""

    snapshot: Snapshot
    advertisement: Advertisement
    allocations: Allocations
    ailing: Collection[str]
    """Ids of devices and GPUs that are not healthy."""


class Metrics:
    def __init__(
        self, node_name: str, reader: TelemetryReader, counts: Counts, seen: Callable[[], Seen]
    ) -> None:
        self._node_name = node_name
        self._reader = reader
        self._counts = counts
        self._seen = seen

    async def text(self) -> str:
        telemetry = await self._reader.read(list(self._seen().snapshot.by_uuid))
        # Looked at after the wait, so that who holds what is as of now.
        seen = self._seen()
        holders = holders_by_device(seen.allocations.holdings)
        last_xids = self._counts.last_xids
        return render(
            (
                *gpu_families(self._node_name, seen.snapshot, telemetry, holders, last_xids),
                *agent_families(self._node_name, self._counts, seen.advertisement, holders, seen.ailing),
            )
        )
