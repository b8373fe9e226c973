from datetime import UTC, date, datetime, timedelta

import pytest

from aliquot.eks.versions.calendar import Support, shipped
from aliquot.eks.versions.live import over
from aliquot.eks.versions.minor import Minor

M131, M134 = Minor(1, 31), Minor(1, 34)


@pytest.mark.parametrize(
    ("minor", "on", "support"),
    [
        (M131, date(2024, 9, 25), Support.UPCOMING),
        (M131, date(2024, 9, 26), Support.STANDARD),
        (M131, date(2025, 11, 25), Support.STANDARD),
        (M131, date(2025, 11, 26), Support.EXTENDED),
        (M131, date(2026, 11, 25), Support.EXTENDED),
        (M131, date(2026, 11, 26), Support.ENDED),
        (M134, date(2026, 12, 1), Support.STANDARD),
        (Minor(1, 99), date(2026, 12, 1), None),
    ],
)
def test_support_of_a_minor_on_a_day(minor: Minor, on: date, support: Support | None) -> None:
    assert shipped().support(minor, on) is support


def test_each_minor_from_1_24_on_has_a_row_and_its_dates_follow_each_other() -> None:
    rows = shipped().rows
    assert [row.minor for row in rows] == [Minor(1, minor) for minor in range(24, 38)]
    for row in rows:
        assert (row.upstream or row.released) <= row.released < row.standard_until < row.extended_until


def test_what_can_be_created() -> None:
    offered = shipped().offered(date(2026, 10, 1))
    assert offered == tuple(Minor(1, minor) for minor in range(31, 38))
    assert M131 not in shipped().offered(date(2026, 11, 29))


def test_what_staying_costs() -> None:
    calendar = shipped()
    row = calendar.row(M134)
    assert row is not None
    before = calendar.staying(row, date(2026, 11, 29))
    assert (before.usd_per_hour, before.dearer_from) == (0.10, date(2026, 12, 2))
    assert before.extra_usd_per_year == pytest.approx(0.5 * 24 * 365)
    # A whole year of extended support lies ahead, whenever one looks before it.
    assert before.extra_usd_until_end == pytest.approx(0.5 * 24 * 365)
    during = calendar.staying(row, row.extended_until - timedelta(days=10))
    assert (during.usd_per_hour, during.dearer_from) == (0.60, None)
    assert during.extra_usd_until_end == pytest.approx(0.5 * 24 * 10)
    assert calendar.staying(row, row.extended_until).extra_usd_until_end == 0


def _told(minor: str, **dates: datetime) -> dict[str, object]:
    return {"clusterVersion": minor, **dates}


def test_aws_wins_where_it_says_something() -> None:
    moved = datetime(2027, 1, 15, tzinfo=UTC)
    new = _told(
        "1.38",
        releaseDate=datetime(2027, 2, 1, tzinfo=UTC),
        endOfStandardSupportDate=datetime(2028, 4, 1, tzinfo=UTC),
        endOfExtendedSupportDate=datetime(2029, 4, 1, tzinfo=UTC),
    )
    live = over(shipped(), [_told("1.34", endOfStandardSupportDate=moved), new], date(2026, 12, 1))
    row, before = live.row(M134), shipped().row(M134)
    assert row is not None
    assert before is not None
    assert row.standard_until == moved.date()
    assert row.extended_until == before.extended_until
    assert live.row(Minor(1, 38)) is not None
    assert live.row(M131) == shipped().row(M131)


def test_a_minor_of_which_too_little_is_known_is_left_out() -> None:
    assert over(shipped(), [_told("1.38")], date(2026, 12, 1)).row(Minor(1, 38)) is None
