"""When a CronJob is due: its schedule in its time zone, as Kubernetes reads both. Pure.

A schedule is matched against the clock on the wall of the time zone. An hour that the wall clock leaves out is left
out; one that it shows twice counts twice.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from aliquot.emulator.kinds.go_durations import NANOSECONDS, nanoseconds

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
# What the library knows and Kubernetes does not: last days (L, LW), n-th weekdays (#), 7 for Sunday.
_FIELDS = re.compile(r"[0-9A-Z*/,?-]+")
_NAMES = re.compile(r"[A-Z]+")
_KNOWN_NAMES = frozenset(
    [
        "JAN",
        "FEB",
        "MAR",
        "APR",
        "MAY",
        "JUN",
        "JUL",
        "AUG",
        "SEP",
        "OCT",
        "NOV",
        "DEC",
        "SUN",
        "MON",
        "TUE",
        "WED",
        "THU",
        "FRI",
        "SAT",
    ]
)


class ScheduleError(ValueError):
    """One line that says what is wrong."""


class Schedule(Protocol):
    def next(self, after: float) -> float | None:
        """The first moment after `after` at which it is due, both in Unix seconds; None: never again."""


@dataclass(frozen=True, slots=True)
class _Every:
    seconds: int

    def next(self, after: float) -> float | None:
        return int(after) + self.seconds


@dataclass(frozen=True, slots=True)
class _Cron:
    expression: str
    zone: tzinfo

    def next(self, after: float) -> float | None:
        while True:
            offset = self._offset(after)
            wall = datetime.fromtimestamp(after, UTC).replace(tzinfo=None) + offset
            found = next(CronSim(self.expression, wall), None)
            if found is None:
                return None
            due = (found - offset).replace(tzinfo=UTC).timestamp()
            if self._offset(due) == offset:
                return due
            # The wall clock is moved in between: go on from the second before, by the clock that holds from then on.
            moved = self._moved(after, due)
            found = next(CronSim(self.expression, self._wall(moved) - timedelta(seconds=1)), None)
            if found is not None and found == self._wall(moved):
                return moved
            after = moved

    def _offset(self, moment: float) -> timedelta:
        return datetime.fromtimestamp(moment, self.zone).utcoffset() or timedelta()

    def _wall(self, moment: float) -> datetime:
        return datetime.fromtimestamp(moment, self.zone).replace(tzinfo=None)

    def _moved(self, before: float, after: float) -> float:
        """The first second after `before` with another offset, at `after` at the latest."""
        offset, low, high = self._offset(before), int(before), int(after)
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == offset:
                low = middle
            else:
                high = middle
        return float(high)


def parse(text: str, zone: str | None = None) -> Schedule:
    """`zone` None is the controller's own, which is UTC. Raises ScheduleError."""
    where = time_zone(zone) if zone is not None else UTC
    if text.startswith(_EVERY):
        return _Every(_seconds(text.removeprefix(_EVERY)))
    expression = _DESCRIPTORS.get(text, text)
    if expression.startswith("@"):
        raise ScheduleError(f"unrecognized descriptor: {text}")
    fields = expression.upper().split()
    if len(fields) != 5:
        raise ScheduleError(
            f"expected exactly 5 fields, found {len(fields)}: [{' '.join(expression.split())}]"
        )
    for field in fields:
        if not _FIELDS.fullmatch(field) or not _KNOWN_NAMES.issuperset(_NAMES.findall(field)):
            raise ScheduleError(f"cannot read {field!r}")
    if "7" in re.split(r"[,/-]", fields[4]):
        raise ScheduleError("end of range (7) above maximum (6): 7")
    expression = " ".join(fields).replace("?", "*")
    try:
        CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 - by no clock
    except CronSimError as error:
        raise ScheduleError(str(error)) from error
    return _Cron(expression, where)


def _seconds(text: str) -> int:
    found = nanoseconds(text)
    if found is None:
        raise ScheduleError(f'failed to parse duration {_EVERY}{text}: time: invalid duration "{text}"')
    return max(1, found // NANOSECONDS)


def time_zone(name: str) -> ZoneInfo:
    """Raises ScheduleError."""
    if not name:
        raise ScheduleError("timeZone must be nil or non-empty string")
    if name.lower() == "local":
        raise ScheduleError(
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error
