"""What EKS supports until when, and what staying on a minor costs."""

from datetime import date
from enum import StrEnum
from functools import cache

from msgspec import Struct, field

from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.shipped import document

HOURS_OF_A_DAY = 24
DAYS_OF_A_YEAR = 365


class Support(StrEnum):
    UPCOMING = "upcoming"
    STANDARD = "standard"
    EXTENDED = "extended"
    ENDED = "ended"
    """No cluster of this minor can be created, and AWS moves what is left of it when it likes."""


class Row(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Each date begins what it says at 00:00 UTC."""

    minor: Minor
    released: date
    standard_until: date
    extended_until: date
    upstream: date | None = None
    unsure: str = ""
    """Which of it is not published by AWS as it stands here."""
    computed: bool = False
    """Its ends are counted from its release, as those of minors before were: AWS has published none."""
    said: Support | None = None
    """How AWS itself calls it, when it was asked: that counts, whatever day the clock here says it is."""

    def standing(self, today: date) -> Support:
        return self.said or self.support(today)

    def support(self, on: date) -> Support:
        if on < self.released:
            return Support.UPCOMING
        if on < self.standard_until:
            return Support.STANDARD
        return Support.EXTENDED if on < self.extended_until else Support.ENDED


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """USD for one cluster and hour; nodes come on top."""

    standard: float
    extended: float

    def of(self, support: Support) -> float:
        return self.standard if support in (Support.UPCOMING, Support.STANDARD) else self.extended


class Staying(Struct, frozen=True, kw_only=True):
    """What one cluster costs that stays on its minor until nobody supports it any more."""

    usd_per_hour: float
    dearer_from: date | None
    """None: it is as dear already, or over."""
    extra_usd_per_year: float
    """Of extended support, beside standard."""
    extra_usd_until_end: float


class Calendar(Struct, frozen=True, kw_only=True):
    rows: tuple[Row, ...]
    """By minor, ascending."""
    prices: Prices
    as_of: date
    told: tuple[Minor, ...] | None = None
    """Those that AWS itself lists (DescribeClusterVersions); None: it was not asked."""

    def row(self, minor: Minor) -> Row | None:
        return next((row for row in self.rows if row.minor == minor), None)

    def support(self, minor: Minor, on: date) -> Support | None:
        """None: nothing is known of it. It may be newer than what is shipped."""
        row = self.row(minor)
        return None if row is None else row.standing(on)

    def offered(self, on: date) -> tuple[Minor, ...]:
        """A cluster of these can be created."""
        return tuple(
            row.minor for row in self.rows if row.standing(on) in (Support.STANDARD, Support.EXTENDED)
        )

    def staying(self, row: Row, on: date) -> Staying:
        support = row.support(on)
        extra = (self.prices.extended - self.prices.standard) * HOURS_OF_A_DAY
        paid_days = max(0, (row.extended_until - max(on, row.standard_until)).days)
        return Staying(
            usd_per_hour=self.prices.of(support),
            dearer_from=row.standard_until if support in (Support.UPCOMING, Support.STANDARD) else None,
            extra_usd_per_year=round(extra * DAYS_OF_A_YEAR, 2),
            extra_usd_until_end=round(extra * paid_days, 2),
        )


class _File(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    as_of: date
    minors: tuple[Row, ...]
    prices: Prices = field(name="usdPerClusterHour")


@cache
def shipped() -> Calendar:
    file = document("calendar.yaml", _File)
    return Calendar(rows=file.minors, prices=file.prices, as_of=file.as_of)
