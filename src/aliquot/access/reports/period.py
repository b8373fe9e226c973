"""The time that a report is about: from a moment up to another, which is not in it."""

from datetime import UTC, datetime

from msgspec import Struct

from aliquot.access.core.asked import moment
from aliquot.clock import rfc3339_milli


class Period(Struct, frozen=True):
    from_s: float
    to_s: float

    def has(self, moment_s: float | None) -> bool:
        return moment_s is not None and self.from_s <= moment_s < self.to_s

    def has_entry(self, time: str) -> bool:
        """`time` as the log writes it, which is in order as text too."""
        return rfc3339_milli(self.from_s) <= time < rfc3339_milli(self.to_s)


def period(from_: str, to: str, now_s: float) -> Period:
    """Days in UTC (2026-11-01) or moments; `to` empty: now. Raises ValueError."""
    found = Period(_moment("from", from_), _moment("to", to) if to else now_s)
    if found.from_s >= found.to_s:
        raise ValueError(
            f"'from' is {rfc3339_milli(found.from_s)}, which is not before 'to', {rfc3339_milli(found.to_s)}"
        )
    return found


def _moment(name: str, text: str) -> float:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        pass
    try:
        return moment(name, text)
    except ValueError:
        raise ValueError(
            f"'{name}' is {text[:80]!r}, and has to be a day like 2026-11-29 or a moment like 2026-11-29T06:40:00Z"
        ) from None
