"""How long it took from when access was over to when nothing of it was left, against the bound that is published."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from aliquot.access.core.life.stages import EndReason
from aliquot.access.core.times import WORST_AFTER_END_S, WORST_AFTER_REVOKE_S
from aliquot.access.reports.distribution import Distribution, rounded
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Material, Record, Report, Row, Section, at, figure, figures
from aliquot.clock import parse_rfc3339


def draw(material: Material, period: Period) -> Iterator[Row]:
    early, expired = Distribution(), Distribution()
    counts: Counter[str] = Counter()
    for record in material.records():
        over = _over(record)
        if over is None or not period.has(over.at_s):
            continue
        took_s = (material.now_s if over.gone_s is None else over.gone_s) - over.at_s
        is_early = record.life.end_reason is not EndReason.EXPIRED
        if over.gone_s is None:
            counts["not gone"] += 1
        else:
            (early if is_early else expired).add(took_s)
        beyond = is_early and took_s > WORST_AFTER_REVOKE_S
        row = _row(record, over, took_s, beyond=beyond)
        yield Row("grants", row)
        if beyond or over.gone_s is None:
            counts["beyond"] += beyond
            yield Row("beyond", row)
    bound = f"{WORST_AFTER_REVOKE_S} s"
    yield figure("ended early: revoked, returned, killed, not given any more", len(early))
    yield figure(f"of these removed within the bound of {bound}", early.up_to(WORST_AFTER_REVOKE_S))
    yield figure("beyond it, or not gone by then", counts["beyond"])
    for name, took in (("ended early", early), ("came to their end", expired)):
        yield figure(f"{name}: to confirmed removed, p50 (s)", took.percentile(50))
        yield figure(f"{name}: p90 (s)", took.percentile(90))
        yield figure(f"{name}: p99 (s)", took.percentile(99))
        yield figure(f"{name}: longest (s)", took.percentile(100))
    yield figure("came to their end", len(expired))
    yield figure("not known to be gone yet", counts["not gone"])
    for seconds in (1, 2, 5, 10, WORST_AFTER_REVOKE_S, 30, 60, 300):
        yield Row("distribution", (seconds, early.up_to(seconds), expired.up_to(seconds)))
    yield Row("distribution", (None, len(early), len(expired)))


class _Over(NamedTuple):
    at_s: float
    """From when on nobody was to have it."""
    gone_s: float | None


def _over(record: Record) -> _Over | None:
    life = record.life
    if life.began_at_s is None or life.over_at_s is None:
        return None
    for entry in record.entries:
        # Of what was done while the database was gone the request has the time when the database was told.
        if entry.action == "journal.merged" and entry.details["outcome"] == "ended":
            removed = entry.details["removed"]
            gone_s = parse_rfc3339(removed) if removed else life.gone_at_s
            return _Over(parse_rfc3339(entry.details["journaled"]), gone_s)
    if life.end_reason is EndReason.EXPIRED and life.end_s is not None:
        # It may have come before a server that was down could say so.
        return _Over(min(life.over_at_s, life.end_s), life.gone_at_s)
    return _Over(life.over_at_s, life.gone_at_s)


def _row(
    record: Record, over: _Over, took_s: float, *, beyond: bool
) -> tuple[str | int | float | bool | None, ...]:
    life = record.life
    failures = sum(entry.action == "grant.not_removed" for entry in record.entries)
    return (
        life.id,
        life.request.template,
        str(life.holder),
        life.request.cluster,
        "" if life.end_reason is None else life.end_reason.value,
        str(life.ended_by or "(time, or a rule)"),
        at(over.at_s),
        at(over.gone_s),
        rounded(took_s),
        beyond,
        failures,
    )


_COLUMNS = (
    "grant",
    "template",
    "holder",
    "cluster",
    "end",
    "ended by",
    "over",
    "gone",
    "took (s)",
    "beyond the bound",
    "failed tries",
)

REPORT = Report(
    name="revocation",
    title="Revocation latency",
    says="From when access was over to when nothing of it was left in its cluster. Published: no credential is taken later than"
    f" {WORST_AFTER_END_S} s after a grant's end, nor later than {WORST_AFTER_REVOKE_S} s after it was revoked (its Secret, which goes"
    " first, is deleted). Removal is confirmed once all objects are gone, so it is never earlier than that.",
    sections=(
        figures(),
        Section(
            name="distribution",
            says="How many were gone after at most so many seconds; the last row is all of them.",
            columns=("seconds", "ended early", "came to their end"),
        ),
        Section(
            name="beyond",
            says="Ended early and removed later than the bound, or not known to be gone: until now, then.",
            columns=_COLUMNS,
        ),
        Section(
            name="grants",
            says="Every grant that was over in the period. One that came to its end is refused by its credentials' own end, whenever"
            " its objects go.",
            columns=_COLUMNS,
        ),
    ),
    draw=draw,
)
