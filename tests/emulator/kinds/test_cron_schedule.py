from datetime import UTC, datetime

import pytest

from aliquot.emulator.kinds import cron_schedule
from aliquot.emulator.kinds.cron_schedule import ScheduleError


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def due(schedule: str, after: str, count: int, zone: str | None = None) -> list[str]:
    """The next times in UTC."""
    found = cron_schedule.parse(schedule, zone)

    now, times = moment(after), []
    for _ in range(count):
        following = found.next(now)
        assert following is not None
        now = following
        times.append(datetime.fromtimestamp(now, UTC).strftime("%m-%dT%H:%M:%S").removesuffix(":00"))
    return times


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/20 * * * *", ["01-01T00:20", "01-01T00:40", "01-01T01:00"]),
        ("0 12 * * *", ["01-01T12:00", "01-02T12:00", "01-03T12:00"]),
        ("0 0 ? * MON", ["01-05T00:00", "01-12T00:00", "01-19T00:00"]),
        ("0 0 1,15 * 1", ["01-05T00:00", "01-12T00:00", "01-15T00:00"]),
        ("30 4 1-3 feb *", ["02-01T04:30", "02-02T04:30", "02-03T04:30"]),
        ("@daily", ["01-02T00:00", "01-03T00:00", "01-04T00:00"]),
        ("@every 1h30m", ["01-01T01:30", "01-01T03:00", "01-01T04:30"]),
        ("@every 10s", ["01-01T00:00:10", "01-01T00:00:20", "01-01T00:00:30"]),
    ],
)
def test_in_utc(schedule: str, expected: list[str]) -> None:
    assert due(schedule, "2026-01-01T00:00:00", 3) == expected


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        # 02:30 is left out on 29 March.
        ("30 2 * * *", "2026-03-27T12:00:00", ["03-28T01:30", "03-30T00:30", "03-31T00:30"]),
        # The clock is put forward from 02:00 to 03:00, which is 01:00 UTC.
        ("0 * * * *", "2026-03-28T23:30:00", ["03-29T00:00", "03-29T01:00", "03-29T02:00"]),
        ("0 3 * * *", "2026-03-28T23:30:00", ["03-29T01:00", "03-30T01:00", "03-31T01:00"]),
        # 02:30 is shown twice on 25 October.
        ("30 2 * * *", "2026-10-24T12:00:00", ["10-25T00:30", "10-25T01:30", "10-26T01:30"]),
        ("0 2 * * *", "2026-10-24T12:00:00", ["10-25T00:00", "10-25T01:00", "10-26T01:00"]),
        ("*/30 2 * * *", "2026-10-24T12:00:00", ["10-25T00:00", "10-25T00:30", "10-25T01:00"]),
    ],
)
def test_when_the_clocks_change(schedule: str, after: str, expected: list[str]) -> None:
    assert due(schedule, after, 3, "Europe/Berlin") == expected


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("* *", "expected exactly 5 fields, found 2: [* *]"),
        ("60 * * * *", "Bad minute"),
        ("*/0 * * * *", "Bad minute"),
        ("* * * * 7", "above maximum"),
        ("* * L * *", "cannot read 'L'"),
        ("* * * * 5#2", "cannot read '5#2'"),
        ("* * * * 5L", "cannot read '5L'"),
        ("a * * * *", "cannot read 'A'"),
        ("@sometimes", "unrecognized descriptor: @sometimes"),
        ("@every soon", "failed to parse duration"),
    ],
)
def test_what_is_no_schedule(schedule: str, problem: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        cron_schedule.parse(schedule)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "problem"),
    [
        ("", "must be nil or non-empty"),
        ("Local", "explicit time zone"),
        ("Europe/Nowhere", "unknown time zone Europe/Nowhere"),
        ("../etc/passwd", "unknown time zone"),
    ],
)
def test_what_is_no_time_zone(zone: str, problem: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        cron_schedule.parse("* * * * *", zone)
    assert problem in str(caught.value)
