"""When the kill switch was pulled and cleared, by whom, and how soon everybody was out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from aliquot.access.core.life.stages import EndReason
from aliquot.access.log.entries import Entry
from aliquot.access.reports.distribution import Distribution
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Material, Report, Row, Section, figure, figures
from aliquot.clock import parse_rfc3339


@dataclass
class _Pull:
    number: int
    entry: Entry
    cleared: Entry | None = None
    agreed: list[str] = field(default_factory=list)
    ended: Distribution = field(default_factory=Distribution)
    """From the pull until each grant that it ended was known to be gone."""
    open: int = 0
    never: int = 0
    """Requests and grants that had not begun."""

    @property
    def at_s(self) -> float:
        return parse_rfc3339(self.entry.time)

    @property
    def until_s(self) -> float:
        return float("inf") if self.cleared is None else parse_rfc3339(self.cleared.time)


def draw(material: Material, period: Period) -> Iterator[Row]:
    pulls = _pulls(material.loose(), period)
    for record in material.records() if pulls else ():
        life = record.life
        if life.end_reason is not EndReason.KILLED or life.over_at_s is None:
            continue
        for pull in pulls:
            if not pull.at_s <= life.over_at_s <= pull.until_s:
                continue
            if life.began_at_s is None:
                pull.never += 1
            elif life.gone_at_s is None:
                pull.open += 1
            else:
                pull.ended.add(life.gone_at_s - pull.at_s)
    yield figure("pulled", len(pulls))
    yield figure("not cleared yet", sum(one.cleared is None for one in pulls))
    yield figure("grants ended", sum(len(one.ended) + one.open for one in pulls))
    for pull in pulls:
        yield Row("pulls", _row(pull))


def _pulls(entries: Iterator[Entry], period: Period) -> list[_Pull]:
    found: list[_Pull] = []
    for entry in entries:
        if entry.action == "killswitch.pulled" and period.has_entry(entry.time):
            found.append(_Pull(int(entry.details["switch"]["pulls"]), entry))
        elif entry.action == "killswitch.clearing" and found:
            last = found[-1]
            if last.cleared is None and entry.details["switch"]["pulls"] == last.number:
                last.agreed.append(f"{entry.actor.iss}#{entry.actor.sub}")
                last.cleared = entry if entry.after == "clear" else None
    return found


def _row(pull: _Pull) -> tuple[str | int | float | None, ...]:
    cleared = pull.cleared
    return (
        pull.number,
        pull.entry.seq,
        pull.entry.time,
        f"{pull.entry.actor.iss}#{pull.entry.actor.sub}",
        None if cleared is None else cleared.time,
        "; ".join(pull.agreed),
        None if cleared is None else round(pull.until_s - pull.at_s, 3),
        len(pull.ended),
        pull.ended.percentile(100),
        pull.open,
        pull.never,
    )


REPORT = Report(
    name="kill-switch",
    title="Kill switch",
    says="Each time that all access was ended at once: by whom, for how long, and how soon everybody was out.",
    sections=(
        figures(),
        Section(
            name="pulls",
            says="Each pull in the period. Why it was pulled is in the log.",
            columns=(
                "pull",
                "entry",
                "pulled",
                "by",
                "cleared",
                "cleared by",
                "pulled for (s)",
                "grants ended",
                "last gone after (s)",
                "not known to be gone",
                "requests that did not begin",
            ),
        ),
    ),
    draw=draw,
)
