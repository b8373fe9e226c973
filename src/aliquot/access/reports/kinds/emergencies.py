"""What people gave themselves in an emergency, and what the reviews of it came to; reviews of every use as well."""

from collections import Counter
from collections.abc import Iterator

from aliquot.access.core.life.life import Life, Review
from aliquot.access.reports.distribution import Distribution, rounded
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Material, Report, Row, Section, at, figure, figures


def draw(material: Material, period: Period) -> Iterator[Row]:
    counts: Counter[str] = Counter()
    took = Distribution()
    for record in material.records():
        life = record.life
        if life.request.emergency and period.has(life.began_at_s):
            counts["emergencies"] += 1
        if (review := life.review) is None or not _is_in(life, review, period):
            continue
        closed_s = _closed_s(review)
        late = _was_late(review, closed_s, material.now_s)
        counts["reviews"] += 1
        counts["open" if review.outcome is None else review.outcome.value] += 1
        counts["overdue now"] += late and review.outcome is None
        counts["closed too late"] += late and review.outcome is not None
        if closed_s is not None and life.over_at_s is not None:
            took.add(closed_s - life.over_at_s)
        yield Row("reviews", _review(life, review, closed_s, late=late))
        for one in review.findings:
            yield Row("findings", (life.id, str(one.person), one.outcome.value, at(one.at_s)))
    yield figure("emergencies begun", counts["emergencies"])
    yield figure("grants that ask for a review", counts["reviews"])
    for name in ("justified", "unjustified", "inconclusive", "open", "overdue now", "closed too late"):
        yield figure(f"reviews {name}", counts[name])
    yield figure("from end to the closed review, p50 (s)", took.percentile(50))
    yield figure("from end to the closed review, p90 (s)", took.percentile(90))
    yield figure("from end to the closed review, longest (s)", took.percentile(100))


def _is_in(life: Life, review: Review, period: Period) -> bool:
    """Begun, judged or due in the period, or still open from before it."""
    is_open = review.outcome is None and life.began_at_s is not None and life.began_at_s < period.to_s
    moments = (life.began_at_s, review.due_s, *(one.at_s for one in review.findings))
    return is_open or any(period.has(one) for one in moments)


def _closed_s(review: Review) -> float | None:
    return None if review.outcome is None else review.findings[-1].at_s


def _was_late(review: Review, closed_s: float | None, now_s: float) -> bool:
    return (now_s if closed_s is None else closed_s) >= review.due_s


def _review(
    life: Life, review: Review, closed_s: float | None, *, late: bool
) -> tuple[str | float | bool | None, ...]:
    request = life.request
    took_s = None if closed_s is None or life.over_at_s is None else rounded(closed_s - life.over_at_s)
    return (
        life.id,
        request.emergency,
        str(life.holder),
        request.template,
        request.cluster,
        request.namespace or "(all of the cluster)",
        at(life.began_at_s),
        at(life.over_at_s),
        "" if life.end_reason is None else life.end_reason.value,
        "open" if review.outcome is None else review.outcome.value,
        at(review.due_s),
        late,
        at(closed_s),
        took_s,
        review.ticket or request.ticket,
        review.needs_ticket and not review.ticket,
    )


REPORT = Report(
    name="emergencies",
    title="Emergencies and reviews",
    says="What people gave themselves without anybody's consent, and what others found afterwards.",
    sections=(
        figures(),
        Section(
            name="reviews",
            says="Each grant whose review was begun, due or judged in the period, or is still open from before it.",
            columns=(
                "grant",
                "emergency",
                "holder",
                "template",
                "cluster",
                "namespace",
                "began",
                "over",
                "end",
                "outcome",
                "due",
                "late",
                "closed",
                "took (s)",
                "ticket",
                "ticket missing",
            ),
        ),
        Section(
            name="findings",
            says="What each reviewer found. What they wrote is in the log.",
            columns=("grant", "reviewer", "outcome", "at"),
        ),
    ),
    draw=draw,
)
