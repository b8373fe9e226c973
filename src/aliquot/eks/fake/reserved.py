"""Capacity of EC2 that is set apart: reservations on demand, and blocks that begin and end."""

from dataclasses import dataclass, field
from typing import Any

BLOCK_ENDS_EARLY_S = 1800.0
"""So long before a block's end EC2 begins to terminate its instances."""


@dataclass(kw_only=True)
class Reservation:
    id: str
    instance_type: str
    zone: str
    total: int
    created_s: float
    begins_s: float
    ends_s: float | None = None
    """None: until it is cancelled."""
    targeted: bool = False
    """Only who names it gets of it."""
    block: bool = False
    cancelled: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    """Instances."""
    platform: str = "Linux/UNIX"

    def state(self, now_s: float) -> str:
        if self.cancelled:
            return "cancelled"
        if now_s < self.begins_s:
            return "scheduled"
        return "active" if self.ends_s is None or now_s < self.ends_s else "expired"

    def free(self, now_s: float) -> int:
        if self.state(now_s) != "active" or self.ends_instances(now_s):
            return 0
        return self.total - len(self.used)

    def ends_instances(self, now_s: float) -> bool:
        """A block takes its instances along; other reservations leave theirs running."""
        return self.block and self.ends_s is not None and now_s >= self.ends_s - BLOCK_ENDS_EARLY_S


@dataclass(kw_only=True)
class Market:
    """What EC2 has of capacity."""

    reservations: dict[str, Reservation] = field(default_factory=dict)
    placement_groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    sold_out: set[tuple[str, str]] = field(default_factory=set)
    """Instance type and zone of which there are none on demand."""

    def let_go(self, instance: str) -> None:
        for one in self.reservations.values():
            one.used.discard(instance)
