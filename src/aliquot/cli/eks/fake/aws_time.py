"""The fake's time: it begins on a day of one's choice and may run faster than the clock on the wall."""

from dataclasses import dataclass, replace

from aliquot.clock import Clock
from aliquot.eks.fake.world import Durations

_JOINING_S = 60.0
"""Of real time: how long a node of an emulated cluster may take on a slow machine, until its group has failed."""
_EVICTING_S = 5.0
"""Of real time, for evictions that nothing stands against."""


@dataclass(frozen=True, slots=True)
class AwsTime:
    """From `start_s` on, which was at `began_s` of `clock`, `speed` seconds for each of its seconds."""

    clock: Clock
    began_s: float
    start_s: float
    speed: float

    def now(self) -> float:
        return self.at(self.clock.now())

    def at(self, real_s: float) -> float:
        return self.start_s + (real_s - self.began_s) * self.speed


def durations(speed: float) -> Durations:
    """As long as at AWS, but for what waits for the emulated clusters, whose time is real."""
    told = Durations()
    return replace(
        told,
        create_nodegroup_most=max(told.create_nodegroup_most, _JOINING_S * speed),
        evict_most=max(told.evict_most, _EVICTING_S * speed),
    )
