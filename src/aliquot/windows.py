"""Maintenance windows: when something that people would notice may begin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError


@dataclass(frozen=True, slots=True)
class Window:
    schedule: str
    """Five fields, as of a CronJob: when it opens."""
    duration_s: float
    time_zone: str = "UTC"


def problem(window: Window) -> str:
    """What is wrong with it; empty: nothing."""
    try:
        ZoneInfo(window.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # Where zones are files, a part of a name is a directory.
        return f"timeZone: there is no time zone {window.time_zone}"
    try:
        CronSim(window.schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return f"schedule: {window.schedule!r} is none: {error}"
    if window.duration_s <= 0:
        return "duration: a window that is open for no time opens never"
    return ""


def opens_in_s(windows: Sequence[Window], now_s: float) -> float:
    """0 while one is open, and where there are none. The windows have no `problem`."""
    if not windows:
        return 0.0
    return min(_opens_in_s(window, now_s) for window in windows)


def _opens_in_s(window: Window, now_s: float) -> float:
    # The first opening after the time at which one that is still open now would have opened at the earliest. Counted before the
    # zone comes in: in a night in which clocks are set six hours are six hours, too.
    earliest = datetime.fromtimestamp(now_s - window.duration_s, ZoneInfo(window.time_zone))
    opening: datetime = next(CronSim(window.schedule, earliest))
    return max(0.0, opening.timestamp() - now_s)
