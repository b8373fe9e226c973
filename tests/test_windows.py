"""When windows open, also in nights in which clocks are set, and which are refused."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from aliquot.windows import Window, opens_in_s, problem

BERLIN = "Europe/Berlin"
SATURDAYS = Window("0 22 * * 6", 6 * 3600.0, BERLIN)


def at(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("now", "fold", "opens_in_h"),
    [
        ("2026-07-04T21:00", 0, 1.0),
        ("2026-07-04T22:00", 0, 0.0),
        ("2026-07-05T03:59", 0, 0.0),
        ("2026-07-05T04:00", 0, 162.0),
        # 2 is 3 in this night, so six hours end at 5.
        ("2026-03-29T04:59", 0, 0.0),
        ("2026-03-29T05:00", 0, 161.0),
        # 2 comes twice, so they end at 3.
        ("2026-10-25T02:59", 1, 0.0),
        ("2026-10-25T03:00", 0, 163.0),
    ],
)
def test_a_window_is_open_for_as_long_as_it_says(now: str, fold: int, opens_in_h: float) -> None:
    assert opens_in_s([SATURDAYS], at(now, fold)) == opens_in_h * 3600


def test_an_hour_that_a_night_does_not_have_opens_at_the_next() -> None:
    nightly = Window("30 2 * * *", 3600.0, BERLIN)
    assert opens_in_s([nightly], at("2026-03-29T01:59")) == 60.0
    assert opens_in_s([nightly], at("2026-03-29T03:01")) == 0.0


def test_windows_that_follow_each_other_never_close() -> None:
    assert opens_in_s([Window("0 22 * * *", 25 * 3600.0, BERLIN)], at("2026-07-04T21:59")) == 0.0


@pytest.mark.parametrize(
    ("window", "wrong"),
    [
        (SATURDAYS, ""),
        (Window("0 0 30 2 *", 3600.0), "schedule: '0 0 30 2 *' is none"),
        (Window("0 0 31 4,6,9,11 *", 3600.0), "schedule: '0 0 31 4,6,9,11 *' is none"),
        (Window("0 22 * * 6", 3600.0, "Mars/Olympus"), "there is no time zone Mars/Olympus"),
        (Window("0 22 * * 6", 3600.0, "Europe"), "there is no time zone Europe"),
        (Window("0 22 * * 6", 3600.0, "../../etc/passwd"), "there is no time zone ../../etc/passwd"),
        (Window("0 22 * * 6", 0.0), "a window that is open for no time"),
    ],
)
def test_what_opens_never_is_refused(window: Window, wrong: str) -> None:
    said = problem(window)
    assert wrong in said
    assert bool(said) == bool(wrong)
