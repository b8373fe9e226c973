"""What an upgrade costs while it is on, what the cluster costs afterwards, and what staying would."""

from datetime import date

from msgspec import Struct

from aliquot.eks.versions.calendar import DAYS_OF_A_YEAR, HOURS_OF_A_DAY, Calendar, Support
from aliquot.eks.versions.minor import Minor


class Surge(Struct, frozen=True, kw_only=True):
    """Nodes that a group has on top while it is rolled."""

    group: str
    hop: Minor
    instance_type: str
    nodes: int
    hours: float
    usd: float | None = None
    """None: it is not priced."""

    @property
    def node_hours(self) -> float:
        return self.nodes * self.hours


class Costs(Struct, frozen=True, kw_only=True):
    """In USD, as of the day of the plan."""

    now_per_hour: float = 0.0
    """Of the control plane."""
    then_per_hour: float = 0.0
    saved_per_year: float = 0.0
    """By the control plane, beside what it costs on that day; below 0: it becomes dearer."""
    staying: str = ""
    """What happens to one that stays, in a sentence."""
    surge: tuple[Surge, ...] = ()

    @property
    def surge_usd(self) -> float | None:
        """None: some of it is not priced."""
        prices = [one.usd for one in self.surge]
        return None if None in prices else sum(usd for usd in prices if usd is not None)

    @property
    def surge_node_hours(self) -> float:
        return sum(one.node_hours for one in self.surge)


def of(now: Minor, to: Minor, calendar: Calendar, today: date, surge: tuple[Surge, ...]) -> Costs:
    before, after = _per_hour(now, calendar, today), _per_hour(to, calendar, today)
    return Costs(
        now_per_hour=before,
        then_per_hour=after,
        saved_per_year=round((before - after) * HOURS_OF_A_DAY * DAYS_OF_A_YEAR, 2),
        staying=_staying(now, calendar, today),
        surge=surge,
    )


def _per_hour(minor: Minor, calendar: Calendar, today: date) -> float:
    row = calendar.row(minor)
    return calendar.prices.of(Support.STANDARD if row is None else row.standing(today))


def _staying(minor: Minor, calendar: Calendar, today: date) -> str:
    row = calendar.row(minor)
    if row is None:
        return f"nothing is known of the support of {minor}"
    support, staying = row.standing(today), calendar.staying(row, today)
    if support is Support.ENDED:
        return f"support of {minor} ended on {row.extended_until}: AWS moves it on when it likes"
    if support is Support.EXTENDED:
        return f"{minor} costs {staying.extra_usd_until_end:,.2f} USD more than standard support until its end on {row.extended_until}"
    return f"{minor} costs {staying.extra_usd_per_year:,.2f} USD more a year from {row.standard_until}, when its standard support ends"
