"""What may be chosen of how the scheduler decides; `aliquot scheduler run` has an option for each."""

from dataclasses import dataclass

from aliquot.scheduler.announcing import Events
from aliquot.scheduler.core.backfill.stage import Style
from aliquot.scheduler.core.placement import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    placement: Placement = Placement.WORTH
    backfill: Style | None = Style.EASY
    """Who goes in front of a job that waits for room; None: whoever fits."""
    events: Events = Events.EACH
    usage_half_life_s: float | None = None
    """What queues and users had counts in turns, half as much after each; None: not at all."""
    ageing_s: float | None = None
    """See `Line`; None: no wait makes up for priority."""
    consolidation: bool = True
    """Others are moved closer together for a job that finds room only in pieces."""
