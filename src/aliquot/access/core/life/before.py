"""Before there is access: others have to agree, and then somebody has to begin, or the time has to come."""

from typing import Any

from msgspec.structs import replace

from aliquot.access.core.life.effects import Audience, News
from aliquot.access.core.life.events import (
    Activate,
    Approve,
    Deny,
    EndedInOutage,
    Event,
    Look,
    Made,
    MakeFailed,
    Removed,
    RemoveFailed,
    Return,
    Revoke,
    Withdraw,
)
from aliquot.access.core.life.here import Here, Step
from aliquot.access.core.life.life import Approval, Life, Review
from aliquot.access.core.life.stages import RUNNING, EndReason, Stage
from aliquot.access.core.limits import too_many_begun
from aliquot.access.core.people import Person
from aliquot.access.core.quorum import asked_groups
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.spelling import to_ms
from aliquot.access.core.templates.template import Need, Template
from aliquot.access.core.terms import Standing, proof_needed
from aliquot.access.core.times import lifetime_s
from aliquot.clock import rfc3339

_ALL = (Audience.HOLDER, Audience.APPROVERS)


def pending(here: Here, event: Event) -> Step | Refused:
    life = here.life
    match event:
        case Look():
            return _look_at_pending(here)
        case Approve():
            return _approve(here, event)
        case Deny() | Revoke() | EndedInOutage():
            return here.over(
                Stage.DENIED,
                None,
                "request.denied",
                by=event.by,
                news=News.DENIED,
                comment=f"Request {life.id} was denied.",
                ended_by=event.by,
                why=event.why,
            )
        case Withdraw():
            return _withdraw(here, event)
        case Activate():
            return here.conflict("others have still to agree to it")
        case Return():
            return here.conflict("there is nothing to return: withdraw it")
        case _:
            return _out_of_place(here, event)


def approved(here: Here, event: Event) -> Step | Refused:
    """It waits for its holder."""
    match event:
        case Look():
            return _no_more(here) or here.same()
        case Activate():
            return _begin(here, by=event.by)
        case _:
            return _agreed_to(here, event)


def scheduled(here: Here, event: Event) -> Step | Refused:
    """It waits for its start. Whoever activates it then has themselves known to their issuer."""
    has_come = here.life.request.start_s is not None and here.now_s >= here.life.request.start_s
    match event:
        case Look():
            return _no_more(here) or (_begin(here, by=None) if has_come else here.same())
        case Activate():
            return _begin(here, by=event.by) if has_come else here.conflict("its start has not come yet")
        case _:
            return _agreed_to(here, event)


def _agreed_to(here: Here, event: Event) -> Step | Refused:
    match event:
        case Withdraw():
            return _withdraw(here, event)
        case Revoke() | EndedInOutage():
            return here.over(
                Stage.ENDED,
                event.reason if isinstance(event, EndedInOutage) else EndReason.REVOKED,
                "grant.ended",
                by=event.by,
                news=News.ENDED,
                comment=f"Grant {here.life.id} was revoked before it began.",
                ended_by=event.by,
                why=event.why,
                gone_at_s=here.now_s,
            )
        case Approve():
            return here.conflict("it has been agreed to already")
        case Deny():
            return here.conflict("it has been agreed to already: revoke it")
        case Return():
            return here.conflict("there is nothing to return: withdraw it")
        case _:
            return _out_of_place(here, event)


def _out_of_place(here: Here, event: Event) -> Step | Refused:
    match event:
        case Made() | MakeFailed() | Removed() | RemoveFailed():
            # Nothing has been asked of a cluster yet.
            return here.same()
        case _:
            return here.conflict("there is nothing to judge: it has not begun")


def _withdraw(here: Here, event: Withdraw) -> Step:
    return here.over(
        Stage.WITHDRAWN,
        None,
        "request.withdrawn",
        by=event.by,
        news=News.WITHDRAWN,
        to=(Audience.APPROVERS,),
        ended_by=event.by,
    )


def _look_at_pending(here: Here) -> Step | Refused:
    life, request = here.life, here.life.request
    switch, parent = here.around.switch, here.around.parent
    if switch is not None and switch.is_pulled:
        return here.over(Stage.LAPSED, EndReason.KILLED, "request.lapsed", news=News.LAPSED)
    is_late = here.now_s >= life.lapses_s
    if request.extends and parent is not None:
        is_late = is_late or not _can_be_longer(here, parent)
    if is_late:
        return here.over(Stage.LAPSED, EndReason.WINDOW_PASSED, "request.lapsed", news=News.LAPSED)
    if no := here.hindrance():
        return no
    template = here.template
    if template is not None and request.emergency:
        return _begin(here, by=None)
    if template is not None and here.agreed(template.quorum):
        return _agree(here, template, by=None)
    return here.same()


def _approve(here: Here, event: Approve) -> Step | Refused:
    life, template = here.life, here.template
    if life.request.emergency:
        return here.conflict("it is an emergency: nobody is asked to agree, and it is judged afterwards")
    if no := here.hindrance():
        return no
    if template is None:
        return here.conflict("its template is gone")
    if event.step_up.rank < template.step_up.approval.rank:
        return Refused(proof_needed(template, template.step_up.approval), Ground.FORBIDDEN)
    identity = here.known(event.by)
    approval = Approval(
        person=event.by,
        digest=event.digest,
        at_s=here.now_s,
        step_up=event.step_up,
        groups=() if identity is None else asked_groups(identity, template.quorum),
    )
    approvals = (*life.approvals, approval)
    with_it = Here(replace(life, approvals=approvals), here.now_s, here.around)
    if with_it.agreed(template.quorum):
        return _agree(here, template, by=event.by, approvals=approvals)
    return here.go(Stage.PENDING, "request.approved", by=event.by, approvals=approvals)


def _agree(here: Here, template: Template, *, by: Person | None, **changed: Any) -> Step | Refused:
    """All of it that is to last is fixed here: a template that changes later makes nothing longer."""
    request, now_s = here.life.request, here.now_s
    if request.extends:
        return _extend(here, template, by=by, **changed)
    changed["approved_at_s"] = now_s
    news: dict[str, Any] = {"news": News.APPROVED, "to": (Audience.HOLDER, Audience.SECURITY)}
    if request.start_s is None:
        window_end_s = to_ms(now_s + template.start_window_s)
        return here.go(Stage.APPROVED, "request.agreed", by=by, window_end_s=window_end_s, **news, **changed)
    return here.go(
        Stage.SCHEDULED,
        "request.agreed",
        by=by,
        comment=f"Grant {here.life.id} begins at {rfc3339(request.start_s)}.",
        window_end_s=to_ms(request.start_s + template.start_window_s),
        end_s=to_ms(request.start_s + request.duration_s),
        max_end_s=to_ms(request.start_s + template.absolute_cap_s),
        **news,
        **changed,
    )


def _can_be_longer(here: Here, parent: Life) -> bool:
    now_s = max(here.now_s, parent.seen_s)
    return parent.stage in RUNNING and parent.end_s is not None and now_s < parent.end_s


def _extend(here: Here, template: Template, *, by: Person | None, **changed: Any) -> Step | Refused:
    """Both are written at once, or neither: an end that has come in between is the end."""
    request, parent = here.life.request, here.around.parent
    if parent is None or parent.id != request.extends:
        return Refused(f"it is not known how grant {request.extends} stands", Ground.UNKNOWN)
    there = Here(parent, to_ms(max(here.now_s, parent.seen_s)), here.around)
    if not _can_be_longer(here, parent) or there.lost() or parent.holder != request.requester:
        return here.conflict(f"grant {request.extends} is over")
    if parent.stage is not Stage.ACTIVE or parent.end_s is None or parent.max_end_s is None:
        return here.conflict(f"grant {request.extends} is still being made")
    began_s = there.now_s if parent.began_at_s is None else parent.began_at_s
    end_s = to_ms(min(parent.end_s + request.duration_s, parent.max_end_s, began_s + template.absolute_cap_s))
    if end_s <= parent.end_s:
        return here.conflict(f"grant {request.extends} is as long as it may be")
    review = parent.review
    longer = there.go(
        Stage.ACTIVE,
        "grant.extended",
        make=True,
        news=News.EXTENDED,
        to=_ALL,
        comment=f"Grant {parent.id} now ends at {rfc3339(end_s)}.",
        details={"extension": here.life.id},
        end_s=end_s,
        extensions=(*parent.extensions, here.life.id),
        review=None if review is None else replace(review, due_s=to_ms(end_s + review.within_s)),
    )
    done = here.over(
        Stage.ENDED,
        EndReason.EXTENDED,
        "request.agreed",
        by=by,
        approved_at_s=here.now_s,
        gone_at_s=here.now_s,
        **changed,
    )
    return Step(
        life=done.life,
        parent=longer.life,
        effects=done.effects + longer.effects,
        facts=done.facts + longer.facts,
    )


def _no_more(here: Here) -> Step | None:
    reason = here.lost()
    window_end_s = here.life.window_end_s
    if reason is None and (window_end_s is None or here.now_s >= window_end_s):
        reason = EndReason.WINDOW_PASSED
    if reason is None and here.life.end_s is not None and not lifetime_s(here.life.end_s, here.now_s):
        # No credential could be given any more.
        reason = EndReason.WINDOW_PASSED
    if reason is None:
        return None
    return here.over(Stage.ENDED, reason, "grant.ended", news=News.ENDED, gone_at_s=here.now_s)


def _begin(here: Here, *, by: Person | None) -> Step | Refused:
    life, request, template = here.life, here.life.request, here.template
    end_s = here.would_end_s
    if no := here.hindrance():
        return no
    if template is None:
        return here.conflict("its template is gone")
    if not request.emergency and not here.agreed(template.quorum):
        return here.conflict("those who agreed to it are not enough any more, as their issuers know them now")
    if no := too_many_begun(template, here.around.usage, emergency=request.emergency, now_s=here.now_s):
        return no
    max_end_s = life.max_end_s
    if max_end_s is None:
        max_end_s = to_ms(here.now_s + template.absolute_cap_s)
    end_s = min(end_s, max_end_s)
    return here.go(
        Stage.ACTIVATING,
        "grant.began",
        by=by,
        make=True,
        news=News.EMERGENCY if request.emergency else News.BEGUN,
        to=(Audience.HOLDER, Audience.REVIEWERS, Audience.SECURITY) if request.emergency else _ALL,
        comment=f"Grant {life.id} began, until {rfc3339(end_s)}.",
        began_at_s=here.now_s,
        end_s=end_s,
        max_end_s=max_end_s,
        review=_review(here, template, end_s),
    )


def _review(here: Here, template: Template, end_s: float) -> Review | None:
    request, rule = here.life.request, template.review
    if rule is None or not (request.emergency or rule.every_use):
        return None
    found = here.around.ticket
    stands = found is not None and found.ticket == request.ticket and found.standing is Standing.OPEN
    return Review(
        within_s=rule.within_s,
        due_s=to_ms(end_s + rule.within_s),
        needs_ticket=template.ticket.need is Need.REQUIRED and not stands,
    )
