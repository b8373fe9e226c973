"""`aliquot eks versions`: which minors EKS supports until when, and what staying on one costs."""

import asyncio
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from aliquot.cli.eks.connecting import AwsOptions, aws_options
from aliquot.cli.output import Format, emit, output_option
from aliquot.clock import SystemClock
from aliquot.counting import counted

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto
    from aliquot.eks.versions.calendar import Calendar, Row


@click.command()
@click.option(
    "--live", is_flag=True, help="Ask AWS (eks:DescribeClusterVersions) instead of what is shipped."
)
@click.option("--all", "everything", is_flag=True, help="Also minors whose support has ended.")
@click.option(
    "--on", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]), help="As seen on that day; else today."
)
@aws_options
@output_option
def versions(
    live: bool,
    everything: bool,
    on: datetime | None,
    aws: AwsOptions,
    output: Format,
) -> None:
    """Which minors EKS supports until when, and what staying costs."""
    from msgspec.structs import replace

    from aliquot.eks.versions import calendar

    today = datetime.fromtimestamp(SystemClock().now(), UTC).date()
    known = calendar.shipped()
    if live:
        known = asyncio.run(_live(aws.connect(), known))
        today = known.as_of
    day = on.date() if on else today
    if on:
        # What AWS says, it says of today.
        known = replace(known, rows=tuple(replace(row, said=None) for row in known.rows))
    shown = [
        row
        for row in known.rows
        if everything or row.standing(day) is not calendar.Support.ENDED or _just(row, day)
    ]
    emit(
        output,
        lambda: [_document(known, row, day) for row in shown],
        columns=["MINOR", "SUPPORT", "STANDARD UNTIL", "EXTENDED UNTIL", "USD/HOUR", "STAYING"],
        rows=[_row(known, row, day) for row in shown],
    )
    if output.is_table and not live:
        click.echo(f"\nAs known on {known.as_of}; --live asks AWS.", err=True)


async def _live(api: "Boto", known: "Calendar") -> "Calendar":
    from aliquot.eks.aws.api import Failure
    from aliquot.eks.versions.live import read

    async with api:
        try:
            return await read(api, known, api.clock)
        except Failure as error:
            raise click.ClickException(str(error)) from None


_JUST_DAYS = 366


def _just(row: "Row", day: date) -> bool:
    """Ended so lately that somebody may still be on it."""
    return (day - row.extended_until).days < _JUST_DAYS


def _row(known: "Calendar", row: "Row", day: date) -> list[str]:
    staying, computed = known.staying(row, day), " (computed)" if row.computed else ""
    return [
        str(row.minor),
        row.standing(day),
        f"{row.standard_until}{computed}",
        f"{row.extended_until}{computed}",
        f"{staying.usd_per_hour:.2f}",
        _staying(known, row, day),
    ]


def _staying(known: "Calendar", row: "Row", day: date) -> str:
    from aliquot.eks.versions.calendar import Support

    support, staying = row.standing(day), known.staying(row, day)
    if support is Support.UPCOMING:
        return f"from {row.released}"
    if support is Support.ENDED:
        return "AWS upgrades what is left when it likes; none can be created"
    left = (row.extended_until - day).days
    if support is Support.EXTENDED:
        warned = f"ends in {counted(left, 'day', 'days')}; " if left <= 60 else ""
        return f"{warned}{staying.extra_usd_until_end:,.0f} USD more a cluster until its end"
    return f"dearer from {staying.dearer_from}: {staying.extra_usd_per_year:,.0f} USD more a cluster and year"


def _document(known: "Calendar", row: "Row", day: date) -> dict[str, object]:
    staying = known.staying(row, day)
    return {
        "minor": str(row.minor),
        "support": row.standing(day),
        "released": row.released,
        "standardUntil": row.standard_until,
        "extendedUntil": row.extended_until,
        "usdPerHour": staying.usd_per_hour,
        "dearerFrom": staying.dearer_from,
        "extraUsdPerYear": staying.extra_usd_per_year,
        "extraUsdUntilEnd": staying.extra_usd_until_end,
        "computed": row.computed,
        "unsure": row.unsure,
    }
