"""What AWS says now of its minors, laid over what is shipped. AWS wins."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from msgspec.structs import replace

from aliquot.clock import Clock
from aliquot.eks.aws.api import Api
from aliquot.eks.versions.calendar import Calendar, Row, Support
from aliquot.eks.versions.minor import Minor

_STATUSES = {"STANDARD_SUPPORT": Support.STANDARD, "EXTENDED_SUPPORT": Support.EXTENDED}
"""UNSUPPORTED may be over, or still to come: dates tell which."""


async def read(api: Api, shipped: Calendar, clock: Clock) -> Calendar:
    """`clock`: AWS', which is told by its answer. Raises aws.api.Failure."""
    told = [
        one async for one in api.pages("eks", "DescribeClusterVersions", "clusterVersions", includeAll=True)
    ]
    today = datetime.fromtimestamp(clock.now(), UTC).date()
    return over(shipped, [one for one in told if isinstance(one, dict)], today)


def over(shipped: Calendar, told: Iterable[Mapping[str, Any]], today: date) -> Calendar:
    """Rows that AWS does not tell of stay as they are; a date that it leaves out stays, too."""
    rows = {row.minor: row for row in shipped.rows}
    listed = []
    for one in told:
        minor = Minor.parse(one["clusterVersion"])
        listed.append(minor)
        known = rows.get(minor)
        released = _date(one.get("releaseDate")) or (known.released if known else None)
        standard = _date(one.get("endOfStandardSupportDate")) or (known.standard_until if known else None)
        extended = _date(one.get("endOfExtendedSupportDate")) or (known.extended_until if known else None)
        if released is None or standard is None or extended is None:
            continue
        row = Row(
            minor=minor,
            released=released,
            standard_until=standard,
            extended_until=extended,
            said=_STATUSES.get(one.get("versionStatus", "")),
        )
        rows[minor] = replace(row, upstream=known.upstream) if known else row
    return Calendar(
        rows=tuple(rows[minor] for minor in sorted(rows)),
        prices=shipped.prices,
        as_of=today,
        told=tuple(sorted(listed)),
    )


def _date(value: object) -> date | None:
    return value.date() if isinstance(value, datetime) else None
