"""What happened since the agent started, counted where it happens."""

from collections import Counter
from collections.abc import Iterable

from aliquot.gpu.driver import XidEvent
from aliquot.metrics.histogram import Histogram

RECOVERED = "Recovered"
"""The health change for the better."""
DONE = "Done"
"""The outcome of a reconfiguration that reached what was wanted; the others are the reasons that GPUNode gives."""

_LOOK_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Counts:
    def __init__(self) -> None:
        self.allocations: Counter[str] = Counter()
        """By resource."""
        # What can be foreseen starts at zero: of a series that begins at 1 Prometheus does not see the increase.
        self.health_changes = Counter({"GPULost": 0, "NotAnswering": 0, RECOVERED: 0})
        """By reason."""
        self.reconfigurations = Counter({DONE: 0, "DriverError": 0})
        """By outcome."""
        self.looks = Histogram(_LOOK_BOUNDS_S)
        self.last_xids: dict[str, int] = {}
        """GPU UUID -> the last XID, whatever became of it."""

    def allocated(self, resource: str) -> None:
        """Kubelet was given devices of it for one container."""
        self.allocations[resource] += 1

    def foresee_health_changes(self, reasons: Iterable[str]) -> None:
        self.health_changes.update(dict.fromkeys(reasons, 0))

    def health_changed(self, reason: str) -> None:
        """Of a device or a GPU."""
        self.health_changes[reason] += 1

    def reconfigured(self, outcome: str) -> None:
        """Of a GPU."""
        self.reconfigurations[outcome] += 1

    def looked(self, duration_s: float) -> None:
        self.looks.add(duration_s)

    def xid(self, event: XidEvent) -> None:
        self.last_xids[event.gpu_uuid] = event.xid
