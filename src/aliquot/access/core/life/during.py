"""While there is something in the cluster, and after: it becomes active, is over, is gone, and is judged."""

from typing import Any

from msgspec.structs import replace

from aliquot.access.core.life.effects import Audience, News
from aliquot.access.core.life.events import (
    Approve,
    Deny,
    EndedInOutage,
    Event,
    Judge,
    Look,
    Made,
    MakeFailed,
    Removed,
    RemoveFailed,
    Return,
    Revoke,
    Withdraw,
)
from aliquot.access.core.life.here import Here, Step, removal
from aliquot.access.core.life.life import review_is_open
from aliquot.access.core.life.reviewing import judge
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.refusals import Refused
from aliquot.access.core.spelling import to_ms
from aliquot.clock import rfc3339


def activating(here: Here, event: Event) -> Step | Refused:
    life = here.life
    match event:
        case Made(fence=fence) if fence == life.fence:
            end = "" if life.end_s is None else f", until {rfc3339(life.end_s)}"
            return here.go(
                Stage.ACTIVE,
                "grant.active",
                news=News.ACTIVE,
                comment=f"Grant {life.id} is active{end}.",
                made=fence,
                failures=0,
            )
        case MakeFailed(fence=fence) if fence == life.fence:
            return _end(here, EndReason.ACTIVATION_FAILED, why=event.why, failures=1)
        case _:
            return _running(here, event)


def active(here: Here, event: Event) -> Step | Refused:
    life = here.life
    match event:
        case Made(fence=fence) if life.made < fence <= life.fence:
            return here.go(Stage.ACTIVE, "grant.made", made=fence, failures=0)
        case MakeFailed(fence=fence) if fence == life.fence and fence > life.made:
            # What it has still ends at the old end, which is no later.
            return here.go(
                Stage.ACTIVE,
                "grant.not_made",
                make=True,
                news=News.NOT_MADE if life.failures == 0 else None,
                to=(Audience.SECURITY,),
                details={"failed": event.why},
                failures=life.failures + 1,
            )
        case _:
            return _running(here, event)


def ending(here: Here, event: Event) -> Step | Refused:
    life = here.life
    match event:
        case Look():
            return _look_at_review(here)
        case Removed(fence=fence) if fence == life.fence:
            return here.go(
                Stage.ENDED,
                "grant.ended",
                news=News.ENDED,
                comment=f"Grant {life.id} has ended ({life.end_reason}), and nothing of it is left.",
                gone_at_s=here.now_s,
                failures=0,
            )
        case RemoveFailed(fence=fence) if fence == life.fence:
            return here.go(
                Stage.ENDING,
                "grant.not_removed",
                remove=True,
                news=News.NOT_REMOVED if life.failures == 0 else None,
                to=(Audience.SECURITY,),
                details={"failed": event.why},
                failures=life.failures + 1,
            )
        case Made(fence=fence) if life.made < fence <= life.fence:
            # It may have been made after it was removed.
            return here.go(Stage.ENDING, "grant.made", remove=True, made=fence)
        case _:
            return _past(here, event)


def ended(here: Here, event: Event) -> Step | Refused:
    match event:
        case Look():
            return _look_at_review(here)
        case Made(fence=fence) if fence > here.life.made:
            return here.do(removal(here.life))
        case _:
            return _past(here, event)


def never_was(here: Here, event: Event) -> Step | Refused:
    """Denied, withdrawn or lapsed."""
    match event:
        case Look() | Made() | MakeFailed() | Removed() | RemoveFailed():
            return here.same()
        case _:
            return here.conflict(f"it is {here.life.stage.value} already")


def _running(here: Here, event: Event) -> Step | Refused:
    life = here.life
    match event:
        case Look():
            if life.end_s is None or here.now_s >= life.end_s:
                return _end(here, EndReason.EXPIRED)
            reason = here.lost()
            return here.same() if reason is None else _end(here, reason)
        case Return():
            return _end(here, EndReason.RETURNED, by=event.by, ended_by=event.by)
        case Revoke():
            return _end(here, EndReason.REVOKED, by=event.by, ended_by=event.by, why=event.why)
        case EndedInOutage():
            return _end(here, event.reason, by=event.by, ended_by=event.by, why=event.why)
        case Withdraw():
            return here.conflict("it has begun: return it")
        case Approve():
            return here.conflict("it has begun already")
        case Deny():
            return here.conflict("it has begun already: revoke it")
        case Judge():
            return here.conflict("it is judged once it is over")
        case _:
            return here.same()


def _past(here: Here, event: Event) -> Step | Refused:
    match event:
        case Made() | MakeFailed() | Removed() | RemoveFailed():
            return here.same()
        case Judge():
            return judge(here, event)
        case _:
            return here.conflict("it is over")


def _end(here: Here, reason: EndReason, **rest: Any) -> Step:
    life, review = here.life, here.life.review
    if review is not None:
        review = replace(review, due_s=min(review.due_s, to_ms(here.now_s + review.within_s)))
    return here.go(
        Stage.ENDING,
        "grant.ending",
        remove=True,
        news=News.NOT_MADE if reason is EndReason.ACTIVATION_FAILED else News.ENDING,
        comment=f"Grant {life.id} is over ({reason}).",
        over_at_s=here.now_s,
        end_reason=reason,
        review=review,
        **rest,
    )


def _look_at_review(here: Here) -> Step:
    review = here.life.review
    if review is None or not review_is_open(here.life) or review.is_overdue or here.now_s < review.due_s:
        return here.same()
    return here.go(
        here.life.stage,
        "review.overdue",
        news=News.REVIEW_OVERDUE,
        to=(Audience.HOLDER, Audience.REVIEWERS, Audience.SECURITY),
        review=replace(review, is_overdue=True),
    )
