"""What people are told, in words: one line that says it, and what they need to know to act on it."""

import unicodedata
from collections.abc import Mapping

from msgspec import Struct

from aliquot.access.core.life.effects import Audience, News, Notify, TellCheckpoint, TellNotice
from aliquot.access.core.life.life import Life
from aliquot.access.core.people import Identity
from aliquot.clock import rfc3339
from aliquot.kube import duration

_LONGEST = 300
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")

_SAID: Mapping[News, str] = {
    News.ASKED: "{who} asks for {what}",
    News.APPROVED: "Agreed: {what} for {who}",
    News.DENIED: "Denied: {what} for {who}",
    News.WITHDRAWN: "Withdrawn: {what} for {who}",
    News.LAPSED: "Not agreed to in time: {what} for {who}",
    News.BEGUN: "Begun: {what} for {who}",
    News.ACTIVE: "Active: {what} for {who}",
    News.EXTENDED: "Extended: {what} for {who}",
    News.ENDING: "Over: {what} for {who} is being taken away",
    News.ENDED: "Ended: {what} for {who}, and nothing of it is left",
    News.EMERGENCY: "EMERGENCY: {who} has given themselves {what}: to be reviewed",
    News.NOT_MADE: "The cluster could not make {what} for {who}",
    News.NOT_REMOVED: "ALARM: {what} for {who} is over, and could not be taken away",
    News.REVIEW_OVERDUE: "Overdue: the review of {what} for {who}",
    News.REVIEWED: "Reviewed: {what} for {who}",
}


class Message(Struct, frozen=True, kw_only=True):
    key: str
    """The same each time that the same news is told, whatever becomes of the request meanwhile."""
    news: News
    to: tuple[Audience, ...]
    grant: str
    title: str
    facts: tuple[tuple[str, str], ...]
    link: str
    data: Mapping[str, object]
    """For programs."""


def message_of(news: Notify, life: Life, holder: Identity | None, *, link: str, own_words: bool) -> Message:
    request = life.request
    who = plain((holder.name or holder.email) if holder is not None else "") or plain(str(life.holder))
    where = f"{request.cluster}/{request.namespace}" if request.namespace else f"all of {request.cluster}"
    what = plain(f"{request.template} in {where} for {duration.text(request.duration_s)}")
    title = _SAID[news.news].format(who=who, what=what)
    own = {"justification": request.justification, "why": life.why} if own_words else {}
    data: dict[str, object] = {
        "news": news.news.value,
        "to": [one.value for one in news.to],
        "request": life.id,
        "stage": life.stage.value,
        "version": life.version,
        "template": request.template,
        "cluster": request.cluster,
        "namespace": request.namespace,
        "holder": {"issuer": life.holder.issuer, "subject": life.holder.subject},
        "emergency": request.emergency,
        "ticket": request.ticket,
        "endReason": life.end_reason.value if life.end_reason is not None else "",
        "ends": _moment(life.end_s),
        "reviewDue": _moment(life.review.due_s if life.review is not None else None),
        "link": link + life.id if link else "",
    }
    data.update(own)
    return Message(
        key=".".join((life.id, news.news, str(_turn(news.news, life)), "-".join(news.to))),
        news=news.news,
        to=news.to,
        grant=life.id,
        title=title,
        facts=_facts(life, own),
        link=str(data["link"]),
        data=data,
    )


def message_of_notice(told: TellNotice) -> Message:
    notice = told.notice
    where = f" in {notice.cluster}" if notice.cluster else ""
    title = plain(f"FINDING{where}: {notice.sort}: {notice.about}")
    facts = (
        ("Why", notice.why),
        ("Found by", notice.source),
        ("Request", notice.grant),
        ("Found", rfc3339(told.at_s)),
    )
    return Message(
        key=f"finding.{notice.key[:32]}.{round(told.at_s * 1000)}",
        news=News.FINDING,
        to=(Audience.SECURITY,),
        grant=plain(notice.grant) or f"finding.{notice.key[:32]}",
        title=title,
        facts=tuple((name, plain(value)) for name, value in facts if value),
        link="",
        data={
            "news": News.FINDING.value,
            "to": [Audience.SECURITY.value],
            "request": notice.grant,
            "source": notice.source,
            "sort": notice.sort,
            "cluster": notice.cluster,
            "about": notice.about,
            "why": notice.why,
            "found": rfc3339(told.at_s),
        },
    )


def message_of_checkpoint(told: TellCheckpoint) -> Message:
    """All of its note, for whoever keeps it: `aliquot access log verify --checkpoint` takes it."""
    return Message(
        key=f"checkpoint.{told.size}.{round(told.at_s * 1000)}",
        news=News.CHECKPOINT,
        to=(Audience.SECURITY,),
        grant="checkpoint",
        title=plain(f"Keep this checkpoint of {told.log}: the log has {told.size} entries"),
        facts=tuple(
            (f"Line {number}", line) for number, line in enumerate(told.note.splitlines(), 1) if line
        ),
        link="",
        data={
            "news": News.CHECKPOINT.value,
            "to": [Audience.SECURITY.value],
            "log": told.log,
            "size": told.size,
            "note": told.note,
            "signed": rfc3339(told.at_s),
        },
    )


def plain(text: str) -> str:
    """On one line, without what nobody sees, and not too long."""
    written = "".join(one for one in text if one.isspace() or unicodedata.category(one) not in _UNSEEN)
    seen = " ".join(written.split())
    return seen if len(seen) <= _LONGEST else f"{seen[:_LONGEST]}..."


def _turn(news: News, life: Life) -> int:
    """Which one it is of news that there may be more than once."""
    if news in (News.ACTIVE, News.EXTENDED):
        return len(life.extensions)
    return life.fence if news in (News.NOT_MADE, News.NOT_REMOVED) else 0


def _facts(life: Life, own: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    request = life.request
    facts = [
        ("Request", life.id),
        ("Names", ", ".join(f"{name} {value}" for name, value in request.parameters.items())),
        ("Ticket", request.ticket),
        ("Starts", _moment(request.start_s)),
        ("Ends", _moment(life.end_s)),
        ("Reason", life.end_reason.value if life.end_reason is not None else ""),
        ("Review", _review(life)),
        ("Justification", own.get("justification", "")),
        ("Why", own.get("why", "")),
    ]
    return tuple((name, plain(value)) for name, value in facts if value)


def _review(life: Life) -> str:
    if life.review is None:
        return ""
    return (
        life.review.state
        if life.review.outcome is not None
        else f"{life.review.state}, until {_moment(life.review.due_s)}"
    )


def _moment(at_s: float | None) -> str:
    return "" if at_s is None else rfc3339(at_s)
