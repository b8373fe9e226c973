"""Who agreed to what, how they proved who they are, how long it took, and who was refused."""

from collections import Counter
from collections.abc import Iterator

from aliquot.access.core.life.life import Approval, Life
from aliquot.access.core.life.stages import Stage
from aliquot.access.log.entries import Entry
from aliquot.access.reports.distribution import Distribution, rounded
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Material, Record, Report, Row, Section, at, figure, figures, listed

_REFUSED = "refused."


def draw(material: Material, period: Period) -> Iterator[Row]:
    took = Distribution()
    counts: Counter[str] = Counter()
    for record in material.records():
        life = record.life
        if period.has(life.request.asked_at_s) or period.has(life.approved_at_s):
            yield Row("requests", _request(record))
        if period.has(life.approved_at_s):
            counts["agreed"] += 1
            counts["by nobody"] += not life.approvals
            counts["by one"] += len(_approvers(life)) == 1
            if life.approvals and life.approved_at_s is not None:
                took.add(life.approved_at_s - life.request.asked_at_s)
        for approval in life.approvals:
            if period.has(approval.at_s):
                counts["approvals"] += 1
                yield Row("approvals", _approval(life, approval))
        for entry in record.entries:
            if entry.action.startswith(_REFUSED) and period.has_entry(entry.time):
                own = _is_own(entry, life)
                counts["refused"] += 1
                counts["self-approvals"] += own
                yield _refusal(entry, own=own)
    for entry in material.loose():
        if entry.action.startswith(_REFUSED) and period.has_entry(entry.time):
            counts["refused"] += _how_many(entry)
            yield _refusal(entry, own=False)
    yield figure("requests agreed to", counts["agreed"])
    yield figure("of these by nobody: their template is agreed to beforehand", counts["by nobody"])
    yield figure("of these by one person", counts["by one"])
    yield figure("approvals", counts["approvals"])
    yield figure("time to agree, p50 (s)", took.percentile(50))
    yield figure("time to agree, p90 (s)", took.percentile(90))
    yield figure("time to agree, longest (s)", took.percentile(100))
    yield figure("attempts to approve one's own request, all refused", counts["self-approvals"])
    yield figure("refusals of any kind", counts["refused"])


def _request(record: Record) -> tuple[str | int | float | bool | None, ...]:
    life, request = record.life, record.life.request
    took_s = None if life.approved_at_s is None else rounded(life.approved_at_s - request.asked_at_s)
    return (
        life.id,
        life.digest,
        request.template,
        str(life.holder),
        request.cluster,
        request.namespace or "(all of the cluster)",
        request.ticket,
        request.emergency,
        at(request.asked_at_s),
        _asked_with(record),
        at(life.approved_at_s),
        took_s,
        len(_approvers(life)),
        listed([one.person for one in _approvers(life)]),
        life.stage.value if life.end_reason is None else f"{life.stage.value}: {life.end_reason.value}",
        str(life.ended_by or "") if life.stage is Stage.DENIED else "",
    )


def _asked_with(record: Record) -> str:
    """The fresh proof that came with the request, as the log has it."""
    for entry in record.entries:
        if entry.action == "request.asked":
            return str(entry.details.get("stepUp", ""))
    return ""


def _approvers(life: Life) -> list[Approval]:
    """Of this very request, each person once."""
    return list({one.person: one for one in life.approvals if one.digest == life.digest}.values())


def _approval(life: Life, approval: Approval) -> tuple[str | float | bool | None, ...]:
    return (
        life.id,
        str(approval.person),
        "; ".join(approval.groups),
        approval.step_up.value,
        at(approval.at_s),
        rounded(approval.at_s - life.request.asked_at_s),
        approval.digest == life.digest,
    )


def _is_own(entry: Entry, life: Life) -> bool:
    actor = (entry.actor.iss, entry.actor.sub)
    return entry.action == "refused.approve" and actor == (life.holder.issuer, life.holder.subject)


def _how_many(entry: Entry) -> int:
    """Of somebody who tries again and again only the first have entries of their own."""
    return sum(entry.details["counted"].values()) if entry.action == "refused.more" else 1


def _refusal(entry: Entry, *, own: bool) -> Row:
    what = entry.action.removeprefix(_REFUSED)
    if counted := entry.details.get("counted"):
        what = "more: " + ", ".join(f"{name} {count}" for name, count in counted.items())
    return Row(
        "refusals",
        (
            entry.time,
            entry.seq,
            entry.grant,
            f"{entry.actor.iss}#{entry.actor.sub}",
            what,
            str(entry.details.get("ground", "")),
            own,
        ),
    )


REPORT = Report(
    name="approvals",
    title="Approvals",
    says="Each request with who agreed to it, through which group, with what proof, and how soon.",
    sections=(
        figures(),
        Section(
            name="requests",
            says="What was asked for, or agreed to, in the period. An emergency is agreed to by nobody, and reviewed.",
            columns=(
                "request",
                "digest",
                "template",
                "holder",
                "cluster",
                "namespace",
                "ticket",
                "emergency",
                "asked",
                "proof of who asked",
                "agreed",
                "took (s)",
                "approvers",
                "who agreed",
                "now",
                "denied by",
            ),
        ),
        Section(
            name="approvals",
            says="Each approval, and the groups that were asked of which its giver was one then.",
            columns=("request", "approver", "groups", "proof", "at", "after (s)", "of this digest"),
        ),
        Section(
            name="refusals",
            says="What somebody tried and was refused. 'own': to approve what they had asked for themselves.",
            columns=("time", "entry", "request", "who", "what", "ground", "own"),
        ),
    ),
    draw=draw,
)
