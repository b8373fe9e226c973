"""Times and durations as text, read as Go reads them."""

import re
from datetime import UTC, datetime, timedelta

from aliquot.emulator.cel.values import Duration, Timestamp
from aliquot.emulator.kinds.go_durations import NANOSECONDS, nanoseconds

_TIMESTAMP = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:[.,](\d+))?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def duration(text: str) -> Duration | None:
    """`1h30m`, `-1.5s`, `0`; None when it is none."""
    found = nanoseconds(text)
    return Duration(found) if found is not None else None


def timestamp(text: str) -> Timestamp | None:
    """RFC 3339; None when it is none."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone == 'Z' else zone}")
    except ValueError:
        return None
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return Timestamp(seconds * NANOSECONDS + int((fraction or "0")[:9].ljust(9, "0")))
