"""What a policy says of upgrades, read."""

from dataclasses import dataclass
from math import ceil

from aliquot.windows import Window

MOST_RESTARTS = 10
"""Of a container of the new driver: upstream's number."""


@dataclass(frozen=True, slots=True)
class Share:
    """A number of nodes, or a part of them, rounded up."""

    count: int = 0
    percent: int | None = None

    def of(self, total: int) -> int:
        return self.count if self.percent is None else ceil(total * self.percent / 100)


@dataclass(frozen=True, slots=True)
class Eviction:
    timeout_s: float = 300.0
    force: bool = False
    delete_empty_dir: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    auto: bool = True
    max_parallel: int = 1
    """0: no bound of its own."""
    max_unavailable: Share = Share(percent=25)
    canary_nodes: int = 1
    soak_s: float = 600.0
    windows: tuple[Window, ...] = ()
    wait_for_jobs_s: float | None = 0.0
    """None: without end."""
    checkpoint_s: float = 300.0
    eviction: Eviction = Eviction()
    drain: Eviction | None = None
    driver_s: float = 1200.0
    validation_s: float = 600.0
